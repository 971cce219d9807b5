"""What charts are drawn with: colours, text, rectangles. Colours work in print and for the common kinds of colour blindness."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from affect_data.report.html import Markup, escape

INK: Final = "#1c2430"
QUIET: Final = "#5c6776"
LINE: Final = "#d5dae1"
SERIES: Final = ("#8a94a3", "#1d5fa8", "#b4530a", "#2f7d5b")
"""Colour of each series: before balancing first, in grey."""

STROKES: Final = (*SERIES[1:], SERIES[0])
"""Colour of each line, and of each run; further lines are dashed."""

PAPER: Final = "#fff"

# Nine steps of a single hue, from paper to ink: lightness alone shows the order, also in print. No step is of a middle lightness on which neither
# ink nor paper could be read.
RAMP: Final = ("#f4f7fb", "#dfe9f4", "#c3d7eb", "#9fc0df", "#74a3cf", "#3b75aa", "#245f99", "#154c83", "#0b335c")
INK_UNTIL: Final = 4
"""Text on the ramp is ink up to this step, paper from the next on."""

DARK_RAMP: Final = ("#1d2630", "#20354b", "#234564", "#26557f", "#2c659a", "#5a94cb", "#7fb0e0", "#a9cdf0", "#d6e9fb")
DARK: Final = {
    **dict(zip(RAMP, DARK_RAMP, strict=True)),
    INK: "#e6eaef",
    QUIET: "#a0abb8",
    LINE: "#3a444f",
    PAPER: "#161b22",
    **dict(zip(SERIES[1:], ("#6eaaf0", "#f0a45d", "#7ccb92"), strict=True)),
}
"""What each colour becomes on a dark screen: order and contrast stay, light and dark change places."""

Floats = npt.NDArray[np.floating]


def svg(width: float, height: float, body: str, label: str, *, fit: bool = True) -> Markup:
    """A drawing; with `fit` it shrinks with the window, otherwise it grows with it and is scrolled where there is no room."""
    # A heat map is never smaller than its text needs, and not so large that it looks coarse.
    kind = ' class="fit"' if fit else f' class="wide" style="min-width:{width:.0f}px;max-width:{1.4 * width:.0f}px"'
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return Markup(f'<svg{kind} {size} role="img" aria-label="{escape(label)}">{body}</svg>')


def text(x: float, y: float, words: str, anchor: str = "start", colour: str = INK, extra: str = "") -> str:
    """Text whose `anchor` (start, middle, end) stands at x, on the line y."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{extra}>{escape(words)}</text>'


def rectangle(x: float, y: float, width: float, height: float, colour: str, title: str = "") -> str:
    """A filled rectangle, with a title that a pointer shows."""
    tip = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" fill="{colour}">{tip}</rect>'


def shade(share: float) -> int:
    """The step of the ramp for a share in [0, 1]; the lightest is kept for zero."""
    return 0 if share <= 0 else min(len(RAMP) - 1, 1 + int(share * (len(RAMP) - 1)))


def compact(value: float) -> str:
    """A number in few characters: 12,345 as 12.3k."""
    for limit, suffix in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e6 if suffix == 'M' else 1e3):.1f}{suffix}"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2f}"


def legend(names: Sequence[str], x: float, colours: Sequence[str] = SERIES) -> str:
    """Names beside squares of their colours, from left to right."""
    parts = []
    for number, name in enumerate(names):
        parts.append(rectangle(x, 1, 9, 9, colours[number % len(colours)]) + text(x + 13, 10, name, colour=QUIET))
        x += 26 + 6.2 * len(name)
    return "".join(parts)


def line_legend(names: Sequence[str], x: float) -> str:
    """Names beside strokes of their lines, from left to right."""
    parts = []
    for number, name in enumerate(names):
        parts.append(f'<path d="M{x:.1f} 6h14" {stroke(number)}/>' + text(x + 18, 10, name, colour=QUIET))
        x += 32 + 6.2 * len(name)
    return "".join(parts)


def stroke(number: int) -> str:
    """How the line of this number is drawn, as attributes of a path."""
    dashes = ' stroke-dasharray="5 3"' if number >= len(STROKES) else ""
    return f'fill="none" stroke="{STROKES[number % len(STROKES)]}" stroke-width="1.6"{dashes}'


def dark_rules() -> str:
    """Style rules that give drawings their colours on a dark screen; prints stay light."""
    rules = "".join(
        f'svg [{kind}="{light}"]{{{kind}:{dark}}}' for light, dark in DARK.items() for kind in ("fill", "stroke")
    )
    return f"@media screen and (prefers-color-scheme: dark){{{rules}}}"
