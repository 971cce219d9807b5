"""Lines of delimited files, and how they are taken apart."""

import csv

import polars as pl


def after_lines(text: str, count: int) -> str:
    """A text without its first lines."""
    for _ in range(count):
        text = text.partition("\n")[2]
    return text


def stripped(lines: pl.Series, separator: str, width: int) -> pl.Series:
    """The lines with single separators, and without what editors and scripts leave at their ends.

    Args:
        lines: of one or many files.
        separator: a blank stands for any number of blanks and tabs; of tabs at the end, those that would be one field too many are none.
        width: how many fields a line has.
    """
    lines = lines.str.strip_chars("\r")
    if separator == " ":
        uneven = lines.str.contains(r"\t|  |^ | $")
        repaired = lines.filter(uneven).str.replace_all(r"[ \t]+", " ").str.strip_chars(" ")
    elif separator == "\t":
        uneven = lines.str.count_matches(separator, literal=True) >= width
        repaired = lines.filter(uneven).str.strip_chars_end(" \t")
    else:
        return lines
    return lines.scatter(uneven.arg_true(), repaired) if len(repaired) else lines


def quoted_fields(line: str, separator: str = ",") -> list[str]:
    """The fields of one line, which may be quoted with ``"``; empty if the line cannot be split."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def quoted_rows(lines: pl.Series, separator: str, width: int) -> list[tuple[int, list[str] | None]]:
    """The number of fields of each line, and the fields themselves if there are as many as expected."""
    # Each line is read by itself: otherwise an unclosed quotation mark would swallow the lines after it.
    rows = (quoted_fields(line, separator) for line in lines)
    return [(len(row), row if len(row) == width else None) for row in rows]
