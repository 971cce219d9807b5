"""Charts as inline SVG: bars, heat maps, the valence-arousal plane, lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from affect_data.report import drawing
from affect_data.report.drawing import INK, LINE, PAPER, QUIET, SERIES
from affect_data.report.html import Markup, escape

FEW: Final = 10
"""A bin of a reliability curve with fewer labels says little: it is a hollow dot without a line."""

LABEL_AND_PREDICTION: Final = ("label", "prediction")

DIAGONAL: Final = f'stroke="{SERIES[0]}" stroke-dasharray="4 3" fill="none"'

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Series:
    """Values of one kind over the same labels.

    Attributes:
        name: of the series.
        values: None where there is none.
        ranges: the interval around each value, drawn as a whisker; None where there is none.
    """

    name: str
    values: Sequence[float | None]
    ranges: Sequence[tuple[float, float] | None] = ()


def bars(
    labels: Sequence[str], series: Sequence[Series], title: str, colours: Sequence[str] = drawing.SERIES
) -> Markup:
    """Horizontal bars in a group for each label, with the value at the end of each bar; a legend if there are several series.

    The chart is as wide as its place, on a phone as on a desktop: bars are per cent of the width, text keeps its size.

    Args:
        labels: names of the groups.
        series: of the same length as `labels`; None is drawn as a dash.
        title: for readers who cannot see the chart.
        colours: of the series, if there are several.
    """
    thick, gap = (15, 7) if len(series) == 1 else (12, 8)
    highest = [end for one in series for ends in one.ranges if ends is not None for end in ends]
    largest = (
        max((value for one in series for value in (*one.values, *highest) if value is not None), default=0.0) or 1.0
    )
    body, y = [], 20.0 if len(series) > 1 else 4.0
    for group, label in enumerate(labels):
        body.append(drawing.text(-6, y + thick * len(series) / 2 + 4, label, "end"))
        for number, one in enumerate(series):
            # A lighter bar, so that its whiskers can be seen.
            alone = drawing.RAMP[4] if one.ranges else SERIES[1]
            colour = alone if len(series) == 1 else colours[number % len(colours)]
            ends = one.ranges[group] if one.ranges else None
            body.append(_bar(label, one.name, one.values[group], ends, (y, thick), largest, colour))
            y += thick
        y += gap
    if len(series) > 1:
        body.append(drawing.legend([one.name for one in series], 0, colours))
    left = min(190, 14 + max((len(label) for label in labels), default=0) * 6.4)
    room = f'class="bars" style="padding:0 52px 0 {left:.0f}px" width="100%" height="{y:g}"'
    return Markup(f'<svg {room} role="img" aria-label="{escape(title)}">{"".join(body)}</svg>')


def _bar(
    label: str,
    name: str,
    value: float | None,
    ends: tuple[float, float] | None,
    place: tuple[float, int],
    largest: float,
    colour: str,
) -> str:
    """A bar with its whisker and its value; `place` is its upper edge and its thickness, `largest` the value of the full width."""
    (y, thick), scale = place, 100 / largest
    length, shown = 0.0 if value is None else max(value, 0.0) * scale, "–" if value is None else drawing.compact(value)
    tip = escape(f"{label}, {name}: {shown}")
    parts = [
        f'<rect x="0" y="{y:.1f}" width="{length:.2f}%" height="{thick - 1}" fill="{colour}"><title>{tip}</title></rect>'
    ]
    if ends is not None:
        parts.append(_whisker(ends[0] * scale, ends[1] * scale, y + (thick - 1) / 2))
        length = max(length, ends[1] * scale)
    parts.append(f'<text x="{length:.2f}%" dx="4" y="{y + thick - 3:.1f}" fill="{QUIET}">{escape(shown)}</text>')
    return "".join(parts)


def _whisker(x0: float, x1: float, y: float) -> str:
    """An interval in per cent of the width."""
    ends = ((x0, y, x1, y), (x0, y - 3, x0, y + 3), (x1, y - 3, x1, y + 3))
    return "".join(
        f'<line x1="{a:.2f}%" y1="{b:.1f}" x2="{c:.2f}%" y2="{d:.1f}" stroke="{INK}"></line>' for a, b, c, d in ends
    )


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Floats,
    title: str,
    *,
    shades: Floats | None = None,
    cell: tuple[int, int] = (52, 22),
    texts: Sequence[Sequence[str]] | None = None,
) -> Markup:
    """A grid of shaded cells with their values.

    Args:
        rows: names.
        columns: names.
        values: float [rows, columns]; NaN where there is none.
        title: for readers who cannot see the chart.
        shades: float [rows, columns] in [0, 1]; None: each value's share of the largest.
        cell: width and height in pixels.
        texts: content of the cells; None: the values.
    """
    across, down = cell
    left = 12 + max((len(name) for name in rows), default=0) * 6.4
    largest = np.nanmax(values) if np.isfinite(values).any() else 1.0
    shade = shades if shades is not None else values / (largest or 1.0)
    body = [
        drawing.text(left + (i + 0.5) * across, 14, name, "middle", QUIET, ' font-size="10"')
        for i, name in enumerate(columns)
    ]
    for r, name in enumerate(rows):
        y = 20 + r * down
        body.append(drawing.text(left - 6, y + down / 2 + 4, name, "end"))
        for c, column in enumerate(columns):
            value = float(values[r, c])
            if math.isnan(value):
                body.append(drawing.text(left + (c + 0.5) * across, y + down / 2 + 4, "·", "middle", QUIET))
                continue
            text = texts[r][c] if texts is not None else drawing.compact(value)
            step = drawing.shade(float(shade[r, c]))
            tip = f"{name}, {column}: {text}"
            body.append(drawing.rectangle(left + c * across + 1, y + 1, across - 2, down - 2, drawing.RAMP[step], tip))
            colour = INK if step <= drawing.INK_UNTIL else PAPER
            body.append(
                drawing.text(left + (c + 0.5) * across, y + down / 2 + 4, text, "middle", colour, ' font-size="10"')
            )
    return drawing.svg(left + across * len(columns) + 4, 24 + down * len(rows), "".join(body), title, fit=False)


def plane(
    counts: Floats,
    title: str,
    size: int = 240,
    largest: float | None = None,
    axes: tuple[str, str] = ("valence", "arousal"),
) -> Markup:
    """A 2-D histogram over [-1, 1] x [-1, 1] in logarithmic shades: the valence-arousal plane, or what is predicted of one of them by its label.

    Args:
        counts: float [bin to the right, bin upwards].
        title: for readers who cannot see the chart.
        size: of the plane, in pixels.
        largest: the count with the darkest shade, for planes side by side; None: that of the fullest bin.
        axes: names of the axis to the right and of the one upwards. For ``label`` and ``prediction`` there is a diagonal, on which both are equal.
    """
    bins, left, top = len(counts), 30, 6
    side, darkest = size / bins, float(np.log1p(counts.max() if largest is None else largest)) if counts.size else 0.0
    body = [drawing.rectangle(left, top, size, size, PAPER)]
    for v, a in np.argwhere(counts > 0):
        count = float(counts[v, a])
        x, y = left + v * side, top + size - (a + 1) * side
        corner = f"{axes[0]} {-1 + 2 * v / bins:.1f}, {axes[1]} {-1 + 2 * a / bins:.1f}: {drawing.compact(count)}"
        body.append(
            drawing.rectangle(
                x, y, side + 0.2, side + 0.2, drawing.RAMP[drawing.shade(math.log1p(count) / darkest)], corner
            )
        )
    middle = size / 2
    body.append(
        f'<path d="M{left} {top + middle}h{size}M{left + middle} {top}v{size}" stroke="{LINE}" fill="none"/>'
        + (f'<path d="M{left} {top + size}l{size} -{size}" {DIAGONAL}/>' if axes == LABEL_AND_PREDICTION else "")
        + f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="{QUIET}"/>'
    )
    for position, label in ((0.0, "-1"), (0.5, "0"), (1.0, "1")):
        body.append(drawing.text(left + position * size, top + size + 14, label, "middle", QUIET, ' font-size="10"'))
        body.append(drawing.text(left - 5, top + size - position * size + 4, label, "end", QUIET, ' font-size="10"'))
    body.append(drawing.text(left + middle, top + size + 27, axes[0], "middle", QUIET))
    turned = f' transform="rotate(-90 {10} {top + middle})"'
    body.append(drawing.text(10, top + middle, axes[1], "middle", QUIET, turned))
    return drawing.svg(size + left + 12, size + top + 32, "".join(body), title)


def dot_in_plane(valence: float, arousal: float) -> Markup:
    """A small valence-arousal plane with one dot, to stand beside text that says the numbers."""
    x, y = 15 + 13 * valence, 15 - 13 * arousal
    body = (
        f'<rect x="1" y="1" width="28" height="28" fill="{PAPER}" stroke="{QUIET}"></rect>'
        f'<path d="M1 15h28M15 1v28" stroke="{LINE}"></path><circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{SERIES[1]}"></circle>'
    )
    return Markup(f'<svg class="dot" viewBox="0 0 30 30" width="30" height="30" aria-hidden="true">{body}</svg>')


def lines(series: Sequence[tuple[str, Sequence[tuple[float, float]]]], title: str, across: str, up: str) -> Markup:
    """Lines through points, with axes from the data; a legend if there are several lines.

    Args:
        series: name and points of each line.
        title: for readers who cannot see the chart.
        across: name of the horizontal axis.
        up: name of the vertical axis.
    """
    points = [point for _, line in series for point in line]
    if not points:
        return Markup("")
    width, height, left, top = 460, 210, 48, 20
    x1, y1 = max(x for x, _ in points) or 1.0, max(y for _, y in points) or 1.0
    x0, y0 = min(x for x, _ in points), min(0.0, *(y for _, y in points))
    wide, high = width - left - 12, height - top - 36

    def place(x: float, y: float) -> tuple[float, float]:
        return left + wide * (x - x0) / ((x1 - x0) or 1), top + high * (1 - (y - y0) / ((y1 - y0) or 1))

    body = []
    for share in (0.0, 0.5, 1.0):
        x, y = place(x0 + share * (x1 - x0), y0 + share * (y1 - y0))
        body.append(f'<path d="M{left} {y:.1f}h{wide}" stroke="{LINE}"/>')
        body.append(
            drawing.text(left - 5, y + 4, drawing.compact(y0 + share * (y1 - y0)), "end", QUIET, ' font-size="10"')
        )
        body.append(
            drawing.text(
                x, top + high + 14, drawing.compact(x0 + share * (x1 - x0)), "middle", QUIET, ' font-size="10"'
            )
        )
    for number, (_, line) in enumerate(series):
        if not line:
            # Its name still stands in the legend, and the colours of the others stay theirs.
            continue
        path = "L".join("{:.1f} {:.1f}".format(*place(x, y)) for x, y in line)
        body.append(f'<path d="M{path}" {drawing.stroke(number)}/>')
        if len(line) == 1:
            x, y = place(*line[0])
            body.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{drawing.STROKES[number % len(drawing.STROKES)]}"/>'
            )
    body.append(drawing.text(left + wide / 2, height - 6, across, "middle", QUIET))
    if len(series) > 1:
        body.append(drawing.line_legend([name for name, _ in series], left))
    else:
        body.append(drawing.text(left, 11, up, colour=QUIET))
    return drawing.svg(width, height, "".join(body), title)


def reliability(
    probabilities: Sequence[float | None],
    frequencies: Sequence[float | None],
    counts: Sequence[int],
    title: str,
    axes: tuple[str, str],
    size: int = 220,
) -> Markup:
    """A reliability curve: in each bin the frequency of events by their mean probability, against the diagonal, with the number of labels below.

    Args:
        probabilities: mean of each bin; None in empty bins.
        frequencies: of each bin; None in empty bins.
        counts: rows of each bin.
        title: for readers who cannot see the chart.
        axes: names of the horizontal and the vertical axis.
        size: of the square in pixels.
    """
    left, top, below = 34, 16, size // 6
    base = top + size + 6 + below
    bin_width, fullest = size / max(len(counts), 1), max(counts, default=0) or 1
    body = [
        f'<path d="M{left} {top + size}L{left + size} {top}" {DIAGONAL}/>',
        f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="{LINE}"/>',
    ]
    sure, dots = [], []
    for number, (given, happened, count) in enumerate(zip(probabilities, frequencies, counts, strict=True)):
        if given is None or happened is None or not count:
            continue
        height = below * count / fullest
        tip = f"{count:,} labels, {axes[0]} {given:.2f}, {axes[1]} {happened:.2f}"
        body.append(
            drawing.rectangle(left + number * bin_width, base - height, bin_width - 1, height, drawing.RAMP[3], tip)
        )
        x, y, many = left + size * given, top + size * (1 - happened), count >= FEW
        sure += [f"{x:.1f} {y:.1f}"] * many
        fill = SERIES[1] if many else PAPER
        dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{fill}" stroke="{SERIES[1]}">'
        dots.append(f"{dot}<title>{escape(tip)}</title></circle>")
    if sure:
        body.append(f'<path d="M{"L".join(sure)}" fill="none" stroke="{SERIES[1]}" stroke-width="1.6"/>')
    body += dots
    small = ' font-size="10"'
    for position in (0.0, 0.5, 1.0):
        body.append(drawing.text(left + position * size, base + 13, f"{position:g}", "middle", QUIET, small))
        body.append(drawing.text(left - 5, top + size * (1 - position) + 4, f"{position:g}", "end", QUIET, small))
    body.append(drawing.text(left + size / 2, base + 26, axes[0], "middle", QUIET))
    body.append(drawing.text(left, 10, axes[1], "start", QUIET))
    return drawing.svg(size + left + 12, base + 32, "".join(body), title)


def precision_recall(
    series: Sequence[tuple[str, Sequence[float], Sequence[float]]], rate: float | None, title: str, size: int = 120
) -> Markup:
    """Precision by recall, over the unit square; the dashed line is the precision of guessing.

    Args:
        series: name, recall and precision of each line.
        rate: how often the class is present; None if that is not known.
        title: for readers who cannot see the chart.
        size: of the square in pixels.
    """
    left, top = 34, 16
    body = [f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="{LINE}"/>']
    if rate is not None:
        body.append(f'<path d="M{left} {top + size * (1 - rate):.1f}h{size}" {DIAGONAL}/>')
    for number, (_, recall, precision) in enumerate(series):
        points = [f"{left + size * r:.1f} {top + size * (1 - p):.1f}" for r, p in zip(recall, precision, strict=True)]
        if points:
            body.append(f'<path d="M{"L".join(points)}" {drawing.stroke(number)}/>')
    small = ' font-size="10"'
    for position in (0.0, 0.5, 1.0):
        body.append(drawing.text(left + position * size, top + size + 13, f"{position:g}", "middle", QUIET, small))
        body.append(drawing.text(left - 5, top + size * (1 - position) + 4, f"{position:g}", "end", QUIET, small))
    body.append(drawing.text(left + size / 2, top + size + 26, "recall", "middle", QUIET))
    body.append(drawing.text(left, 10, "precision", "start", QUIET))
    return drawing.svg(size + left + 12, top + size + 32, "".join(body), title)


def forest(
    labels: Sequence[str], lines: Sequence[tuple[float, float, float, bool]], title: str, ends: tuple[str, str]
) -> Markup:
    """Differences around zero, one below the other: a dot with its interval; a claim is dark, what chance may have made is grey.

    Args:
        labels: of the lines.
        lines: difference, lower and upper end of its interval, and whether it is more than chance.
        title: for readers who cannot see the chart.
        ends: what it means to lie left and right of zero.
    """
    left, width, step, top = min(360, 14 + max(map(len, labels), default=0) * 6.4), 320, 16, 22
    reach = max((abs(end) for _, low, high, _ in lines for end in (low, high)), default=0) or 1.0
    middle, scale, bottom = left + width / 2, (width / 2 - 8) / reach, top + step * len(lines)
    body = [
        drawing.text(middle - 8, 12, f"← {ends[0]}", "end", QUIET),
        drawing.text(middle + 8, 12, f"{ends[1]} →", "start", QUIET),
        f'<path d="M{middle:.1f} {top - 4}V{bottom}" stroke="{SERIES[0]}" stroke-dasharray="4 3"/>',
    ]
    for number, (label, (value, low, high, is_sure)) in enumerate(zip(labels, lines, strict=True)):
        y, colour = top + step * number + step / 2, SERIES[1] if is_sure else SERIES[0]
        tip = f"{label}: {value:+.3f} [{low:+.3f}, {high:+.3f}]"
        body.append(drawing.text(left - 8, y + 4, label, "end", INK if is_sure else QUIET))
        body.append(f'<path d="M{middle + low * scale:.1f} {y:.1f}H{middle + high * scale:.1f}" stroke="{colour}"/>')
        dot = f'<circle cx="{middle + value * scale:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}">'
        body.append(f"{dot}<title>{escape(tip)}</title></circle>")
    body += [
        drawing.text(middle + place * scale, bottom + 14, f"{place:+.2g}" if place else "0", "middle", QUIET)
        for place in (-reach, 0.0, reach)
    ]
    return drawing.svg(left + width + 12, bottom + 20, "".join(body), title)


def standing_alone(chart: Markup) -> str:
    """A chart as a file of its own: with the name of its language, a font and paper."""
    head, rest = chart.text.split(">", 1)
    head = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11"', 1)
    return f'{head}><rect width="100%" height="100%" fill="#fff"/>{rest}\n'
