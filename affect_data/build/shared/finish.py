"""Puts the parts of a build together: the dataset is that of a build on one machine, byte for byte."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from affect_data.build.build import BuildReport, Prepared, build
from affect_data.build.databases import DatabaseReport, Progress, layout_of, shard_jobs
from affect_data.build.existing import existing_dataset, read_lock
from affect_data.build.recipe import DataRecipe
from affect_data.build.shared.claims import Watch
from affect_data.build.shared.folder import PartsError, PartsFolder, Plan
from affect_data.build.shared.reading import refuse_changed, stored_labels

PARTS_NAMED = 4
"""How many missing parts a message names."""


def finish(
    recipe: DataRecipe,
    roots: Mapping[str, Path],
    out: Path,
    *,
    overwrite: bool = False,
    accept_incomplete: bool = False,
    progress: Progress = lambda *_: None,
) -> BuildReport:
    """Makes the dataset of parts that are all there. Their files become those of the dataset, without a copy where there are hard links.

    Args:
        recipe: that of the parts.
        roots: folder by database name.
        out: the dataset folder.
        overwrite: whether another dataset at `out` may be replaced.
        accept_incomplete: whether incomplete databases are built as they are; the lock says so.
        progress: told about every step.

    Raises:
        PartsError: a part is missing or does not fit, or the labels have changed since.
        AffectError: as `affect_data.build.build.build`.
    """
    folder = PartsFolder(out)
    plan = folder.plan()
    if plan is None:
        return _finished_before(folder, recipe)
    folder.refuse_others(Plan.of(recipe, plan.parts))
    prepared = _prepared(folder, recipe, roots, plan)
    report = build(
        recipe, roots, folder.out, overwrite=overwrite, accept_incomplete=accept_incomplete, progress=progress, prepared=prepared
    )  # fmt: skip
    # The labels are mapped files, which a network file system cannot remove before.
    del prepared
    folder.remove()
    # What was kept was kept of the parts, not of a dataset that was replaced.
    return replace(report, parts=())


def _prepared(folder: PartsFolder, recipe: DataRecipe, roots: Mapping[str, Path], plan: Plan) -> Prepared:
    """What all parts together made.

    Raises:
        PartsError: a part is missing, or the labels have changed since.
    """
    if not all(folder.labels(name).is_dir() for name in recipe.databases):
        raise _missing(folder, range(1, plan.parts + 1), plan.parts)
    labels = stored_labels(folder, recipe, roots)
    refuse_changed(labels.read, folder)
    jobs = shard_jobs(recipe, labels.read, layout_of(labels.read), folder.path)
    packed = [folder.shard(job) for job in jobs]
    missing = sorted({plan.part_of(index) for index, shard in enumerate(packed) if shard is None})
    if missing:
        raise _missing(folder, missing, plan.parts)
    shards = {(job.split, job.index): shard for job, shard in zip(jobs, packed, strict=True) if shard is not None}
    return Prepared(labels.read, labels.content, shards)


def _missing(folder: PartsFolder, numbers: Sequence[int], parts: int) -> PartsError:
    """The error of parts that are not all there."""
    named = [
        f"{number}/{parts}"
        + (f" (begun by {Watch(claim).holder()})" if (claim := folder.claim_of(number)).exists() else "")
        for number in numbers[:PARTS_NAMED]
    ]
    more = f" and {len(numbers) - PARTS_NAMED} more" if len(numbers) > PARTS_NAMED else ""
    return PartsError(
        f"{len(numbers)} of {parts} parts of '{folder.out}' are not finished: {', '.join(named)}{more}. Wait for those that run, and start "
        f"the others again (`--part {numbers[0]}/{parts}`): what they have packed is kept"
    )


def _finished_before(folder: PartsFolder, recipe: DataRecipe) -> BuildReport:
    """The report of a dataset whose parts were put together and removed before.

    Raises:
        PartsError: there is no such dataset.
    """
    folder.remove()
    existing = existing_dataset(folder.out)
    lock = read_lock(folder.out) if existing is not None else {}
    if existing is None or lock.get("recipe") != recipe.content():
        raise PartsError(
            f"no part of '{folder.out}' has been built; run the same command with --part 1/n to n/n before, with n of your choice"
        )
    shards = len(lock["shards"])
    reports = {name: DatabaseReport(**found) for name, found in lock["databases"].items()}
    return BuildReport(
        existing, reports, unchanged=True, shards_reused=shards, shards=shards, decisions=lock.get("decisions")
    )
