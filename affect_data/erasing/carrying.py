"""Takes what was made from a dataset, and the history of its labels, over into the dataset without the erased rows."""

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from affect_data.bounds import read_json
from affect_data.corrections.decisions import Decision, count_actions, read_decisions
from affect_data.corrections.versions import BEFORE, CHANGES, DECISIONS, VERSIONS, version_of
from affect_data.dataset.folder import DatasetFolder, Manifest, group_files
from affect_data.dataset.hashing import combined_hash
from affect_data.dataset.kinds.base import Dependency
from affect_data.dataset.kinds.folds import FOLDS
from affect_data.dataset.kinds.registry import KINDS
from affect_data.dataset.schema import LABELS
from affect_data.erasing.rewriting import Rewriting, read_file, write_filtered, write_sharded
from affect_data.erasing.selection import Selection
from affect_data.files import write_json

NO_FOLD: Final = -1


def carry_made(rewriting: Rewriting, manifest: Manifest) -> None:
    """Writes soft labels, features, folds and balance weights without the erased rows, and names them in the manifest.

    What depends on pictures or people alone stays valid, because it says something about each row. Weights were computed from the distribution of all
    rows, so they are stale afterwards, as after any change of labels.
    """
    from datasets import DatasetInfo

    old, new = rewriting.old, DatasetFolder(rewriting.new, manifest)
    for group, described in old.manifest.provenance.items():
        kind = next((kind for kind in KINDS if kind.provenance is not None and kind.owns(group)), None)
        if group == LABELS or kind is None:
            continue
        for split in (split for split in new.splits if group in old.groups(split)):
            place = old.group_folder(split, group)
            features = DatasetInfo.from_directory(str(place)).features
            rows = rewriting.kept(split)
            manifest.groups[split][group] = write_filtered(
                place, rewriting.new / split / group, rows, features, group, split
            )
        known = dict(described)
        was_fresh = not kind.changed(old, described.get("made_from", {}))
        if was_fresh and Dependency.LABELS not in kind.depends_on:
            known["made_from"] = kind.made_from(new)
        if FOLDS.owns(group) and "rows" in known:
            known["rows"] = _rows_by_fold(rewriting.new, manifest, group)
        manifest.provenance[group] = known


def _rows_by_fold(path: Path, manifest: Manifest, group: str) -> dict[str, int]:
    folds = [
        read_file(path / split / group / name).column(0).to_numpy()
        for split in manifest.rows
        if group in manifest.groups[split]
        for name in group_files(path / split / group)
    ]
    numbers, counts = np.unique(np.concatenate(folds), return_counts=True)
    return {str(number): int(count) for number, count in zip(numbers, counts, strict=True)}


def carry_versions(rewriting: Rewriting, selection: Selection, manifest: Manifest) -> None:
    """Writes the earlier labels, their changes and the decisions without the erased rows, so that they can still be undone."""
    old = rewriting.old
    provenance: dict[str, Any] | None = None
    for version in range(1, version_of(old.manifest) + 1):
        name = f"{version:04d}"
        kept, target = old.path / VERSIONS / name, rewriting.new / VERSIONS / name
        before = read_json(kept / BEFORE)
        groups: dict[str, dict[str, str]] = {}
        shards: dict[str, dict[str, list[str]]] = {}
        for split in (split for split in before["groups"] if split in manifest.rows):
            for group in before["groups"][split]:
                hashes = _write_labels(rewriting, kept / split / group, target / split / group, split)
                groups.setdefault(split, {})[group] = combined_hash(hashes, seed=group)
                shards.setdefault(split, {})[group] = hashes
        target.mkdir(parents=True, exist_ok=True)
        write_json(target / BEFORE, {"groups": groups, "shards": shards, "provenance": provenance})
        provenance = _write_decisions(kept, target, rewriting, selection, version)
    if provenance is not None:
        manifest.provenance[LABELS] = provenance


def _write_labels(rewriting: Rewriting, old: Path, new: Path, split: str) -> list[str]:
    table = pa.concat_tables([read_file(old / name) for name in group_files(old)])
    if old.name == LABELS:
        table = rewriting.renumbered(table)
    return write_sharded(table, rewriting.cut.shards[split], new, rewriting.layout.features(old.name), split)


def _write_decisions(
    kept: Path, target: Path, rewriting: Rewriting, selection: Selection, version: int
) -> dict[str, Any]:
    """Writes the decisions and changes of one version that are about other rows; returns what the manifest says of it."""
    erased = {
        uid
        for split, mask in selection.masks.items()
        for uid in rewriting.old.labels(split, ("uid",))["uid"].filter(mask)
    }
    decisions = [one for one in read_decisions(kept / DECISIONS) if not is_about(one, erased, selection)]
    text = "".join(decision.to_line() for decision in decisions).encode()
    (target / DECISIONS).write_bytes(text)
    changes = pl.read_parquet(kept / CHANGES).filter(~pl.col("uid").is_in(list(erased)))
    changes.write_parquet(target / CHANGES)
    return {
        "version": version,
        "decisions": hashlib.sha256(text).hexdigest(),
        "changed": changes.select(pl.struct("split", "uid").n_unique()).item(),
        "who": changes["who"].unique().sort().to_list(),
        "actions": count_actions(decisions),
    }


def is_about(decision: Decision, uids: set[str], selection: Selection) -> bool:
    """Whether a decision is about an erased row or picture."""
    return decision.uid in uids or decision.image_digest in selection.digests
