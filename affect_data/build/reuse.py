"""Which shards of a build are already in the dataset that it replaces: their files then get a second name, and no picture is read or written."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from affect_data.build.jobs import EarlierShard, ShardJob, ShardRecord, record_path
from affect_data.build.seen import SEEN
from affect_data.dataset.folder import DatasetFolder, group_files
from affect_data.dataset.schema import IMAGES

NEW_DATABASE = "a new database"
NEW_ROWS = "other rows, face boxes or pictures"
NO_MEMORY = f"the dataset that was there has no folder {SEEN}"
OTHER_LABELS = "other labels"
OTHER_LAYOUT = "other columns or databases"


@dataclass(frozen=True)
class Part:
    """What became of the shards of one database.

    Attributes:
        database: its name.
        pictures_kept: number of shards whose pictures were in the dataset that was replaced.
        pictures_written: number of the others.
        labels_kept: number of shards whose labels were there.
        labels_written: number of the others.
        because: why something had to be written, the most frequent reason first.
    """

    database: str
    pictures_kept: int
    pictures_written: int
    labels_kept: int
    labels_written: int
    because: tuple[str, ...]


def with_earlier(jobs: Sequence[ShardJob], existing: DatasetFolder) -> list[ShardJob]:
    """The jobs, each with the shard of the same pictures in a dataset, or with the reason why there is none."""
    if not (existing.path / SEEN).is_dir():
        return [replace(job, because=NO_MEMORY) for job in jobs]
    shards = earlier_shards(existing)
    same_layout = [job.layout == existing.manifest.layout for job in jobs[:1]]
    found = []
    for job in jobs:
        (name,) = job.roots
        earlier = shards.get(job.pictures_key())
        if earlier is None:
            because = NEW_ROWS if name in existing.manifest.databases else NEW_DATABASE
        else:
            because = OTHER_LABELS if all(same_layout) else OTHER_LAYOUT
        found.append(replace(job, earlier=earlier, because=because))
    return found


def earlier_shards(existing: DatasetFolder) -> dict[str, EarlierShard]:
    """The shards of a dataset that remember their pictures, by `ShardJob.pictures_key`."""
    layout, found = existing.manifest.layout, {}
    for split in existing.splits:
        groups = (*layout.pictures, *layout.groups, *layout.side_groups)
        places = {group: existing.group_folder(split, group) for group in groups}
        files = {group: [place / name for name in group_files(place)] for group, place in places.items()}
        stated = existing.manifest.shards.get(split, {})
        for index in range(len(files[IMAGES])):
            path = record_path(existing.path, split, index)
            record = ShardRecord.read(path)
            if record is None or any(index >= len(own) for own in files.values()):
                continue
            same = {
                group: stated.get(group, [])[index : index + 1] == [record.fingerprints.get(group)] for group in groups
            }
            if all(same[group] for group in layout.pictures):
                labels = all(same[group] for group in groups if group not in layout.pictures)
                own = {group: names[index] for group, names in files.items()}
                found[record.pictures_key] = EarlierShard(record, own, path.with_suffix(".pictures"), labels)
    return found


def parts_of(jobs: Sequence[ShardJob], records: Sequence[ShardRecord]) -> tuple[Part, ...]:
    """What became of each database; `records` are in the order of the jobs."""
    both = sorted(zip(jobs, records, strict=True), key=lambda pair: next(iter(pair[0].roots)))
    parts = []
    for name, pairs in groupby(both, key=lambda pair: next(iter(pair[0].roots))):
        own = [record for _, record in pairs]
        pictures, labels = (sum(getattr(record, kept) for record in own) for kept in ("pictures_kept", "labels_kept"))
        reasons = [record.because for record in own if record.because]
        because = tuple(sorted(dict.fromkeys(reasons), key=reasons.count, reverse=True))
        parts.append(Part(name, pictures, len(own) - pictures, labels, len(own) - labels, because))
    return tuple(parts)
