"""Reads the picture files of a database: into a buffer that grows, with a mark by which an unchanged file is known again without being read."""

import os
import stat
import time
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from affect_data.bounds import PICTURE_BYTES, BoundError
from affect_data.databases.base import Database
from affect_data.dataset.writing import LARGEST_BATCH
from affect_data.system_errors import reading
from affect_data.video.decoding import VideoError

SETTLED_AFTER: Final = 10 * 10**9
"""Nanoseconds after which the times of a file must differ if its content changes again. Clocks of file systems tick every few milliseconds, some only
every two seconds; and the clocks of two machines differ a little."""

UNKNOWN: Final = 0
"""The mark of a file that has to be read again."""

_OPEN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class PictureBuffer:
    """Pictures one behind the other, for an array of Arrow that shares the memory.

    A picture is first read behind the last one, and stays only if `keep` is called; otherwise, the next one takes its place.

    Args:
        room: bytes to begin with; it doubles when it is full.
    """

    def __init__(self, room: int = 1 << 16) -> None:
        self._bytes: npt.NDArray[np.uint8] = np.empty(room, np.uint8)
        self._offsets = [0]
        self._paths: list[str] = []

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def end(self) -> int:
        """Where the next picture begins."""
        return self._offsets[-1]

    def has_room(self, size: int) -> bool:
        """Whether an array can hold so many bytes more."""
        return self.end + size <= LARGEST_BATCH

    def room(self, size: int) -> memoryview:
        """So many bytes behind the last picture, to be filled."""
        if self.end + size > len(self._bytes):
            # A new array, because the old one may still be looked at.
            larger = np.empty(max(self.end + size, 2 * len(self._bytes)), np.uint8)
            larger[: self.end] = self._bytes[: self.end]
            self._bytes = larger
        return self._bytes.data[self.end : self.end + size]

    def view(self, start: int, size: int) -> memoryview:
        """The bytes of a picture that was read."""
        return self._bytes.data[start : start + size]

    def keep(self, size: int, path: str) -> None:
        """Keeps the bytes that were read last as a picture."""
        self._offsets.append(self.end + size)
        self._paths.append(path)

    def copy(self, data: memoryview, path: str) -> None:
        """Adds a picture."""
        self.room(len(data))[:] = data
        self.keep(len(data), path)

    def pictures(self, kind: pa.StructType) -> pa.StructArray:
        """The pictures as a struct of bytes and path; the buffer must not be used afterwards."""
        offsets = pa.py_buffer(np.array(self._offsets, np.int32))
        held = pa.py_buffer(self._bytes[: self.end])
        data = pa.Array.from_buffers(pa.binary(), len(self), [None, offsets, held])
        return pa.StructArray.from_arrays([data, pa.array(self._paths, pa.string())], fields=list(kind))


class PictureSource:
    """Opens the pictures of a database.

    Args:
        database: its reader.
        root: its folder.
        settled: files whose times are not before this moment (nanoseconds) get no mark, from `settled_before`.
    """

    def __init__(self, database: Database, root: Path, settled: int = 0) -> None:
        self._open = database.open_images(root)
        self._root = root
        self._folder = os.fspath(root) + os.sep
        # Databases with an opener of their own give a name to what is no file, or not one of its own.
        self._are_files = type(database).open_images is Database.open_images and not database.reads_videos
        self._limit = PICTURE_BYTES.value()
        self._settled = settled

    def read(self, image: str, buffer: PictureBuffer) -> tuple[int, int] | str | None:
        """Reads a picture into the room behind the last one of a buffer.

        Returns:
            How many bytes it has, and the mark of its file; or why it cannot be read; or None if there is no file.

        Raises:
            AffectError: the system refused, or there is no ordinary file.
        """
        if self._are_files:
            found = self._read_file(image, buffer)
            if found is not None:
                return found
        with reading(self._root / image):
            try:
                data = self._open(image)
            except BoundError as error:
                return f"{error.found}; {error.expected} are read: {error.remedy}"
            except VideoError as error:
                return error.because
            except (FileNotFoundError, IsADirectoryError):
                return None
        buffer.room(len(data))[:] = data
        return len(data), UNKNOWN

    def mark(self, image: str) -> int:
        """The mark of a picture's file as it is now; `UNKNOWN` if it has none."""
        if not self._are_files:
            return UNKNOWN
        try:
            status = os.stat(self._folder + image)  # noqa: PTH116 - a path object costs more than the call
        except (OSError, ValueError):
            return UNKNOWN
        return self._mark_of(status)

    def size(self, image: str) -> int | None:
        """How many bytes a picture has; None if it cannot be read."""
        try:
            if self._are_files:
                return os.stat(self._folder + image).st_size  # noqa: PTH116
            return len(self._open(image))
        except OSError:
            return None

    def _read_file(self, image: str, buffer: PictureBuffer) -> tuple[int, int] | None:
        """The ordinary case; None for everything that is unusual, which is left to the database's own opener and its messages."""
        try:
            descriptor = os.open(self._folder + image, _OPEN)
        except (OSError, ValueError):
            return None
        try:
            status = os.fstat(descriptor)
            size = status.st_size
            if not stat.S_ISREG(status.st_mode) or size > self._limit or not buffer.has_room(size + 1):
                return None
            # One byte more shows whether the file grows.
            filled = os.readv(descriptor, [buffer.room(size + 1)])
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return (size, self._mark_of(status)) if filled == size else None

    def _mark_of(self, status: os.stat_result) -> int:
        """A number that changes with the file; `UNKNOWN` if the file is so new that it may change again without another time."""
        if max(status.st_mtime_ns, status.st_ctime_ns) >= self._settled:
            return UNKNOWN
        known = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        # The hash of numbers is the same in every process of one version of Python; in another version, files are read again.
        return hash(known) & (2**64 - 1)


def settled_before(folder: Path) -> int:
    """The moment (nanoseconds) before which the last change of a file must lie if its times are to be trusted.

    Args:
        folder: of a build. What its file system takes for the time counts, too: it may have the clock of another machine.
    """
    now = time.time_ns()
    try:
        with TemporaryFile(dir=folder) as probe:
            now = min(now, os.fstat(probe.fileno()).st_mtime_ns)
    except OSError:
        pass  # the folder is read-only: nothing is written for a later build then
    return now - SETTLED_AFTER
