"""One spelling for each value: programs that a file passed through write the same number as ``3``, ``3.0``, ``"3"`` or with blanks around it."""

from collections.abc import Collection, Sequence
from typing import Final

import polars as pl

INDEX: Final = ("", "unnamed:0", "unnamed: 0", "index")
"""Headers of a first column in which a program counted the lines."""
INDEX_COLUMN: Final = "index"
"""What readers call such a column, which says nothing."""

_QUOTED: Final = r"""^(?:"\s*(.*?)\s*"|'\s*(.*?)\s*'|(.*?))$"""
_LARGEST: Final = 999_999_999


def bare(texts: pl.Series) -> pl.Series:
    """The texts without the blanks at their ends, and without the quotation marks around them."""
    stripped = texts.str.strip_chars()
    odd = stripped.str.contains(r"""^["'].*["']$""").arg_true()
    if odd.is_empty():
        return stripped
    groups = [stripped.gather(odd).str.extract(_QUOTED, group).alias(str(group)) for group in (1, 2, 3)]
    return stripped.scatter(odd, pl.select(pl.coalesce(groups)).to_series())


def numbers(texts: pl.Series) -> pl.Series:
    """The texts as Float64, null where one is no number."""
    value = texts.str.strip_chars().cast(pl.Float64, strict=False)
    odd = (value.is_null() & texts.is_not_null()).arg_true()
    return value.scatter(odd, bare(texts.gather(odd)).cast(pl.Float64, strict=False)) if len(odd) else value


def whole_numbers(texts: pl.Series, least: int = 0) -> pl.Series:
    """The texts as Int32, null where one is no whole number, or less than `least`."""
    value = numbers(texts)
    fits = value.is_between(least, _LARGEST) & (value == value.floor())
    return value.set(~fits, None).cast(pl.Int32)


def plain(texts: pl.Series, known: Collection[str]) -> pl.Series:
    """The texts as the known ones are spelt: a whole number by its digits alone (``3`` for ``3.0``, ``03`` or ``3e0``), anything else `bare`.

    Args:
        texts: as a file has them.
        known: spellings that stay as they are.
    """
    stripped = texts.str.strip_chars()
    odd = (~stripped.is_in(list(known))).arg_true()
    if odd.is_empty():
        return stripped
    others = stripped.gather(odd)
    spelt = pl.select(pl.coalesce(whole_numbers(others, -_LARGEST).cast(pl.String), bare(others))).to_series()
    return stripped.scatter(odd, spelt)


def has_index(header: Sequence[str]) -> bool:
    """Whether the first column of a table only counts its lines, as pandas writes it."""
    return len(header) > 1 and header[0].strip(" \"'\ufeff").lower() in INDEX
