"""A published model in use: by transformers, by the pipeline, by the commands, and by onnxruntime alone."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loopback_hub import LoopbackHub
from PIL import Image
from training_runs import fresh_accelerator
from transformers import AutoImageProcessor, AutoModel

import affect_train
import affect_train.hub
from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.loading import load_dataset
from affect_data.errors import DataError, UsageError
from affect_data.hub.client import HubError, NoRepositoryError
from affect_train.errors import NotAModelError
from affect_train.evaluation.evaluate import evaluate
from affect_train.inference.predict import predict
from affect_train.labelling.label import label
from affect_train.labelling.teachers import open_teacher

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

WITHOUT = """
import sys
for name in ("torch", "transformers", "datasets", "affect_data", "affect_train", "simplejpeg", "onnx"):
    sys.modules[name] = None
"""


def said(run: Path | str, faces: list[Path]) -> list[dict[str, Any]]:
    """What `affect-train predict --crop as-is` says, without the pictures' names."""
    found = predict(run, faces, as_is=True)
    fresh_accelerator()
    assert found is not None
    return [{key: value for key, value in one.items() if key not in ("image", "exif_orientation")} for one in found]


def numbers(said: dict[str, Any]) -> list[float]:
    units = [unit["probability"] for unit in said["action_units"].values()]
    return [*units, *said["expression_probabilities"].values(), said["valence"], said["arousal"]]


def test_transformers_gives_what_predict_gives(teacher: str, trained: Path, faces: list[Path]) -> None:
    name, _, revision = teacher.partition("@")
    model = AutoModel.from_pretrained(name, revision=revision).eval()
    processor = AutoImageProcessor.from_pretrained(name, revision=revision)
    with ExitStack() as opened, torch.inference_mode():
        pictures = [opened.enter_context(Image.open(face)) for face in faces]
        found = model.predictions(model(**processor(pictures, return_tensors="pt")))
    for row, one in enumerate(said(trained, faces)):
        own = [*found["au"][row], *found["expression"][row], found["valence"][row], found["arousal"][row]]
        np.testing.assert_allclose(own, numbers(one), atol=1e-6)


def test_the_pipeline_gives_what_predict_gives_for_paths_bytes_and_pictures(
    teacher: str, trained: Path, faces: list[Path]
) -> None:
    expected = said(trained, faces)
    assert list(expected[0]["action_units"]["AU25"]) == ["probability", "threshold", "present"]
    pipeline = affect_train.pipeline(teacher)
    for one, other in zip(pipeline(faces), expected, strict=True):
        assert one.keys() == other.keys()
        np.testing.assert_allclose(numbers(one), numbers(other), atol=1e-6)
    with Image.open(faces[2]) as opened:
        single = [pipeline(form) for form in (faces[2], str(faces[2]), faces[2].read_bytes(), opened)]
    for one in single:
        np.testing.assert_allclose(numbers(one), numbers(expected[2]), atol=1e-6)
    assert [one["expression"] for one in pipeline(tuple(faces), batch_size=2)] == [
        one["expression"] for one in expected
    ]
    assert pipeline([]) == []


