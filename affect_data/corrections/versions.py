"""Label versions: decisions become new labels, the earlier labels stay beside them, and undoing restores their bytes.

::

    merged/
      dataset.json                     names the labels in force
      train/labels/                    the labels in force
      versions/0001/                   what the first application of decisions replaced
        train/labels/                    the labels before
        changes.parquet                  who, when, why, old value, new value
        decisions.jsonl                  the file of decisions

A version is complete before the manifest names its labels; the labels before are second names (hard links) of the same files. The next command
removes or completes what a killed command left, and the dataset can be read at every moment in between.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from affect_data.bounds import read_json
from affect_data.corrections.decisions import Decision, Labels, count_actions, read_decisions
from affect_data.corrections.matching import Change, LabelShard, Matching, Misfit, changed_shards, match
from affect_data.dataset.folder import DatasetFolder, Manifest, group_files, open_dataset, staged_group
from affect_data.dataset.hashing import combined_hash
from affect_data.dataset.kinds.registry import stale_groups
from affect_data.dataset.schema import LABELS
from affect_data.dataset.writing import labels_fingerprint, seal_group, settle_groups, write_manifest
from affect_data.errors import DataError
from affect_data.files import exclusive, flush, flush_folder, link_file, written_folder

VERSIONS: Final = "versions"
CHANGES: Final = "changes.parquet"
DECISIONS: Final = "decisions.jsonl"
BEFORE: Final = "before.json"
UNDONE: Final = "undone"

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
    """The result of applying decisions.

    Attributes:
        dataset: the dataset with the new labels.
        version: of its labels; 0 for those of the build.
        matching: which decisions fitted.
        actions: number of decisions in force, by action.
        stale: for each stale column group, the command that makes it again.
    """

    dataset: DatasetFolder
    version: int
    matching: Matching
    actions: dict[str, int]
    stale: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
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
    """The version of the labels in force; 0 for those of the build."""
    return int(manifest.provenance.get(LABELS, {}).get("version", 0))


def label_shards(folder: DatasetFolder) -> list[LabelShard]:
    """The shards of labels of a dataset, in row order."""
    groups, shards = folder.manifest.layout.groups, []
    for split in folder.splits:
        places = {group: folder.group_folder(split, group) for group in groups}
        for name in group_files(places[LABELS]):
            files = {group: place / name for group, place in places.items()}
            shards.append(LabelShard(split, files, folder.view))
    return shards


def decision_files(folder: DatasetFolder) -> list[Path]:
    """The files of decisions that made the versions of the labels, oldest first."""
    return [_folder(folder, version) / DECISIONS for version in range(1, version_of(folder.manifest) + 1)]


def apply_decisions(path: Path | str, decisions_file: Path, *, fitting: bool = False) -> AppliedReport:
    """The result of writing decisions into a new version of the labels; all decisions are applied, or none.

    Only label files that change are written. Applying the same file again changes nothing.

    Args:
        path: dataset folder.
        decisions_file: as `affect-data review` writes it.
        fitting: whether decisions that do not fit are left out; otherwise they are an error.

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
            folder.load(split, folder.manifest.layout.groups)
        shards = label_shards(folder)
        matching = match(shards, folder.manifest.databases, decisions, folder.fingerprint)
        if matching.misfits and not fitting:
            raise MisfitsError(matching.misfits, len(decisions))
        version = version_of(folder.manifest)
        if matching.changes:
            version += 1
            try:
                _write_version(folder, version, shards, matching.changes, decisions, decisions_file)
            finally:
                settle(open_dataset(path))
    after = open_dataset(path)
    return AppliedReport(after, version, matching, count_actions(decisions), stale_groups(after))


def undo_version(path: Path | str) -> tuple[DatasetFolder, int]:
    """Restores the labels from before the last application of decisions, byte by byte.

    If an earlier undo was killed after it had restored them, it is only completed: starting an undo again does not undo more.

    Returns:
        The dataset, and the version of the labels that are now in force.

    Raises:
        DataError: no decisions were applied.
    """
    with exclusive(open_dataset(path).path):
        folder = open_dataset(path)
        version = version_of(folder.manifest)
        was_killed = _is_undone(_folder(folder, version + 1))
        settle(folder)
        if was_killed:
            return folder, version
        if not version:
            raise DataError(
                f"'{path}' has the labels of its build: no decisions were applied, so there is nothing to undo"
            )
        kept = _folder(folder, version)
        before = read_json(kept / BEFORE)
        manifest = folder.manifest.model_copy(deep=True)
        for split, groups in before["groups"].items():
            for group, fingerprint in groups.items():
                place = staged_group(folder.path / split / group)
                shutil.copytree(kept / split / group, place, copy_function=link_file)
                flush_folder(place)
                flush(place.parent)
                manifest.groups[split][group] = fingerprint
                manifest.shards[split][group] = before["shards"][split][group]
        manifest.fingerprints = manifest.fingerprints.model_copy(update={"labels": labels_fingerprint(manifest)})
        if before["provenance"] is None:
            manifest.provenance.pop(LABELS, None)
        else:
            manifest.provenance[LABELS] = before["provenance"]
        (kept / UNDONE).touch()
        write_manifest(folder.path, manifest)
        settle(open_dataset(path))
    return open_dataset(path), version - 1


