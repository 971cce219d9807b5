"""What of a dataset outlives its replacement: column groups that still fit the new one."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affect_data.corrections.decisions import read_decisions
from affect_data.corrections.versions import decision_files
from affect_data.dataset.folder import DatasetFolder, Manifest
from affect_data.dataset.kinds.base import Dependency
from affect_data.dataset.kinds.registry import KINDS
from affect_data.dataset.layout import PEOPLE_COLUMNS
from affect_data.dataset.schema import LABELS
from affect_data.files import link_file


def carry_groups(old: DatasetFolder, staging: Path, manifest: Manifest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Takes column groups of a dataset over into the one that replaces it, where they were made from what both have.

    Args:
        old: the dataset that is replaced.
        staging: the folder of the new one; the files of a group become second names.
        manifest: of the new one; names the groups afterwards.

    Returns:
        The groups that stay, and those that do not, with the reason; alphabetical.
    """
    kept, lost = [], []
    new = DatasetFolder(staging, manifest)
    for group, described in sorted(old.manifest.provenance.items()):
        kind = next((kind for kind in KINDS if kind.provenance is not None and kind.owns(group)), None)
        if group == LABELS or kind is None:
            continue
        changed = kind.changed(new, described.get("made_from", {}))
        if old.manifest.rows != manifest.rows:
            changed = (*changed, "rows")
        elif not kind.changed(old, described.get("made_from", {})):
            changed = tuple(name for name in changed if not _is_same(old, new, name))
        if changed:
            lost.append(f"{group} ({', '.join(f'other {name}' for name in changed)})")
            continue
        for split in (split for split in old.splits if group in old.groups(split)):
            target = staging / split / group
            # A build that was killed may have got this far.
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(old.group_folder(split, group), target, copy_function=link_file)
            manifest.groups[split][group] = old.manifest.groups[split][group]
        manifest.provenance[group] = {**described, "made_from": kind.made_from(new)}
        kept.append(group)
    return tuple(kept), tuple(lost)


def _is_same(old: DatasetFolder, new: DatasetFolder, name: str) -> bool:
    """Whether two datasets of as many rows have the same pictures or people, although their fingerprints differ: files may be cut elsewhere."""
    columns = {Dependency.PICTURES: ("image_digest", "face_box"), Dependency.PEOPLE: PEOPLE_COLUMNS}.get(
        Dependency(name)
    )
    if columns is None or old.manifest.layout.clips or new.manifest.layout.clips:
        return False
    # Column by column: of a large dataset, two are enough to hold.
    return all(
        old.labels(split, [column]).equals(new.labels(split, [column])) for split in old.splits for column in columns
    )


def applied_decisions(folder: DatasetFolder, lock: Mapping[str, Any]) -> set[str]:
    """Ids of the decisions that made the labels of a dataset: those of its build, and those of its label versions."""
    built = (lock.get("decisions") or {}).get("ids", [])
    versions = (decision.id for path in decision_files(folder) for decision in read_decisions(path))
    return {*built, *versions}
