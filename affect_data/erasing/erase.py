"""Carries out an erasure: a new dataset folder without the rows takes the place of the old one, in one step.

The new folder is written beside the old one. A kill leaves the old dataset or the new one, and the same command ends what is left.
"""

import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from affect_data.build.databases import DatabaseReport
from affect_data.build.erased import Tombstones, files_of_others
from affect_data.build.existing import lock_at
from affect_data.corrections.decisions import read_decisions
from affect_data.corrections.versions import settle
from affect_data.dataset.folder import FAILURES, LOCK, DatasetFolder, Manifest, open_dataset
from affect_data.dataset.schema import FRAMES
from affect_data.dataset.thumbnail_cache import forget_thumbnails
from affect_data.dataset.writing import write_manifest
from affect_data.erasing.carrying import carry_made, carry_versions
from affect_data.erasing.cutting import Cut, cut, planned_rows
from affect_data.erasing.plan import HIDDEN_BESIDE, ErasePlan, is_managed
from affect_data.erasing.rewriting import Rewriting, narrowed
from affect_data.erasing.videos import carry_videos
from affect_data.errors import DataError
from affect_data.files import exclusive, link_file, recover_folder, write_json, write_text, written_folder

REVIEWED: Final = "{}.decisions.jsonl"
"""Where `affect-data review` keeps decisions, beside the dataset."""


@dataclass(frozen=True)
class EraseReport:
    """What an erasure did.

    Attributes:
        dataset: the dataset without the rows.
        rows: number of rows that were erased.
        decisions: lines that were taken out of the file of decisions beside the dataset.
        removed: leftovers beside the dataset that were removed.
    """

    dataset: DatasetFolder
    rows: int
    decisions: int
    removed: tuple[str, ...]


def erase(plan: ErasePlan) -> EraseReport:
    """Erases what a plan says.

    Raises:
        DataError: the dataset has changed since the plan, or another process writes to it.
        UsageError: somebody is in the folder.
    """
    path, rows = plan.folder.path, plan.selection.rows
    with exclusive(path, new=False):
        recover_folder(path)
        settle(open_dataset(path))
        if (
            open_dataset(path).manifest != plan.folder.manifest
            or Tombstones.from_lock(lock_at(path)) != plan.tombstones
        ):
            raise DataError(f"'{path}' has changed since the plan, nothing was erased. Run the same command again")
        tombstones = _marked(plan)
        if rows:
            with written_folder(path) as new:
                _fill(plan, tombstones, new)
    forget_thumbnails(path)
    with exclusive(path, new=False):
        return EraseReport(open_dataset(path), rows, _forget_decisions(path, tombstones), _remove_beside(path))


def _marked(plan: ErasePlan) -> Tombstones:
    """The tombstones with those of the plan's rows; a row of an erased person needs none of its own."""
    selection = plan.selection
    known = plan.tombstones if plan.tombstones else replace(plan.tombstones, salt=secrets.token_hex(16))
    uids: set[str] = set()
    for split, mask in selection.masks.items():
        rows = plan.folder.labels(split, ("uid", "database", "subject")).filter(mask)
        who = rows.select(pl.format("{}:{}", "database", "subject").alias("who"))["who"]
        uids |= set(rows["uid"].filter(~who.is_in(list(selection.subjects))))
    return replace(
        known,
        subjects=known.subjects | {known.mark(name) for name in selection.subjects},
        rows=known.rows | {known.mark(uid) for uid in uids},
        pictures=known.pictures | {known.mark(digest) for digest in selection.digests},
    )


def _fill(plan: ErasePlan, tombstones: Tombstones, new: Path) -> None:
    """Writes the whole dataset without the rows to a new folder."""
    old = plan.folder
    failures = _failures(old)
    divided = cut(old, planned_rows(old, failures), plan.selection, failures)
    rewriting = Rewriting(old, divided, narrowed(old, divided), new)
    manifest = rewriting.write()
    carry_made(rewriting, manifest)
    carry_versions(rewriting, plan.selection, manifest)
    carry_videos(old, plan.videos, new)
    divided.failures.write_parquet(new / FAILURES)
    for entry in sorted(entry for entry in old.path.iterdir() if not is_managed(old, entry)):
        if entry.is_dir():
            shutil.copytree(entry, new / entry.name, copy_function=link_file)
        else:
            link_file(entry, new / entry.name)
    write_json(new / LOCK, _lock(plan, divided, DatasetFolder(new, manifest)) | tombstones.to_lock())
    write_manifest(new, manifest)


