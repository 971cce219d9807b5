"""Marks the faces of a picture: a box, and what the model says of the face beside it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from affect_data.faces.detection import Pixels
from affect_train.predicting.columns import BOX, FaceColumns

Colour = tuple[int, int, int]

TRACKS: Final[tuple[Colour, ...]] = (
    (86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0), (0, 114, 178),
)  # fmt: skip
"""Colours that most people tell apart (Okabe & Ito, Color Universal Design, 2008); a track keeps its own."""

INK: Final[Colour] = (255, 255, 255)
PAPER: Final = (20, 24, 32, 190)
SMALLEST_TEXT: Final = 11
OF_PICTURE: Final = 40
"""The height of the text is a share of the picture's shorter side: this many lines would fill it."""

LEAST_SIDE: Final = 240
"""Smaller pictures are enlarged until their shorter side has so many pixels: words of a size that can be read would cover the face."""

MOST_SIDE: Final = 1280
"""No picture is enlarged beyond this."""

MOST_WORDS: Final = 6
"""With more faces than this in a picture, each has only its expression written beside it, or its action units."""

Rectangle = tuple[float, float, float, float]


def annotated(pixels: Pixels, rows: Sequence[Mapping[str, Any]], columns: FaceColumns) -> Pixels:
    """The picture, uint8 [height, width, 3], with a box around each face and what was predicted of it; enlarged by `enlargement` if it is small.

    Args:
        pixels: of the upright picture.
        rows: of the table, those of the picture's faces.
        columns: of the table.
    """
    picture = Image.fromarray(pixels)
    times = enlargement(picture.size)
    if times > 1:
        picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.BICUBIC)
    if not rows:
        return np.asarray(picture)
    boxes: list[Rectangle] = [tuple(times * row[name] for name in BOX) for row in rows]
    size = max(SMALLEST_TEXT, round(min(picture.size) / OF_PICTURE))
    pen = ImageDraw.Draw(picture, "RGBA")
    for row, box in zip(rows, boxes, strict=True):
        number = row["face"] if row["track"] is None else row["track"]
        pen.rectangle(box, outline=TRACKS[number % len(TRACKS)], width=max(2, size // 8))
    taken = list(boxes)
    for number, row in enumerate(rows):
        lines = words(row, columns)
        text = "\n".join(lines if len(rows) <= MOST_WORDS else lines[: 1 + (row["track"] is not None)])
        taken.append(_write_beside(pen, text, taken[number], taken, picture.size))
    return np.asarray(picture)


def enlargement(size: tuple[int, int]) -> int:
    """How many times as wide and high a picture of (width, height) is shown."""
    return max(1, min(-(-LEAST_SIDE // min(size)), MOST_SIDE // max(size)))


def words(row: Mapping[str, Any], columns: FaceColumns) -> list[str]:
    """The lines that say what was predicted of a face."""
    lines = [] if row["track"] is None else [f"face {row['track']}"]
    if columns.expressions:
        lines.append(f"{row['expression']} {row['expression_' + row['expression']]:.2f}")
    if columns.has_valence:
        lines.append(f"V {row['valence']:+.2f}  A {row['arousal']:+.2f}")
    present = [f"AU{int(unit[2:])}" for unit in columns.units if row[f"{unit}_present"]]
    lines += [" ".join(present[start : start + 4]) for start in range(0, len(present), 4)]
    return lines


def _write_beside(
    pen: ImageDraw.ImageDraw, text: str, box: Rectangle, taken: Sequence[Rectangle], picture: tuple[int, int]
) -> Rectangle:
    """Writes the lines below, above, right or left of the box, wherever they cover least of what is drawn; returns what they cover."""
    size = max(SMALLEST_TEXT, round(min(picture) / OF_PICTURE))
    font, pad = type_face(size), max(2, size // 4)
    x0, y0, x1, y1 = pen.multiline_textbbox((0, 0), text, font=font, spacing=pad)
    across, down = x1 - x0 + 2 * pad, y1 - y0 + 2 * pad
    places = ((box[0], box[3] + 2), (box[0], box[1] - 2 - down), (box[2] + 2, box[1]), (box[0] - 2 - across, box[1]))
    inside = [
        (min(max(0.0, x), max(0.0, picture[0] - across)), min(max(0.0, y), max(0.0, picture[1] - down)))
        for x, y in places
    ]
    covers = [(x, y, x + across, y + down) for x, y in inside]
    chosen = min(covers, key=lambda area: sum(_common(area, other) for other in taken))
    pen.rectangle(chosen, fill=PAPER)
    pen.multiline_text((chosen[0] + pad - x0, chosen[1] + pad - y0), text, fill=INK, font=font, spacing=pad)
    return chosen


def _common(one: Rectangle, other: Rectangle) -> float:
    """The area that two rectangles share."""
    sides = [max(0.0, min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis])) for axis in (0, 1)]
    return sides[0] * sides[1]


@lru_cache(maxsize=16)
def type_face(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The type face that comes with Pillow, in a size in pixels."""
    return ImageFont.load_default(size)
