"""The folder of a training run: where its parts lie, and writes that are never half done."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affect_data.errors import UsageError
from affect_data.system_errors import writing_to
from affect_train.errors import NotAModelError

if TYPE_CHECKING:
    from accelerate import Accelerator

MODEL_CONFIG = "config.json"


class RunFolder:
    """The parts of a run.

    Args:
        path: the folder; it need not exist yet.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.metrics = self.path / "metrics.jsonl"
        self.evaluation = self.path / "evaluation.json"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"
        self.lock = self.path / ".lock"

    def rows(self, rank: int) -> Path:
        """The log of the row numbers that a process trained on."""
        return self.path / f"rows.rank{rank}.jsonl"


@contextmanager
def run_lock(folder: RunFolder, accelerator: "Accelerator") -> Iterator[None]:
    """Holds a run's folder, so that no second run writes to it; all processes call it. A killed run holds it no longer.

    Raises:
        UsageError: another run holds it; on every process.
    """
    handle, held = None, 1
    if accelerator.is_main_process:
        with writing_to(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
            handle = folder.lock.open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            held = 0
    if not agreed(accelerator, held):
        raise UsageError(f"another run is writing to '{folder.path}'; wait for it to end, or choose another `output`")
    try:
        yield
    finally:
        if handle is not None:
            handle.close()


def agreed(accelerator: "Accelerator", verdict: int) -> bool:
    """Whether all processes say 1."""
    import torch

    said = torch.tensor([verdict], device=accelerator.device)
    return int(accelerator.reduce(said, reduction="sum").item()) == accelerator.num_processes


def model_folder(path: Path | str) -> Path:
    """The folder that holds a model: `path` itself, or the model of the run `path`.

    Raises:
        NotAModelError: neither does.
    """
    path = Path(path)
    if not path.is_dir():
        raise NotAModelError(
            path,
            "the folder does not exist",
            "Name a run folder or a model folder, as `affect-train train RECIPE` writes them",
        )
    for folder in (path, RunFolder(path).model):
        if (folder / MODEL_CONFIG).is_file():
            return folder
    if RunFolder(path).recipe.is_file():
        raise NotAModelError(
            path,
            "its training has not saved a model yet",
            "Let `affect-train train` finish: the same command resumes it",
        )
    raise NotAModelError(
        path, f"it holds neither {MODEL_CONFIG} nor model/{MODEL_CONFIG}", "Name a run folder or a model folder"
    )


@contextmanager
def written_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `path` once it is filled and flushed to disk.

    The old folder is moved away before and removed after, so that `path` is complete at every moment in which it exists.
    """
    partial = path.with_name(f".{path.name}.partial")
    with writing_to(path):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        commit_folder(partial, path)


def commit_folder(partial: Path, path: Path) -> None:
    """Flushes a filled folder to disk and renames it to `path`."""
    for file in partial.rglob("*"):
        if file.is_file():
            _flush(file)
    _flush(partial)
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    partial.rename(path)
    _flush(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(path: Path) -> None:
    """Undoes what a crash inside `commit_folder` left: the old folder comes back where the new one did not arrive."""
    old = path.with_name(f".{path.name}.old")
    if old.exists() and not path.exists():
        old.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(path.with_name(f".{path.name}.partial"), ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Writes a file under a temporary name, flushes it and renames it."""
    partial = path.with_name(f".{path.name}.partial")
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as sink:
            sink.write(text)
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(path)


def write_json(path: Path, values: object) -> None:
    """Writes a JSON document, atomically."""
    write_text(path, json.dumps(values, indent=2) + "\n")


class LineLog:
    """A file of one JSON document a line, which grows during a run.

    Args:
        path: the file.
        resume_at: a resumed run's step: lines of later steps are dropped, as they will be written again. 0 starts the file anew.
    """

    def __init__(self, path: Path, resume_at: int) -> None:
        self._path = path
        kept = _lines_where(path, lambda line: line["step"] <= resume_at) if resume_at else []
        write_text(path, "".join(kept))

    def write(self, values: dict[str, Any]) -> None:
        """Adds one line; it reaches the file at once."""
        with writing_to(self._path), self._path.open("a", encoding="utf-8") as sink:
            sink.write(json.dumps(values) + "\n")


def _lines_where(path: Path, keeps: Callable[[dict[str, Any]], bool]) -> list[str]:
    if not path.exists():
        return []
    kept = []
    for text in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            if keeps(json.loads(text)):
                kept.append(text)
        except ValueError:
            break  # the line that a kill cut short
    return kept
