"""Plots of paired differences as SVG: a dot with its interval over seeds, and a thin line for that over faces."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reporting import Difference

LABELS, PANEL, LINE, TOP = 330, 120, 19, 44
COLOURS = {"holds": "#1a7f37", "opposite": "#b42318", "open": "#6b7280"}


def forest(differences: Sequence["Difference"], title: str) -> str:
    """An SVG with a row for each claim and a panel for each metric; every panel has its own scale, and 0 is the line in its middle."""
    claims = list(dict.fromkeys(one.claim for one in differences))
    metrics = list(dict.fromkeys(one.metric for one in differences))
    width, height = LABELS + PANEL * len(metrics) + 16, TOP + LINE * len(claims) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="18" font-size="13" font-weight="bold">{escape(title)}</text>',
    ]
    for row, claim in enumerate(claims):
        y = TOP + LINE * row
        if row % 2 == 0:
            parts.append(f'<rect x="0" y="{y}" width="{width}" height="{LINE}" fill="#f4f5f7"/>')
        parts.append(f'<text x="8" y="{y + 13}">{escape(claim)}</text>')
    for column, metric in enumerate(metrics):
        own = [one for one in differences if one.metric == metric]
        parts += _panel(own, claims, metric, LABELS + PANEL * column)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(own: Sequence["Difference"], claims: Sequence[str], metric: str, left: int) -> list[str]:
    widest = max(_reach(one) for one in own) or 1.0
    middle, scale = left + PANEL / 2, (PANEL / 2 - 8) / widest
    end = TOP + LINE * len(claims)
    parts = [
        f'<text x="{middle}" y="30" text-anchor="middle" font-weight="bold">{escape(metric)}</text>',
        f'<text x="{left + PANEL - 6}" y="41" text-anchor="end" font-size="9" fill="#6b7280">±{widest:.3f}</text>',
        f'<line x1="{middle}" y1="{TOP}" x2="{middle}" y2="{end}" stroke="#9aa1ab"/>',
    ]
    for one in own:
        y, colour = TOP + LINE * claims.index(one.claim) + LINE / 2, COLOURS[one.verdict]
        if one.over_faces is not None:
            low, high = (middle + scale * value for value in one.over_faces)
            parts.append(f'<line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}" stroke="{colour}" stroke-width="1"/>')
        if one.over_seeds is not None:
            low, high = (middle + scale * (one.mean + side * one.over_seeds) for side in (-1, 1))
            parts.append(
                f'<line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}" stroke="{colour}" stroke-width="4" opacity="0.5"/>'
            )
        parts.append(f'<circle cx="{middle + scale * one.mean:.1f}" cy="{y}" r="3" fill="{colour}"/>')
    return parts


def _reach(one: "Difference") -> float:
    ends = [one.mean, one.mean + (one.over_seeds or 0.0), one.mean - (one.over_seeds or 0.0), *(one.over_faces or ())]
    return max(abs(value) for value in ends)
