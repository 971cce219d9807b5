"""A data recipe and the folders of its databases become one dataset folder: atomic, resumable, with every row accounted for."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from affect_data.bounds import read_json
from affect_data.build.databases import (
    DatabaseReport,
    Progress,
    all_failures,
    database_reports,
    failed_lines,
    is_drawn,
    read_databases,
    refuse_losses,
    shard_jobs,
)
from affect_data.build.recipe import DataRecipe
from affect_data.build.shards import ShardJob, ShardRecord, pack_shard, pictures_digest
from affect_data.corrections.decisions import Decision, read_decisions
from affect_data.corrections.matching import LabelShard, correct
from affect_data.databases.base import SPLITS
from affect_data.databases.registry import scores_of
from affect_data.dataset.folder import (
    FAILURES,
    LOCK,
    MANIFEST,
    DatasetFolder,
    ForeignVersionError,
    Manifest,
    open_dataset,
)
from affect_data.dataset.hashing import content_hash, dataset_fingerprint
from affect_data.dataset.schema import IMAGES, LABELS, SCHEMA_VERSION, features, score_features
from affect_data.dataset.writing import seal_group, shard_name, write_manifest
from affect_data.errors import DataError, NotADatasetError, UnknownNameError
from affect_data.files import exclusive, swap_folder, write_text, written_file
from affect_data.leaks.leaks import guard_parts
from affect_data.processes import map_jobs
from affect_data.system_errors import writing_to

STAGING: Final = ".{}.building"


class OutputTakenError(DataError):
    """The output folder holds something that a build must not replace."""

    def __init__(self, path: Path, because: str, remedy: str) -> None:
        super().__init__(f"'{path}' {because}. {remedy}")


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


def build(
    recipe: DataRecipe,
    roots: Mapping[str, Path],
    out: Path,
    *,
    overwrite: bool = False,
    follow_links: bool = False,
    accept_incomplete: bool = False,
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
        follow_links: whether symbolic links may lead out of the databases' folders.
        accept_incomplete: whether databases that have lost a part are built as they are; the lock says so.
        progress: told about every step.

    Raises:
        DecisionsError: a line of the recipe's decisions is none.
        DefectsFoundError: a database contradicts its documentation; nothing is written.
        DatabaseNotFoundError: a root is not there.
        IncompleteError: a database has lost a part, and neither the call nor the recipe accepts that.
        LeakError: a subject or a track is in two splits, and the policy is not ``follow_task``.
        OutputTakenError: `out` holds something else.
    """
    existing = _existing(out)
    decisions = [decision for path in recipe.decisions for decision in read_decisions(Path(path))]
    read = read_databases(recipe, roots, progress, follow_links=follow_links)
    refuse_losses(read, accept_incomplete=accept_incomplete)
    leaks = guard_parts([database.unified.labels for database in read.values()], recipe.splits.policy)
    staging = out.parent / STAGING.format(out.name)
    jobs = shard_jobs(recipe, read, staging)
    # The annotation files too: another line that gives no row changes the failures and the lock.
    annotations = json.dumps({name: database.annotation_files for name, database in read.items()}, sort_keys=True)
    keys = [recipe.digest(), annotations, *(f"{job.split} {job.index} {job.key()}" for job in jobs)]
    keys += [decision.to_line() for decision in decisions]
    keys += [f"drawn {name}" for name, database in read.items() if is_drawn(database)]
    build_key = hashlib.sha256("\n".join(keys).encode()).hexdigest()
    if existing is not None and _is_result(existing, build_key, jobs, recipe.workers, progress):
        return BuildReport(
            existing,
            database_reports(read, existing.failures()),
            unchanged=True,
            shards_reused=len(jobs),
            shards=len(jobs),
            leaks=leaks,
            decisions=_read_lock(out).get("decisions"),
        )
    if existing is not None and not overwrite:
        groups = ", ".join(existing.manifest.provenance)
        lost = f" and its column groups {groups} would be lost" if groups else ""
        raise OutputTakenError(
            out, f"holds another dataset{lost}", "Choose another folder, or pass --overwrite to replace it"
        )
    with exclusive(staging), writing_to(out):
        if existing is None and _existing(out) is not None:
            raise OutputTakenError(out, "was built by another process meanwhile", "Run the same command again")
        _remove_foreign_shards(staging, jobs)
        records = []
        for done, record in enumerate(map_jobs(pack_shard, jobs, recipe.workers), start=1):
            records.append(record)
            progress("packing images", done, len(jobs))
        records.sort(key=lambda record: (SPLITS.index(record.split), record.index))
        failures = all_failures(read, records)
        reports = database_reports(read, failures)
        decided = _apply(decisions, staging, recipe, records) if recipe.decisions else None
        manifest = _seal(staging, recipe, records)
        if not manifest.rows:
            raise DataError(
                f"none of the {len(failures) - failed_lines(read):,} pictures can be decoded, nothing was built"
            )
        with written_file(staging / FAILURES) as partial:
            failures.write_parquet(partial)
        write_text(
            staging / LOCK,
            json.dumps(_lock(recipe, reports, records, manifest, build_key, decided), indent=1, sort_keys=True) + "\n",
        )
        for job in jobs:
            job.record_path().unlink(missing_ok=True)
        write_manifest(staging, manifest)
        (staging / ".lock").unlink(missing_ok=True)
        swap_folder(staging, out)
    reused = sum(record.reused for record in records)
    return BuildReport(
        open_dataset(out),
        reports,
        unchanged=False,
        shards_reused=reused,
        shards=len(jobs),
        leaks=leaks,
        decisions=decided,
    )


