"""Publishes, rebuilds and verifies a demo dataset against a Hub on loopback, and prints the commands and their output.

python benchmarks/publishing.py                      # prints the transcript
python benchmarks/publishing.py docs/publishing.md   # writes it into the page
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

from loopback_hub import Account, LoopbackHub  # noqa: E402

from affect_data.pages import with_part  # noqa: E402

RECIPE = "databases: {{{}}}\n"
FEWER, MORE = "disfa: {}, expw: {holdout: 0.2}", "disfa: {}, expw: {holdout: 0.2}, ferplus: {}"
TRAINING = "dataset=merged output=runs/teacher tasks.valence_arousal=null training.max_steps=20 training.trackers=[]"
TOKEN = "hf_anna"
SHORT = r"parquet|file\(s\)|^published|^plan"
"""The lines of a publishing that its transcript shows."""


class Transcript:
    """What is typed in a folder, and what is answered.

    Args:
        folder: where commands run.
        hub: that they talk to.
    """

    def __init__(self, folder: Path, hub: LoopbackHub) -> None:
        self.folder = folder
        self.hub = hub
        self.lines: list[str] = []
        self._environment = {
            **os.environ, "PYTHONPATH": str(REPOSITORY), "HF_ENDPOINT": hub.endpoint, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / ".home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "COLUMNS": "160", "LOGNAME": "anna",
        }  # fmt: skip

    def say(self, text: str) -> None:
        """Adds a sentence."""
        self.lines += ["", text, ""]

    def run(self, command: str, status: int = 0, show: str = "") -> None:
        """Runs a command and adds what it answers.

        Args:
            command: as it is typed.
            status: that it ends with.
            show: regular expression of the lines that are shown; all where it is empty.
        """
        program, *arguments = command.split()
        modules = {"affect-data": "affect_data", "affect-train": "affect_train", "hf": "huggingface_hub.cli.hf"}
        called = [sys.executable, "-m", modules[program]] if program in modules else [program]
        before = self.hub.uploaded.total()
        ran = subprocess.run(
            [*called, *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != status:
            sys.exit(f"{command} ended with {ran.returncode}: {ran.stdout}{ran.stderr}")
        answer = [
            line
            for line in (ran.stdout + ran.stderr).replace(f"{self.folder}/", "").splitlines()
            if not show or re.search(show, line)
        ]
        self.lines += [f"    $ {command}", *(f"    {line}".rstrip() for line in answer), ""]
        sent = self.hub.uploaded.total() - before
        if sent:
            self.lines += [f"The Hub received {sent:,} bytes.", ""]

    def text(self) -> str:
        """The whole transcript as Markdown."""
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self.lines)).strip("\n")


def write_transcript(folder: Path, hub: LoopbackHub) -> str:
    """Everything in order: three tiers, a rebuild, one more teacher, one more database, verification, a person who is erased."""
    said = Transcript(folder, hub)
    (folder / "recipe.yaml").write_text(RECIPE.format(FEWER))
    (folder / "teacher.yaml").write_bytes((REPOSITORY / "recipes/demo/teacher.yaml").read_bytes())
    said.run("affect-data demo databases --databases disfa,expw,ferplus --faces 120")
    said.run("affect-data build recipe.yaml merged --roots databases", show="^built")
    said.say("Tier recipe, first as a plan, then for good:")
    said.run("affect-data publish merged anna/faces --dry-run")
    said.run("affect-data publish merged anna/faces", show="^published")
    said.say("On another machine with the same databases:")
    said.run("affect-data rebuild hf://anna/faces again --roots databases")
    said.say(
        "Tier full, since these faces are drawn; then the soft labels of a small teacher and folds are added, and only they are sent:"
    )
    said.run("affect-data publish merged anna/faces-full --tier full", show=SHORT)
    said.run(f"affect-train train teacher.yaml {TRAINING}", show="^trained")
    said.run("affect-train label runs/teacher merged --name teacher", show="^soft")
    said.run("affect-data folds merged --count 3 --name cv3")
    said.run("affect-data publish merged anna/faces-full --tier full", show=SHORT)
    said.say("Tier derived is what was made, without pictures and labels; an owner of the databases attaches it again:")
    said.run("affect-data audit merged --check mixed_crops", show="findings|mixed")
    said.run("affect-data publish merged anna/faces-derived --tier derived", show=SHORT)
    said.run("affect-data rebuild hf://anna/faces-derived attached --roots databases")
    said.say(
        "One more database: its tables are new, those of the others stay, and what was made from the others alone does not fit any more."
    )
    (folder / "recipe.yaml").write_text(RECIPE.format(MORE))
    said.run(
        "affect-data build recipe.yaml merged --roots databases --overwrite",
        show="^built|fit",
    )
    said.run("affect-data publish merged anna/faces-full --tier full", show=SHORT)
    said.say("Whether the repository is what it says:")
    said.run("affect-data verify hf://anna/faces-full")
    said.run("hf download anna/faces-full --repo-type dataset --local-dir downloaded --quiet", show="^downloaded")
    said.run("affect-data verify downloaded --deep")
    (folder / "downloaded" / "recipe.yaml").unlink()
    said.run("affect-data verify downloaded", status=1)
    said.say("A person is erased, here and in what the Hub keeps of earlier commits:")
    said.run("affect-data erase merged --subject disfa:SN001 --yes")
    said.run(
        "affect-data publish merged anna/faces-full --tier full --erase-history", show=f"{SHORT}|histor|earlier|squash"
    )
    said.run("affect-data verify hf://anna/faces-full --deep")
    return said.text()


def show(description: str, write: Callable[[Path, LoopbackHub], str], part: str) -> None:
    """Prints a transcript, or writes it into the page that the command line names.

    Args:
        description: of the command.
        write: gives the transcript of what is done in a new folder, with a Hub of its own.
        part: of the page that holds it.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("page", nargs="?", type=Path, help="the page whose transcript is written")
    page = parser.parse_args().page
    with tempfile.TemporaryDirectory() as folder, LoopbackHub({TOKEN: Account("anna", writes=True)}) as hub:
        text = write(Path(folder), hub)
    if page is None:
        print(text)
    else:
        page.write_text(with_part(page.read_text(encoding="utf-8"), part, text), encoding="utf-8")


if __name__ == "__main__":
    show("Publishes a demo dataset to a Hub on loopback.", write_transcript, "transcript")
