"""Tables on a terminal that is narrower than they are."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence


def terminal_width() -> int | None:
    """Columns of the terminal that stdout is; None for a file or a pipe, which take lines of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fitting(lines: list[str], header: Sequence[str], rows: Iterable[Sequence[str]], width: int | None) -> list[str]:
    """The lines of a table, or, where one is longer than the width, each row as a paragraph of its cells with their columns' names.

    Args:
        lines: the table with aligned columns.
        header: names of the columns.
        rows: its cells.
        width: columns of the terminal; None for any length.
    """
    if width is None or all(len(line) <= width for line in lines):
        return lines
    paragraphs = []
    for first, *others in rows:
        said = [f"{name} {cell}" for name, cell in zip(header[1:], others, strict=True) if cell not in ("", "-")]
        text = textwrap.wrap(", ".join(said), max(20, width - 2), break_long_words=False, break_on_hyphens=False)
        paragraphs += [first, *(f"  {line}" for line in text)]
    return paragraphs
