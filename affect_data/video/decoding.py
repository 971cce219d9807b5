"""Videos: every frame by its number, upright, in RGB.

The number of a frame is its position when the whole video is decoded from the beginning, which is how annotators' tools and OpenCV count. Times stand
in containers in many ways, or not at all, so a seek never trusts them alone: what it finds is held against the times and checksums of one whole
decoding, and where they do not agree, the video is decoded from its beginning.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from affect_data.pictures import PictureError, check_size
from affect_data.video.reader import (
    COPY_AGAIN,
    RawFrame,
    Reader,
    VideoError,
    by_rate,
    open_video,
    opened,
    promised_duration,
    shown_seconds,
)
from affect_data.video.reference import FrameReference
from affect_data.video.upright import TURNS, UPRIGHT, UnknownTurnError, turn_of, turned

PLANE_OF_BYTES: Final = re.compile(r"(?:yuvj?4\d\dp|gray|nv12|nv21)$")
"""FFmpeg's names of formats whose first plane is brightness, a byte for each pixel."""

__all__ = ("FrameTimes", "RawFrame", "Video", "VideoError", "VideoFrame")


@dataclass(frozen=True)
class VideoFrame:
    """One frame.

    Attributes:
        number: position in the video, from 0.
        timestamp: seconds since the first frame.
        pixels: uint8 RGB [height, width, 3], turned upright as the video says.
    """

    number: int
    timestamp: float
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class FrameTimes:
    """The times of all frames of a video, from one whole decoding.

    Attributes:
        stamps: the container's times, int64 [N], strictly increasing; None if it gives none, or an order that is not that of the frames.
        keys: the numbers of the frames from which decoding can begin, ascending.
        seconds: since the first frame, float64 [N].
        checks: `check_of` each frame, uint32 [N].
        broken: what stopped the decoding; empty if it came to the end.
    """

    stamps: NDArray[np.int64] | None
    keys: NDArray[np.int64]
    seconds: NDArray[np.float64]
    checks: NDArray[np.uint32]
    broken: str


