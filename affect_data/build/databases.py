"""Reads the databases of a recipe for a build: their rows and failures, the shards to pack, and what became of every line."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import polars as pl

from affect_data.build.content import Content
from affect_data.build.harmonise import Unified, harmonise
from affect_data.build.jobs import FAILURE_COLUMNS, ShardJob, ShardRecord
from affect_data.build.recipe import DataRecipe
from affect_data.build.sources import PictureSource
from affect_data.build.splits import rows_of_split
from affect_data.build.verdicts import NO_ROW_LEFT, IncompleteError, Verdict, find_losses
from affect_data.databases.base import SPLITS, Database, Scan
from affect_data.databases.recognition import holdings, remedy
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.dataset.layout import Layout
from affect_data.errors import AffectError, DatabaseNotFoundError, DataError, DefectsFoundError
from affect_data.system_errors import reading

FILES_LISTED: Final = 1000
LINES_LISTED: Final = 10_000

SHARD_BYTES: Final = 256 * 2**20
"""Size of the pictures of a shard, about."""
PICTURES_WEIGHED: Final = 64
ROWS_AT_LEAST: Final = 1000
CLIPS_AT_LEAST: Final = 16
BYTES_OF_A_FRAME: Final = 30_000
"""What a frame of a video counts where rows are divided into shards."""

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, how much of it is done, and how much there is."""


class SeveralProblemsError(DataError):
    """Problems of several databases at once."""

    def __init__(self, problems: list[AffectError], defects: int) -> None:
        self.problems = tuple(problems)
        super().__init__(
            f"{len(problems)} databases have problems ({defects:,} defects):\n" + "\n".join(map(str, problems))
        )


@dataclass(frozen=True)
class DatabaseReport:
    """What became of one database: `lines = rows + failures`, not counting `rows_in_two_splits`.

    Attributes:
        release: release profile.
        reader_version: of the reader class.
        lines: annotated faces that the files list.
        rows: rows that were written.
        rows_in_two_splits: rows that were written a second time (split policy ``follow_task``).
        failures: lines without a row, by reason.
        masked: labels in the files that are not used: task, reason, rows.
        annotation_files: digests of the files that were read, from `digest_files`.
        drawn: whether its faces were drawn by `affect-data demo`.
        verdict: `whole`, or `incomplete`, which was accepted.
        losses: what the files lack.
        frames: number of frames of clips that were written.
        frames_left_out: frames of these clips that cannot be decoded.
        damaged: pictures that are written although a part of them is damaged: Pillow decodes them, the strict decoder does not.
        erased: lines that were erased from the dataset before, and count nowhere else.
    """

    release: str
    reader_version: int
    lines: int
    rows: int
    rows_in_two_splits: int
    failures: dict[str, int]
    masked: list[dict[str, str | int]]
    annotation_files: dict[str, str]
    drawn: bool = False
    verdict: str = Verdict.WHOLE
    losses: list[str] = field(default_factory=list)
    frames: int = 0
    frames_left_out: int = 0
    damaged: int = 0
    erased: int = 0


@dataclass(frozen=True)
class ReadDatabase:
    """A database of a recipe, read.

    Attributes:
        reader: of the database.
        root: its folder.
        release: release profile.
        scan: the content of its files, without the rows.
        unified: its rows in the schema.
        annotation_files: digests of the files that were read, from `digest_files`.
        losses: what the files lack, from `find_losses`.
        erased: lines of the files that are left out, because they were erased from the dataset.
    """

    reader: Database
    root: Path
    release: str
    scan: Scan
    unified: Unified
    annotation_files: dict[str, str]
    losses: tuple[str, ...]
    erased: int = 0


def read_databases(
    recipe: DataRecipe, roots: Mapping[str, Path], progress: Progress, *, follow_links: bool = False
) -> dict[str, ReadDatabase]:
    """All databases of a recipe, by name; defects of all of them are reported together.

    Raises:
        SeveralProblemsError: several databases have problems.
        AffectError: one database has a problem.
    """
    read: dict[str, ReadDatabase] = {}
    problems: list[AffectError] = []
    for done, name in enumerate(sorted(recipe.databases), start=1):
        try:
            read[name] = read_database(recipe, name, roots, follow_links=follow_links)
        except AffectError as error:
            problems.append(error)
        progress(f"reading labels: {name}", done, len(recipe.databases))
    if len(problems) == 1:
        raise problems[0]
    if problems:
        found = [defect for error in problems if isinstance(error, DefectsFoundError) for defect in error.defects]
        raise SeveralProblemsError(problems, defects=sum(defect.count for defect in found))
    return read


def read_database(
    recipe: DataRecipe, name: str, roots: Mapping[str, Path], *, follow_links: bool = False
) -> ReadDatabase:
    """One database of a recipe.

    Raises:
        AffectError: it has a problem.
    """
    database = recipe.readers()[name]
    root = recipe.root_of(name, roots)
    others = recipe.other_roots(name, roots)
    scan, release, digests = scan_database(database, root, others, follow_links=follow_links)
    losses = () if scan.defects else find_losses(database, release, root, scan)
    # Beside the unified rows those of the reader would only take memory: `harmonise` alone holds them.
    whole, scan = [scan], replace(scan, rows=scan.rows.clear())
    unified = harmonise(whole.pop(), database, release, recipe.splits)
    return ReadDatabase(database, root, release, scan, unified, digests, losses)


