"""A data recipe and the folders of its databases become one dataset folder: atomic, resumable, with every row accounted for."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from affect_data.databases.base import DRAWN_MARKER, SPLITS, Database, Scan
from affect_data.databases.root import DatabaseRoot
from affect_data.engine import map_shards
from affect_data.errors import AffectError, DataError, DefectsFoundError, NotADatasetError
from affect_data.harmonise import Unified, harmonise
from affect_data.images import FAILURE_COLUMNS, ShardPlan, ShardRecord, pack_shard, pictures_digest
from affect_data.leaks import guard_parts
from affect_data.recipe import DataRecipe
from affect_data.review.decisions import Decision, read_decisions
from affect_data.review.matching import LabelShard, correct
from affect_data.schema import IMAGES, LABELS, SCHEMA_VERSION, features
from affect_data.store import (
    FAILURES,
    LOCK,
    MANIFEST,
    DatasetFolder,
    ForeignVersionError,
    Manifest,
    content_hash,
    dataset_fingerprint,
    exclusive,
    open_dataset,
    seal_group,
    shard_name,
    write_manifest,
    write_text,
)

STAGING: Final = ".{}.building"
FILES_LISTED: Final = 1000

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


class OutputTakenError(DataError):
    """The output folder holds something that a build must not replace."""

    def __init__(self, path: Path, because: str, remedy: str) -> None:
        super().__init__(f"'{path}' {because}. {remedy}")


@dataclass(frozen=True)
class DatabaseReport:
    """What became of one database: `lines = rows + failures`, before rows of two splits are counted twice.

    Attributes:
        release: release profile.
        reader_version: of the reader class.
        lines: annotated faces that the files list.
        rows: rows that were written.
        rows_in_two_splits: rows that were written a second time (split policy ``follow_task``).
        failures: lines without a row, by reason.
        masked: labels that stand in the files and are not used: task, reason, rows.
        annotation_files: digests of the files that were read, see `digest_files`.
        drawn: whether its faces were drawn by `affect-data demo`.
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


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes:
        dataset: the finished dataset.
        databases: report by database name.
        unchanged: whether the dataset was there already, byte for byte.
        shards_reused: shards that an interrupted or earlier build had finished.
        shards: all shards.
        leaks: subjects and tracks in two splits, which only the policy ``follow_task`` accepts.
        decisions: what became of the recipe's decisions, see `Matching.summary`; None where it names none.
    """

    dataset: DatasetFolder
    databases: dict[str, DatabaseReport]
    unchanged: bool
    shards_reused: int
    shards: int
    leaks: tuple[dict[str, Any], ...] = ()
    decisions: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Source:
    database: Database
    root: Path
    release: str
    scan: Scan
    unified: Unified
    annotation_files: dict[str, str]


def build(
    recipe: DataRecipe,
    roots: Mapping[str, Path],
    out: Path,
    *,
    overwrite: bool = False,
    progress: Progress = lambda *_: None,
) -> BuildReport:
    """Builds the dataset of a recipe.

    Everything is written to a hidden folder beside `out` and renamed when it is whole; a killed build goes on where it stopped and ends with the
    same bytes. Where `out` already is this dataset, nothing is written.

    Args:
        recipe: what to merge.
        roots: folder by database name, before environment and recipe.
        out: dataset folder to make.
        overwrite: whether another dataset at `out` may be replaced.
        progress: told about every step.

    Raises:
        DecisionsError: a line of the recipe's decisions is none.
        DefectsFoundError: a database contradicts its documentation; nothing is written.
        DatabaseNotFoundError: a root is not there.
        LeakError: a subject or a track is in two splits, and the policy is not ``follow_task``.
        OutputTakenError: `out` holds something else.
    """
    existing = _existing(out)
    decisions = [decision for path in recipe.decisions for decision in read_decisions(Path(path))]
    sources = _read_all(recipe, roots, progress)
    leaks = guard_parts([source.unified.labels for source in sources.values()], recipe.splits.policy)
    staging = out.parent / STAGING.format(out.name)
    plans = _plan(recipe, sources, staging)
    # The annotation files too: another line that gives no row changes the failures and the lock.
    annotations = json.dumps({name: source.annotation_files for name, source in sources.items()}, sort_keys=True)
    keys = [recipe.digest(), annotations, *(f"{plan.split} {plan.index} {plan.key()}" for plan in plans)]
    keys += [decision.to_line() for decision in decisions]
    keys += [f"drawn {name}" for name, source in sources.items() if _is_drawn(source)]
    build_key = hashlib.sha256("\n".join(keys).encode()).hexdigest()
    if existing is not None and _is_result(existing, build_key, plans, recipe.workers, progress):
        return BuildReport(
            existing,
            _reports(sources, existing.failures()),
            unchanged=True,
            shards_reused=len(plans),
            shards=len(plans),
            leaks=leaks,
            decisions=_read_lock(out).get("decisions"),
        )
    if existing is not None and not overwrite:
        groups = ", ".join(existing.manifest.provenance)
        lost = f" and its column groups {groups} would be lost" if groups else ""
        raise OutputTakenError(
            out, f"holds another dataset{lost}", "Choose another folder, or pass --overwrite to replace it"
        )
    with exclusive(staging):
        if existing is None and _existing(out) is not None:
            raise OutputTakenError(out, "was built by another process meanwhile", "Run the same command again")
        _remove_foreign_shards(staging, plans)
        records = []
        for done, record in enumerate(map_shards(pack_shard, plans, recipe.workers), start=1):
            records.append(record)
            progress("packing images", done, len(plans))
        records.sort(key=lambda record: (SPLITS.index(record.split), record.index))
        failures = _all_failures(sources, records)
        reports = _reports(sources, failures)
        decided = _apply(decisions, staging, recipe, records) if recipe.decisions else None
        manifest = _seal(staging, recipe, records)
        if not manifest.rows:
            raise DataError(
                f"none of the {len(failures) - _failed_lines(sources):,} pictures can be decoded, nothing was built"
            )
        failures.write_parquet(staging / FAILURES)
        write_text(
            staging / LOCK,
            json.dumps(_lock(recipe, reports, records, manifest, build_key, decided), indent=1, sort_keys=True) + "\n",
        )
        for plan in plans:
            plan.record_path().unlink(missing_ok=True)
        write_manifest(staging, manifest)
        _swap(staging, out)
    reused = sum(record.reused for record in records)
    return BuildReport(
        open_dataset(out),
        reports,
        unchanged=False,
        shards_reused=reused,
        shards=len(plans),
        leaks=leaks,
        decisions=decided,
    )


def scan_database(database: Database, root: Path, exclude: tuple[str, ...]) -> tuple[Scan, str, dict[str, str]]:
    """What a database's files say, its release profile, and the digests of `digest_files`."""
    opened = DatabaseRoot(root, exclude)
    scan = database.read(opened)
    return scan, database.release_of(opened), digest_files(root, scan.annotation_files)


