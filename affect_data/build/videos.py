"""Puts the videos whose frames rows name into the folder of a dataset, once each, named by their content."""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from affect_data.build.jobs import ShardJob
from affect_data.databases.registry import reader_of
from affect_data.databases.video_rows import SEPARATOR
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.pictures import SplitPictures
from affect_data.dataset.videos import videos_of_rows
from affect_data.errors import DataError
from affect_data.files import written_file
from affect_data.system_errors import reading
from affect_data.video.stored import VIDEOS


def copy_videos(jobs: Iterable[ShardJob], sealed: DatasetFolder) -> None:
    """Copies every video of which a row of a new dataset names a frame into its folder.

    Args:
        jobs: that made the rows.
        sealed: the dataset, with all of its rows.

    Raises:
        DataError: a video is gone, or has changed since the rows were made.
        FileAccessError: a video cannot be read, or its copy cannot be written.
    """
    rows = videos_of_rows(sealed)
    named = {name for videos in rows.values() for name in videos if name}
    for source in sorted({video for job in jobs for video in _named(job)}):
        if not source.is_file():
            continue
        with reading(source), source.open("rb") as file:
            name = hashlib.file_digest(file, "sha256").hexdigest() + source.suffix.lower()
        # A video none of whose frames can be used is named by no row.
        if name in named:
            _copy(source, sealed.path / VIDEOS / name)
    _refuse_missing(sealed, rows)


def _copy(source: Path, target: Path) -> None:
    if target.is_file():
        return
    with written_file(target) as partial:
        shutil.copyfile(source, partial)
        with partial.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != target.name.partition(".")[0]:
                raise DataError(f"'{source}' changed while it was copied; run the same command again")


def _refuse_missing(sealed: DatasetFolder, rows: dict[str, list[str]]) -> None:
    """Refuses a dataset whose rows name a video that was not there any more when it was to be copied."""
    for split, videos in rows.items():
        for row, name in enumerate(videos):
            if name and not (sealed.path / VIDEOS / name).is_file():
                video = SplitPictures(sealed, split).path(row).rpartition(SEPARATOR)[0]
                raise DataError(
                    f"the video '{video}' was removed or replaced while the dataset was built; run the same command again when it is in its place"
                )


def _named(job: ShardJob) -> set[Path]:
    """The files of videos of which the shard's rows name frames."""
    found = set()
    for name, root in job.roots.items():
        if reader_of(name, job.options[name])(job.options[name]).reads_videos:
            images = job.rows["image"].unique().to_list()
            found |= {root / image.rpartition(SEPARATOR)[0] for image in images}
    return found
