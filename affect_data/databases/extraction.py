"""Extracts the frames that a database labels from its videos, into the layout that its reader reads."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from affect_data.databases.base import Database
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.videos import find_videos
from affect_data.errors import UsageError
from affect_data.files import exclusive, write_bytes
from affect_data.processes import map_jobs
from affect_data.video.extracting import QUALITY, FramesJob, FramesMade, extract


@dataclass(frozen=True)
class FramesReport:
    """What was extracted of a database.

    Attributes:
        database: its name.
        root: where the frames are: a root that the reader reads.
        quality: of the JPEG files.
        made: what became of each labelled video that is there, by name.
        without_video: labelled videos that are not there, with the number of their labels.
        without_label: videos that are there, but not labelled; they are not decoded.
    """

    database: str
    root: Path
    quality: int
    made: tuple[FramesMade, ...]
    without_video: dict[str, int]
    without_label: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every labelled video is there and has no problem."""
        return not self.without_video and not any(made.problem for made in self.made)

    def total(self, what: str) -> int:
        """The sum of one of the numbers of `FramesMade` over all videos."""
        return sum(getattr(made, what) for made in self.made)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        counts = ("frames", "written", "labels_without_frame", "frames_without_label")
        return {
            "database": self.database,
            "root": str(self.root),
            "jpeg_quality": self.quality,
            "whole": self.is_whole,
            **{what: self.total(what) for what in counts},
            "videos": [asdict(made) for made in self.made],
            "labels_without_video": self.without_video,
            "videos_without_label": list(self.without_label),
        }


def extract_frames(
    database: Database,
    root: DatabaseRoot,
    out: Path | None = None,
    *,
    workers: int = 1,
    quality: int = QUALITY,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> FramesReport:
    """Writes the labelled frames of all videos of a database; what is there from an earlier call is not written again.

    Args:
        database: its reader.
        root: its files.
        out: where the frames go, by default the root itself; another folder becomes a root of its own, with copies of the annotation files.
        workers: processes, one video each.
        quality: of the JPEG files, 1 to 100.
        progress: called with the step, and how much of how much is done.

    Raises:
        UsageError: the reader does not read frames of videos.
        DatabaseNotFoundError: nothing under the root looks like the database.
        DataError: another process writes into the folder.
    """
    layout = database.videos
    if layout is None:
        raise UsageError(
            f"{database.name} is read from its pictures: there are no videos to extract frames from. "
            f"`affect-data databases {database.name}` shows its layout"
        )
    labelled = database.labelled_frames(root)
    videos = find_videos(root, layout)
    if not videos:
        raise database.not_found(root, because=f"it holds no video in {', '.join(filter(None, layout.folders))}")
    target = out if out is not None else root.path
    by_video = labelled.group_by("video").agg(pl.col("frame").unique().sort()).sort("video")
    has_video = pl.col("video").str.to_lowercase().is_in(list(videos))
    jobs = [
        FramesJob(
            name,
            root.path / videos[name.lower()],
            target / layout.frames.format(video=name),
            np.array(frames, np.int64),
            layout.clock,
            layout.file,
            quality,
        )
        for name, frames in by_video.filter(has_video).iter_rows()
    ]
    with exclusive(target):
        _copy_annotations(root, target)
        made = _run(jobs, workers, progress)
    without_video = {name: len(frames) for name, frames in by_video.filter(~has_video).iter_rows()}
    known = {name.lower() for name in by_video["video"]}
    without_label = tuple(path for name, path in sorted(videos.items()) if name not in known)
    return FramesReport(database.name, target, quality, made, without_video, without_label)


def _run(jobs: Sequence[FramesJob], workers: int, progress: Callable[[str, int, int], None]) -> tuple[FramesMade, ...]:
    workers = max(1, min(workers, len(jobs)))
    # One process alone leaves the number of threads to the decoder; several share the cores.
    threads = 0 if workers == 1 else max(1, (os.cpu_count() or 1) // workers)
    # Long videos first, so that no process is left with one at the end.
    ordered = sorted(jobs, key=lambda job: (-job.video.stat().st_size, job.name))
    made = []
    for result in map_jobs(extract, [replace(job, threads=threads) for job in ordered], workers):
        made.append(result)
        progress("frames", len(made), len(jobs))
    return tuple(sorted(made, key=lambda result: result.name))


def _copy_annotations(root: DatabaseRoot, target: Path) -> None:
    """Copies the annotation files that were read, where the frames lie elsewhere."""
    if target.resolve() == root.path.resolve():
        return
    for path in sorted(root.annotation_files):
        if not (target / path).exists():
            write_bytes(target / path, (root.path / path).read_bytes())