def scan_database(
    database: Database, root: Path, others: Mapping[str, Path], *, follow_links: bool = False
) -> tuple[Scan, str, dict[str, str]]:
    """The content of a database's files, its release profile, and the digests of `digest_files`.

    Args:
        database: its reader.
        root: its folder.
        others: the folders of the other databases of the recipe, where its own may be.
        follow_links: whether symbolic links may lead out of the folder.

    Raises:
        DatabaseNotFoundError: the folder holds something else; says what, and what to type instead.
        AffectError: the files cannot be read.
    """
    with reading(root):
        opened = DatabaseRoot(root, database.options.exclude, follow_links=follow_links or database.follows_links(root))
        try:
            scan = database.read(opened)
        except DatabaseNotFoundError as error:
            instead = remedy(database.name, root, others)
            raise DatabaseNotFoundError(
                database.name, root, database.layout(), because=error.because, remedy=instead, holdings=holdings(root)
            ) from None
        return scan, database.release_of(opened), digest_files(root, scan.annotation_files)


def refuse_losses(read: Mapping[str, ReadDatabase], *, accept_incomplete: bool) -> None:
    """Refuses databases without any row, and incomplete ones unless they are accepted.

    Raises:
        DataError: a database has no row.
        IncompleteError: a database is incomplete.
    """
    empty = [name for name, database in read.items() if database.unified.labels.is_empty()]
    if empty:
        reasons = "; ".join(f"{name}: {_no_rows(read[name])}" for name in empty)
        raise DataError(f"{NO_ROW_LEFT} of {', '.join(empty)}, nothing was written: {reasons}")
    lost = {
        name: database.losses
        for name, database in read.items()
        if database.losses and database.reader.options.incomplete == "refused"
    }
    if lost and not accept_incomplete:
        raise IncompleteError(lost)