class Video:
    """A video file, open for decoding; a context manager.

    Attributes:
        width: of an upright frame, in pixels.
        height: of an upright frame, in pixels.
        rate: frames a second on average, as the container says; 0 if it does not.
        declared: how many frames the container says there are; 0 if it does not.
        expected: about how many frames there are: what the container says, or what its duration and rate come to; 0 if it says neither.
        codec: name of the decoder.
        container: FFmpeg's name of the file's format.
        duration: seconds of pictures that the container promises; 0 if it promises none.

    Args:
        path: of the file.
        threads: of the decoder; 0 leaves the number to it.

    Raises:
        VideoError: the file is no video, has no picture, or PyAV lacks its codec.
        FileAccessError: the file cannot be read.
        DataError: PyAV is not installed.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        self.path = path
        self._threads = threads
        self._reader: Reader | None = None
        with opened(path, threads) as (container, stream):
            self.rate = Fraction(stream.average_rate or 0)
            self.declared = int(stream.frames)
            self.container = str(container.format.name)
            self.duration = promised_duration(container, stream)
            self.expected = self.declared or round(shown_seconds(container, stream) * self.rate)
            self.codec = str(stream.codec_context.codec.name)
            first = next(iter(Reader(path, container, stream)), None)
        if first is None:
            raise VideoError(path, "it has no frame", COPY_AGAIN)
        try:
            check_size(first.picture.width, first.picture.height)
            self._turn = turn_of(first.picture)
        except (PictureError, UnknownTurnError) as error:
            raise VideoError(path, str(error), "Convert it to a video of upright pictures") from error
        size = (first.picture.width, first.picture.height)
        self.width, self.height = size[::-1] if TURNS[self._turn].transposed else size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        if self._reader is not None:
            self._reader.container.close()
            self._reader = None

    @property
    def rotation(self) -> int:
        """By how many degrees stored frames are turned counterclockwise to be upright: 0, 90, 180 or 270."""
        return TURNS[self._turn].degrees

    @property
    def is_upright(self) -> bool:
        """Whether frames are stored upright."""
        return self._turn == UPRIGHT

    @cached_property
    def times(self) -> FrameTimes:
        """The times of all frames; the whole video is decoded once, up to the first frame that cannot be."""
        return _times(self.path, self._threads, self.rate)

    @property
    def count(self) -> int:
        """How many frames can be decoded; the whole video is decoded once."""
        return len(self.times.seconds)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[VideoFrame]:
        """The frames from number `start` up to, not including, number `stop`, one at a time: memory does not grow with the video.

        Raises:
            VideoError: a frame cannot be decoded; those before it have been given.
        """
        for raw in self.raw_frames(start, stop):
            yield VideoFrame(raw.number, raw.timestamp, self.pixels_of(raw))

    def raw_frames(self, start: int = 0, stop: int | None = None) -> Iterator[RawFrame]:
        """As `frames`, before pixels are converted; decoded from the beginning of the video."""
        if stop is not None and start >= stop:
            return
        with opened(self.path, self._threads) as (container, stream):
            for raw in Reader(self.path, container, stream):
                if raw.number >= start:
                    yield raw
                if stop is not None and raw.number + 1 >= stop:
                    return

    def frame(self, number: int) -> VideoFrame:
        """The frame of a number, exactly.

        Raises:
            VideoError: the video has no such frame.
        """
        if not 0 <= number < self.count:
            broken = f", since {self.times.broken}" if self.times.broken else ""
            raise VideoError(
                self.path, f"frame {number} was asked for, there are {self.count}{broken}", COPY_AGAIN, self.count
            )
        raw = self._found(number)
        return VideoFrame(number, float(self.times.seconds[number]), self.pixels_of(raw))

    def at(self, seconds: float) -> VideoFrame:
        """The frame that is shown at a time: the last one that began at or before it.

        Args:
            seconds: since the first frame; what is less than half a microsecond early counts as on time.

        Raises:
            VideoError: the time is before the first frame, or the video has no frame.
        """
        number = int(np.searchsorted(self.times.seconds, seconds + 5e-7, side="right")) - 1
        return self.frame(number)

    def pixels_of(self, raw: RawFrame) -> NDArray[np.uint8]:
        """A frame's pixels, uint8 RGB [height, width, 3], upright and contiguous."""
        return turned(raw.picture.to_ndarray(format="rgb24"), self._turn)

    def _found(self, number: int) -> RawFrame:
        """The frame, by going on from the last one, by a checked seek, or from the beginning."""
        stamps = self.times.stamps
        if self._reader is not None and self._stands_before(number) and not self._key_between(number):
            found = self._reader.forward_to(number, stamps)
            if found is not None and self._is_right(found):
                return found
        if stamps is not None:
            for key in self.times.keys[self.times.keys <= number][::-1][:3]:
                found = self._restarted().sought(int(stamps[key]), number, stamps)
                if found is not None and self._is_right(found):
                    return found
        found = self._restarted().forward_to(number, None)
        if found is None:
            raise VideoError(self.path, f"frame {number} is gone", "Do not change the file while it is read", number)
        return found

    def referred(self, reference: FrameReference) -> RawFrame:
        """The frame of a reference: by going on from the last one, by a seek, or from the beginning; whichever gives its checksum.

        Raises:
            VideoError: none does.
        """
        number, stamp, start = reference.frame, reference.stamp, reference.start
        if stamp is not None and start is not None:
            reader, going_on = self._reader, None
            if reader is not None and reader.stands_between(start, stamp):
                going_on = reader.forward_to_stamp(stamp, None)
            for found in (going_on, self._restarted().forward_to_stamp(stamp, start) if going_on is None else None):
                if found is not None and check_of(found) == reference.check:
                    return RawFrame(number, reference.timestamp, found)
        elif self._reader is not None and self._stands_before(number):
            found = self._reader.forward_to(number, None)
            if found is not None and check_of(found.picture) == reference.check:
                return RawFrame(number, reference.timestamp, found.picture)
        raw = self._restarted().forward_to(number, None)
        if raw is None or check_of(raw.picture) != reference.check:
            because = f"frame {number} is not the one that the dataset was built from"
            raise VideoError(
                self.path, because, "Build the dataset again with the packages that are installed now", number
            )
        return raw

    def _is_right(self, raw: RawFrame) -> bool:
        """Whether the frame looks as in the whole decoding.

        Some containers give wrong times after a seek, and some decoders begin with a broken picture.
        """
        return check_of(raw.picture) == int(self.times.checks[raw.number])

    def _stands_before(self, number: int) -> bool:
        """Whether the frame is reached by going on from the last one."""
        assert self._reader is not None
        return self._reader.next is not None and self._reader.next <= number

    def _key_between(self, number: int) -> bool:
        """Whether decoding could begin later than at the frame that comes next."""
        assert self._reader is not None
        keys, following = self.times.keys, self._reader.next or 0
        return self.times.stamps is not None and bool(((keys > following) & (keys <= number)).any())

    def _restarted(self) -> Reader:
        self.close()
        container, stream = open_video(self.path, self._threads)
        self._reader = Reader(self.path, container, stream)
        return self._reader


def _times(path: Path, threads: int, rate: Fraction) -> FrameTimes:
    stamps: list[int | None] = []
    keys: list[int] = []
    checks: list[int] = []
    broken = ""
    with opened(path, threads) as (container, stream):
        base = stream.time_base
        try:
            for raw in Reader(path, container, stream):
                stamps.append(raw.picture.pts)
                checks.append(check_of(raw.picture))
                if raw.picture.key_frame:
                    keys.append(raw.number)
        except VideoError as error:
            broken = error.because
    sums = np.array(checks, np.uint32)
    ordered = None not in stamps and all(np.diff(np.array(stamps, np.int64)) > 0)
    if not ordered:
        seconds = np.array([by_rate(number, rate) for number in range(len(stamps))])
        return FrameTimes(None, np.array([], np.int64), seconds, sums, broken)
    numbers = np.array(stamps, np.int64)
    seconds = (numbers - numbers[:1]).astype(np.float64) * float(base)
    return FrameTimes(numbers, np.array(keys, np.int64), seconds, sums, broken)


def check_of(picture: Any) -> int:  # noqa: ANN401 - PyAV's
    """CRC-32 of a decoded frame: of its brightness where that is a plane of bytes, otherwise of its colours."""
    if not PLANE_OF_BYTES.match(picture.format.name):
        return zlib.crc32(picture.to_ndarray(format="rgb24").data)
    plane = picture.planes[0]
    # Rows are padded, with whatever was in memory before.
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
    return zlib.crc32(np.ascontiguousarray(rows).data)
