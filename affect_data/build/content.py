"""What a dataset holds, independent of the wording of its recipe, and how two datasets differ."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import polars as pl

from affect_data.build.jobs import ShardJob
from affect_data.build.splits import rows_of_split
from affect_data.databases.base import SPLITS
from affect_data.dataset.hashing import frame_hash

DIFFERENCES_SHOWN: Final = 8

_NOT_CONTENT: Final = ("origin",)


@dataclass(frozen=True)
class Content:
    """What decides the bytes of a dataset apart from their division into files, by split and database.

    Attributes:
        rows: number of rows from the annotation files.
        labels: hash of these rows with all their labels.
        failures: hash of the lines without a row, by database.
        drawn: whether the faces were drawn by `affect-data demo`, by database.
        pictures: hash of the bytes of all pictures; None if they were not read.
    """

    rows: dict[str, dict[str, int]]
    labels: dict[str, dict[str, str]]
    failures: dict[str, str]
    drawn: dict[str, bool]
    pictures: dict[str, dict[str, str]] | None = None

    @classmethod
    def of(
        cls, labels: Mapping[str, pl.DataFrame], failures: Mapping[str, pl.DataFrame], drawn: Mapping[str, bool]
    ) -> "Content":
        """The content of databases, all arguments by name, without their pictures.

        Args:
            labels: unified rows, with split and image, in the order of the splits.
            failures: lines without a row.
            drawn: whether the faces were drawn.
        """
        rows: dict[str, dict[str, int]] = {}
        hashes: dict[str, dict[str, str]] = {}
        for split in SPLITS:
            for name, found in labels.items():
                own = rows_of_split(found, split).drop(_NOT_CONTENT)
                if len(own):
                    rows.setdefault(split, {})[name] = len(own)
                    hashes.setdefault(split, {})[name] = frame_hash(own)
        failed = {name: frame_hash(found) for name, found in failures.items()}
        return cls(rows, hashes, failed, dict(drawn))

    def without_pictures(self) -> "Content":
        """The content of the annotation files alone."""
        return replace(self, pictures=None)

    @classmethod
    def from_lock(cls, lock: Mapping[str, Any]) -> "Content | None":
        """The content that a lock states; None if the lock is older than this statement."""
        found = lock.get("content")
        return cls(**found) if isinstance(found, dict) else None


def hashed_pictures(jobs: Sequence[ShardJob], digests: Iterable[bytes]) -> dict[str, dict[str, str]]:
    """Hash of the bytes of all pictures by split and database.

    Args:
        jobs: of all shards, in order.
        digests: of each job's pictures, 32 bytes for each row; a missing picture counts as empty.
    """
    running: dict[str, dict[str, Any]] = {}
    for job, found in zip(jobs, digests, strict=True):
        (name,) = job.roots
        running.setdefault(job.split, {}).setdefault(name, hashlib.sha256()).update(found)
    return {split: {name: digest.hexdigest() for name, digest in own.items()} for split, own in running.items()}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The differences between two locks, a sentence each, the most important first; empty if there are none.

    If both state their rows, labels and pictures, only these count; databases, files and options are named to explain them.
    """
    old, new = Content.from_lock(before), Content.from_lock(after)
    found = [*_of_content(old, new), *_of_decisions(before, after), *_of_erased(before, after)]
    return (
        []
        if old is not None and new is not None and not found
        else list(dict.fromkeys([*wording(before, after), *found]))
    )


def wording(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The differences between the recipes and files of two locks, a sentence each, whether or not the datasets differ."""
    old, new = before.get("databases", {}), after.get("databases", {})
    return [
        *(f"{name} is gone" for name in sorted(old.keys() - new.keys())),
        *(f"{name} is new" for name in sorted(new.keys() - old.keys())),
        *(text for name in sorted(old.keys() & new.keys()) for text in _of_database(name, old[name], new[name])),
        *_of_options(before.get("recipe", {}), after.get("recipe", {})),
    ]


STATEMENTS: Final = ("title", "homepage", "citation", "licence", "family")
"""What an entry of own data says that changes no row: a dataset keeps it for cards, policies and leaks."""


def restated(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What two recipes say otherwise of own data, a sentence each.

    Args:
        before: the content of a recipe, as a lock holds it.
        after: that of another one.
    """
    old, new = before.get("databases", {}), after.get("databases", {})
    return [
        f"{name}.{key}: {old[name].get(key)}, now {new[name].get(key)}"
        for name in sorted(old.keys() & new.keys())
        for key in STATEMENTS
        if old[name].get(key) != new[name].get(key)
    ]


def _of_database(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in ("release", "reader_version", "drawn"):
        if old.get(key) != new.get(key):
            yield f"{name}: {key.replace('_', ' ')} {old.get(key)}, now {new.get(key)}"
    files, now = old.get("annotation_files", {}), new.get("annotation_files", {})
    for sentence, names in (
        ("is gone", files.keys() - now.keys()),
        ("is new", now.keys() - files.keys()),
        ("has changed", {path for path in files.keys() & now.keys() if files[path] != now[path]}),
    ):
        if names:
            first, *others = sorted(names)
            yield f"{name}: {first} {sentence}" + (f", and {len(others):,} more" if others else "")


def _of_options(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted((old.keys() | new.keys()) - {"databases"}):
        if old.get(key) != new.get(key):
            yield f"{key}: {old.get(key)}, now {new.get(key)}"
    options, now = old.get("databases", {}), new.get("databases", {})
    for name in sorted(options.keys() & now.keys()):
        for key in sorted(options[name].keys() | now[name].keys()):
            if options[name].get(key) != now[name].get(key):
                yield f"{name}.{key}: {options[name].get(key)}, now {now[name].get(key)}"


def _of_decisions(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    applied, now = (set((lock.get("decisions") or {}).get("ids", [])) for lock in (before, after))
    if applied != now:
        yield f"decisions: {len(applied):,} applied, now {len(now):,}" + (
            ", others" if len(applied) == len(now) else ""
        )


def _of_erased(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = before.get("erased") or {}, after.get("erased") or {}
    if old != new:
        counts = [sum(len(found.get(name, ())) for name in ("subjects", "rows")) for found in (old, new)]
        yield f"erased: {counts[0]:,} people and single rows, now {counts[1]:,}" + (
            ", others" if counts[0] == counts[1] else ""
        )


def _of_content(old: Content | None, new: Content | None) -> Iterator[str]:
    if old is None or new is None:
        return
    for name in sorted(name for name in old.drawn if old.drawn[name] != new.drawn.get(name, old.drawn[name])):
        yield f"{name}: drawn {old.drawn[name]}, now {new.drawn[name]}"
    for split in SPLITS:
        before, after = old.rows.get(split, {}), new.rows.get(split, {})
        both = {name for rows in (old.rows, new.rows) for own in rows.values() for name in own}
        for name in sorted(name for name in both if before.get(name) != after.get(name)):
            yield f"{split}: {name} {before.get(name, 0):,} rows, now {after.get(name, 0):,}"
        names = sorted(name for name in both if name in before and before.get(name) == after.get(name))
        labels = [name for name in names if old.labels[split][name] != new.labels[split][name]]
        if labels:
            yield f"labels of {split}: {', '.join(labels)}"
        if old.pictures is not None and new.pictures is not None:
            shown = [name for name in names if old.pictures[split][name] != new.pictures[split][name]]
            if shown:
                yield f"pictures of {split}: {', '.join(shown)}"
    failed = sorted(
        name for name in old.failures.keys() & new.failures.keys() if old.failures[name] != new.failures[name]
    )
    if failed:
        yield f"lines without a row: {', '.join(failed)}"
