"""Builds one part of a dataset: its share of the shards, which `finish` puts together with those of the other parts."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from affect_data.build.databases import Progress, layout_of, refuse_losses, shard_jobs
from affect_data.build.erased import Tombstones
from affect_data.build.existing import existing_dataset, read_lock
from affect_data.build.jobs import ShardJob, ShardRecord
from affect_data.build.recipe import DataRecipe
from affect_data.build.reuse import with_earlier
from affect_data.build.seen import SeenPictures, look_again
from affect_data.build.shards import pack_shard, shared_out
from affect_data.build.shared.claims import LOOK, Claim, Watch
from affect_data.build.shared.folder import PartNumber, PartsError, PartsFolder, Plan
from affect_data.build.shared.reading import read_together
from affect_data.files import place_first
from affect_data.leaks.leaks import guard_parts
from affect_data.processes import map_jobs
from affect_data.system_errors import writing_to


@dataclass(frozen=True)
class PartReport:
    """What a part did.

    Attributes:
        part: which.
        shards: how many it has.
        reused: how many of them were packed before.
        of: how many shards the dataset has.
        left: the parts that have not packed all theirs.
    """

    part: PartNumber
    shards: int
    reused: int
    of: int
    left: tuple[int, ...]


def build_part(
    recipe: DataRecipe,
    roots: Mapping[str, Path],
    out: Path,
    part: PartNumber,
    *,
    follow_links: bool = False,
    accept_incomplete: bool = False,
    progress: Progress = lambda *_: None,
) -> PartReport:
    """Builds one part of the dataset of a recipe; started again after a kill, it goes on.

    Args:
        recipe: what to merge.
        roots: folder by database name.
        out: the dataset folder that `finish` will make, on a file system that all parts share.
        part: which.
        follow_links: whether symbolic links may lead out of the databases' folders.
        accept_incomplete: whether incomplete databases are built as they are.
        progress: told about every step.

    Raises:
        PartsError: the parts that are there do not fit this one, or another process builds it.
        AffectError: as `affect_data.build.build.build`.
    """
    folder = PartsFolder(out)
    existing = existing_dataset(folder.out)
    if existing is not None and Tombstones.from_lock(read_lock(folder.out)):
        raise PartsError(
            f"something was erased from '{folder.out}', which parts would read again; build it without --part"
        )
    plan = Plan.of(recipe, part.of)
    folder.begin(plan)
    with writing_to(folder.path), _claim(folder, part, progress) as claim:
        labels = read_together(folder, recipe, roots, part.number - 1, progress, follow_links=follow_links)
        refuse_losses(labels.read, accept_incomplete=accept_incomplete)
        readers = {name: type(database.reader) for name, database in labels.read.items()}
        guard_parts([database.unified.labels for database in labels.read.values()], recipe.splits.policy, readers)
        work = folder.work(claim.token)
        jobs = shard_jobs(recipe, labels.read, layout_of(labels.read), work)
        own = [job for index, job in enumerate(jobs) if plan.part_of(index) == part.number]
        own = with_earlier(own, existing) if existing is not None else own
        records = _pack(folder, work, own, recipe.workers, progress)
        shutil.rmtree(work, ignore_errors=True)
    left = sorted({plan.part_of(index) for index, job in enumerate(jobs) if not folder.packed(job).is_dir()})
    return PartReport(part, len(own), sum(record.reused for record in records), len(jobs), tuple(left))


def _claim(folder: PartsFolder, part: PartNumber, progress: Progress) -> Claim:
    """The claim of a part; that of a process that is gone is taken over, with the removal of what it left.

    Raises:
        PartsError: another process builds the part.
    """
    path = folder.claim_of(part.number)
    watch: Watch | None = None
    while (claim := Claim.take(path)) is None:
        watch = watch or Watch(path)
        if watch.beats:
            raise PartsError(
                f"part {part} of '{folder.out}' is being built by {watch.holder()}: two parts have one number. Give each its own, or wait for "
                "the other to end"
            )
        if watch.is_left:
            shutil.rmtree(folder.work(watch.token()), ignore_errors=True)
            watch.remove()
            watch = None
            continue
        progress("looking whether another process builds this part", 0, 1)
        time.sleep(LOOK)
    return claim


def _pack(folder: PartsFolder, work: Path, jobs: list[ShardJob], workers: int, progress: Progress) -> list[ShardRecord]:
    """Packs shards, each moved to its place as soon as it is whole."""
    work.mkdir(parents=True, exist_ok=True)
    processes, threads = shared_out(workers, max(1, len(jobs)))
    records = []
    for done, record in enumerate(map_jobs(partial(pack_to, folder, threads=threads), jobs, processes), start=1):
        records.append(record)
        progress("packing images", done, len(jobs))
    return records


def pack_to(folder: PartsFolder, job: ShardJob, *, threads: int = 1) -> ShardRecord:
    """Packs a shard into the folder of the parts, unless it is there and its pictures are what they were.

    Args:
        folder: of the parts.
        job: what goes into the shard; its staging folder is the process's own.
        threads: that read and examine pictures.
    """
    there = folder.shard(job)
    if there is not None:
        seen = look_again(job.rows, job.pictures_key(), job.source(), SeenPictures.read(there.seen), threads)
        if seen.digest == there.record.pictures:
            return replace(there.record, reused=True)
    folder.discard(job)
    own = replace(job, staging=job.staging / folder.packed(job).name)
    record = pack_shard(own, threads=threads)
    if not place_first(own.staging, folder.packed(job)):
        shutil.rmtree(own.staging, ignore_errors=True)
    return record
