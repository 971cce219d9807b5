"""Writes the lists of RAF-AU, RAF-CE and RAF-ML, which share their pictures and the letters of their action units."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from affect_data.databases.raf_au import RafAu
from affect_data.databases.raf_ce import ACTION_UNITS, LABEL, PART, PARTITION, RafCe
from affect_data.databases.raf_ml import ORDER
from affect_data.databases.raf_units import NOTHING
from affect_data.exporting.facs import UNIT_LOSSES, facs_code
from affect_data.exporting.forms import NO_CODE, NO_ROW, NativeFile, NativeForm, code_of, file_name_of, lists
from affect_data.vocabulary import ACTION_UNIT_SLOTS, EXPRESSIONS, unit_name

PICTURE: Final = file_name_of().str.replace(r"(_aligned)?\.jpg$", ".jpg")
"""The name that lists give to a picture, aligned or not."""

INCOMPLETE: Final = "action units of a face of which a decision took one away: what is not listed would count as absent"


def _raf_au(rows: pl.DataFrame) -> Iterator[NativeFile]:
    tokens = _tokens(rows, RafAu.action_units)
    # A single one without a side ends in a blank.
    blank = pl.when(tokens.str.contains(r"^\d+$")).then(pl.lit(" ")).otherwise(pl.lit(""))
    return lists(rows, pl.concat_str(PICTURE, pl.lit(" "), tokens, blank))


def _raf_ce(rows: pl.DataFrame) -> Iterator[NativeFile]:
    yield from lists(rows, pl.concat_str(PICTURE, code_of(LABEL, RafCe.mapping), separator=" "))
    others = {PARTITION: code_of(PART, RafCe.mapping), ACTION_UNITS: _tokens(rows, RafCe.action_units)}
    for name, cell in others.items():
        beside = rows.with_columns(pl.col("source_file").str.replace(r"[^/]*$", name))
        yield from lists(beside, pl.concat_str(PICTURE, cell, separator=" "))


def _tokens(rows: pl.DataFrame, units: Sequence[int]) -> pl.Expr:
    """The action units of each face as the lists have them; null where one of the coded ones has no label."""
    faces = zip(rows.select(unit_name(unit) for unit in units).rows(), rows["au_side"].to_list(), strict=True)
    found = [_listed(dict(zip(units, codes, strict=True)), sides) for codes, sides in faces]
    return pl.lit(pl.Series("tokens", found, pl.String))


def _listed(present: Mapping[int, int | None], sides: Sequence[int]) -> str | None:
    if None in present.values():
        return None
    named = [facs_code(unit, sides[ACTION_UNIT_SLOTS[unit]]) for unit, code in present.items() if code]
    return "+".join(named) or NOTHING


def _raf_ml(rows: pl.DataFrame) -> Iterator[NativeFile]:
    """Six decimals, and a blank at the end of each line."""
    places = [EXPRESSIONS.index(name) for name in ORDER]
    cells = [
        None if shares is None else "".join(f"{shares[place]:.6f} " for place in places)
        for shares in rows["expression_votes"].to_list()
    ]
    return lists(rows, pl.concat_str(PICTURE, pl.lit(" "), pl.lit(pl.Series("cells", cells, pl.String))))


RAF_FORMS: Final[Mapping[str, NativeForm]] = {
    "raf_au": NativeForm(_raf_au, (NO_ROW, *UNIT_LOSSES, INCOMPLETE), side=("au_side",)),
    "raf_ce": NativeForm(
        _raf_ce,
        (
            NO_ROW,
            NO_CODE,
            *UNIT_LOSSES,
            INCOMPLETE,
            "the order of the lists of parts and of action units: that of the list of classes stands for it",
            "the parts of a copy without their list: those of the dataset stand for them",
        ),
        side=("au_side",),
    ),
    "raf_ml": NativeForm(
        _raf_ml,
        (
            NO_ROW,
            "the last decimal of shares that do not sum to 1: they are divided by their sum",
            "a corrected class: the list holds shares alone",
        ),
    ),
}
