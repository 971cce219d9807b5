"""Writes the lists of databases of single pictures: a line for each face."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from affect_data.databases.action_unit_columns import SIDE_OF
from affect_data.databases.affectnet.forms import LIST_COLUMNS, NATIVE, NO_BOX, NO_VALUE
from affect_data.databases.emotionet.lists import COLUMNS, UNITS
from affect_data.databases.emotionet.reader import CODED, UNKNOWN
from affect_data.databases.expw import ExpW
from affect_data.databases.ferplus.facts import ANNOTATORS
from affect_data.databases.ferplus.reader import WHOLE_PICTURE
from affect_data.databases.ferplus.votes import EXPRESSIONS
from affect_data.databases.raf_au import RafAu
from affect_data.databases.raf_db.reader import RafDb
from affect_data.databases.raf_units import NOTHING
from affect_data.exporting.forms import (
    NO_ROW,
    SPELLING,
    NativeFile,
    NativeForm,
    codes_of,
    file_name_of,
    image_of,
    lists,
    number,
)
from affect_data.vocabulary import ACTION_UNIT_SLOTS, SIDES, unit_name
from affect_data.vocabulary import EXPRESSIONS as VOCABULARY

ADDRESS: Final = "https://s3.us-east-2.amazonaws.com/emotionet/Images/"
LETTERS: Final = {side: letters for letters, side in SIDE_OF.items()}


def _expw(rows: pl.DataFrame) -> Iterator[NativeFile]:
    box = [number(pl.col("face_box").arr.get(place)) for place in (1, 0, 2, 3)]
    code = pl.col("expression").replace_strict(codes_of(ExpW.mapping, "expression"))
    fields = [file_name_of(), pl.col("face").cast(pl.String), *box, pl.lit("0"), code]
    return lists(rows, pl.concat_str(fields, separator=" "))


def _raf_db(rows: pl.DataFrame) -> Iterator[NativeFile]:
    codes = [
        pl.col(column).replace_strict(codes_of(RafDb.mapping, column), default=None, return_dtype=pl.String)
        for column in ("expression", "compound_expression")
    ]
    name = file_name_of().str.replace(r"(_aligned)?\.jpg$", ".jpg")
    return lists(rows, pl.concat_str(name, pl.coalesce(codes), separator=" "))


def _raf_au(rows: pl.DataFrame) -> Iterator[NativeFile]:
    names = rows.select(file_name_of().str.replace(r"(_aligned)?\.jpg$", ".jpg").alias("name"))["name"]
    present = rows.select(unit_name(unit) for unit in RafAu.action_units).rows()
    tokens = [
        _tokens(dict(zip(RafAu.action_units, codes, strict=True)), sides)
        for codes, sides in zip(present, rows["au_side"].to_list(), strict=True)
    ]
    lines = pl.Series("line", [f"{name} {text}" for name, text in zip(names, tokens, strict=True)], pl.String)
    return lists(rows.with_columns(lines), pl.col("line"))


def _tokens(present: Mapping[int, int | None], sides: Sequence[int]) -> str:
    """The action units of a face as the list has them; a single one without a side ends in a blank."""
    found = []
    for unit in (unit for unit, code in present.items() if code):
        side = sides[ACTION_UNIT_SLOTS[unit]]
        letters = LETTERS[SIDES[side]] if side >= 0 else ""
        found.append(f"{letters}{unit}")
    if not found:
        return NOTHING
    blank = " " if len(found) == 1 and found[0].isdigit() else ""
    return f"{'+'.join(found)}{blank}"


def _affectnet(rows: pl.DataFrame) -> Iterator[NativeFile]:
    left, top, right, bottom = (pl.col("face_box").arr.get(place) for place in range(4))
    corner = [number(side).fill_null("NULL") for side in (left, top)]
    size = [number(side).fill_null(str(NO_BOX)) for side in (right - left, bottom - top)]
    code = pl.col("native_expression").replace_strict({name: code for code, name in NATIVE.items()})
    values = [number(name).fill_null(str(NO_VALUE)) for name in ("valence", "arousal")]
    picture = image_of().str.extract(r"([^/]+/[^/]+)$")
    line = pl.concat_str(picture, *corner, *size, pl.lit("NULL"), code, *values, separator=",")
    return lists(rows, line, ",".join(LIST_COLUMNS) + "\n")


def _emotionet(rows: pl.DataFrame) -> Iterator[NativeFile]:
    name = file_name_of()
    address = pl.concat_str(pl.lit(ADDRESS), name.str.extract(r"^(.*)_"), pl.lit("/"), name, pl.lit("'"))
    coded = {f"AU {unit}": unit_name(unit) for unit in CODED["2020"]}
    codes = [
        pl.col(coded[column]).cast(pl.String).fill_null(str(UNKNOWN[0])) if column in coded else pl.lit(str(UNKNOWN[0]))
        for column in UNITS
    ]
    header = ",".join([*COLUMNS[:2], *(f"'{column}'" for column in UNITS)]) + "\n"
    exported = pl.col("source_file").str.replace(r"\.xlsx(\[.*\])?$", ".csv")
    return lists(rows.with_columns(exported), pl.concat_str(address, pl.lit(""), *codes, separator=","), header)


def _ferplus(rows: pl.DataFrame) -> Iterator[NativeFile]:
    places = [VOCABULARY.index(name) for name in EXPRESSIONS]
    votes = [_votes([shares[place] for place in places]) for shares in rows["expression_votes"].to_list()]
    cells = pl.Series("cells", [",".join(map(str, counts)) for counts in votes], pl.String)
    line = pl.concat_str(file_name_of(), pl.lit(f'"{WHOLE_PICTURE}"'), "cells", separator=",")
    return lists(rows.with_columns(cells), line)


def _votes(shares: Sequence[float]) -> list[int]:
    """The votes on the eight expressions and on the two others, which are taken as "unknown", for as many annotators as fit the shares."""
    counts = [[share * total for share in shares] for total in range(ANNOTATORS, 0, -1)]
    whole = next(votes for votes in counts if all(abs(vote - round(vote)) < 1e-3 for vote in votes))
    total = ANNOTATORS - counts.index(whole)
    votes = [round(vote) for vote in whole]
    return [*votes, total - sum(votes), 0]


LIST_FORMS: Final[Mapping[str, NativeForm]] = {
    "expw": NativeForm(_expw, (NO_ROW, "the confidence of the face detector, for which 0 stands")),
    "raf_db": NativeForm(
        _raf_db, (NO_ROW, "files of boxes and attributes: the landmarks in them are not kept, so they are not written")
    ),
    "raf_au": NativeForm(
        _raf_au,
        (
            NO_ROW,
            "action descriptors and action units that are not coded",
            "the order of action units, those that stand twice, and whether a letter is a capital or follows the number",
            "sides of two kinds, such as BL",
        ),
        side=("au_side",),
    ),
    "affectnet": NativeForm(
        _affectnet,
        (NO_ROW, SPELLING, "landmarks, for which NULL stands", "whether a list has a header: all have one"),
        side=("native",),
        releases=("csv",),
    ),
    "emotionet": NativeForm(
        _emotionet,
        (
            NO_ROW,
            "the original addresses, and the server of the others, for which that of the release of 2020 stands",
            "the columns that annotators did not look for, and which code an unknown action unit had: 999 stands for both",
            "the form: a workbook is written as its csv export",
        ),
    ),
    "ferplus": NativeForm(
        _ferplus,
        (
            NO_ROW,
            'which of "unknown" and "not a face" was voted: both count as "unknown"',
            "fewer votes than ten where the shares do not show it",
        ),
        releases=("folders",),
    ),
}  # fmt: skip
