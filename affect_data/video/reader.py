"""Opens videos and decodes them from where they stand; the only module that knows PyAV."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from affect_data.errors import DataError
from affect_data.system_errors import reading

CONTAINERS: Final = (
    "asf", "avi", "dv", "flv", "gif", "h264", "hevc", "ivf", "m4v", "matroska", "mjpeg", "mov", "mp4", "mpeg", "mpegts", "mpegvideo", "mxf", "nut",
    "obu", "ogg", "rm", "webm", "yuv4mpegpipe",
)  # fmt: skip
"""The containers that are opened, by FFmpeg's names. Others are no videos, or lists that lead to other files and hosts."""

COPY_AGAIN: Final = "Copy it from its source again"


class VideoError(DataError):
    """A video that cannot be decoded, or not beyond a frame.

    Attributes:
        because: what is wrong, without the file's name.
        frame: the first frame that cannot be decoded; 0 if none can.
    """

    def __init__(self, path: Path | str, because: str, remedy: str, frame: int = 0) -> None:
        self.because = because
        self.frame = frame
        super().__init__(f"'{path}' cannot be decoded: {because}. {remedy}")


@dataclass(frozen=True)
class RawFrame:
    """A decoded frame before its pixels are converted; `picture` is PyAV's."""

    number: int
    timestamp: float
    picture: Any


class Reader:
    """Decodes a video from where it stands; `next` is the number of the frame that comes next, None where a seek has lost the count."""

    def __init__(self, path: Path, container: Any, stream: Any) -> None:  # noqa: ANN401 - PyAV's
        self.container = container
        self.next: int | None = 0
        self._path = path
        self._stream = stream
        self._first: int | None = None
        self._last: int | None = None
        # AVI numbers frames in the order in which they are stored, which B-frames change.
        self._is_reordered = "avi" in container.format.name and stream.codec_context.has_b_frames > 0
        self._frames = self._decoded()

    def __iter__(self) -> Iterator[RawFrame]:
        while (raw := self._step()) is not None:
            yield raw

    def sought(self, stamp: int, number: int, stamps: NDArray[np.int64]) -> RawFrame | None:
        """The frame after a seek to a time before it; None if the seek went elsewhere."""
        self.container.seek(stamp, stream=self._stream, backward=True)
        self._frames = self._decoded()
        picture = next(self._frames, None)
        if picture is None or picture.pts is None:
            return None
        landed = int(np.searchsorted(stamps, picture.pts))
        if landed > number or stamps[landed] != picture.pts:
            return None
        self.next = landed + 1
        return RawFrame(number, 0.0, picture) if landed == number else self.forward_to(number, stamps)

    def forward_to(self, number: int, stamps: NDArray[np.int64] | None) -> RawFrame | None:
        """The frame, from an earlier place; None if a frame on the way has not the time that it should have."""
        while (raw := self._step()) is not None:
            if stamps is not None and raw.picture.pts != stamps[raw.number]:
                return None
            if raw.number == number:
                return raw
        return None

    def stands_between(self, start: int, stamp: int) -> bool:
        """Whether the last decoded frame lies at or behind one time of the container, and before another."""
        return self._last is not None and start <= self._last < stamp

    def forward_to_stamp(self, stamp: int, start: int | None) -> Any:  # noqa: ANN401 - PyAV's
        """The decoded frame of a time of the container; None if there is none. Frames have no numbers after this.

        Args:
            stamp: the time.
            start: seeks to this time first; None goes on from the last frame.
        """
        self.next = None
        if start is not None:
            self.container.seek(start, stream=self._stream, backward=True)
            self._frames = self._decoded()
        for picture in self._frames:
            self._last = picture.pts
            if picture.pts is None or picture.pts > stamp:
                return None
            if picture.pts == stamp:
                return picture
        return None

    @property
    def _number(self) -> int:
        assert self.next is not None, "frames are asked for by number after a seek by time"
        return self.next

    def _step(self) -> RawFrame | None:
        picture = next(self._frames, None)
        if picture is None:
            return None
        number = self._number
        self.next = number + 1
        if number == 0:
            self._first = picture.pts
        return RawFrame(number, self._seconds(picture, number), picture)

    def _seconds(self, picture: Any, number: int) -> float:  # noqa: ANN401 - PyAV's
        """Since the first frame: the container's times, or else by the rate."""
        if picture.pts is not None and self._first is not None and not self._is_reordered:
            return float((picture.pts - self._first) * self._stream.time_base)
        return by_rate(number, Fraction(self._stream.average_rate or 0))

    def _decoded(self) -> Iterator[Any]:
        import av

        try:
            for packet in self.container.demux(self._stream):
                if packet.is_corrupt:
                    # Only a part of the frame is there: the decoder would fill the rest with the picture before it.
                    yield from self._whole(self._stream.codec_context.decode(None))
                    raise self._stopped("is cut off")
                yield from self._whole(packet.decode())
        except av.FFmpegError as error:
            raise self._stopped(f"is damaged ({error.strerror})") from error

    def _whole(self, pictures: list[Any]) -> Iterator[Any]:
        for picture in pictures:
            if picture.is_corrupt:
                raise self._stopped("is damaged")
            yield picture

    def _stopped(self, because: str) -> VideoError:
        place = "a frame" if self.next is None else f"frame {self.next}"
        return VideoError(self._path, f"{place} {because}", COPY_AGAIN, self.next or 0)


def by_rate(number: int, rate: Fraction) -> float:
    """The time of a frame in seconds at a constant rate; NaN if the rate is 0, which stands for an unknown one."""
    return float(number / rate) if rate else float("nan")


def promised_duration(container: Any, stream: Any) -> float:  # noqa: ANN401 - PyAV's
    """Seconds of pictures that a container promises; 0 if it promises none, or only for sound and pictures together."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return float(Fraction(container.duration, 1_000_000))
    return 0.0


def shown_seconds(container: Any, stream: Any) -> float:  # noqa: ANN401 - PyAV's
    """About how many seconds a video takes, sound included; 0 if its container says nothing."""
    if (promised := promised_duration(container, stream)) or container.duration is None:
        return promised
    return float(Fraction(container.duration, 1_000_000))


@contextmanager
def opened(path: Path, threads: int) -> Iterator[tuple[Any, Any]]:
    """As `open_video`, closed at the end of the block."""
    container, stream = open_video(path, threads)
    try:
        yield container, stream
    finally:
        container.close()


def open_video(path: Path, threads: int) -> tuple[Any, Any]:
    """PyAV's container and its first stream of pictures, ready to decode.

    Raises:
        VideoError: the file is no video, has no picture, or PyAV lacks its codec.
        FileAccessError: the file cannot be read.
        DataError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise DataError(
            f"'{path}' is a video, and PyAV, which decodes videos, is not installed. Install it: `pip install 'affectkit[faces]'`"
        ) from error
    with reading(path), path.open("rb") as file:
        if not file.read(1):
            raise VideoError(path, "the file is empty", COPY_AGAIN)
    options = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
    try:
        container = av.open(str(path.absolute()), options=options)
    except av.FFmpegError as error:
        because = f"it is no video in a container that is read, or has lost its header or its end ({error.strerror})"
        raise VideoError(path, because, COPY_AGAIN) from error
    stream = next((one for one in container.streams.video if not one.disposition & one.disposition.attached_pic), None)
    if stream is None or stream.codec_context is None:
        container.close()
        because = "it holds no stream of pictures" if stream is None else "PyAV has no decoder for its codec"
        raise VideoError(path, because, "Convert it to H.264 in MP4")
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = threads
    return container, stream
