"""Label versions: decisions become new labels, the labels before stay beside them, and undoing puts their bytes back.

::

    merged/
      dataset.json                     names the labels in force
      train/labels/                    the labels in force
      versions/0001/                   what the first application of decisions replaced
        train/labels/                    the labels before
        changes.parquet                  who, when, why, old value, new value
        decisions.jsonl                  the file of decisions

The manifest is written last. What an interrupted command left is put right by the next one.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from affect_data.corrections.decisions import Decision, Labels, count_actions, read_decisions
from affect_data.corrections.matching import Change, LabelShard, Matching, Misfit, changed_shards, match
from affect_data.dataset.folder import DatasetFolder, Manifest, open_dataset
from affect_data.dataset.hashing import content_hash, dataset_fingerprint
from affect_data.dataset.schema import LABELS, features
from affect_data.dataset.writing import seal_group, write_manifest, write_shard
from affect_data.errors import DataError
from affect_data.files import exclusive, write_text

VERSIONS: Final = "versions"
CHANGES: Final = "changes.parquet"
DECISIONS: Final = "decisions.jsonl"
BEFORE: Final = "before.json"
NEW: Final = "labels.new"

CHANGE_COLUMNS: Final = {
    **dict.fromkeys(("uid", "split", "database", "image_digest"), pl.String),
    "face": pl.Int16,
    **dict.fromkeys(("action", "old", "new", "who", "when", "why", "decision"), pl.String),
}


class MisfitsError(DataError):
    """Decisions that do not fit the dataset; nothing was applied."""

    def __init__(self, misfits: Sequence[Misfit], total: int) -> None:
        self.misfits = tuple(misfits)
        shown = "".join(f"\n  {m.decision.uid} ({m.decision.action}): {m.reason}" for m in self.misfits[:20])
        more = f"\n  ... and {len(self.misfits) - 20:,} more" if len(self.misfits) > 20 else ""
        super().__init__(
            f"{len(self.misfits):,} of {total:,} decision(s) do not fit this dataset, nothing was applied:{shown}{more}\n"
            "Pass --fitting to apply the others, or take these lines out of the file."
        )


@dataclass(frozen=True)
class AppliedReport:
    """What applying decisions did.

    Attributes:
        dataset: with the new labels.
        version: of its labels; 0 are those of the build.
        matching: what fitted.
        actions: decisions in force, by action.
        stale: column groups that were made for the labels before.
    """

    dataset: DatasetFolder
    version: int
    matching: Matching
    actions: dict[str, int]
    stale: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "dataset": str(self.dataset.path),
            "version": self.version,
            "fingerprint": self.dataset.fingerprint,
            "actions": self.actions,
            "foreign": self.matching.foreign,
            "stale": list(self.stale),
            **self.matching.summary(),
        }


def version_of(manifest: Manifest) -> int:
    """Number of the labels in force; 0 are those of the build."""
    return int(manifest.provenance.get(LABELS, {}).get("version", 0))


def label_shards(folder: DatasetFolder) -> list[LabelShard]:
    """The files of labels of a dataset, in row order."""
    shards = []
    for split in folder.splits:
        state = json.loads((folder.path / split / LABELS / "state.json").read_text(encoding="utf-8"))
        shards += [LabelShard(split, folder.path / split / LABELS / f["filename"]) for f in state["_data_files"]]
    return shards


def labels_fingerprint(shards: Sequence[LabelShard], databases: Sequence[str]) -> str:
    """Hash of the labels of one split."""
    return content_hash(pa.concat_tables(shard.read() for shard in shards), seed=",".join(sorted(databases)))


def apply_decisions(path: Path | str, decisions_file: Path, *, fitting: bool = False) -> AppliedReport:
    """Writes the labels that decisions give as a new version; all decisions, or none.

    Only the files of labels that change are written; applying the same file again changes nothing.

    Args:
        path: dataset folder.
        decisions_file: as `affect-data review` writes it.
        fitting: whether decisions that do not fit are left out, instead of all.

    Raises:
        DecisionsError: a line is no decision.
        MisfitsError: a decision does not fit, and `fitting` is not set.
        SchemaError: the new labels break a rule of the schema.
    """
    folder = open_dataset(path)
    decisions = read_decisions(decisions_file)
    with exclusive(folder.path):
        folder = open_dataset(path)
        settle(folder)
        for split in folder.splits:
            folder.load(split, [LABELS])
        shards = label_shards(folder)
        matching = match(shards, folder.manifest.databases, decisions, folder.fingerprint)
        if matching.misfits and not fitting:
            raise MisfitsError(matching.misfits, len(decisions))
        version = version_of(folder.manifest)
        if matching.changes:
            version += 1
            _write_version(folder, version, shards, matching.changes, decisions, decisions_file)
    after = open_dataset(path)
    return AppliedReport(after, version, matching, count_actions(decisions), stale_groups(after))


def undo_version(path: Path | str) -> tuple[DatasetFolder, int]:
    """Puts the labels before the last application of decisions back, byte by byte.

    Returns:
        The dataset, and the number of the labels that are in force now.

    Raises:
        DataError: no decisions were applied.
    """
    with exclusive(open_dataset(path).path):
        folder = open_dataset(path)
        settle(folder)
        version = version_of(folder.manifest)
        if not version:
            raise DataError(
                f"'{path}' has the labels of its build: no decisions were applied, so there is nothing to undo"
            )
        kept = _folder(folder, version)
        before = json.loads((kept / BEFORE).read_text(encoding="utf-8"))
        for split in _splits_of(kept):
            (folder.path / split / LABELS).rename(kept / split / NEW)
            (kept / split / LABELS).rename(folder.path / split / LABELS)
        manifest = folder.manifest.model_copy(deep=True)
        for split, fingerprint in before["labels"].items():
            manifest.groups[split][LABELS] = fingerprint
        manifest.fingerprint = before["fingerprint"]
        if before["provenance"] is None:
            manifest.provenance.pop(LABELS, None)
        else:
            manifest.provenance[LABELS] = before["provenance"]
        write_manifest(folder.path, manifest)
        _remove(kept)
    return open_dataset(path), version - 1


def read_changes(folder: DatasetFolder) -> pl.DataFrame:
    """Every label that decisions have changed: `version` and `CHANGE_COLUMNS`, oldest first; old and new as JSON."""
    parts = [pl.DataFrame(schema={"version": pl.Int32, **CHANGE_COLUMNS})]
    for version in range(1, version_of(folder.manifest) + 1):
        changes = pl.read_parquet(_folder(folder, version) / CHANGES)
        parts.append(changes.select(pl.lit(version, pl.Int32).alias("version"), *CHANGE_COLUMNS))
    return pl.concat(parts)


def stale_groups(folder: DatasetFolder) -> tuple[str, ...]:
    """Column groups that were made for other labels than those in force, alphabetical."""
    return tuple(
        sorted(
            name
            for name, provenance in folder.manifest.provenance.items()
            if provenance.get("dataset_fingerprint", folder.fingerprint) != folder.fingerprint
        )
    )


def settle(folder: DatasetFolder) -> None:
    """Puts right what a killed `apply_decisions` or `undo_version` left: the labels on disk become those that the manifest names."""
    root = folder.path / VERSIONS
    if not root.is_dir():
        return
    version = version_of(folder.manifest)
    for kept in sorted(root.iterdir(), reverse=True):
        if not kept.name.isdigit():
            shutil.rmtree(kept)
            continue
        for split in _splits_of(kept):
            current = folder.path / split / LABELS
            if int(kept.name) > version and (kept / split / LABELS).is_dir():
                shutil.rmtree(current, ignore_errors=True)
                (kept / split / LABELS).rename(current)
            elif int(kept.name) == version and (kept / split / NEW).is_dir():
                if current.is_dir():
                    current.rename(kept / split / LABELS)
                (kept / split / NEW).rename(current)
        if int(kept.name) > version:
            _remove(kept)
    if root.is_dir() and not any(root.iterdir()):
        root.rmdir()


def _folder(folder: DatasetFolder, version: int) -> Path:
    return folder.path / VERSIONS / f"{version:04d}"


def _splits_of(kept: Path) -> list[str]:
    return sorted(path.name for path in kept.iterdir() if path.is_dir())


def _remove(kept: Path) -> None:
    shutil.rmtree(kept)
    if not any(kept.parent.iterdir()):
        kept.parent.rmdir()


def _write_version(
    folder: DatasetFolder,
    version: int,
    shards: list[LabelShard],
    changes: list[Change],
    decisions: Sequence[Decision],
    decisions_file: Path,
) -> None:
    manifest = folder.manifest.model_copy(deep=True)
    partial = folder.path / VERSIONS / f".{version:04d}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    written = _stage(folder, partial, shards, changes)
    for split, fingerprint in written.items():
        manifest.groups[split][LABELS] = fingerprint
    manifest.fingerprint = dataset_fingerprint(manifest.groups)
    text = decisions_file.read_bytes()
    manifest.provenance[LABELS] = {
        "version": version,
        "decisions": hashlib.sha256(text).hexdigest(),
        "changed": len({(change.split, change.uid) for change in changes}),
        "who": sorted({change.decision.who for change in changes}),
        "actions": count_actions(decisions),
    }
    before = {
        "fingerprint": folder.fingerprint,
        "labels": {split: folder.manifest.groups[split][LABELS] for split in written},
        "provenance": folder.manifest.provenance.get(LABELS),
    }
    (partial / DECISIONS).write_bytes(text)
    _table(changes).write_parquet(partial / CHANGES)
    write_text(partial / BEFORE, json.dumps(before, indent=1) + "\n")
    for name in (DECISIONS, CHANGES):
        with (partial / name).open("rb") as source:
            os.fsync(source.fileno())
    kept = _folder(folder, version)
    partial.rename(kept)
    for split in written:
        (folder.path / split / LABELS).rename(kept / split / LABELS)
        (kept / split / NEW).rename(folder.path / split / LABELS)
    write_manifest(folder.path, manifest)


def _stage(folder: DatasetFolder, partial: Path, shards: list[LabelShard], changes: list[Change]) -> dict[str, str]:
    """Writes the new labels of the splits that change; returns their fingerprints."""
    databases = folder.manifest.databases
    described = features(LABELS, databases)
    changed = {change.split for change in changes}
    staged = {
        number: LabelShard(shard.split, partial / shard.split / NEW / shard.path.name)
        for number, shard in enumerate(shards)
        if shard.split in changed
    }
    for number, table in changed_shards(shards, changes):
        write_shard(staged[number].path, table, described)
    for number, shard in staged.items():
        if not shard.path.exists():
            # The files of a group are never written in place, so that two names may share one.
            shard.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(shards[number].path, shard.path)
            except OSError:  # a file system without links
                shutil.copyfile(shards[number].path, shard.path)
    fingerprints = {}
    for split in sorted(changed):
        own = [shard for shard in staged.values() if shard.split == split]
        fingerprints[split] = labels_fingerprint(own, databases)
        names = [shard.path.name for shard in own]
        seal_group(partial / split / NEW, names, described, fingerprints[split], split)
    return fingerprints


def _table(changes: list[Change]) -> pl.DataFrame:
    def text(fields: dict[tuple[str, int], Any]) -> str:
        return json.dumps(Labels.of_fields(fields).model_dump(mode="json", exclude_unset=True), sort_keys=True)

    rows = [
        {
            **change.decision.model_dump(include={"database", "image_digest", "face", "action", "who", "when", "why"}),
            "uid": change.uid,
            "split": change.split,
            "old": text(change.old),
            "new": text(change.new),
            "decision": change.decision.id,
        }
        for change in changes
    ]
    return pl.DataFrame(rows, schema=CHANGE_COLUMNS)
