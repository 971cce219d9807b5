"""Compares a dataset with the databases that it was built from, row by row and picture by picture."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import polars as pl

from affect_data.build.content import Content, differences, hashed_pictures
from affect_data.build.databases import Progress, content_of, layout_of, read_databases, shard_jobs
from affect_data.build.existing import read_lock
from affect_data.build.jobs import ShardJob
from affect_data.build.packing import DIGEST_BYTES
from affect_data.build.recipe import DataRecipe, recipe_from
from affect_data.build.seen import look_again
from affect_data.build.shards import shared_out
from affect_data.corrections.versions import read_changes
from affect_data.databases.base import SPLITS
from affect_data.dataset.folder import LABEL_NAMES, LOCK, DatasetFolder, open_dataset
from affect_data.dataset.schema import FRAMES
from affect_data.errors import DataError
from affect_data.hub.codes import Finding
from affect_data.hub.verify_shards import frame_digests
from affect_data.processes import map_jobs

_DIGEST: Final = "image_digest"

T = TypeVar("T")


@dataclass(frozen=True)
class Sources:
    """Where the databases of a dataset are.

    Attributes:
        recipe: from `recipe_of`.
        roots: folder by database name.
        follow_links: whether symbolic links may lead out of the databases' folders.
    """

    recipe: DataRecipe
    roots: Mapping[str, Path]
    follow_links: bool = False


@dataclass(frozen=True)
class _Work:
    """Rows of the sources, and the rows of the dataset that were made from them.

    Attributes:
        dataset: the folder.
        job: the rows of the sources.
        kept: whether each is in the dataset.
        first: position of the first in its split of the dataset.
        corrected: uids of rows whose labels were corrected since the build.
    """

    dataset: Path
    job: ShardJob
    kept: pl.Series
    first: int
    corrected: frozenset[str]


@dataclass(frozen=True)
class _Compared:
    """What the comparison of some rows found.

    Attributes:
        digests: of all pictures that the sources name, 32 bytes each.
        labels: for each row with other labels, its uid and what differs.
        pictures: uids of rows with other pictures.
    """

    digests: bytes
    labels: dict[str, str] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)


def recipe_of(folder: DatasetFolder) -> DataRecipe:
    """The recipe that a dataset's lock states.

    Raises:
        DataError: the lock states none.
    """
    stated = read_lock(folder.path).get("recipe")
    if not isinstance(stated, dict):
        raise DataError(f"'{folder.path / LOCK}' does not say what the dataset was built from; build it again")
    return recipe_from(stated, f"the recipe in '{folder.path / LOCK}'")


def source_findings(folder: DatasetFolder, sources: Sources, workers: int, progress: Progress) -> Iterator[Finding]:
    """How a dataset differs from its sources.

    Args:
        folder: the dataset, whose groups can be opened.
        sources: where they are.
        workers: pictures that are read at a time.
        progress: told about every step.

    Raises:
        AffectError: a database cannot be read.
    """
    recipe = sources.recipe
    read = read_databases(recipe, sources.roots, progress, follow_links=sources.follow_links)
    jobs = shard_jobs(recipe, read, layout_of(read), folder.path)
    work, found = _aligned(folder, jobs)
    processes, threads = shared_out(workers, len(jobs))
    compared: dict[int, _Compared] = {}
    compare = partial(_numbered, threads=threads)
    for done, (number, result) in enumerate(map_jobs(compare, list(enumerate(work)), processes), start=1):
        compared[number] = result
        progress("comparing with the sources", done, len(work))
    ordered = [compared[number] for number in range(len(work))]
    differ = [*found, *_labels(folder, work, ordered), *_pictures(work, ordered)]
    yield from differ
    lock = read_lock(folder.path)
    known = Content.from_lock(lock)
    if known is not None and not differ and not lock.get("erased"):
        # Lines without a row, and the pictures of rows that could not be used: the dataset holds only what they hash to.
        now = Content(**{**vars(content_of(read)), "pictures": hashed_pictures(jobs, [one.digests for one in ordered])})
        for sentence in differences({"content": vars(known)}, {"content": vars(now)}):
            yield Finding("D303", "sources", sentence)


def _aligned(folder: DatasetFolder, jobs: list[ShardJob]) -> tuple[list[_Work], list[Finding]]:
    """Which rows of the dataset were made from which of the sources."""
    corrected = frozenset(read_changes(folder)["uid"])
    erased = {name: own.get("erased", 0) for name, own in read_lock(folder.path).get("databases", {}).items()}
    failures = folder.failures()
    work, found = [], []
    for split in SPLITS:
        stored = folder.labels(split, ("uid", "database")) if split in folder.splits else _NO_ROWS
        own = [job for job in jobs if job.split == split]
        first = 0
        for name in sorted({job.rows["database"][0] for job in own} | set(stored["database"].unique())):
            theirs = [job for job in own if job.rows["database"][0] == name]
            uids = stored.filter(pl.col("database") == name)["uid"]
            listed = pl.concat([_NO_ROWS["uid"], *(job.rows["uid"] for job in theirs)])
            kept = listed.is_in(uids.implode())
            lost = len(failures.filter(pl.col("split") == split, pl.col("database") == name))
            if not listed.filter(kept).equals(uids):
                extra = uids.filter(~uids.is_in(listed.implode()))
                named = (
                    f"{len(extra):,} rows that the sources do not list: {extra[0]}"
                    if len(extra)
                    else "rows in another order"
                )
                found.append(Finding("D303", f"{split}: {name}", named))
                first += len(uids)
                continue
            absent = int((~kept).sum()) - lost
            if absent and not erased.get(name):
                found.append(
                    Finding("D303", f"{split}: {name}", f"{absent:,} rows of the sources are not in the dataset")
                )
            start = 0
            for job in theirs:
                here = kept.slice(start, len(job.rows))
                work.append(_Work(folder.path, job, here, first, corrected))
                start, first = start + len(job.rows), first + int(here.sum())
    return work, found


_NO_ROWS: Final = pl.DataFrame(schema={"uid": pl.String, "database": pl.String})


def _numbered(numbered: tuple[int, _Work], threads: int) -> tuple[int, _Compared]:
    """The number of the work with its result, because results come in the order in which they are done."""
    number, work = numbered
    return number, _compare(work, threads)


def _compare(work: _Work, threads: int) -> _Compared:
    folder, job = open_dataset(work.dataset), work.job
    seen = look_again(job.rows, job.pictures_key(), job.source(), None, threads)
    rows, count = job.rows.filter(work.kept), int(work.kept.sum())
    layout = folder.manifest.layout
    stored = folder.load(job.split, layout.groups).data.table.slice(work.first, count)
    labels = folder.view.frame(stored, LABEL_NAMES)
    found = _Compared(seen.digests)
    expected = rows.with_columns(labels[_DIGEST])
    for column in LABEL_NAMES:
        found.labels.update(_other(column, labels[column], expected[column], labels, work.corrected))
    for group in layout.side_groups:
        beside = folder.load(job.split, [group]).data.table.slice(work.first, count)
        wanted = layout.stored(expected, group)
        for column in wanted.column_names:
            there, here = (pl.Series(table.column(column).to_pylist(), strict=False) for table in (beside, wanted))
            found.labels.update(_other(column, there, here, labels, frozenset()))
    found.pictures.extend(_other_pictures(folder, work, seen.digests, labels))
    return found


def _other(
    column: str, stored: pl.Series, wanted: pl.Series, labels: pl.DataFrame, corrected: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """The rows whose value in a column is another one."""
    for row in stored.cast(wanted.dtype, strict=False).ne_missing(wanted).arg_true():
        if labels["uid"][row] not in corrected:
            place = f"{labels['source_file'][row]}:{labels['source_line'][row]}"
            yield labels["uid"][row], f"({place}): {column} {_shown(stored[row])}, in the sources {_shown(wanted[row])}"


def _shown(value: Any) -> str:  # noqa: ANN401 - any column's
    return str(value.to_list() if isinstance(value, pl.Series) else value)


def _other_pictures(folder: DatasetFolder, work: _Work, digests: bytes, labels: pl.DataFrame) -> Iterator[str]:
    """The rows whose pictures, or frames of clips, are not those of the sources."""
    job = work.job
    lengths = job.rows["clip_frames"].list.len().to_list() if job.has_clips else [1] * len(job.rows)
    theirs, at = [], 0
    for length, kept in zip(lengths, work.kept, strict=True):
        if kept:
            parts = range(at, at + length * DIGEST_BYTES, DIGEST_BYTES)
            theirs.append({digests[part : part + DIGEST_BYTES].hex() for part in parts})
        at += length * DIGEST_BYTES
    shown: list[list[str]] = [[digest] for digest in labels[_DIGEST]]
    if job.has_clips:
        clips = folder.load(job.split, [FRAMES]).data.table.column(FRAMES).slice(work.first, len(labels))
        shown = [[*one, *frames] for one, frames in zip(shown, frame_digests(clips), strict=True)]
    for uid, own, there in zip(labels["uid"], shown, theirs, strict=True):
        if not there.issuperset(own):
            yield uid


def _labels(folder: DatasetFolder, work: list[_Work], compared: list[_Compared]) -> Iterator[Finding]:
    """Findings about labels, one for each split and database."""
    decided = int((read_lock(folder.path).get("decisions") or {}).get("applied", 0))
    # A build keeps only the number of the decisions that it applied, not which rows they changed.
    if sum(len(one.labels) for one in compared) <= decided:
        return
    for place, rows in _by_place(work, [list(one.labels.items()) for one in compared]).items():
        yield Finding("D301", place, f"{len(rows):,} rows, such as {' '.join(rows[0])}")


def _pictures(work: list[_Work], compared: list[_Compared]) -> Iterator[Finding]:
    """Findings about pictures, one for each split and database."""
    for place, uids in _by_place(work, [one.pictures for one in compared]).items():
        yield Finding("D302", place, f"{len(uids):,} rows, such as {uids[0]}")


def _by_place(work: list[_Work], found: list[list[T]]) -> dict[str, list[T]]:
    together: dict[str, list[T]] = {}
    for one, own in zip(work, found, strict=True):
        if own:
            together.setdefault(f"{one.job.split}: {next(iter(one.job.roots))}", []).extend(own)
    return together
