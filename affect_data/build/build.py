"""Builds one dataset folder from a data recipe and the folders of its databases: atomic, resumable, with every row accounted for."""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from affect_data.build.carrying import carry_groups
from affect_data.build.content import Content, hashed_pictures, restated
from affect_data.build.databases import (
    DatabaseReport,
    PictureCounts,
    Progress,
    ReadDatabase,
    all_failures,
    content_of,
    database_reports,
    failed_lines,
    layout_of,
    pictures_of,
    read_databases,
    refuse_losses,
    shard_jobs,
)
from affect_data.build.erased import Tombstones, without_erased
from affect_data.build.existing import (
    OutputTakenError,
    all_digests,
    compared,
    existing_dataset,
    in_the_way,
    read_lock,
)
from affect_data.build.jobs import EarlierShard, ShardJob, ShardRecord
from affect_data.build.recipe import DataRecipe
from affect_data.build.reuse import Part, parts_of, with_earlier
from affect_data.build.sealing import apply_to_shards, seal, write_origins
from affect_data.build.seen import SeenPictures
from affect_data.build.shards import pack_shard, shared_out
from affect_data.build.videos import copy_videos
from affect_data.corrections.decisions import Decision, read_decisions
from affect_data.databases.base import SPLITS
from affect_data.dataset.folder import FAILURES, LOCK, DatasetFolder, Manifest, open_dataset
from affect_data.dataset.schema import SCHEMA_VERSION
from affect_data.dataset.view import LabelView
from affect_data.dataset.writing import write_manifest
from affect_data.errors import DataError
from affect_data.files import (
    commit_folder,
    exclusive,
    refuse_current,
    restore_folder,
    with_a_name,
    write_text,
    written_file,
)
from affect_data.leaks.leaks import guard_parts
from affect_data.processes import map_jobs
from affect_data.system_errors import writing_to

