"""In what two datasets differ, each a folder or the lock of one."""

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
    """What two datasets are to each other.

    Attributes:
        found: in what they differ, a sentence each, what weighs most first; empty where they have the same rows, labels and pictures.
        wording: in what their recipes and files differ although that makes no difference.
    """

    found: tuple[str, ...]
    wording: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Described:
    """A dataset as far as it is there.

    Attributes:
        path: as it was named.
        lock: what it was made from; its decisions are those that are in force.
        fingerprints: by which it may be known, that of format 1 among them.
    """

    path: Path
    lock: dict[str, Any]
    fingerprints: frozenset[str]


def diff(before: Path, after: Path) -> Difference:
    """In what two datasets differ.

    Args:
        before: a dataset folder, or its ``dataset.lock.json``; a folder tells of decisions that were applied after its build.
        after: another.

    Raises:
        DataError: there is no lock that can be read.
        NotADatasetError: a folder is no finished dataset.
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
    """The dataset; None where it has another format, and its lock must do."""
    try:
        return open_dataset(path)
    except ForeignVersionError:
        return None


def _of_failures(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Databases whose lines without a row are others, as far as both locks say."""
    old, new = Content.from_lock(before), Content.from_lock(after)
    if old is not None and new is not None:
        yield from (name for name in old.failures if old.failures[name] != new.failures.get(name))


def _of_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    rows, now = before.get("rows", {}), after.get("rows", {})
    for split in dict.fromkeys([*rows, *now]):
        if rows.get(split) != now.get(split):
            yield f"{split}: {rows.get(split, 0):,} rows, now {now.get(split, 0):,}"
