"""What an erasure will do, before it does anything: rows, files, what was made from them, and what lies outside the dataset."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from affect_data.bounds import read_json
from affect_data.build.build import STAGING
from affect_data.build.erased import Tombstones
from affect_data.build.existing import lock_at
from affect_data.dataset.folder import AUDIT, DatasetFolder, open_dataset
from affect_data.dataset.kinds.base import Dependency
from affect_data.dataset.kinds.registry import KINDS
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.erasing.selection import Selection, Wanted, select
from affect_data.erasing.videos import ErasedVideo, erased_videos
from affect_data.errors import DataError, UsageError
from affect_data.files import restore_folder, with_a_name
from affect_data.video.stored import VIDEOS

CONTENTS: Final = "contents.json"
"""The file of a training run that names the dataset by its fingerprint."""

HIDDEN_BESIDE: Final = (STAGING, ".{}.rebuilding", ".{}.publishing")
"""What builds and publishing leave beside a dataset; it may hold the same pictures."""


@dataclass(frozen=True)
class ErasePlan:
    """What will be erased.

    Attributes:
        folder: the dataset.
        selection: the rows.
        tombstones: of the dataset before.
        rows: number of rows to erase, by split and database.
        stale: column groups that have to be made again afterwards, because they depend on the distribution of all rows.
        carried: column groups that stay valid without the rows.
        runs: training runs, or models of soft labels, that saw the dataset, and why that is known.
        elsewhere: what may hold the same faces outside the dataset.
        videos: of the dataset, of which frames are erased.
    """

    folder: DatasetFolder
    selection: Selection
    tombstones: Tombstones
    rows: dict[str, dict[str, int]]
    stale: tuple[str, ...]
    carried: tuple[str, ...]
    runs: dict[str, str]
    elsewhere: dict[str, str] = field(default_factory=dict)
    videos: tuple[ErasedVideo, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {
            "dataset": str(self.folder.path),
            "rows": self.rows,
            "named": self.selection.named,
            "copies": self.selection.rows - self.selection.named,
            "already_erased": list(self.selection.already),
            "more_of": dict(self.selection.more_of),
            "carried": list(self.carried),
            "stale": list(self.stale),
            "saw_them": self.runs,
            "elsewhere": self.elsewhere,
            "videos": [asdict(video) for video in self.videos],
        }


def plan_erasure(path: Path | str, wanted: Wanted, runs: Sequence[Path] = ()) -> ErasePlan:
    """The plan of an erasure; nothing is written.

    Args:
        path: dataset folder.
        wanted: whom to erase.
        runs: training runs to look at, in addition to those that lie beside the dataset.

    Raises:
        UsageError: nobody is named.
        NobodyFoundError: somebody is not in the dataset.
        DataError: a database would be without any row.
    """
    if not (wanted.subjects or wanted.uids or wanted.faces):
        raise UsageError("name whom to erase: --subject database:id, --uid UID or --face PICTURE")
    path = with_a_name(Path(path))
    restore_folder(path)
    folder = open_dataset(path)
    tombstones = Tombstones.from_lock(lock_at(path))
    selection = select(folder, wanted, tombstones)
    counted = _rows(folder, selection)
    _refuse_empty(folder, counted)
    made = {kind.group(name): kind for kind in KINDS if kind.provenance is not None for name in kind.names(folder)}
    stale = [group for group, kind in made.items() if Dependency.LABELS in kind.depends_on]
    return ErasePlan(
        folder,
        selection,
        tombstones,
        counted,
        tuple(sorted(stale)),
        tuple(sorted(set(made) - set(stale))),
        _runs(folder, runs),
        _elsewhere(folder),
        erased_videos(folder, selection.masks),
    )


def _rows(folder: DatasetFolder, selection: Selection) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for split, mask in selection.masks.items():
        codes = folder.stored_labels(split, ("database",)).column("database").to_numpy()[mask]
        for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
            found.setdefault(split, {})[folder.manifest.databases[int(code)]] = int(count)
    return found


def _refuse_empty(folder: DatasetFolder, erased: dict[str, dict[str, int]]) -> None:
    """Refuses to leave a database without rows, of which no build makes a dataset."""
    rows = dict.fromkeys(folder.manifest.databases, 0)
    for split in folder.splits:
        codes = folder.stored_labels(split, ("database",)).column("database").to_numpy()
        for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
            rows[folder.manifest.databases[int(code)]] += int(count)
    for name, count in rows.items():
        if count and count == sum(own.get(name, 0) for own in erased.values()):
            raise DataError(
                f"'{folder.path}': all {count:,} rows of {name} would be erased, and no dataset has a database without rows; nothing was erased. "
                f"Take {name} out of the recipe and build with --overwrite, or remove the folder"
            )


def _runs(folder: DatasetFolder, named: Sequence[Path]) -> dict[str, str]:
    """The models that saw the dataset as it is now, and how that is known."""
    beside = [file.parent for pattern in ("*", "runs/*") for file in folder.path.parent.glob(f"{pattern}/{CONTENTS}")]
    found: dict[str, str] = {}
    for run in dict.fromkeys([*named, *sorted(beside)]):
        seen = _dataset_of(run)
        if seen == folder.fingerprint:
            found[str(run)] = "was trained on this dataset"
        elif run in named:
            found[str(run)] = (
                f"names another dataset ({seen}), or this one before it was changed"
                if seen
                else (f"has no {CONTENTS} with the fingerprint of a dataset: what it saw is not known")
            )
    for name in SOFT_LABELS.names(folder):
        described = folder.manifest.provenance[SOFT_LABELS.group(name)]
        found[SOFT_LABELS.group(name)] = (
            f"labels of the teacher {described.get('teacher_id')}, which looked at every row"
        )
    return found


def _dataset_of(run: Path) -> str:
    """The fingerprint of the dataset that a run names; empty if it names none."""
    try:
        return str(read_json(run / CONTENTS)["dataset"]["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _elsewhere(folder: DatasetFolder) -> dict[str, str]:
    """Places outside the column groups that may hold the same faces."""
    from datasets import config

    path, found = folder.path, {}
    for pattern in HIDDEN_BESIDE:
        place = path.parent / pattern.format(path.name)
        if place.exists():
            found[str(place)] = "left by another command: is removed"
    if (path / AUDIT).is_file():
        found[str(path / AUDIT)] = (
            f"findings compare rows with each other: is removed; `affect-data audit {path}` makes it again"
        )
    for name in sorted(entry.name for entry in path.iterdir() if not is_managed(folder, entry)):
        found[str(path / name)] = "not a part of the dataset: stays, look into it"
    cache = Path(config.HF_DATASETS_CACHE)
    if cache.is_dir():
        found[str(cache)] = (
            "the cache of `datasets`: has copies if somebody loaded the dataset from the Hub or as files"
        )
    return found


def is_managed(folder: DatasetFolder, entry: Path) -> bool:
    """Whether an entry of the dataset's folder is written anew by an erasure, or dropped by it, as all hidden ones are."""
    known = ("dataset.json", "dataset.lock.json", "failures.parquet", AUDIT, "origins", "versions", *folder.splits)
    is_of_videos = folder.videos is not None and entry.name == VIDEOS
    return entry.name in known or entry.name.startswith(".") or is_of_videos
