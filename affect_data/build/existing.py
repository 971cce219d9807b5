"""The dataset at the place of a build: whether it is the same, and what differs."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from affect_data.bounds import read_json
from affect_data.build.carrying import applied_decisions
from affect_data.build.content import DIFFERENCES_SHOWN, Content, differences, hashed_pictures, wording
from affect_data.build.databases import DatabaseReport, Progress
from affect_data.build.jobs import EarlierShard, ShardJob
from affect_data.build.seen import SeenPictures
from affect_data.build.shards import seen_now, shared_out
from affect_data.corrections.decisions import Decision
from affect_data.corrections.matching import match
from affect_data.corrections.versions import label_shards
from affect_data.dataset.folder import LOCK, MANIFEST, DatasetFolder, open_dataset
from affect_data.dataset.videos import changed_videos, misplaced_videos
from affect_data.errors import DataError, FileAccessError, NotADatasetError, UnknownNameError
from affect_data.processes import map_jobs
from affect_data.system_errors import reading
from affect_data.video.stored import VIDEOS


class OutputTakenError(DataError):
    """The output folder holds something that a build must not replace."""

    def __init__(self, path: Path, because: str, remedy: str) -> None:
        super().__init__(f"'{path}' {because}. {remedy}")


def existing_dataset(out: Path) -> DatasetFolder | None:
    """The dataset at a path; None if there is nothing.

    Raises:
        OutputTakenError: something else is there.
        ForeignVersionError: a dataset of another version of affectkit is there.
    """
    if out.is_symlink() and not out.exists():
        because = "is a symbolic link that leads to nothing or to itself"
        raise OutputTakenError(out, because, "Remove the link, or choose another folder")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not out.is_dir() or not (out / MANIFEST).exists():
        raise OutputTakenError(out, "exists and is no affectkit dataset", "Choose a folder that is new or empty")
    try:
        return open_dataset(out)
    except NotADatasetError:
        because = f"holds a dataset that cannot be read: its {MANIFEST} is broken"
        raise OutputTakenError(out, because, "Remove the folder, or choose another") from None


def compared(
    existing: DatasetFolder,
    content: Content,
    jobs: list[ShardJob],
    decisions: Sequence[Decision],
    workers: int,
    progress: Progress,
) -> list[str]:
    """Why the existing dataset is not what the build would give, a sentence for each reason; empty if it is."""
    lock = read_lock(existing.path)
    known = Content.from_lock(lock)
    if known is None:
        return ["its lock does not say what it holds, because an older affectkit wrote it"]
    if known.without_pictures() != content:
        return differences({"content": asdict(known)}, {"content": asdict(content)}) or ["the files list other faces"]
    try:
        for split in existing.splits:
            layout = existing.manifest.layout
            existing.load(split, (*layout.pictures, *layout.groups, *layout.side_groups))
    except (NotADatasetError, UnknownNameError) as error:
        return [str(error)]
    if videos := misplaced_videos(existing) | changed_videos(existing):
        return [f"{VIDEOS}/{name}: {because}" for name, because in videos.items()]
    unnamed = applied_decisions(existing, lock) - {decision.id for decision in decisions}
    if unnamed:
        return [f"{len(unnamed):,} decision(s) were applied to it that the recipe does not name"]
    matching = match(label_shards(existing), existing.manifest.databases, decisions, existing.fingerprint)
    if matching.changes:
        return [f"{len(matching.changes):,} of the recipe's decisions are not applied to it"]
    pictures = hashed_pictures(jobs, all_digests(jobs, workers, progress))
    return differences({"content": asdict(known)}, {"content": asdict(replace(content, pictures=pictures))})


def all_digests(jobs: Sequence[ShardJob], workers: int, progress: Progress) -> list[bytes]:
    """The digests of the pictures of every job, 32 bytes each, in the order of the jobs; files that an earlier build knows are not read."""
    processes, threads = shared_out(workers, len(jobs))
    digests: dict[int, bytes] = {}
    look = partial(_numbered_digests, threads=threads)
    for done, (number, found) in enumerate(map_jobs(look, list(enumerate(jobs)), processes), start=1):
        digests[number] = found
        progress("comparing images", done, len(jobs))
    return [digests[number] for number in range(len(jobs))]


def _numbered_digests(numbered: tuple[int, ShardJob], threads: int) -> tuple[int, bytes]:
    """The number of the job and its digests, because jobs come back in the order in which they finish."""
    number, job = numbered
    seen = seen_now(job, threads=threads)
    if job.earlier is not None:
        _remember(seen, job.earlier)
    return number, seen.digests


def _remember(seen: SeenPictures, earlier: EarlierShard) -> None:
    """Notes the marks of files that were too new for one, or had been touched, when the dataset was built."""
    known = SeenPictures.read(earlier.seen)
    if known is None or seen.digest != earlier.record.pictures or seen.known <= known.known:
        return
    # A dataset that cannot be written to is compared all the same.
    with suppress(FileAccessError):
        seen.write(earlier.seen)


def in_the_way(
    existing: DatasetFolder, found: Sequence[str], reports: Mapping[str, DatabaseReport], recipe: Mapping[str, Any]
) -> tuple[str, str]:
    """What is in the way of a build, and what to do.

    Args:
        existing: the dataset that is there.
        found: why it differs, from `compared`.
        reports: of the databases of the build.
        recipe: its content.
    """
    lock = read_lock(existing.path)
    explained = wording(
        lock, {"databases": {name: asdict(report) for name, report in reports.items()}, "recipe": recipe}
    )
    named = list(dict.fromkeys([*explained, *found]))
    more = f"; and {len(named) - DIFFERENCES_SHOWN} more" if len(named) > DIFFERENCES_SHOWN else ""
    groups = ", ".join(existing.manifest.provenance)
    kept = f"; its column groups {groups} stay where they still fit" if groups else ""
    return (
        f"holds another dataset ({'; '.join(named[:DIFFERENCES_SHOWN])}{more})",
        f"Choose another folder, or pass --overwrite to replace it{kept}",
    )


def read_lock(path: Path) -> dict[str, Any]:
    """The lock of a dataset; empty if it cannot be read."""
    try:
        loaded = read_json(path / LOCK)
    except (FileNotFoundError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def lock_at(path: Path) -> dict[str, Any]:
    """The lock in a dataset folder or a lock file.

    Raises:
        DataError: there is no readable lock.
    """
    file = path / LOCK if path.is_dir() else path
    if path.is_dir() and not file.exists():
        because = "it is a folder of something else"
        if (path / MANIFEST).exists():
            because = "it is lost, and nobody knows what the dataset was made from"
        raise NotADatasetError(path.resolve(), f"it holds no {LOCK}: {because}", "Name a dataset folder or a lock file")
    try:
        with reading(file):
            loaded = read_json(file)
    except ValueError as error:
        raise DataError(f"'{file}' is no lock of a dataset ({error}); name a dataset folder or its {LOCK}") from None
    if not isinstance(loaded, dict) or "databases" not in loaded:
        raise DataError(f"'{file}' is no lock of a dataset; name a dataset folder or its {LOCK}")
    return loaded