def _existing(out: Path) -> DatasetFolder | None:
    if out.is_symlink() and not out.exists():
        because = "is a symbolic link that leads to nothing or to itself"
        raise OutputTakenError(out, because, "Remove the link, or choose another folder")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not out.is_dir() or not (out / MANIFEST).exists():
        raise OutputTakenError(out, "exists and is no affectkit dataset", "Choose a folder that is new or empty")
    try:
        return open_dataset(out)
    except (NotADatasetError, ForeignVersionError):
        because = f"holds a dataset that cannot be read: its {MANIFEST} is broken, or from another version of affectkit"
        raise OutputTakenError(out, because, "Remove the folder, or choose another") from None


def _remove_foreign_shards(staging: Path, jobs: list[ShardJob]) -> None:
    """Removes what an interrupted build of another recipe, or of other files, left in the staging folder."""
    planned = {path for job in jobs for path in (*map(job.path, job.groups), job.record_path())}
    for path in staging.glob("*/**/*"):
        if path.is_file() and path not in planned:
            path.unlink()


def _is_result(existing: DatasetFolder, build_key: str, jobs: list[ShardJob], workers: int, progress: Progress) -> bool:
    """Whether a build would give the existing dataset: the same rows, and pictures with the same bytes."""
    lock = _read_lock(existing.path)
    # Decisions that were applied since give the labels another fingerprint than the lock's.
    if lock.get("build_key") != build_key or lock.get("fingerprint") != existing.fingerprint:
        return False
    try:
        for split in existing.splits:
            existing.load(split, (LABELS, IMAGES, *scores_of(existing.manifest.databases)))
    except (NotADatasetError, UnknownNameError):
        return False
    known = sorted(shard["pictures"] for shard in lock["shards"])
    found = []
    for done, digest in enumerate(map_jobs(pictures_digest, jobs, workers), start=1):
        found.append(digest)
        progress("comparing images", done, len(jobs))
    return sorted(found) == known


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
        fingerprint = content_hash(_packed(staging / split / LABELS, shards), seed=",".join(databases))
        groups[split] = dict.fromkeys((LABELS, IMAGES), fingerprint)
        for group in groups[split]:
            seal_group(staging / split / group, shards, features(group, databases), fingerprint, split)
        for score in scores_of(databases):
            own = groups[split][score] = content_hash(_packed(staging / split / score, shards), seed=score)
            seal_group(staging / split / score, shards, score_features(score), own, split)
    return Manifest(fingerprint=dataset_fingerprint(groups), databases=databases, rows=rows, groups=groups)


def _packed(folder: Path, shards: Sequence[str]) -> pa.Table:
    """The rows of the shards of one column group, over memory maps."""
    return pa.concat_tables(pa.ipc.open_stream(pa.memory_map(str(folder / name))).read_all() for name in shards)


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
        loaded = read_json(path / LOCK)
    except (FileNotFoundError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
