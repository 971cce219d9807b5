"""Puts the videos whose frames rows name into the folder of a dataset, once each, named by their content."""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from affect_data.build.jobs import ShardJob
from affect_data.databases.registry import reader_of
from affect_data.databases.video_rows import SEPARATOR
from affect_data.errors import DataError
from affect_data.files import written_file
from affect_data.video.stored import VIDEOS


def copy_videos(jobs: Iterable[ShardJob], staging: Path) -> None:
    """Copies every video of which a row names a frame to the folder of videos in `staging`.

    Raises:
        DataError: a video has changed since the rows were made.
        FileAccessError: a video cannot be read, or its copy cannot be written.
    """
    for source in sorted({video for job in jobs for video in _named(job)}):
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        target = staging / VIDEOS / (digest + source.suffix.lower())
        if target.is_file():
            continue
        with written_file(target) as partial:
            shutil.copyfile(source, partial)
            with partial.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    raise DataError(f"'{source}' changed while it was copied; run the same command again")


def _named(job: ShardJob) -> set[Path]:
    """The files of videos of which the shard's rows name frames."""
    found = set()
    for name, root in job.roots.items():
        if reader_of(name, job.options[name])(job.options[name]).reads_videos:
            images = job.rows["image"].unique().to_list()
            found |= {root / image.rpartition(SEPARATOR)[0] for image in images}
    return found