def test_a_picture_that_was_decoded_before_is_turned_and_scaled_from_its_pixels(
    trained: Path, faces: list[Path]
) -> None:
    pipeline, turned, png = affect_train.pipeline(trained), faces[2], faces[4]
    with Image.open(turned) as decoded:
        decoded.load()
    np.testing.assert_allclose(numbers(pipeline(decoded)), numbers(pipeline(turned)), atol=0.01)
    with Image.open(png) as opened:
        pixels = np.asarray(opened)
    np.testing.assert_allclose(numbers(pipeline(pixels)), numbers(pipeline(png)), atol=1e-6)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((8, 8), np.uint8), r"found uint8 \[8, 8\]; give a path, bytes"),
        (np.zeros((8, 8, 3), np.float32), r"found float32 \[8, 8, 3\]; give a path"),
        ([3], "found int; give a path"),
    ],
)
def test_what_is_no_picture_is_refused(trained: Path, picture: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        affect_train.pipeline(trained)(picture)


def test_a_picture_that_is_missing_or_broken_is_named(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    pipeline = affect_train.pipeline(trained)
    with pytest.raises(DataError, match=r"image '.*nowhere.jpg' does not exist"):
        pipeline(str(tmp_path / "nowhere.jpg"))
    with pytest.raises(DataError, match=r"image '.*text.jpg': the image cannot be decoded: not an image file"):
        pipeline(tmp_path / "text.jpg")
    with pytest.raises(DataError, match="image: the image cannot be decoded: not an image file"):
        pipeline(b"no picture")


def test_pixels_that_training_did_not_see_are_refused(trained: Path, faces: list[Path]) -> None:
    processor = affect_train.hub.AffectImageProcessor({"format_version": 9}, "")
    with pytest.raises(DataError, match=r"has format version 9; this release makes version 1"):
        processor(faces[0])
    processor = affect_train.hub.AffectImageProcessor({"format_version": 1, "image_size": 32}, "0" * 16)
    with pytest.raises(DataError, match="training saw 0000000000000000; publish the model again"):
        processor(faces[0])


def test_the_example_of_the_card_needs_onnxruntime_alone_and_gives_what_predict_gives(
    hub: LoopbackHub, teacher: str, trained: Path, faces: list[Path], tmp_path: Path
) -> None:
    card = hub.repositories["model", "anna/teacher"].files["README.md"].data.decode()
    code = card.partition("## Without affectkit")[2].partition("```python\n")[2].partition("```")[0]
    assert len(code.splitlines()) == 10
    pictures = tmp_path / "pictures"
    for number, face in enumerate(faces):
        (pictures / str(number)).mkdir(parents=True)
        (pictures / str(number) / "face.jpg").write_bytes(face.read_bytes())
    runner = f"{WITHOUT}\nimport os\nfor number in range({len(faces)}):\n    os.chdir({str(pictures)!r} + f'/{{number}}')\n    exec({code!r}, {{}})"
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
    ran = subprocess.run([sys.executable, "-c", runner], capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    for line, one in zip(ran.stdout.splitlines(), said(trained, faces), strict=True):
        found = json.loads(line)
        assert list(found["action_units"]) == ["25", "1"]
        assert list(found["expressions"]) == ["happiness", "neutral", "sadness"]
        flat = [*found["action_units"].values(), *found["expressions"].values(), found["valence"], found["arousal"]]
        np.testing.assert_allclose(flat, numbers(one), atol=1e-4)


def test_a_model_that_the_hubs_own_command_downloaded_is_a_model_and_a_teacher(
    hub: LoopbackHub, hf: Callable[..., str], teacher: str, trained: Path, faces: list[Path], tmp_path: Path
) -> None:
    name, _, revision = teacher.partition("@")
    folder = tmp_path / "downloaded"
    hf("download", name, "--revision", revision, "--local-dir", folder)
    assert said(folder, faces[:2]) == said(trained, faces[:2])
    model, processor = AutoModel.from_pretrained(folder).eval(), AutoImageProcessor.from_pretrained(folder)
    with torch.inference_mode():
        found = model.predictions(model(**processor(faces[0], return_tensors="pt")))
    assert float(found["valence"]) == pytest.approx(said(trained, faces[:1])[0]["valence"], abs=1e-6)
    graph, own = open_teacher(folder / "teacher.yaml"), open_teacher(folder)
    assert (graph.tasks, graph.preprocessing) == (own.tasks, own.preprocessing)
    hf("upload", "anna/copy", folder, ".", "--private", "--exclude", ".cache/*")
    assert hub.repositories["model", "anna/copy"].private
    assert said("anna/copy", faces[:1]) == said(trained, faces[:1])


def test_predict_takes_a_revision(hub: LoopbackHub, teacher: str, trained: Path, faces: list[Path]) -> None:
    assert said(teacher, faces[:1]) == said(trained, faces[:1])
    assert said("hf://anna/teacher", faces[:1]) == said(trained, faces[:1])
    fetched = [path for path in hub.requests if "/resolve/" in path and path.startswith("GET")]
    assert not [path for path in fetched if not path.endswith((".json", ".safetensors"))]


def test_a_published_model_is_a_teacher_by_its_id_and_by_its_description(
    teacher: str, trained: Path, own_dataset: Path, tmp_path: Path
) -> None:
    result = label("anna/teacher", own_dataset, "published")
    fresh_accelerator()
    label(trained, own_dataset, "local")
    assert result is not None
    origin = {name: SOFT_LABELS.read(open_dataset(own_dataset), name) for name in ("published", "local")}
    assert origin["published"].teacher_id == "anna/teacher"
    assert origin["published"].teacher_revision == origin["local"].teacher_revision
    rows = load_dataset(own_dataset, "train", ["published", "local"]).with_format("arrow")[:]
    for head in ("au", "expression", "valence", "arousal"):
        assert rows[f"soft.published.{head}"].equals(rows[f"soft.local.{head}"])


def test_the_graph_is_a_teacher_with_the_same_logits(
    hub: LoopbackHub, teacher: str, trained: Path, tmp_path: Path
) -> None:
    for name in ("model.onnx", "teacher.yaml"):
        (tmp_path / name).write_bytes(hub.repositories["model", "anna/teacher"].files[name].data)
    graph, model = open_teacher(tmp_path / "teacher.yaml"), open_teacher(teacher)
    assert graph.tasks == model.tasks
    assert graph.preprocessing == model.preprocessing
    pixels = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        here, there = graph.logits(pixels), model.logits(pixels)
    for head, values in there.items():
        np.testing.assert_allclose(here[head], values, atol=1e-4)


def test_evaluate_takes_a_model_of_the_hub_and_stores_nothing_there(
    teacher: str, trained: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = evaluate("anna/teacher", dataset, ["validation"])
    fresh_accelerator()
    assert found is not None
    expected = json.loads((trained / "evaluation.json").read_text())
    assert found["weights"] == expected["weights"]
    assert found["splits"]["validation"]["overall"]["score"] == expected["splits"]["validation"]["overall"]["score"]
    assert not (tmp_path / "anna").exists()
    with pytest.raises(UsageError, match="'anna/teacher' is on the Hub, where no threshold can be stored"):
        evaluate("anna/teacher", dataset, ["validation"], tune_thresholds="train")


def test_what_is_not_on_the_hub_is_said(hub: LoopbackHub, teacher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        NoRepositoryError, match=r"anna/nothing: there is neither such a folder here nor such a repository"
    ):
        affect_train.pipeline("anna/nothing")
    with pytest.raises(NoRepositoryError, match=r"anna/nothing: there is no such repository, or your token may not"):
        affect_train.pipeline("hf://anna/nothing")
    with pytest.raises(HubError, match=r"anna/teacher@v9: there is no such revision. Name a branch, a tag or a commit"):
        affect_train.pipeline("anna/teacher@v9")
    with pytest.raises(UsageError, match="'anna/teacher@' names no revision after the '@'"):
        affect_train.pipeline("anna/teacher@")
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(NoRepositoryError, match="or your token may not see it"):
        open_teacher("anna/teacher")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match=r"anna/teacher: there is (neither such a folder|no valid token)"):
        affect_train.pipeline("anna/teacher")


def test_a_repository_without_a_model_is_said(hub: LoopbackHub, teacher: str) -> None:
    files = hub.repositories["model", "anna/teacher"].files
    del files["model.safetensors"]
    with pytest.raises(
        NotAModelError, match=r"'anna/teacher' is no affect_train model: the repository lacks config.json or"
    ):
        affect_train.pipeline("anna/teacher")


def test_a_model_that_was_fetched_before_needs_no_network(
    hub: LoopbackHub, teacher: str, faces: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = affect_train.pipeline("anna/teacher")(faces[0])
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert affect_train.pipeline("anna/teacher")(faces[0]) == expected
    with pytest.raises(
        HubError, match=r"the Hub cannot be reached, and this machine has no copy|HF_HUB_OFFLINE is set"
    ):
        affect_train.pipeline("anna/another")
