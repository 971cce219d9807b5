"""What was erased from a dataset stays out of the next builds: tombstones in its lock, which name nobody, and the rows that they match.

A tombstone is a salted hash. It says whether a row, a picture or a person that one already has is meant, and cannot be turned back into a name.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import polars as pl

from affect_data.build.databases import ReadDatabase
from affect_data.build.jobs import ShardJob
from affect_data.dataset.layout import DIGEST_BYTES, origins_of

ERASED: Final = "erased"
"""Key of the tombstones in the lock."""

SALT_BYTES: Final = 16
MARK_DIGITS: Final = 32


@dataclass(frozen=True)
class Tombstones:
    """Salted hashes of what was erased.

    Attributes:
        salt: of the dataset, hexadecimal; empty if nothing was erased.
        subjects: marks of people, by database and name.
        rows: marks of uids.
        pictures: marks of the sha256 of pictures and of the frames of clips, hexadecimal.
    """

    salt: str = ""
    subjects: frozenset[str] = field(default_factory=frozenset)
    rows: frozenset[str] = field(default_factory=frozenset)
    pictures: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def from_lock(cls, lock: Mapping[str, Any]) -> "Tombstones":
        """The tombstones in a lock; none if nothing was erased."""
        found = lock.get(ERASED)
        if not isinstance(found, dict):
            return cls()
        return cls(str(found["salt"]), *(frozenset(found[name]) for name in ("subjects", "rows", "pictures")))

    def to_lock(self) -> dict[str, Any]:
        """The part of the lock that keeps them; empty if nothing was erased."""
        if not self:
            return {}
        marks = {name: sorted(getattr(self, name)) for name in ("subjects", "rows", "pictures")}
        return {ERASED: {"salt": self.salt, **marks}}

    def __bool__(self) -> bool:
        return bool(self.subjects or self.rows or self.pictures)

    def mark(self, text: str) -> str:
        """The salted hash of a uid, of a digest, or of ``database:subject``."""
        return hashlib.sha256(f"{self.salt} {text}".encode()).hexdigest()[:MARK_DIGITS]

    def matches(self, labels: pl.DataFrame, pictures: pl.Series) -> pl.Series:
        """Whether each row was erased.

        Args:
            labels: with uid, database and subject.
            pictures: for each row the digests of its pictures, as a list of hexadecimal texts.
        """
        uids = [self.mark(uid) in self.rows for uid in labels["uid"]] if self.rows else [False] * len(labels)
        people = labels.select(pl.format("{}:{}", "database", "subject").alias("who"), named=pl.col("subject") != "")
        known = {who: self.mark(who) in self.subjects for who in people["who"].unique()}
        theirs = [known[who] and named for who, named in people.iter_rows()]
        shown = [any(self.mark(digest) in self.pictures for digest in own) for own in pictures]
        return pl.Series(ERASED, [any(found) for found in zip(uids, theirs, shown, strict=True)], dtype=pl.Boolean)


def without_erased(
    read: Mapping[str, ReadDatabase], tombstones: Tombstones, jobs: Iterable[ShardJob], digests: Iterable[bytes]
) -> dict[str, ReadDatabase]:
    """The databases of a build without what was erased.

    Args:
        read: what their files list.
        tombstones: of the dataset that the build replaces or compares with.
        jobs: of all rows of `read`, in order.
        digests: of the pictures of each job, from `affect_data.build.existing.all_digests`.
    """
    pictures: dict[str, list[list[str]]] = {name: [] for name in read}
    for job, found in zip(jobs, digests, strict=True):
        (name,) = job.roots
        lengths = job.rows["clip_frames"].list.len().to_list() if job.has_clips else [1] * len(job.rows)
        start = 0
        for length in lengths:
            stop = start + length * DIGEST_BYTES
            pictures[name].append([found[at : at + DIGEST_BYTES].hex() for at in range(start, stop, DIGEST_BYTES)])
            start = stop
    return {
        name: _without(database, tombstones, pl.Series(pictures[name], dtype=pl.List(pl.String)))
        for name, database in read.items()
    }


def _without(database: ReadDatabase, tombstones: Tombstones, pictures: pl.Series) -> ReadDatabase:
    labels = database.unified.labels
    erased = tombstones.matches(labels, pictures)
    if not erased.any():
        return database
    gone = files_of_erased_rows(labels["source_file"], erased)
    scan, failed = database.scan, database.scan.failures["source_file"].is_in(gone)
    lines = labels.filter(erased)["uid"].n_unique() + int(failed.sum())
    stored, origins = origins_of(labels.filter(~erased).drop("origin"))
    return replace(
        database,
        scan=replace(scan, failures=scan.failures.filter(~failed)),
        unified=replace(database.unified, labels=stored, origins=origins),
        annotation_files=files_of_others(database.annotation_files, labels["source_file"], erased),
        erased=lines,
    )


def files_of_erased_rows(source_files: pl.Series, erased: pl.Series) -> list[str]:
    """The annotation files all of whose rows were erased: their lines without a row are of nobody else."""
    rows = pl.DataFrame({"file": source_files, "erased": erased})
    return rows.group_by("file").agg(pl.col("erased").all()).filter("erased")["file"].to_list()


def files_of_others(digests: Mapping[str, str], source_files: pl.Series, erased: pl.Series) -> dict[str, str]:
    """The digests of annotation files without those of erased people, whose names may name the people.

    Besides files all of whose rows were erased, these are the other files of a folder in which there is no row of anybody else.
    """
    gone = set(files_of_erased_rows(source_files, erased))
    others = {_folder(path) for path in source_files.unique() if path not in gone}
    theirs = {_folder(path) for path in gone} - others
    return {path: digest for path, digest in digests.items() if path not in gone and _folder(path) not in theirs}


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