def digest_files(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """sha256 by relative path; a folder of more than `FILES_LISTED` files has one entry ``folder/*`` over the digests of all of them.

    If there would still be more than `LINES_LISTED` entries, as with a file for each frame, every folder has only one.
    """
    by_folder: dict[str, dict[str, str]] = {}
    for path in sorted(paths):
        with (root / path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        by_folder.setdefault(path.rpartition("/")[0], {})[path] = digest
    crowded = {folder for folder, digests in by_folder.items() if len(digests) > FILES_LISTED}
    if sum(len(digests) for folder, digests in by_folder.items() if folder not in crowded) > LINES_LISTED:
        crowded = set(by_folder)
    listed: dict[str, str] = {}
    for folder, digests in by_folder.items():
        if folder in crowded:
            listed[f"{folder}/*"] = hashlib.sha256(json.dumps(digests).encode()).hexdigest()
        else:
            listed |= digests
    return listed


def content_of(read: Mapping[str, ReadDatabase]) -> Content:
    """What the databases hold, without their pictures."""
    return Content.of(
        {name: database.unified.labels for name, database in read.items()},
        {name: database.scan.failures for name, database in read.items()},
        {name: is_drawn(database) for name, database in read.items()},
    )


def layout_of(read: Mapping[str, ReadDatabase]) -> Layout:
    """The layout of a dataset of these databases."""
    found = Layout.of(
        [type(database.reader) for database in read.values()], [database.unified.labels for database in read.values()]
    )
    return found.model_copy(update={"videos": any(database.reader.reads_videos for database in read.values())})


def shard_jobs(recipe: DataRecipe, read: dict[str, ReadDatabase], layout: Layout, staging: Path) -> list[ShardJob]:
    """The shards of all splits. A shard holds rows of only one database, so that a change in one database leaves the shards of others as they are.

    Raises:
        DataError: there are no rows.
    """
    jobs: list[ShardJob] = []
    lengths = {name: recipe.shard_rows or rows_per_shard(database) for name, database in read.items()}
    for split in SPLITS:
        parts = [
            (name, rows.slice(start, lengths[name]))
            for name, database in read.items()
            for rows in [rows_of_split(database.unified.labels, split).drop("split")]
            for start in range(0, len(rows), lengths[name])
        ]
        for index, (name, rows) in enumerate(parts):
            roots, options = {name: read[name].root}, {name: read[name].reader.options}
            jobs.append(ShardJob(split, index, len(parts), rows, layout, roots, options, staging))
    if not jobs:
        raise DataError(
            "no database of the recipe has a row: "
            + "; ".join(f"{name}: {_no_rows(database)}" for name, database in read.items())
        )
    return jobs


def rows_per_shard(database: ReadDatabase) -> int:
    """Rows whose pictures take about `SHARD_BYTES`: a thousand times a power of two, so that a few other pictures change no shard's borders.

    Of clips, sixteen times a power of two.
    """
    if database.reader.reads_videos:
        # A video is decoded once for each shard that holds some of it.
        return rows_of_size(BYTES_OF_A_FRAME, ROWS_AT_LEAST)
    rows = database.unified.labels
    source = PictureSource(database.reader, database.root)
    weighed = map(source.size, rows["image"].gather_every(max(1, len(rows) // PICTURES_WEIGHED)))
    sizes = [size for size in weighed if size is not None]
    mean = max(1.0, sum(sizes) / max(1, len(sizes)))
    least = ROWS_AT_LEAST
    if database.reader.has_clips:
        # The frames of a clip are about as large as its middle one, which is stored twice.
        mean, least = mean * (1 + float(rows["clip_frames"].list.len().mean() or 0)), CLIPS_AT_LEAST  # type: ignore[arg-type]
    return rows_of_size(mean, least)


def rows_of_size(mean: float, least: int = ROWS_AT_LEAST) -> int:
    """Rows of a shard whose pictures take `mean` bytes each: `least` times a power of two, together at most `SHARD_BYTES` where that is possible."""
    return least << max(0, int(math.log2(max(1.0, SHARD_BYTES / mean / least))))


def is_drawn(database: ReadDatabase) -> bool:
    """Whether its faces were drawn by `affect-data demo`."""
    return (database.root / DRAWN_MARKER).is_file()


def failed_lines(read: dict[str, ReadDatabase]) -> int:
    """How many lines have no row."""
    return sum(len(database.scan.failures) for database in read.values())


def _no_rows(database: ReadDatabase) -> str:
    reasons = database.scan.failures.group_by("reason").len("lines").sort("reason").iter_rows()
    return ", ".join(f"{lines:,} lines failed: {reason}" for reason, lines in reasons) or "the files list no face"


def all_failures(
    read: dict[str, ReadDatabase], jobs: Sequence[ShardJob], records: Sequence[ShardRecord]
) -> pl.DataFrame:
    """Lines without a row, and rows whose picture could not be packed, with `FAILURE_COLUMNS`; `records` are in the order of the jobs."""
    numbers = ("source_line", "position", "origin")
    schema = {name: pl.Int32 if name in numbers else pl.String for name in FAILURE_COLUMNS}
    nowhere = {"detail": "", "split": "", "position": -1, "origin": -1}
    found = [
        database.scan.failures.with_columns(
            pl.lit(value).cast(schema[column]).alias(column) for column, value in {"database": name, **nowhere}.items()
        ).select(FAILURE_COLUMNS)
        for name, database in read.items()
    ]
    placed: list[dict[str, str | int]] = []
    before: dict[tuple[str, str], int] = {}
    for job, record in zip(jobs, records, strict=True):
        (name,) = job.roots
        start = before.get((job.split, name), 0)
        placed += [{**failure, "position": start + int(failure["position"])} for failure in record.failures]
        before[job.split, name] = start + len(job.rows)
    packed = pl.DataFrame(placed, schema=schema, orient="row")
    return pl.concat([*found, packed]).sort("database", "source_file", "source_line", "split", "position")


@dataclass(frozen=True)
class PictureCounts:
    """What packing counted in the pictures of a database: `frames`, `frames_left_out` and `damaged` of `DatabaseReport`."""

    frames: int = 0
    frames_left_out: int = 0
    damaged: int = 0


def pictures_of(jobs: Sequence[ShardJob], records: Sequence[ShardRecord]) -> dict[str, PictureCounts]:
    """What packing counted in the pictures of each database; `records` are in the order of the jobs."""
    found: dict[str, PictureCounts] = {}
    for job, record in zip(jobs, records, strict=True):
        (name,) = job.roots
        known = found.get(name, PictureCounts())
        found[name] = PictureCounts(
            known.frames + record.frames,
            known.frames_left_out + len(record.frames_left_out),
            known.damaged + record.damaged,
        )
    return found


def database_reports(
    read: dict[str, ReadDatabase], failures: pl.DataFrame, pictures: Mapping[str, PictureCounts]
) -> dict[str, DatabaseReport]:
    """The report of each database, from `all_failures` and `pictures_of`."""
    reports = {}
    for name, database in read.items():
        own = failures.filter(pl.col("database") == name)
        written = len(database.unified.labels) - (len(own) - len(database.scan.failures))
        reports[name] = DatabaseReport(
            release=database.release,
            reader_version=database.reader.reader_version,
            lines=database.scan.lines - database.erased,
            rows=written,
            rows_in_two_splits=len(database.unified.labels) - database.unified.labels["uid"].n_unique(),
            failures=dict(own["reason"].value_counts().sort("reason").iter_rows()),
            masked=database.unified.masked.to_dicts(),
            annotation_files=database.annotation_files,
            drawn=is_drawn(database),
            verdict=Verdict.INCOMPLETE if database.losses else Verdict.WHOLE,
            losses=list(database.losses),
            **asdict(pictures.get(name, PictureCounts())),
            erased=database.erased,
        )
    return reports