STAGING: Final = ".{}.building"


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes:
        dataset: the finished dataset.
        databases: report by database name.
        unchanged: whether the dataset already existed, byte for byte.
        shards_reused: number of shards that an interrupted or earlier build had finished.
        shards: number of all shards.
        leaks: subjects and tracks in two splits, which only the policy ``follow_task`` accepts.
        decisions: what became of the recipe's decisions, as `Matching.summary`; None if it names none.
        groups_kept: column groups of the replaced dataset that fit the new one and were taken over.
        groups_lost: its column groups that do not fit, and why.
        parts: what was written and what was kept of the dataset that was replaced, by database.
    """

    dataset: DatasetFolder
    databases: dict[str, DatabaseReport]
    unchanged: bool
    shards_reused: int
    shards: int
    leaks: tuple[dict[str, Any], ...] = ()
    decisions: dict[str, Any] | None = None
    groups_kept: tuple[str, ...] = ()
    groups_lost: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """What was done for a build before, by others.

    Attributes:
        read: the databases by name.
        content: what they hold, without their pictures.
        shards: packed shards by split and index.
    """

    read: dict[str, ReadDatabase]
    content: Content
    shards: Mapping[tuple[str, int], EarlierShard]


def build(
    recipe: DataRecipe,
    roots: Mapping[str, Path],
    out: Path,
    *,
    overwrite: bool = False,
    follow_links: bool = False,
    accept_incomplete: bool = False,
    progress: Progress = lambda *_: None,
    prepared: Prepared | None = None,
) -> BuildReport:
    """Builds the dataset of a recipe.

    Everything is written to a hidden folder beside `out`, which is renamed when it is complete. A killed build continues where it stopped and ends
    with the same bytes. If `out` already is this dataset, nothing is written.

    Args:
        recipe: what to merge.
        roots: folder by database name; takes precedence over environment and recipe.
        out: dataset folder to make.
        overwrite: whether another dataset at `out` may be replaced.
        follow_links: whether symbolic links may lead out of the databases' folders.
        accept_incomplete: whether incomplete databases are built as they are; the lock says so.
        progress: told about every step.
        prepared: what was done before; labels are not read again then, and packed shards are used if their pictures are what they were.

    Raises:
        DecisionsError: a line of the recipe's decisions is not a decision.
        DefectsFoundError: a database contradicts its documentation; nothing is written.
        DatabaseNotFoundError: a root does not exist, or is not that of its database.
        IncompleteError: a database is incomplete, and neither the call nor the recipe accepts that.
        LeakError: a subject or a track is in two splits, and the policy is not ``follow_task``.
        OutputTakenError: `out` holds something else.
        UsageError: `out` would be replaced, and the current folder is in it.
    """
    out = with_a_name(out)
    restore_folder(out)
    existing = existing_dataset(out)
    if existing is None:
        refuse_current(out)
    decisions = [decision for path in recipe.decisions for decision in read_decisions(Path(path))]
    read = prepared.read if prepared else read_databases(recipe, roots, progress, follow_links=follow_links)
    refuse_losses(read, accept_incomplete=accept_incomplete)
    staging = out.parent / STAGING.format(out.name)
    sources = jobs = _jobs(recipe, read, staging, existing, prepared)
    # What the files hold, erased or not: so a dataset is recognised whose files still list what was erased from it.
    content = prepared.content if prepared else content_of(read)
    tombstones, pictures = Tombstones.from_lock(read_lock(out)) if existing is not None else Tombstones(), None
    if tombstones:
        read, pictures = _without_erased(read, tombstones, sources, recipe, progress)
        refuse_losses(read, accept_incomplete=accept_incomplete)
        jobs = _jobs(recipe, read, staging, existing)
    leaks = guard_parts(
        [database.unified.labels for database in read.values()],
        recipe.splits.policy,
        {name: type(database.reader) for name, database in read.items()},
    )
    if existing is not None:
        found = compared(existing, content, sources, decisions, recipe.workers, progress)
        found = found or restated(read_lock(out).get("recipe", {}), recipe.content())
        if not found:
            return _unchanged(existing, read, len(jobs), leaks)
        if not overwrite:
            raise OutputTakenError(out, *in_the_way(existing, found, _reports_of(existing, read), recipe.content()))
    refuse_current(out)
    # The lock keeps others from adding to a dataset while it is replaced: their work would be lost.
    with exclusive(staging), exclusive(out, new=False) if existing is not None else nullcontext(), writing_to(out):
        now = existing_dataset(out)
        if existing is None and now is not None:
            raise OutputTakenError(out, "was built by another process meanwhile", "Run the same command again")
        if now is not None and Tombstones.from_lock(read_lock(out)) != tombstones:
            raise OutputTakenError(out, "had something erased from it meanwhile", "Run the same command again")
        written = _write(recipe, read, jobs, replace(content, pictures=pictures), decisions, now, progress)
        commit_folder(staging, out)
    return BuildReport(open_dataset(out), unchanged=False, shards=len(jobs), leaks=leaks, **written)


def _jobs(
    recipe: DataRecipe,
    read: dict[str, ReadDatabase],
    staging: Path,
    existing: DatasetFolder | None,
    prepared: Prepared | None = None,
) -> list[ShardJob]:
    """All shards to pack, with those that are packed already, or else those of the dataset that is there."""
    jobs = shard_jobs(recipe, read, layout_of(read), staging)
    jobs = with_earlier(jobs, existing) if existing is not None else jobs
    packed = prepared.shards if prepared else {}
    return [replace(job, earlier=packed.get((job.split, job.index), job.earlier)) for job in jobs]


def _without_erased(
    read: dict[str, ReadDatabase],
    tombstones: Tombstones,
    sources: list[ShardJob],
    recipe: DataRecipe,
    progress: Progress,
) -> tuple[dict[str, ReadDatabase], dict[str, dict[str, str]]]:
    """The databases without what was erased from the dataset, and the hashes of all pictures, which had to be read for that."""
    digests = all_digests(sources, recipe.workers, progress)
    return without_erased(read, tombstones, sources, digests), hashed_pictures(sources, digests)


def _unchanged(
    existing: DatasetFolder, read: dict[str, ReadDatabase], shards: int, leaks: tuple[dict[str, Any], ...]
) -> BuildReport:
    """The report of a build that found its result in place."""
    return BuildReport(
        existing,
        _reports_of(existing, read),
        unchanged=True,
        shards_reused=shards,
        shards=shards,
        leaks=leaks,
        decisions=read_lock(existing.path).get("decisions"),
    )


def _write(
    recipe: DataRecipe,
    read: dict[str, ReadDatabase],
    jobs: list[ShardJob],
    content: Content,
    decisions: Sequence[Decision],
    existing: DatasetFolder | None,
    progress: Progress,
) -> dict[str, Any]:
    """Writes the whole dataset to the staging folder of the jobs; returns fields of `BuildReport`."""
    staging, layout = jobs[0].staging, jobs[0].layout
    _remove_foreign_shards(staging, jobs)
    records = []
    processes, threads = shared_out(recipe.workers, len(jobs))
    for done, record in enumerate(map_jobs(partial(pack_shard, threads=threads), jobs, processes), start=1):
        records.append(record)
        progress("packing images", done, len(jobs))
    records.sort(key=lambda record: (SPLITS.index(record.split), record.index))
    parts = parts_of(jobs, records)
    failures = all_failures(read, jobs, records)
    reports, decided = database_reports(read, failures, pictures_of(jobs, records)), None
    if recipe.decisions:
        view = LabelView(layout, {name: database.unified.origins.to_arrow() for name, database in read.items()})
        decided, records = apply_to_shards(decisions, staging, view, records)
    if content.pictures is None:
        pictures = hashed_pictures(jobs, [_seen(job).digests for job in jobs])
        content = replace(content, pictures=pictures)
    origins = write_origins(staging, {name: database.unified.origins for name, database in read.items()})
    manifest = seal(staging, layout, records, origins)
    if layout.videos and manifest.rows:
        copy_videos(jobs, DatasetFolder(staging, manifest))
    if not manifest.rows:
        lost = len(failures) - failed_lines(read)
        first = next(failure for record in records for failure in record.failures)
        raise DataError(
            f"none of the {lost:,} pictures can be used, nothing was built: such as '{first['image']}' of {first['database']}, "
            f"named in {first['source_file']}:{first['source_line']} ({first['detail'] or first['reason']})"
        )
    with written_file(staging / FAILURES) as file:
        failures.write_parquet(file)
    lock = _lock(recipe, reports, records, manifest, content, decided)
    if existing is not None:
        lock |= Tombstones.from_lock(read_lock(existing.path)).to_lock()
    write_text(staging / LOCK, json.dumps(lock, indent=1, sort_keys=True) + "\n")
    kept, lost_groups = carry_groups(existing, staging, manifest) if existing is not None else ((), ())
    write_manifest(staging, manifest)
    (staging / ".lock").unlink(missing_ok=True)
    return {
        "databases": reports,
        "shards_reused": sum(record.reused for record in records),
        "parts": parts,
        "decisions": decided,
        "groups_kept": kept,
        "groups_lost": lost_groups,
    }


def _reports_of(existing: DatasetFolder, read: dict[str, ReadDatabase]) -> dict[str, DatabaseReport]:
    """The report of each database for an existing dataset that was built of the same content."""
    counted = read_lock(existing.path).get("databases", {})
    pictures = {
        name: PictureCounts(**{what: own.get(what, 0) for what in ("frames", "frames_left_out", "damaged")})
        for name, own in counted.items()
    }
    return database_reports(read, existing.failures(), pictures)


def _seen(job: ShardJob) -> SeenPictures:
    """The pictures of a finished shard."""
    seen = SeenPictures.read(job.seen_path())
    if seen is None:
        raise DataError(f"'{job.seen_path()}' is gone or cut short while the build runs; run the same command again")
    return seen


def _remove_foreign_shards(staging: Path, jobs: list[ShardJob]) -> None:
    """Removes what an interrupted build of another recipe, or of other files, left in the staging folder."""
    planned = {path for job in jobs for path in (*map(job.path, job.groups), job.record_path(), job.seen_path())}
    for path in staging.glob("*/**/*"):
        if path.is_file() and path not in planned:
            path.unlink()


def _lock(
    recipe: DataRecipe,
    reports: dict[str, DatabaseReport],
    records: list[ShardRecord],
    manifest: Manifest,
    content: Content,
    decided: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        **({"decisions": decided} if decided is not None else {}),
        "affectkit_version": version("affectkit"),
        "schema_version": SCHEMA_VERSION,
        "content": asdict(content),
        "fingerprint": manifest.fingerprints.all(),
        "fingerprints": manifest.fingerprints.model_dump(),
        "recipe": recipe.content(),
        "databases": {name: asdict(report) for name, report in reports.items()},
        "rows": manifest.rows,
        "shards": [record.described() for record in records],
    }
