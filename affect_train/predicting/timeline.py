"""The time line of a clip as a picture for a slide: expressions as a strip, valence and arousal as curves, action units as a map, for each face."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from affect_train.predicting.annotating import TRACKS, Colour, type_face
from affect_train.predicting.columns import FaceColumns

WIDTH: Final = 1920
LEFT, RIGHT, MARGIN = 190, 60, 40
SCALE: Final = 2
"""Everything is drawn this many times as large, then reduced, so that lines are smooth."""

MOST_FACES: Final = 2
"""The faces that are seen longest have a time line."""

BINS: Final = 600
"""Parts of the time line; a part shows the mean of its frames."""

TITLE, LEGEND, STRIP, CURVES, UNIT, GAP, HEAD = 60, 40, 46, 190, 22, 26, 44

INK: Final[Colour] = (28, 36, 48)
QUIET: Final[Colour] = (92, 103, 118)
LINE: Final[Colour] = (213, 218, 225)
PAPER: Final[Colour] = (255, 255, 255)
NOTHING: Final[Colour] = (244, 246, 249)

EXPRESSIONS: Final[dict[str, Colour]] = {
    "neutral": (176, 184, 194), "anger": (213, 94, 0), "disgust": (0, 130, 95), "fear": (120, 80, 165), "happiness": (240, 200, 40),
    "sadness": (0, 114, 178), "surprise": (86, 180, 233), "contempt": (204, 121, 167), "other": (110, 110, 110),
}  # fmt: skip
VALENCE: Final[Colour] = (29, 95, 168)
AROUSAL: Final[Colour] = (180, 83, 10)
_LIGHT: Final = np.array((236, 243, 250))
_DARK: Final = np.array((11, 51, 92))


@dataclass(frozen=True)
class _Binned:
    """The rows of a face by parts of the time line; NaN where it was not seen.

    Attributes:
        number: of the track.
        frames: in which it was found.
        means: by column, float64 [BINS].
    """

    number: int
    frames: int
    means: dict[str, NDArray[np.float64]]


class _Pen:
    """Draws on a picture in its final coordinates, though it is larger."""

    def __init__(self, height: int) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        if x1 > x0 and y1 > y0:
            self._draw.rectangle((x0 * SCALE, y0 * SCALE, x1 * SCALE - 1, y1 * SCALE - 1), fill=fill)

    def line(self, points: Sequence[tuple[float, float]], fill: Colour, width: float) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.line(scaled, fill=fill, width=max(1, round(width * SCALE)), joint="curve")

    def text(self, x: float, y: float, text: str, fill: Colour = INK, size: int = 20, anchor: str = "lm") -> float:
        """Writes a line; returns where it ends."""
        font = type_face(size * SCALE)
        self._draw.text((x * SCALE, y * SCALE), text, fill=fill, font=font, anchor=anchor)
        return x + self._draw.textlength(text, font=font) / SCALE


def timeline(rows: pl.DataFrame, columns: FaceColumns, title: str) -> Image.Image:
    """The time line of a clip, a picture in RGB, 1920 pixels wide.

    Args:
        rows: of the clip, one at least.
        columns: of the table.
        title: what is written above.
    """
    end = max(float(rows["timestamp"].max()), 1e-3)  # type: ignore[arg-type]
    longest = rows.group_by("track").len().sort(["len", "track"], descending=[True, False])["track"].to_list()
    shown = [_binned(rows.filter(pl.col("track") == track), columns, end, track) for track in longest[:MOST_FACES]]
    each = _height(columns)
    pen = _Pen(MARGIN + TITLE + LEGEND + len(shown) * each + 70)
    pen.text(MARGIN, MARGIN + 10, title, size=30)
    left_out = f", {len(longest) - len(shown)} more faces not shown" if len(longest) > len(shown) else ""
    pen.text(WIDTH - RIGHT, MARGIN + 10, f"{_clock(end)}{left_out}", QUIET, 22, "rm")
    _draw_legend(pen, columns, MARGIN + TITLE)
    top = float(MARGIN + TITLE + LEGEND)
    for face in shown:
        _draw_face(pen, face, columns, top)
        top += each
    _draw_axis(pen, end, top)
    return pen.image.reduce(SCALE)


def _height(columns: FaceColumns) -> int:
    strip = STRIP + GAP if columns.expressions else 0
    curves = CURVES + GAP if columns.has_valence else 0
    return HEAD + strip + curves + UNIT * len(columns.units) + GAP


def _binned(rows: pl.DataFrame, columns: FaceColumns, end: float, track: int) -> _Binned:
    values = [f"expression_{name}" for name in columns.expressions] + list(columns.units)
    values += ["valence", "arousal"] if columns.has_valence else []
    part = np.minimum((rows["timestamp"].to_numpy() / end * BINS).astype(int), BINS - 1)
    counts = np.bincount(part, minlength=BINS)
    means = {}
    with np.errstate(invalid="ignore"):
        for name in values:
            means[name] = np.bincount(part, rows[name].to_numpy().astype(np.float64), BINS) / counts
    # A part that no frame falls into, because the clip has fewer frames than there are parts, goes on with the frame before.
    step = max(1, int(np.ceil(np.median(np.diff(part)) if len(part) > 1 else 1)))
    for values_of in means.values():
        _carry_on(values_of, step)
    return _Binned(track, len(rows), means)


def _carry_on(values: NDArray[np.float64], most: int) -> None:
    """Fills at most `most` parts after each known one."""
    since = most
    for place in range(len(values)):
        since = 0 if not np.isnan(values[place]) else since + 1
        if since and since <= most:
            values[place] = values[place - 1]


def _draw_face(pen: _Pen, face: _Binned, columns: FaceColumns, top: float) -> None:
    colour = TRACKS[face.number % len(TRACKS)]
    pen.box(MARGIN, top + 4, MARGIN + 20, top + 24, colour)
    pen.text(MARGIN + 30, top + 14, f"face {face.number}", size=22)
    y = top + HEAD
    if columns.expressions:
        _draw_strip(pen, face, columns, y)
        y += STRIP + GAP
    if columns.has_valence:
        _draw_curves(pen, face, y)
        y += CURVES + GAP
    for unit in columns.units:
        _draw_unit(pen, face, unit, y)
        y += UNIT


def _x(part: float | np.integer[Any]) -> float:
    return LEFT + float(part) * (WIDTH - LEFT - RIGHT) / BINS


def _draw_strip(pen: _Pen, face: _Binned, columns: FaceColumns, y: float) -> None:
    """The most probable expression of each part, as high as it is probable; nothing where it was not seen."""
    pen.text(LEFT - 14, y + STRIP / 2, "expression", size=20, anchor="rm")
    pen.box(LEFT, y, WIDTH - RIGHT, y + STRIP, NOTHING)
    shares = np.stack([face.means[f"expression_{name}"] for name in columns.expressions])
    for part in np.flatnonzero(~np.isnan(shares[0])):
        best = int(shares[:, part].argmax())
        height = STRIP * float(shares[best, part])
        pen.box(_x(part), y + STRIP - height, _x(part + 1), y + STRIP, _colour_of(columns.expressions[best]))


def _draw_legend(pen: _Pen, columns: FaceColumns, y: float) -> None:
    """What the colours of expressions mean, and how dark an action unit is."""
    x = float(LEFT)
    for name in columns.expressions:
        pen.box(x, y, x + 16, y + 16, _colour_of(name))
        x = pen.text(x + 22, y + 8, name, QUIET, 18) + 24
    if columns.units:
        x = pen.text(x + 16, y + 8, "action unit, probability 0", QUIET, 18) + 8
        for step in range(10):
            pen.box(x + 8 * step, y, x + 8 * step + 8, y + 16, _shade(step / 9))
        pen.text(x + 88, y + 8, "1", QUIET, 18)


def _draw_curves(pen: _Pen, face: _Binned, y: float) -> None:
    """Valence and arousal from -1 to 1; where the face was not seen, there is no line."""
    middle = y + CURVES / 2
    pen.box(LEFT, y, WIDTH - RIGHT, y + CURVES, NOTHING)
    for value in (-1.0, -0.5, 0.0, 0.5, 1.0):
        level = middle - value * CURVES / 2
        pen.line([(LEFT, level), (WIDTH - RIGHT, level)], LINE, 2 if value == 0 else 1)
        if value in (-1.0, 0.0, 1.0):
            pen.text(LEFT - 14, level, f"{value:+.0f}" if value else "0", QUIET, 16, "rm")
    for row, (name, colour) in enumerate((("valence", VALENCE), ("arousal", AROUSAL))):
        pen.text(LEFT - 50, middle - 34 + 68 * row, name, colour, 20, "rm")
        values = face.means[name]
        known = np.flatnonzero(~np.isnan(values))
        for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
            points = [(_x(part + 0.5), middle - float(np.clip(values[part], -1, 1)) * CURVES / 2) for part in run]
            if len(points) == 1:
                points.append((points[0][0] + 2, points[0][1]))
            if points:
                pen.line(points, colour, 3)


def _draw_unit(pen: _Pen, face: _Binned, unit: str, y: float) -> None:
    """An action unit: the darker, the more probable."""
    pen.text(LEFT - 14, y + UNIT / 2, f"AU{int(unit[2:])}", size=16, anchor="rm")
    pen.box(LEFT, y, WIDTH - RIGHT, y + UNIT - 3, NOTHING)
    values = face.means[unit]
    for part in np.flatnonzero(~np.isnan(values)):
        pen.box(_x(part), y, _x(part + 1), y + UNIT - 3, _shade(float(values[part])))


def _draw_axis(pen: _Pen, end: float, y: float) -> None:
    pen.line([(LEFT, y), (WIDTH - RIGHT, y)], QUIET, 1)
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000)
    step = next((step for step in steps if end / step <= 12), 36000)
    for number in range(int(end / step + 1e-9) + 1):
        x = _x(BINS * number * step / end)
        pen.line([(x, y), (x, y + 8)], QUIET, 1)
        pen.text(x, y + 22, _clock(number * step, tenths=step < 1), QUIET, 18, "mm")


def _clock(seconds: float, *, tenths: bool = False) -> str:
    """A time as people write it: 4.5 s, 1:05, 1:02:03."""
    if seconds < 60:
        return f"{seconds:.1f} s" if tenths or seconds % 1 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _shade(probability: float) -> Colour:
    red, green, blue = (round(value) for value in _LIGHT + (_DARK - _LIGHT) * probability)
    return red, green, blue


def _colour_of(expression: str) -> Colour:
    return EXPRESSIONS.get(expression, EXPRESSIONS["other"])
