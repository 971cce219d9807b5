"""Checks a dataset folder against its own manifest and lock: from metadata, or value by value."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from affect_data.build.databases import Progress
from affect_data.build.existing import read_lock
from affect_data.dataset.folder import DatasetFolder, group_files, open_dataset
from affect_data.dataset.hashing import combined_hash, dataset_fingerprint
from affect_data.dataset.kinds.registry import KINDS
from affect_data.dataset.layout import PEOPLE
from affect_data.dataset.videos import changed_videos, misplaced_videos
from affect_data.dataset.writing import labels_fingerprint
from affect_data.errors import DataError, NotADatasetError
from affect_data.hub.codes import Finding, Verification
from affect_data.hub.verify_shards import value_findings
from affect_data.hub.verify_sources import Sources, source_findings
from affect_data.video.stored import VIDEOS


def verify_dataset(
    path: Path,
    *,
    deep: bool = False,
    sources: Sources | None = None,
    workers: int = 1,
    progress: Progress = lambda *_: None,
) -> Verification:
    """All defects of a dataset folder.

    Args:
        path: the folder.
        deep: whether to read all values and pictures, too.
        sources: databases to compare it with; None for none.
        workers: pictures that are read at a time.
        progress: told about every shard.

    Raises:
        NotADatasetError: it is not a dataset.
        AffectError: a source cannot be read.
    """
    folder = open_dataset(path)
    found = [*_manifest(folder), *_lock(folder)]
    broken = list(_groups(folder))
    if not broken:
        found += _videos(folder, deep=deep)
    if deep and not broken:
        found += value_findings(folder, workers, progress)
    if sources is not None and not broken:
        found += source_findings(folder, sources, workers, progress)
    files = sum(
        len(group_files(folder.group_folder(split, group))) for split in folder.splits for group in folder.groups(split)
    )
    return Verification(str(path), "dataset", deep, folder.manifest.rows, files, sorted({*found, *broken}))


def _manifest(folder: DatasetFolder) -> Iterator[Finding]:
    """Contradictions among fingerprints, found without reading values."""
    manifest = folder.manifest
    for split, shards in manifest.shards.items():
        for group, hashes in shards.items():
            named = manifest.groups.get(split, {}).get(group)
            if group != PEOPLE and named != combined_hash(hashes, seed=group):
                yield Finding("D104", f"{split}/{group}", "its fingerprint is not that of its shards")
    prints = manifest.fingerprints
    if prints.labels != labels_fingerprint(manifest):
        yield Finding("D104", "labels", f"the fingerprint {prints.labels} is not that of the groups")
    for name, groups in (("pictures", manifest.layout.pictures), ("people", (PEOPLE,))):
        hashed = dataset_fingerprint(
            {
                split: {group: combined_hash(own.get(group, [])) for group in groups}
                for split, own in manifest.shards.items()
            }
        )
        if getattr(prints, name) != hashed:
            yield Finding("D104", name, f"the fingerprint {getattr(prints, name)} is not that of the shards")


def _lock(folder: DatasetFolder) -> Iterator[Finding]:
    lock = read_lock(folder.path)
    if not lock:
        yield Finding("D105", "dataset.lock.json", "it is not there, or cannot be read")
        return
    if lock.get("rows") != folder.manifest.rows:
        yield Finding("D105", "rows", f"{lock.get('rows')} in the lock, {folder.manifest.rows} in the manifest")
    for name in ("pictures", "people"):
        # Labels may have been corrected since the build.
        locked, named = (lock.get("fingerprints") or {}).get(name), getattr(folder.manifest.fingerprints, name)
        if locked != named:
            yield Finding("D105", name, f"fingerprint {locked} in the lock, {named} in the manifest")
    missing = sorted(set(folder.manifest.databases) - set(lock.get("databases", {})))
    if missing:
        yield Finding("D105", "databases", f"the lock does not know {', '.join(missing)}")


def _groups(folder: DatasetFolder) -> Iterator[Finding]:
    layout = folder.manifest.layout
    for split in folder.splits:
        for group in folder.groups(split):
            where = f"{split}/{group}"
            try:
                loaded = folder.load(split, [group])
            except NotADatasetError as error:
                yield Finding("D101", where, str(error).partition(": ")[2].partition(". ")[0])
                continue
            except (OSError, ValueError, pa.ArrowException) as error:
                yield Finding("D101", where, f"cannot be opened: {str(error).splitlines()[0]}")
                continue
            if len(loaded) != folder.rows(split):
                yield Finding("D102", where, f"{len(loaded):,} rows, the split has {folder.rows(split):,}")
            known = group in (*layout.pictures, *layout.groups, *layout.side_groups)
            if (
                known
                and loaded.features.arrow_schema.remove_metadata()
                != layout.features(group).arrow_schema.remove_metadata()
            ):
                yield Finding("D103", where, f"has the columns {', '.join(loaded.features)}")
            yield from _provenance(folder, group, where)


def _provenance(folder: DatasetFolder, group: str, where: str) -> Iterator[Finding]:
    kind = next((kind for kind in KINDS if kind.provenance is not None and kind.owns(group)), None)
    if kind is not None:
        try:
            kind.described(folder, group.removeprefix(kind.prefix))
        except DataError as error:
            yield Finding("D106", where, str(error).partition(". ")[0])


def _videos(folder: DatasetFolder, *, deep: bool) -> Iterator[Finding]:
    for name, because in misplaced_videos(folder).items():
        yield Finding("D107", f"{VIDEOS}/{name}", because)
    for name, because in changed_videos(folder).items() if deep else ():
        yield Finding("D204", f"{VIDEOS}/{name}", because)