def read_changes(folder: DatasetFolder) -> pl.DataFrame:
    """A row for every label that decisions have changed: `version` and `CHANGE_COLUMNS`, oldest first; old and new are JSON."""
    parts = [pl.DataFrame(schema={"version": pl.Int32, **CHANGE_COLUMNS})]
    for version in range(1, version_of(folder.manifest) + 1):
        changes = pl.read_parquet(_folder(folder, version) / CHANGES)
        parts.append(changes.select(pl.lit(version, pl.Int32).alias("version"), *CHANGE_COLUMNS))
    return pl.concat(parts)


def settle(folder: DatasetFolder) -> None:
    """Completes or removes what a killed `apply_decisions` or `undo_version` left, as the manifest decides."""
    settle_groups(folder.path, folder.manifest)
    root = folder.path / VERSIONS
    if not root.is_dir():
        return
    for kept in sorted(root.iterdir()):
        if not kept.name.isdigit() or int(kept.name) > version_of(folder.manifest):
            # The mark is removed last, so that `_is_undone` still tells after another kill.
            for part in sorted(kept.iterdir(), key=lambda part: part.name == UNDONE):
                shutil.rmtree(part) if part.is_dir() else part.unlink()
            kept.rmdir()
    if not any(root.iterdir()):
        root.rmdir()


def _is_undone(kept: Path) -> bool:
    """Whether an undo of this version was killed before it had removed all of it."""
    return kept.is_dir() and ((kept / UNDONE).is_file() or not any(kept.iterdir()))


def _folder(folder: DatasetFolder, version: int) -> Path:
    return folder.path / VERSIONS / f"{version:04d}"


def _write_version(
    folder: DatasetFolder,
    version: int,
    shards: list[LabelShard],
    changes: list[Change],
    decisions: Sequence[Decision],
    decisions_file: Path,
) -> None:
    manifest = folder.manifest.model_copy(deep=True)
    written = _stage(folder, shards, changes)
    for split, groups in written.items():
        for group, hashes in groups.items():
            manifest.groups[split][group] = combined_hash(hashes, seed=group)
            manifest.shards[split][group] = hashes
    manifest.fingerprints = manifest.fingerprints.model_copy(update={"labels": labels_fingerprint(manifest)})
    text = decisions_file.read_bytes()
    manifest.provenance[LABELS] = {
        "version": version,
        "decisions": hashlib.sha256(text).hexdigest(),
        "changed": len({(change.split, change.uid) for change in changes}),
        "who": sorted({change.decision.who for change in changes}),
        "actions": count_actions(decisions),
    }
    before = {
        "groups": {
            split: {group: folder.manifest.groups[split][group] for group in written[split]} for split in written
        },
        "shards": {
            split: {group: folder.manifest.shards[split][group] for group in written[split]} for split in written
        },
        "provenance": folder.manifest.provenance.get(LABELS),
    }
    with written_folder(_folder(folder, version)) as kept:
        (kept / DECISIONS).write_bytes(text)
        _table(changes).write_parquet(kept / CHANGES)
        (kept / BEFORE).write_text(json.dumps(before, indent=1) + "\n", encoding="utf-8")
        for split, groups in written.items():
            for group in groups:
                shutil.copytree(folder.path / split / group, kept / split / group, copy_function=link_file)
    write_manifest(folder.path, manifest)


def _stage(folder: DatasetFolder, shards: list[LabelShard], changes: list[Change]) -> dict[str, dict[str, list[str]]]:
    """The fingerprints of the shards of all changed splits, by split and column group; the new labels are written beside the old ones."""
    rewritten = {number: shards[number].changed(table) for number, table in changed_shards(shards, changes)}
    found: dict[str, dict[str, list[str]]] = {}
    for split in sorted({change.split for change in changes}):
        own = [number for number, shard in enumerate(shards) if shard.split == split]
        found[split] = {}
        for group in folder.manifest.layout.groups:
            if any(group in rewritten.get(number, {}) for number in own):
                found[split][group] = _stage_group(
                    folder,
                    split,
                    group,
                    [shards[number] for number in own],
                    {
                        index: rewritten[number][group]
                        for index, number in enumerate(own)
                        if group in rewritten.get(number, {})
                    },
                )
    return found


def _stage_group(
    folder: DatasetFolder, split: str, group: str, shards: Sequence[LabelShard], changed: Mapping[int, pa.Table]
) -> list[str]:
    """The fingerprints of a column group's shards; the group is written beside the old one, with hard links to the files that stay."""
    place = staged_group(folder.path / split / group)
    hashes = list(folder.manifest.shards[split][group])
    for index, shard in enumerate(shards):
        path = place / shard.files[group].name
        if index in changed:
            hashes[index] = shard.write(group, changed[index], path)
        else:
            path.parent.mkdir(exist_ok=True)
            link_file(shard.files[group], path)
    names = [shard.files[group].name for shard in shards]
    seal_group(place, names, folder.manifest.layout.features(group), combined_hash(hashes, seed=group), split)
    return hashes


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