def digest_files(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """sha256 by relative path; a folder of more than `FILES_LISTED` files has one line ``folder/*`` over the digests of all of them."""
    by_folder: dict[str, dict[str, str]] = {}
    for path in sorted(paths):
        digest = hashlib.sha256((root / path).read_bytes()).hexdigest()
        by_folder.setdefault(path.rpartition("/")[0], {})[path] = digest
    listed: dict[str, str] = {}
    for folder, digests in by_folder.items():
        if len(digests) > FILES_LISTED:
            listed[f"{folder}/*"] = hashlib.sha256(json.dumps(digests).encode()).hexdigest()
        else:
            listed |= digests
    return listed


def _existing(out: Path) -> DatasetFolder | None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not out.is_dir() or not (out / MANIFEST).exists():
        raise OutputTakenError(out, "exists and is no affectkit dataset", "Choose a folder that is new or empty")
    try:
        return open_dataset(out)
    except (NotADatasetError, ForeignVersionError):
        because = f"holds a dataset that cannot be read: its {MANIFEST} is broken, or from another version of affectkit"
        raise OutputTakenError(out, because, "Remove the folder, or choose another") from None


def _remove_foreign_shards(staging: Path, plans: list[ShardPlan]) -> None:
    """Removes what an interrupted build of another recipe, or of other files, left in the staging folder."""
    planned = {path for plan in plans for path in (plan.path(IMAGES), plan.path(LABELS), plan.record_path())}
    for path in staging.glob("*/**/*"):
        if path.is_file() and path not in planned:
            path.unlink()


def _is_result(
    existing: DatasetFolder, build_key: str, plans: list[ShardPlan], workers: int, progress: Progress
) -> bool:
    """Whether a build would give the existing dataset: the same rows, and pictures with the same bytes."""
    lock = _read_lock(existing.path)
    # Decisions that were applied since give the labels another fingerprint than the lock's.
    if lock.get("build_key") != build_key or lock.get("fingerprint") != existing.fingerprint:
        return False
    try:
        for split in existing.splits:
            existing.load(split)
    except NotADatasetError:
        return False
    known = sorted(shard["pictures"] for shard in lock["shards"])
    found = []
    for done, digest in enumerate(map_shards(pictures_digest, plans, workers), start=1):
        found.append(digest)
        progress("comparing images", done, len(plans))
    return sorted(found) == known


def _read_all(recipe: DataRecipe, roots: Mapping[str, Path], progress: Progress) -> dict[str, _Source]:
    """All databases of a recipe; defects of all of them are reported together."""
    sources: dict[str, _Source] = {}
    problems: list[AffectError] = []
    readers = recipe.readers()
    for done, (name, database) in enumerate(readers.items(), start=1):
        try:
            root = recipe.root_of(name, roots)
            scan, release, digests = scan_database(database, root, database.options.exclude)
            sources[name] = _Source(
                database, root, release, scan, harmonise(scan, database, release, recipe.splits), digests
            )
        except AffectError as error:
            problems.append(error)
        progress(f"reading labels: {name}", done, len(readers))
    if len(problems) == 1:
        raise problems[0]
    if problems:
        defects = [defect for error in problems if isinstance(error, DefectsFoundError) for defect in error.defects]
        raise SeveralProblemsError(problems, defects=len(defects))
    return sources


class SeveralProblemsError(DataError):
    """Problems of several databases at once."""

    def __init__(self, problems: list[AffectError], defects: int) -> None:
        self.problems = tuple(problems)
        super().__init__(
            f"{len(problems)} databases have problems ({defects:,} defects):\n" + "\n".join(map(str, problems))
        )


def _plan(recipe: DataRecipe, sources: dict[str, _Source], staging: Path) -> list[ShardPlan]:
    """The shards of all splits. A shard holds rows of one database, so that a change in one leaves the shards of the others alone."""
    plans: list[ShardPlan] = []
    for split in SPLITS:
        parts = [
            (name, rows.slice(start, recipe.shard_rows))
            for name, source in sources.items()
            for rows in [source.unified.labels.filter(pl.col("split") == split).drop("split")]
            for start in range(0, len(rows), recipe.shard_rows)
        ]
        for index, (name, rows) in enumerate(parts):
            roots, options = {name: sources[name].root}, {name: sources[name].database.options}
            plans.append(ShardPlan(split, index, len(parts), rows, tuple(sources), roots, options, staging))
    if not plans:
        raise DataError(
            "no database of the recipe has a row: "
            + "; ".join(f"{name}: {_no_rows(source)}" for name, source in sources.items())
        )
    return plans


def _is_drawn(source: _Source) -> bool:
    return (source.root / DRAWN_MARKER).is_file()


def _failed_lines(sources: dict[str, _Source]) -> int:
    return sum(len(source.scan.failures) for source in sources.values())


def _no_rows(source: _Source) -> str:
    reasons = source.scan.failures.group_by("reason").len("lines").sort("reason").iter_rows()
    return ", ".join(f"{lines:,} lines failed: {reason}" for reason, lines in reasons) or "the files list no face"


def _apply(
    decisions: Sequence[Decision], staging: Path, recipe: DataRecipe, records: list[ShardRecord]
) -> dict[str, Any]:
    """Corrects the packed labels by decisions; only now are the digests known by which rows are found. Returns what became of them."""
    counts = Counter(record.split for record in records)
    shards = [
        LabelShard(record.split, staging / record.split / LABELS / shard_name(record.index, counts[record.split]))
        for record in records
    ]
    # A build that is killed from here on must not take the corrected labels for the files' own.
    forget = [staging / record.split / f"{record.index:05d}.json" for record in records]
    return correct(shards, sorted(recipe.databases), decisions, lambda number: forget[number].unlink())


def _seal(staging: Path, recipe: DataRecipe, records: list[ShardRecord]) -> Manifest:
    """Turns the packed shards into column groups; returns the manifest that names them."""
    databases = sorted(recipe.databases)
    rows: dict[str, int] = {}
    groups: dict[str, dict[str, str]] = {}
    for split in SPLITS:
        count = sum(record.split == split for record in records)
        total = sum(record.rows for record in records if record.split == split)
        if not total:
            shutil.rmtree(staging / split, ignore_errors=True)
            continue
        rows[split] = total
        shards = [shard_name(index, count) for index in range(count)]
        labels = pa.concat_tables(
            pa.ipc.open_stream(pa.memory_map(str(staging / split / LABELS / name))).read_all() for name in shards
        )
        fingerprint = content_hash(labels, seed=",".join(databases))
        groups[split] = dict.fromkeys((LABELS, IMAGES), fingerprint)
        for group in groups[split]:
            seal_group(staging / split / group, shards, features(group, databases), fingerprint, split)
    return Manifest(fingerprint=dataset_fingerprint(groups), databases=databases, rows=rows, groups=groups)


def _swap(staging: Path, out: Path) -> None:
    """Puts the finished folder in its place; an older dataset is removed only after the new one is there."""
    (staging / ".lock").unlink(missing_ok=True)
    old = out.parent / f".{out.name}.replaced"
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    staging.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _all_failures(sources: dict[str, _Source], records: list[ShardRecord]) -> pl.DataFrame:
    schema = {name: pl.Int32 if name == "source_line" else pl.String for name in FAILURE_COLUMNS}
    found = [
        source.scan.failures.with_columns(pl.lit(name).alias("database"), pl.lit("").alias("detail")).select(
            FAILURE_COLUMNS
        )
        for name, source in sources.items()
    ]
    packed = pl.DataFrame([failure for record in records for failure in record.failures], schema=schema, orient="row")
    return pl.concat([*found, packed]).sort("database", "source_file", "source_line")


def _reports(sources: dict[str, _Source], failures: pl.DataFrame) -> dict[str, DatabaseReport]:
    reports = {}
    for name, source in sources.items():
        own = failures.filter(pl.col("database") == name)
        written = len(source.unified.labels) - (len(own) - len(source.scan.failures))
        reports[name] = DatabaseReport(
            release=source.release,
            reader_version=source.database.reader_version,
            lines=source.scan.lines,
            rows=written,
            rows_in_two_splits=len(source.unified.labels) - len(source.scan.rows),
            failures=dict(own["reason"].value_counts().sort("reason").iter_rows()),
            masked=source.unified.masked.to_dicts(),
            annotation_files=source.annotation_files,
            drawn=_is_drawn(source),
        )
    return reports


def _lock(
    recipe: DataRecipe,
    reports: dict[str, DatabaseReport],
    records: list[ShardRecord],
    manifest: Manifest,
    build_key: str,
    decided: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        **({"decisions": decided} if decided is not None else {}),
        "affectkit_version": version("affectkit"),
        "schema_version": SCHEMA_VERSION,
        "build_key": build_key,
        "fingerprint": manifest.fingerprint,
        "recipe": recipe.content(),
        "databases": {name: asdict(report) for name, report in reports.items()},
        "rows": manifest.rows,
        "shards": [{k: v for k, v in asdict(record).items() if k not in ("failures", "reused")} for record in records],
    }


def _read_lock(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads((path / LOCK).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
