"""Writes pictures as a video file: Motion JPEG in AVI, which needs no encoder, so that the same pictures give the same bytes everywhere."""

import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image

QUALITY: Final = 92
KEY_FRAME: Final = 0x10
HAS_INDEX: Final = 0x10
MICROSECONDS: Final = 1_000_000


def write_clip(path: Path, frames: Sequence[Image.Image], rate: int = 25) -> None:
    """Writes a video of pictures of one size, each a frame of its own.

    The layout is that of Microsoft's AVI RIFF File Reference: a list of headers, a list of frames, and an index of their places.

    Args:
        path: the file, ``.avi``.
        frames: of the video in order, at least one.
        rate: frames a second.
    """
    width, height = frames[0].size
    files = [_jpeg(frame) for frame in frames]
    largest = max(map(len, files))
    main = struct.pack(
        "<14I", MICROSECONDS // rate, largest * rate, 0, HAS_INDEX, len(files), 0, 1, largest, width, height, 0, 0, 0, 0
    )
    stream = b"vidsMJPG" + struct.pack(
        "<IHH8IHHHH", 0, 0, 0, 0, 1, rate, 0, len(files), largest, 0xFFFFFFFF, 0, 0, 0, width, height
    )
    form = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, b"MJPG", width * height * 3, 0, 0, 0, 0)
    headers = _list(b"hdrl", _chunk(b"avih", main) + _list(b"strl", _chunk(b"strh", stream) + _chunk(b"strf", form)))
    chunks, index, place = [], [], 4
    for file in files:
        chunks.append(_chunk(b"00dc", file))
        index.append(b"00dc" + struct.pack("<III", KEY_FRAME, place, len(file)))
        place += len(chunks[-1])
    content = headers + _list(b"movi", b"".join(chunks)) + _chunk(b"idx1", b"".join(index))
    path.write_bytes(_chunk(b"RIFF", b"AVI " + content))


def _jpeg(frame: Image.Image) -> bytes:
    sink = io.BytesIO()
    frame.save(sink, "JPEG", quality=QUALITY)
    return sink.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    """A chunk: its name, its length, and its content, filled up to whole pairs of bytes."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _list(name: bytes, content: bytes) -> bytes:
    return _chunk(b"LIST", name + content)
