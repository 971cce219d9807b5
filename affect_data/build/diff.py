"""How two datasets differ, each given by its folder or its lock."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affect_data.build.carrying import applied_decisions
from affect_data.build.content import Content, differences, wording
from affect_data.build.existing import lock_at
from affect_data.dataset.folder import DatasetFolder, ForeignVersionError, open_dataset


@dataclass(frozen=True)
class Difference:
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


def diff(before: Path, after: Path) -> Difference:
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
    if old.fingerprints & new.fingerprints and not list(_of_failures(old.lock, new.lock)):
        return Difference((), tuple(explained))
    unknown = [one.path for one in (old, new) if Content.from_lock(one.lock) is None]
    found = differences(old.lock, new.lock)
    if not unknown:
        return Difference(tuple(found), tuple(explained) if not found else ())
    sentences = (
        f"labels and pictures are not compared: the lock of '{path}' is of an older affectkit and does not name them"
        for path in unknown
    )
    return Difference((*found, *_of_rows(old.lock, new.lock), *sentences))


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


def _of_failures(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Databases whose lines without a row differ, if both locks state them."""
    old, new = Content.from_lock(before), Content.from_lock(after)
    if old is not None and new is not None:
        yield from (name for name in old.failures if old.failures[name] != new.failures.get(name))


def _of_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    rows, now = before.get("rows", {}), after.get("rows", {})
    for split in dict.fromkeys([*rows, *now]):
        if rows.get(split) != now.get(split):
            yield f"{split}: {rows.get(split, 0):,} rows, now {now.get(split, 0):,}"
