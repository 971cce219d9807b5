"""Checks a dataset folder against its own manifest and lock: from metadata, or value by value."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa

from affect_data.build.existing import read_lock
from affect_data.dataset.folder import DatasetFolder, group_files, open_dataset
from affect_data.dataset.hashing import combined_hash, content_hash, dataset_fingerprint
from affect_data.dataset.kinds.registry import KINDS
from affect_data.dataset.layout import PEOPLE, PEOPLE_COLUMNS, frames_hash
from affect_data.dataset.schema import FRAMES, IMAGES, check_rules
from affect_data.dataset.videos import changed_videos, misplaced_videos
from affect_data.dataset.writing import labels_fingerprint
from affect_data.errors import DataError, NotADatasetError, SchemaError
from affect_data.hub.codes import Finding, Verification
from affect_data.video.stored import VIDEOS


def verify_dataset(path: Path, *, deep: bool = False) -> Verification:
    """All defects of a dataset folder.

    Args:
        path: the folder.
        deep: whether to read all values and pictures, too.

    Raises:
        NotADatasetError: it is not a dataset.
    """
    folder = open_dataset(path)
    found = [*_manifest(folder), *_lock(folder)]
    broken = list(_groups(folder))
    if not broken:
        found += _videos(folder, deep=deep)
    if deep and not broken:
        for split in folder.splits:
            found += [
                *_values(folder, split), *_pictures(folder, split), *_frames(folder, split), *_rules(folder, split),
            ]  # fmt: skip
    files = sum(
        len(group_files(folder.group_folder(split, group))) for split in folder.splits for group in folder.groups(split)
    )
    return Verification(str(path), "dataset", deep, folder.manifest.rows, files, sorted([*found, *broken]))


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


def _values(folder: DatasetFolder, split: str) -> Iterator[Finding]:
    """The groups of labels whose values do not have their fingerprints, shard by shard."""
    hashes = folder.manifest.shards[split]
    for group in (*folder.manifest.layout.groups, *folder.manifest.layout.side_groups):
        place = folder.group_folder(split, group)
        for number, name in enumerate(group_files(place)):
            table = pa.ipc.open_stream(pa.memory_map(str(place / name))).read_all()
            if number >= len(hashes[group]) or content_hash(table) != hashes[group][number]:
                yield Finding("D201", f"{split}/{group}/{name}", "other values")
    rows = folder.labels(split, PEOPLE_COLUMNS)
    first = 0
    for number, count in enumerate(_rows_of_shards(folder, split)):
        if content_hash(rows.slice(first, count).to_arrow()) != hashes[PEOPLE][number]:
            yield Finding("D201", f"{split}, rows {first:,} to {first + count - 1:,}", "other people or frames")
        first += count


def _rows_of_shards(folder: DatasetFolder, split: str) -> list[int]:
    place = folder.group_folder(split, IMAGES)
    files = [place / name for name in group_files(place)]
    return [pa.ipc.open_stream(pa.memory_map(str(file))).read_all().num_rows for file in files]


def _pictures(folder: DatasetFolder, split: str) -> Iterator[Finding]:
    digests = folder.labels(split, ("image_digest",))["image_digest"]
    column = folder.load(split, [IMAGES]).data.table.column("image")
    row = 0
    for chunk in column.chunks:
        for data in chunk.field("bytes"):
            if hashlib.sha256(data.as_buffer()).hexdigest() != digests[row]:
                yield Finding("D202", f"{split}/{IMAGES}", f"row {row:,}")
            row += 1


def _videos(folder: DatasetFolder, *, deep: bool) -> Iterator[Finding]:
    for name, because in misplaced_videos(folder).items():
        yield Finding("D107", f"{VIDEOS}/{name}", because)
    for name, because in changed_videos(folder).items() if deep else ():
        yield Finding("D204", f"{VIDEOS}/{name}", because)


def _frames(folder: DatasetFolder, split: str) -> Iterator[Finding]:
    """The shards of clips whose frames do not have their fingerprints."""
    if FRAMES not in folder.groups(split):
        return
    place, hashes = folder.group_folder(split, FRAMES), folder.manifest.shards[split][FRAMES]
    for number, name in enumerate(group_files(place)):
        rows = pa.ipc.open_stream(pa.memory_map(str(place / name))).read_all().column(FRAMES).to_pylist()
        digests = [[hashlib.sha256(frame["bytes"]).hexdigest() for frame in frames] for frames in rows]
        if frames_hash(digests) != hashes[number]:
            yield Finding("D202", f"{split}/{FRAMES}/{name}", "other frames of clips")


def _rules(folder: DatasetFolder, split: str) -> Iterator[Finding]:
    labels: pl.DataFrame = folder.labels(split)
    try:
        # Classes by number, as the rules take them.
        check_rules(labels)
    except SchemaError as error:
        yield Finding("D203", split, str(error).partition(". ")[0])
