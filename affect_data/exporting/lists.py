"""Writes the lists of databases of single pictures: a line for each face."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from affect_data.databases.affectnet.forms import LIST_COLUMNS, NATIVE, NO_BOX, NO_VALUE
from affect_data.databases.emotionet.lists import COLUMNS, UNITS
from affect_data.databases.emotionet.reader import CODED, UNKNOWN
from affect_data.databases.expw import ExpW
from affect_data.databases.ferplus.facts import ANNOTATORS
from affect_data.databases.ferplus.reader import WHOLE_PICTURE
from affect_data.databases.ferplus.votes import EXPRESSIONS
from affect_data.databases.raf_db.reader import RafDb
from affect_data.exporting.forms import (
    NO_CODE,
    NO_ROW,
    SPELLING,
    NativeFile,
    NativeForm,
    code_of,
    file_name_of,
    image_of,
    lists,
    number,
)
from affect_data.vocabulary import EXPRESSIONS as VOCABULARY
from affect_data.vocabulary import unit_name

ADDRESS: Final = "https://s3.us-east-2.amazonaws.com/emotionet/Images/"


def _expw(rows: pl.DataFrame) -> Iterator[NativeFile]:
    box = [number(pl.col("face_box").arr.get(place)) for place in (1, 0, 2, 3)]
    code = code_of("expression", ExpW.mapping)
    fields = [file_name_of(), pl.col("face").cast(pl.String), *box, pl.lit("0"), code]
    return lists(rows, pl.concat_str(fields, separator=" "))


def _raf_db(rows: pl.DataFrame) -> Iterator[NativeFile]:
    codes = [code_of(column, RafDb.mapping) for column in ("expression", "compound_expression")]
    name = file_name_of().str.replace(r"(_aligned)?\.jpg$", ".jpg")
    return lists(rows, pl.concat_str(name, pl.coalesce(codes), separator=" "))


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
    "expw": NativeForm(_expw, (NO_ROW, NO_CODE, "the confidence of the face detector, for which 0 stands")),
    "raf_db": NativeForm(
        _raf_db,
        (NO_ROW, NO_CODE, "files of boxes and attributes: the landmarks in them are not kept, so they are not written"),
    ),
    "affectnet": NativeForm(
        _affectnet,
        (
            NO_ROW,
            SPELLING,
            "a corrected class: AffectNet's own class of the face stands, as it was read",
            "landmarks, for which NULL stands",
            "whether a list has a header: all have one",
        ),
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
