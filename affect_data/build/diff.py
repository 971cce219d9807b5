"""How two datasets differ, each given by its folder or its lock."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from affect_data.build.carrying import applied_decisions
from affect_data.build.content import Content, differences, wording
from affect_data.build.existing import lock_at
from affect_data.databases.base import SPLITS
from affect_data.dataset.folder import DatasetFolder, ForeignVersionError, open_dataset
from affect_data.dataset.layout import PEOPLE
from affect_data.dataset.schema import FRAMES, IMAGES

_ROWS: Final = ""
_NOT_LABELS: Final = (IMAGES, FRAMES, PEOPLE)


@dataclass(frozen=True)
class DatasetDifferences:
    """The differences between two datasets.

    Attributes:
        found: a sentence for each, the most important first; empty if they have the same rows, labels and pictures.
        wording: differences between their recipes and files that do not change the dataset.
    """

    found: tuple[str, ...]
    wording: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Described:
    """What is known of a dataset.

    Attributes:
        path: as given.
        lock: what it was made from; its decisions are those in force.
        fingerprints: all that identify it, including that of format 1.
    """

    path: Path
    lock: dict[str, Any]
    fingerprints: frozenset[str]


def diff(before: Path, after: Path) -> DatasetDifferences:
    """The differences between two datasets.

    Args:
        before: a dataset folder, or its ``dataset.lock.json``; a folder also has the decisions that were applied after its build.
        after: another.

    Raises:
        DataError: there is no readable lock.
        NotADatasetError: a folder is not a finished dataset.
    """
    old, new = _described(before), _described(after)
    explained = wording(old.lock, new.lock)
    unknown = [one.path for one in (old, new) if Content.from_lock(one.lock) is None]
    found = differences(old.lock, new.lock)
    # The fingerprints of a dataset leave side groups out, so that they decide only where nothing else is known.
    if old.fingerprints & new.fingerprints if unknown else not found:
        return DatasetDifferences((), tuple(explained))
    if not unknown:
        return DatasetDifferences((*found, *_of_groups(old.lock, new.lock)))
    sentences = (
        f"labels and pictures are not compared: the lock of '{path}' is of an older affectkit and does not name them"
        for path in unknown
    )
    return DatasetDifferences((*found, *_of_rows(old.lock, new.lock), *sentences))


def _described(path: Path) -> _Described:
    lock = lock_at(path)
    known = {lock.get("fingerprint"), (lock.get("upgraded_from") or {}).get("fingerprint")}
    folder = _opened(path) if path.is_dir() else None
    if folder is not None:
        applied = applied_decisions(folder, lock)
        if lock.get("fingerprint") != folder.fingerprint:
            known = {folder.fingerprint}
        lock = {**lock, "decisions": {"ids": sorted(applied)}}
    return _Described(path, lock, frozenset(filter(None, known)))


def _opened(path: Path) -> DatasetFolder | None:
    """The dataset; None if it has another format, so that only its lock can be read."""
    try:
        return open_dataset(path)
    except ForeignVersionError:
        return None


def _of_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    rows, now = before.get("rows", {}), after.get("rows", {})
    for split in dict.fromkeys([*rows, *now]):
        if rows.get(split) != now.get(split):
            yield f"{split}: {rows.get(split, 0):,} rows, now {now.get(split, 0):,}"


def _of_groups(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Which column groups of labels one has alone, and, where files are cut alike, which hold something else."""
    old, new = _group_hashes(before), _group_hashes(after)
    for split in (split for split in SPLITS if split in old and split in new):
        groups, now = old[split], new[split]
        yield from (f"{split}: the column group {name} is gone" for name in sorted(groups.keys() - now.keys()))
        yield from (f"{split}: the column group {name} is new" for name in sorted(now.keys() - groups.keys()))
        if groups[_ROWS] == now[_ROWS]:
            others = sorted(name for name in groups.keys() & now.keys() if groups[name] != now[name])
            if others:
                yield f"column groups of {split}: {', '.join(others)}"


def _group_hashes(lock: Mapping[str, Any]) -> dict[str, dict[str, list[object]]]:
    """By split and column group of labels, the fingerprints of its shards; and their numbers of rows as `_ROWS`."""
    found: dict[str, dict[str, list[object]]] = {}
    for shard in lock.get("shards", []):
        hashes = {name: value for name, value in shard["fingerprints"].items() if name not in _NOT_LABELS}
        for name, value in (hashes | {_ROWS: shard["rows"]}).items():
            found.setdefault(shard["split"], {}).setdefault(name, []).append(value)
    return found
