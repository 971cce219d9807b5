"""The plot of `scaling.py`: rows against seconds and against memory, both axes logarithmic, as SVG."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

WIDTH: Final = 950
HEIGHT: Final = 430
PANEL: Final = (330, 320)
"""Width and height of a panel, in pixels."""

TOP: Final = 52
LABELLED: Final = 138
"""Pixels to the right of a panel, for the names of its lines."""

COLOURS: Final = (
    "#2f6f9f",
    "#b5542c",
    "#4f7f3f",
    "#7d5a96",
    "#a08324",
    "#9a4f6b",
    "#3c8582",
    "#5c6470",
    "#86602f",
    "#566bb0",
)
"""Of the lines, in the order of the works: dark enough for text on white."""

LIMIT: Final = 1000.0
"""Memory that a process may hold, in MB."""


class _Axis(NamedTuple):
    """A logarithmic axis."""

    low: float
    high: float
    begin: float
    end: float

    def place(self, value: float) -> float:
        """Where a value is, in pixels."""
        share = (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        return self.begin + share * (self.end - self.begin)

    def decades(self) -> list[float]:
        """The powers of ten on the axis."""
        return [10.0**power for power in range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)]


def draw(figures: Sequence[Mapping[str, Any]]) -> str:
    """The plot as SVG.

    Args:
        figures: a line for each work and number of rows: `work, rows, cpu, held`.
    """
    panels = [
        _panel(figures, "cpu", 54, "processor seconds", (0.1, 2000.0)),
        _panel(figures, "held", 54 + PANEL[0] + LABELLED, "memory that the process holds, MB", (50.0, 4000.0)),
    ]
    style = "font-family:system-ui,sans-serif;font-size:11px"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" style="{style}" '
        'role="img" aria-label="Seconds and memory of commands by the rows of a dataset">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n' + "\n".join(panels) + "\n</svg>\n"
    )


def _panel(
    figures: Sequence[Mapping[str, Any]], value: str, left: float, title: str, reach: tuple[float, float]
) -> str:
    across = _Axis(8_000.0, 6_000_000.0, left, left + PANEL[0])
    up = _Axis(*reach, TOP + PANEL[1], TOP)
    parts = [f'<text x="{left}" y="{TOP - 22}" fill="#1d232b" font-size="13" font-weight="600">{title}</text>']
    for number in up.decades():
        parts.append(_line(left, up.place(number), left + PANEL[0], up.place(number), "#e3e6ea"))
        parts.append(_text(left - 6, up.place(number) + 4, f"{number:,.0f}" if number >= 1 else f"{number:g}", "end"))
    for number in across.decades():
        parts.append(_line(across.place(number), TOP, across.place(number), TOP + PANEL[1], "#e3e6ea"))
        parts.append(_text(across.place(number), TOP + PANEL[1] + 18, f"{number:,.0f}", "middle"))
    parts.append(_text(left + PANEL[0] / 2, TOP + PANEL[1] + 38, "rows", "middle"))
    if value == "held":
        parts.append(_line(left, up.place(LIMIT), left + PANEL[0], up.place(LIMIT), "#1d232b", dashed=True))
        parts.append(_text(left + 6, up.place(LIMIT) - 5, "1 GB", "start"))
    works = list(dict.fromkeys(line["work"] for line in figures))
    ends = []
    for work, colour in zip(works, COLOURS, strict=False):
        own = sorted((line["rows"], max(line[value], reach[0])) for line in figures if line["work"] == work)
        points = [(across.place(rows), up.place(number)) for rows, number in own]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{colour}"/>' for x, y in points]
        ends.append((points[-1], work, colour))
    parts += _names(ends, left + PANEL[0])
    return "\n".join(parts)


def _names(ends: Sequence[tuple[tuple[float, float], str, str]], edge: float) -> list[str]:
    """The names of the lines beside their ends, moved apart where they would cover each other."""
    parts, above = [], 0.0
    for (x, y), work, colour in sorted(ends, key=lambda end: end[0][1]):
        if x < edge - LABELLED / 2:
            # A line that ends early has its name at its end.
            parts.append(f'<text x="{x + 6:.1f}" y="{y + 4:.1f}" fill="{colour}">{escape(work)}</text>')
            continue
        place = max(y, above + 13)
        above = place
        parts.append(_line(x + 4, y, edge + 6, place, colour, thin=True))
        parts.append(f'<text x="{edge + 9:.1f}" y="{place + 4:.1f}" fill="{colour}">{escape(work)}</text>')
    return parts


def _line(x0: float, y0: float, x1: float, y1: float, colour: str, *, dashed: bool = False, thin: bool = False) -> str:
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    width = 0.6 if thin else 1
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}" stroke-width="{width}"{dashes}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="#4a535e" text-anchor="{anchor}">{escape(text)}</text>'
