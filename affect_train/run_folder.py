"""The folder of a training run: the paths of its parts, its lock, and its logs."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affect_data.bounds import parse_json
from affect_data.errors import UsageError
from affect_data.files import try_lock, write_text
from affect_data.system_errors import writing_to
from affect_train.addresses import WEIGHTS, fetched, hub_address
from affect_train.errors import NotAModelError

if TYPE_CHECKING:
    from accelerate import Accelerator

MODEL_CONFIG = "config.json"


class RunFolder:
    """The paths of the parts of a run.

    Args:
        path: the folder; it need not exist yet.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.contents = self.path / "contents.json"
        self.metrics = self.path / "metrics.jsonl"
        self.evaluation = self.path / "evaluation.json"
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"
        self.lock = self.path / ".lock"

    def rows(self, rank: int) -> Path:
        """The log of the row numbers that a process trained on."""
        return self.path / f"rows.rank{rank}.jsonl"

    def undecodable(self, rank: int) -> Path:
        """The log of the rows that a process left out because they cannot be decoded."""
        return self.path / f"undecodable.rank{rank}.jsonl"

    def cut_logs_of_others(self, processes: int, resume_at: int) -> None:
        """Drops later lines than a step from the logs of processes that took part in the run once, and no more."""
        rank = processes
        while found := [path for path in (self.rows(rank), self.undecodable(rank)) if path.exists()]:
            for path in found:
                LineLog(path, resume_at)
            rank += 1


@contextmanager
def run_lock(folder: RunFolder, accelerator: "Accelerator") -> Iterator[None]:
    """Locks a run's folder against a second run; all processes call it. The lock of a killed run is free again.

    Raises:
        UsageError: another run holds the lock; raised on every process.
    """
    handle = try_lock(folder.lock) if accelerator.is_main_process else None
    if not agreed(accelerator, int(handle is not None or not accelerator.is_main_process)):
        raise UsageError(f"another run is writing to '{folder.path}'; wait for it to end, or choose another `output`")
    try:
        yield
    finally:
        if handle is not None:
            handle.close()


def agreed(accelerator: "Accelerator", verdict: int) -> bool:
    """Whether the verdict of every process is 1."""
    import torch

    said = torch.tensor([verdict], device=accelerator.device)
    return bool(accelerator.reduce(said, reduction="sum").item() == accelerator.num_processes)


def model_folder(path: Path | str) -> Path:
    """The folder that holds a model: `path` itself, the model folder of the run `path`, or what was downloaded of a repository of the Hub.

    Raises:
        NotAModelError: none of them holds a model.
        HubError: the Hub has no such repository, refuses, or cannot be reached.
    """
    address = hub_address(path)
    if address is not None:
        return _published_model(fetched(address), str(address))
    path = Path(path)
    if not path.is_dir():
        raise NotAModelError(
            path,
            "the folder does not exist",
            "Name a run folder or a model folder, as `affect-train train RECIPE` writes them, or a model on the Hub as hf://user/name",
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


def weights_digest(folder: Path) -> str:
    """The sha256 of a model's weight files, hexadecimal.

    Raises:
        NotAModelError: there are no weight files.
    """
    files = sorted(folder.glob(WEIGHTS))
    if not files:
        raise NotAModelError(folder, f"it holds no {WEIGHTS}", "Train it again, or name another run")
    return files_digest(files)


def files_digest(files: Iterable[Path]) -> str:
    """The sha256 over the sha256 of each file in order, hexadecimal."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _published_model(folder: Path, address: str) -> Path:
    if not (folder / MODEL_CONFIG).is_file() or not list(folder.glob(WEIGHTS)):
        raise NotAModelError(
            address, f"the repository lacks {MODEL_CONFIG} or {WEIGHTS}", "Name one that `affect-train publish` made"
        )
    return folder


class LineLog:
    """A file of one JSON document a line, which grows during a run.

    Args:
        path: the file.
        resume_at: step at which a run resumes: lines of later steps are dropped, because they will be written again. 0 starts the file anew.
    """

    def __init__(self, path: Path, resume_at: int) -> None:
        self._path = path
        kept = _lines_where(path, lambda line: line["step"] <= resume_at) if resume_at else []
        write_text(path, "".join(kept))

    def lines(self) -> list[dict[str, Any]]:
        """The documents of all lines."""
        return [json.loads(text) for text in self._path.read_text(encoding="utf-8").splitlines()]

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
            if keeps(parse_json(text, path)):
                kept.append(text)
        except ValueError:
            break  # the line that a kill cut short
    return kept
