"""Writes the lists of databases of single pictures: a line for each face."""

from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl

from affect_data.databases.emotionet.lists import COLUMNS, UNITS
from affect_data.databases.emotionet.reader import CODED, UNKNOWN
from affect_data.databases.expw import ExpW
from affect_data.databases.raf_db.reader import RafDb
from affect_data.exporting.forms import (
    NO_CODE,
    NO_ROW,
    NativeFile,
    NativeForm,
    code_of,
    file_name_of,
    lists,
    number,
)
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


LIST_FORMS: Final[Mapping[str, NativeForm]] = {
    "expw": NativeForm(_expw, (NO_ROW, NO_CODE, "the confidence of the face detector, for which 0 stands")),
    "raf_db": NativeForm(
        _raf_db,
        (NO_ROW, NO_CODE, "files of boxes and attributes: the landmarks in them are not kept, so they are not written"),
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
}  # fmt: skip
