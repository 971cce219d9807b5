"""Writes AffectNet's labels: the csv lists, or the numpy release with a tiny array for each label of each image."""

import io
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

import numpy as np
import polars as pl

from affect_data.databases.affectnet.forms import CODES, LIST_COLUMNS, NATIVE, NO_BOX, NO_VALUE
from affect_data.databases.affectnet.numpy_release import LABELS
from affect_data.exporting.forms import NO_CODE, NO_ROW, SPELLING, NativeFile, NativeForm, image_of, lists, number

NATIVE_CODES: Final = {name: code for code, name in NATIVE.items()}
CLASSES: Final = {NATIVE[code]: name for code, name in CODES.items()}
"""From AffectNet's own word to the class that it is read as; None for the words that are no expression."""


def _files(rows: pl.DataFrame) -> Iterator[NativeFile]:
    if rows.is_empty():
        return
    yield from _arrays(rows) if rows["release"][0] == "npy" else _lists(rows)


def _code() -> pl.Expr:
    """The code of a face's class: of the class as it is now; of AffectNet's own word where this stands for it.

    It is null where a decision took an expression away, or made one of which AffectNet has no code.
    """
    own = pl.col("native_expression").replace_strict(NATIVE_CODES, default=None, return_dtype=pl.String)
    as_read = pl.col("native_expression").replace_strict(CLASSES, default=None, return_dtype=pl.String)
    known = {name: code for code, name in CODES.items() if name is not None}
    corrected = pl.col("expression").replace_strict(known, default=None, return_dtype=pl.String)
    return pl.when(as_read.eq_missing(pl.col("expression"))).then(own).otherwise(corrected)


def _lists(rows: pl.DataFrame) -> Iterator[NativeFile]:
    left, top, right, bottom = (pl.col("face_box").arr.get(place) for place in range(4))
    corner = [number(side).fill_null("NULL") for side in (left, top)]
    size = [number(side).fill_null(str(NO_BOX)) for side in (right - left, bottom - top)]
    values = [number(name).fill_null(str(NO_VALUE)) for name in ("valence", "arousal")]
    picture = image_of().str.extract(r"([^/]+/[^/]+)$")
    line = pl.concat_str(picture, *corner, *size, pl.lit("NULL"), _code(), *values, separator=",")
    return lists(rows, line, ",".join(LIST_COLUMNS) + "\n")


def _arrays(rows: pl.DataFrame) -> Iterator[NativeFile]:
    """A file for each label that there is, beside those of the same face."""
    cells = (_code(), number("valence"), number("arousal"))
    for source, *texts in rows.sort("source_file").select("source_file", *cells).iter_rows():
        place = PurePosixPath(source)
        for suffix, text in zip(LABELS, texts, strict=False):
            if text is not None:
                data = io.BytesIO()
                np.save(data, np.array(text), allow_pickle=False)
                name = f"{place.stem.partition('_')[0]}_{suffix}.npy"
                yield NativeFile(str(place.with_name(name)), data.getvalue())


AFFECTNET_FORMS: Final[Mapping[str, NativeForm]] = {
    "affectnet": NativeForm(
        _files,
        (
            NO_ROW,
            NO_CODE,
            SPELLING,
            "landmarks: NULL stands for them in the lists, and the numpy release is without their files",
            "whether a list has a header: all have one",
            "valence or arousal alone, in the numpy release",
        ),
        side=("native",),
        releases=("csv", "npy"),
    )
}
