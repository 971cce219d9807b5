"""Trains a small model on demo faces, publishes it to a Hub on loopback, and uses it with affectkit and without; prints what was typed and answered.

python benchmarks/publishing_models.py                      # prints the transcript
python benchmarks/publishing_models.py docs/publishing.md   # writes it into the page

The fresh environment is a virtual environment with onnxruntime, pillow, numpy and huggingface-hub, which pip fetches from its index.
"""

import subprocess
import venv
from pathlib import Path

from publishing import REPOSITORY, Transcript, show

from loopback_hub import LoopbackHub  # isort: skip - `publishing` says where it is

from affect_data.demo.sampler import FaceSampler

PACKAGES = ("onnxruntime", "pillow", "numpy", "huggingface-hub")
RECIPE = "databases: {afew_va: {}, disfa: {}, expw: {holdout: 0.2}}\n"
TRAINING = "dataset=merged output=runs/teacher training.max_steps=20 training.trackers=[]"


def write_transcript(folder: Path, hub: LoopbackHub) -> str:
    """Training, publishing, and the model by its Hub id, with affectkit and without."""
    said = Transcript(folder, hub)
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "teacher.yaml").write_bytes((REPOSITORY / "recipes/demo/teacher.yaml").read_bytes())
    sampler = FaceSampler(3)
    sampler.photograph().draw(96).save(folder / "face.jpg", quality=92)
    said.run("affect-data demo databases --databases afew_va,disfa,expw --faces 120", show="^$")
    said.run("affect-data build recipe.yaml merged --roots databases", show="^built")
    said.run(f"affect-train train teacher.yaml {TRAINING}", show="^trained")
    said.run("affect-train evaluate runs/teacher merged --bootstrap 200", show="^$")
    said.run("affect-train publish runs/teacher anna/teacher")
    said.run("affect-train predict anna/teacher face.jpg --crop as-is", show="^[^H]")
    said.run("affect-train label anna/teacher merged --name teacher", show="^soft")
    said.say("The example of the card, in an environment with onnxruntime, pillow, numpy and huggingface-hub alone:")
    (folder / "example.py").write_text(example(hub))
    venv.create(folder / "fresh", with_pip=True)
    subprocess.run([folder / "fresh/bin/pip", "install", "--quiet", *PACKAGES], check=True)
    said.run("fresh/bin/python example.py")
    return said.text()


def example(hub: LoopbackHub) -> str:
    """The code of the card that needs no affectkit."""
    card = hub.repositories["model", "anna/teacher"].files["README.md"].data.decode()
    return card.partition("## Without affectkit")[2].partition("```python\n")[2].partition("```")[0]


if __name__ == "__main__":
    show("Publishes a demo model to a Hub on loopback.", write_transcript, "models")
