"""Writes the labelled frames of a video as JPEG files, whole folders at a time.

A folder of frames takes its place when the last frame is written, together with a record of what it was made from. So a command that was killed goes
on with the videos that have no folder yet, and a folder that is there is whole.
"""

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from affect_data.files import flush, write_json, written_folder
from affect_data.video.clocks import NO_FRAME, FrameClock, LabelClock
from affect_data.video.completeness import Decoded, judge
from affect_data.video.decoding import Video, VideoError

RECORD: Final = ".frames.json"
"""The file that says what a folder of frames was made from."""

VERSION: Final = 1
"""To be raised whenever the same video would give other files."""

QUALITY: Final = 95
"""JPEG quality: the colours of neighbouring pixels are shared (4:2:0), as nearly all videos store them."""

WRITERS: Final = 2
"""Threads that encode and write; waiting for the disk then costs no time."""

Outcome = Literal["written", "there before", "not ours", "refused"]


@dataclass(frozen=True)
class FramesJob:
    """One video of which frames are to be written.

    Attributes:
        name: of the video, as the labels call it.
        video: its file.
        folder: that will hold the frames.
        labels: the numbers of its labels, ascending.
        clock: which frame a label belongs to.
        file: pattern of the files' names, from the number of the label.
        quality: of the JPEG files, 1 to 100.
        threads: of the decoder; 0 leaves the number to it.
    """

    name: str
    video: Path
    folder: Path
    labels: NDArray[np.int64]
    clock: LabelClock
    file: str
    quality: int = QUALITY
    threads: int = 0


@dataclass(frozen=True)
class FramesMade:
    """What became of one video.

    Attributes:
        name: of the video.
        outcome: ``written``; ``there before``, from the same video with the same settings; ``not ours``: the folder holds files that this command
            has not written, and stays as it is; ``refused``: the video has no frame whose number is certain.
        frames: frames in the video.
        written: labels whose frame is a file.
        labels_without_frame: labels whose frame is not in the video, or has no certain number.
        frames_without_label: frames that no label belongs to; they are not written.
        problem: what is wrong with the video; empty if nothing is.
    """

    name: str
    outcome: Outcome
    frames: int = 0
    written: int = 0
    labels_without_frame: int = 0
    frames_without_label: int = 0
    problem: str = ""


def extract(job: FramesJob) -> FramesMade:
    """Writes the frames of one video, unless they are there; a bad video is a problem in the result, never an error.

    Raises:
        FileAccessError: the folder cannot be written.
    """
    try:
        source = _source(job)
    except OSError as error:
        return _refused(job, f"it cannot be read ({error.strerror})")
    if job.folder.is_dir() and any(job.folder.iterdir()):
        record = _recorded(job.folder)
        if record is None:
            return FramesMade(job.name, "not ours")
        if record["source"] == source:
            return FramesMade(**{**record["result"], "outcome": "there before"})
    with written_folder(job.folder) as partial:
        made = _decoded_into(partial, job)
        write_json(partial / RECORD, {"source": source, "result": asdict(made)})
    if not made.written:
        _remove_empty(job.folder)
    return made


def _decoded_into(folder: Path, job: FramesJob) -> FramesMade:
    """Decodes the video once and writes its labelled frames; those whose numbers turn out to be uncertain are removed again."""
    seconds: list[float] = []
    broken = ""
    try:
        with Video(job.video, threads=job.threads) as video:
            labels_of = _labels_of_frames(job, video)
            with _JpegWriter(job.quality) as writer:
                try:
                    for raw in video.raw_frames():
                        seconds.append(raw.timestamp)
                        if raw.number in labels_of:
                            names = [job.file.format(number=label) for label in labels_of[raw.number]]
                            writer.write(video.pixels_of(raw), [folder / name for name in names])
                except VideoError as error:
                    broken = error.because
            decoded = Decoded(job.video, video.container, np.array(seconds), video.declared, video.duration, broken)
    except VideoError as error:
        return _refused(job, error.because)
    judgement = judge(decoded)
    for frame in range(judgement.certain, len(seconds)):
        for label in labels_of.get(frame, ()):
            (folder / job.file.format(number=label)).unlink()
    kept = [frame for frame in labels_of if frame < judgement.certain]
    written = sum(len(labels_of[frame]) for frame in kept)
    return FramesMade(
        job.name,
        "written" if written else "refused",
        len(seconds),
        written,
        len(job.labels) - written,
        judgement.certain - len(kept),
        judgement.problem or ("" if written else "no label belongs to any of its frames"),
    )


class _JpegWriter:
    """Encodes pictures and flushes their files to disk in threads, while the next frames are decoded; a few pictures wait at most."""

    def __init__(self, quality: int) -> None:
        self._quality = quality
        self._pool = ThreadPoolExecutor(WRITERS)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for written in self._waiting:
                written.result()

    def write(self, pixels: NDArray[np.uint8], paths: Sequence[Path]) -> None:
        """Writes a picture, uint8 RGB [height, width, 3], to one or several files."""
        self._waiting.append(self._pool.submit(self._write, pixels, paths))
        if len(self._waiting) > 2 * WRITERS:
            self._waiting.popleft().result()

    def _write(self, pixels: NDArray[np.uint8], paths: Sequence[Path]) -> None:
        data = simplejpeg.encode_jpeg(pixels, quality=self._quality, colorspace="RGB", colorsubsampling="420")
        for path in paths:
            path.write_bytes(data)
            flush(path)


def _labels_of_frames(job: FramesJob, video: Video) -> dict[int, list[int]]:
    """The labels that belong to each frame, by the frame's number from 0."""
    clock = job.clock
    # Only labels by time need the frames' times before anything is written.
    by_number = isinstance(clock, FrameClock)
    frames = job.labels - clock.first if by_number else clock.frames_of(job.labels, video.times.seconds)
    found: defaultdict[int, list[int]] = defaultdict(list)
    for frame, label in zip(frames.tolist(), job.labels.tolist(), strict=True):
        if frame > NO_FRAME:
            found[frame].append(label)
    return dict(found)


def _source(job: FramesJob) -> dict[str, Any]:
    """What the files of a folder depend on, and nothing else."""
    with job.video.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "version": VERSION,
        "video": job.video.name,
        "video_sha256": digest,
        "labels_sha256": hashlib.sha256(job.labels.astype("<i8").tobytes()).hexdigest(),
        "clock": str(job.clock),
        "file": job.file,
        "jpeg_quality": job.quality,
        "jpeg_subsampling": "4:2:0",
    }


def _recorded(folder: Path) -> dict[str, Any] | None:
    """The record of a folder that this command has written; None if there is none."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
        return {"source": record["source"], "result": asdict(FramesMade(**record["result"]))}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _refused(job: FramesJob, because: str) -> FramesMade:
    return FramesMade(job.name, "refused", labels_without_frame=len(job.labels), problem=because)


def _remove_empty(folder: Path) -> None:
    (folder / RECORD).unlink()
    folder.rmdir()
