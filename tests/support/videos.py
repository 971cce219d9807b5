"""Videos whose frames carry their own number, drawn so large that it survives lossy coding."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

BITS = 12
COLUMNS, ROWS, BLOCK = 6, 4, 16
DISFA_UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
WIDTH, HEIGHT = COLUMNS * BLOCK, ROWS * BLOCK

Draw = Callable[[int], NDArray[np.uint8]]


def numbered_picture(number: int) -> NDArray[np.uint8]:
    """RGB [64, 96, 3]: the bits of a number as bright and dark blocks, then the same bits inverted as a check."""
    bits = [(number >> place) & 1 for place in range(BITS)]
    blocks = np.array([*bits, *(1 - bit for bit in bits)], np.uint8).reshape(ROWS, COLUMNS)
    grey = np.kron(blocks * 200 + 25, np.ones((BLOCK, BLOCK), np.uint8)).astype(np.uint8)
    return np.stack([grey] * 3, axis=-1)


def number_in(pixels: NDArray[np.uint8]) -> int:
    """The number that a picture carries; -1 if its bits and their check contradict each other."""
    height, width = pixels.shape[:2]
    grey = pixels.astype(np.float32).mean(axis=2)
    rows, columns = height // ROWS, width // COLUMNS
    centres = grey[rows // 4 : ROWS * rows, columns // 4 : COLUMNS * columns]
    blocks = [
        centres[row * rows : row * rows + rows // 2, column * columns : column * columns + columns // 2].mean()
        for row in range(ROWS)
        for column in range(COLUMNS)
    ]
    bits = [int(block > 128) for block in blocks]
    if any(bit == check for bit, check in zip(bits[:BITS], bits[BITS:], strict=True)):
        return -1
    return sum(bit << place for place, bit in enumerate(bits[:BITS]))


def write_video(
    path: Path,
    numbers: Sequence[int],
    codec: str = "mpeg4",
    *,
    rate: Fraction | int = 25,
    times: Sequence[Fraction] | None = None,
    options: Mapping[str, str] | None = None,
    rotation: int = 0,
    container: Mapping[str, str] | None = None,
    pixel_format: str = "",
    draw: Draw | None = None,
) -> Path:
    """A video of numbered pictures.

    Args:
        path: its ending names the container.
        numbers: one for each frame.
        codec: an encoder of PyAV.
        rate: frames a second.
        times: of each frame in seconds; by default at the constant rate.
        options: of the encoder.
        rotation: by how many degrees a player turns the picture, counterclockwise; the pictures are turned back before they are stored.
        container: options of the container.
        pixel_format: of the stored frames.
        draw: the picture of each number, uint8 RGB, all of one size; by default `numbered_picture`.
    """
    draw = draw or numbered_picture
    height, width = draw(numbers[0]).shape[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    turned = rotation % 180 != 0
    with av.open(str(path), "w", options=dict(container or {})) as output:
        stream: Any = output.add_stream(codec, rate=rate, options=dict(options or {}))
        stream.width, stream.height = (height, width) if turned else (width, height)
        stream.pix_fmt = pixel_format or {"mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 600)
        if rotation:
            stream.set_display_rotation(rotation)
        for position, number in enumerate(numbers):
            picture = np.ascontiguousarray(np.rot90(draw(number), -rotation // 90))
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            if times is not None:
                frame.time_base = Fraction(1, 600)
                frame.pts = int(times[position] * 600)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def write_disfa(
    root: Path, frames: Mapping[str, tuple[int, int]], codec: str = "mpeg4", draw: Draw | None = None
) -> Path:
    """Labels and videos of subjects: how many labels, how many frames. The intensity of AU1 of label n is n modulo 6. `draw` as for `write_video`."""
    for subject, (labels, length) in frames.items():
        folder = root / "ActionUnit_Labels" / subject
        folder.mkdir(parents=True)
        for unit in DISFA_UNITS:
            lines = [f"{number},{number % 6 if unit == 1 else 0}\r\n" for number in range(1, labels + 1)]
            (folder / f"{subject}_au{unit}.txt").write_text("".join(lines))
        if length:
            write_video(
                root / f"Videos_LeftCamera/LeftVideo{subject}_comp.avi",
                range(length),
                codec,
                rate=20,
                options={"bf": "2"},
                draw=draw,
            )
    return root