def _failures(folder: DatasetFolder) -> pl.DataFrame:
    """The failures of a dataset; of one that an earlier affectkit built, without places of rows."""
    found = folder.failures()
    if "position" in found.columns:
        return found
    nowhere = {"position": pl.lit(-1, pl.Int32), "origin": pl.lit(-1, pl.Int32)}
    return found.with_columns(pl.lit("").alias("split"), **nowhere)


def _lock(plan: ErasePlan, divided: Cut, new: DatasetFolder) -> dict[str, Any]:
    """The lock with the new counts. What it says of the files of the databases stays, because these are as they were."""
    lock, manifest = lock_at(plan.folder.path), new.manifest
    if isinstance(lock.get("decisions"), dict) and "misfit_uids" in lock["decisions"]:
        erased = _uids(plan)
        stay = [uid for uid in lock["decisions"]["misfit_uids"] if uid not in erased]
        lock["decisions"] = {**lock["decisions"], "misfit_uids": stay}
    return {
        **lock,
        "fingerprint": manifest.fingerprints.all(),
        "fingerprints": manifest.fingerprints.model_dump(),
        "rows": manifest.rows,
        "databases": {name: _counted(plan, divided, new, name, found) for name, found in lock["databases"].items()},
        "shards": _shards(divided, manifest),
    }


def _uids(plan: ErasePlan) -> set[str]:
    """The uids of the rows to erase."""
    masks = plan.selection.masks.items()
    return {uid for split, mask in masks for uid in plan.folder.labels(split, ("uid",))["uid"].filter(mask)}


def _shards(divided: Cut, manifest: Manifest) -> list[dict[str, Any]]:
    return [
        {
            "split": split,
            "index": index,
            "rows": len(rows),
            "fingerprints": {group: hashes[index] for group, hashes in manifest.shards[split].items()},
        }
        for split in manifest.rows
        for index, rows in enumerate(divided.shards[split])
    ]


def _counted(plan: ErasePlan, divided: Cut, new: DatasetFolder, name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """The report of one database without the erased lines; how many labels of these were masked is not known, so that these counts stay."""
    needed = ("uid", "database", "source_file")
    parts = [
        plan.folder.labels(split, needed).with_columns(pl.Series("erased", mask))
        for split, mask in plan.selection.masks.items()
    ]
    rows = pl.concat(parts).filter(pl.col("database") == name)
    uids = rows.filter("erased")["uid"]
    failures = divided.failures.filter(pl.col("database") == name)["reason"].value_counts().sort("reason")
    counts = dict(failures.iter_rows())
    lines = uids.n_unique() + sum(found["failures"].values()) - sum(counts.values())
    report = DatabaseReport(**found)
    return asdict(
        replace(
            report,
            lines=report.lines - lines,
            rows=report.rows - len(uids),
            rows_in_two_splits=report.rows_in_two_splits - (len(uids) - uids.n_unique()),
            failures=counts,
            annotation_files=files_of_others(report.annotation_files, rows["source_file"], rows["erased"]),
            frames=_frames(new, name) if report.frames else 0,
            erased=report.erased + lines,
        )
    )


def _frames(folder: DatasetFolder, name: str) -> int:
    """Number of frames of the clips of a database."""
    total = 0
    for split in folder.splits:
        lengths = folder.load(split, [FRAMES]).data.table.column(FRAMES)
        own = (folder.labels(split, ("database",))["database"] == name).to_numpy()
        total += sum(len(row) for row, is_own in zip(lengths, own, strict=True) if is_own)
    return total


def _forget_decisions(path: Path, tombstones: Tombstones) -> int:
    """Takes the decisions about erased pictures out of the file beside the dataset; returns how many there were."""
    file = path.with_name(REVIEWED.format(path.name))
    if not file.is_file():
        return 0
    decisions = read_decisions(file)
    kept = [one for one in decisions if tombstones.mark(one.image_digest) not in tombstones.pictures]
    if len(kept) < len(decisions):
        write_text(file, "".join(one.to_line() for one in kept))
    return len(decisions) - len(kept)


def _remove_beside(path: Path) -> tuple[str, ...]:
    """Removes what interrupted commands left beside the dataset.

    Raises:
        DataError: a command is still writing there.
    """
    removed = []
    for pattern in HIDDEN_BESIDE:
        place = path.parent / pattern.format(path.name)
        if place.is_dir():
            with exclusive(place, new=False), suppress(FileNotFoundError):
                shutil.rmtree(place)
            removed.append(str(place))
    return tuple(removed)
