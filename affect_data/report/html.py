"""Pieces of a page. Text becomes HTML only in this module, which escapes it."""

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

NO_NUMBER: Final = "–"

# A number may be followed by a per cent sign or an interval.
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?( %| \[-?\d+\.\d+, -?\d+\.\d+\])?")


@dataclass(frozen=True)
class Markup:
    """HTML that is safe to put into a page; all other values are text."""

    text: str


def escape(value: object) -> str:
    """Text as HTML, also inside of quoted attributes; control characters become their visible form."""
    shown = "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in str(value))
    return html.escape(shown, quote=True)


def show(value: object) -> str:
    """A value as HTML: markup as it is, numbers with separators, None as a dash."""
    if isinstance(value, Markup):
        return value.text
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NO_NUMBER
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else escape(value)


def percent(share: float | None) -> str:
    """A share in per cent, or a dash."""
    return NO_NUMBER if share is None else f"{100 * share:.1f} %"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> Markup:
    """A table; columns of numbers are aligned right."""
    lines = [list(row) for row in rows]
    numeric = [
        bool(lines) and all(_is_number(row[i]) for row in lines) and any(row[i] is not None for row in lines)
        for i in range(len(header))
    ]
    kinds = [' class="n"' if right else "" for right in numeric]
    head = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(header, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{_cell(value)}</td>" for value, kind in zip(row, kinds, strict=True)) + "</tr>\n"
        for row in lines
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return Markup(
        f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
    )


def _cell(value: object) -> str:
    # A long path may be broken where a folder ends.
    return escape(value).replace("/", "/<wbr>") if isinstance(value, str) else show(value)


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return value == NO_NUMBER or _NUMBER.fullmatch(value) is not None
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def paragraph(*parts: object, quiet: bool = False) -> Markup:
    """A paragraph of text and markup."""
    kind = ' class="quiet"' if quiet else ""
    return Markup(f"<p{kind}>{' '.join(part.text if isinstance(part, Markup) else escape(part) for part in parts)}</p>")


def with_code(text: str) -> Markup:
    """Text whose parts between backticks are code."""
    parts = escape(text).split("`")
    return Markup("".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts)))


def figure(drawing: Markup, caption: str) -> Markup:
    """A drawing with a caption."""
    return Markup(
        f'<figure><div class="scroll">{drawing.text}</div><figcaption>{escape(caption)}</figcaption></figure>'
    )


def heading(text: str) -> Markup:
    """A heading inside of a section."""
    return Markup(f"<h3>{escape(text)}</h3>")


def folded(summary: str, parts: Iterable[Markup]) -> Markup:
    """Parts that a reader opens; a print shows them."""
    return Markup(f"<details><summary>{escape(summary)}</summary>{''.join(part.text for part in parts)}</details>")


def grid(*parts: Markup) -> Markup:
    """Parts side by side, if there is room."""
    return Markup('<div class="grid">' + "".join(part.text for part in parts) + "</div>")


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        anchor: for links.
        title: heading.
        parts: its content, in order.
    """

    anchor: str
    title: str
    parts: tuple[Markup, ...]

    def to_html(self, number: int) -> str:
        """The section with its number."""
        return (
            f'<section id="{escape(self.anchor)}"><h2>{number}. {escape(self.title)}</h2>\n'
            + "\n".join(part.text for part in self.parts)
            + "</section>\n"
        )
