"""Writes the classes of databases with one for each clip or picture: lists of clips, and folders that are the labels."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import polars as pl

from affect_data.databases.afew import Afew
from affect_data.databases.class_folders import named_class
from affect_data.databases.facts import NativeValue
from affect_data.databases.ferv39k import FIELD, Ferv39k
from affect_data.databases.mafw import CLASS, Mafw
from affect_data.databases.oulu_casia import OuluCasia
from affect_data.databases.sfew import Sfew
from affect_data.exporting.forms import NO_CODE, NO_ROW, NativeFile, NativeForm, code_of, lists

CLASS_FOLDERS: Final = "class-folders.csv"
NO_LIST: Final = f"folders: pictures are not copied, and {CLASS_FOLDERS}, which is no file of the database, names the folder of each file"


def _ferv39k(rows: pl.DataFrame) -> Iterator[NativeFile]:
    return lists(rows, pl.concat_str("track", code_of("expression", Ferv39k.mapping, FIELD), separator=" "))


def _mafw(rows: pl.DataFrame) -> Iterator[NativeFile]:
    # Of classes in the vocabulary, only labels count: where there is none, the workbook or a decision contradicts the list.
    own = pl.col("native_expression").is_in([name for name in Mafw.native_expressions if name not in Mafw.expressions])
    name = pl.coalesce(
        code_of("expression", Mafw.mapping, CLASS),
        pl.when(own & pl.col("expression").is_null()).then("native_expression"),
    )
    written = rows.filter(own | pl.col("expression").is_not_null())
    return lists(written, pl.concat_str(pl.format("{}.mp4", "track"), name, separator=" "))


def _class_folders(mapping: Iterable[NativeValue]) -> Callable[[pl.DataFrame], Iterator[NativeFile]]:
    """Writes one table with a line for each file: where it lies, and the folder that its label puts it in."""
    code = code_of("expression", mapping, "folder")

    def files(rows: pl.DataFrame) -> Iterator[NativeFile]:
        lies = pl.col("source_file").str.extract(r"^(.*)/[^/]*$")
        folders = rows.select(lies.unique()).to_series().to_list()
        label = lies.replace_strict({folder: named_class(folder) for folder in folders}, return_dtype=pl.String)
        other = pl.concat_str(lies.str.extract(r"^(.*/)?[^/]*$").fill_null(""), code)
        # Where the label stands, so does the spelling of the folder.
        folder = pl.when(label == pl.col("expression")).then(lies).otherwise(other)
        table = rows.select(file="source_file", folder=folder).drop_nulls().sort("file")
        yield NativeFile(CLASS_FOLDERS, table.write_csv())

    return files


CLASS_FORMS: Final[Mapping[str, NativeForm]] = {
    "afew": NativeForm(_class_folders(Afew.mapping), (NO_ROW, NO_CODE, NO_LIST)),
    "ferv39k": NativeForm(
        _ferv39k,
        (
            NO_ROW,
            NO_CODE,
            "the lists by scene",
            "the folder of a clip whose class was corrected: its name keeps the old class",
        ),
    ),
    "mafw": NativeForm(
        _mafw,
        (
            NO_ROW,
            NO_CODE,
            "classes that the workbook contradicts",
            "the lists of the other folds",
            "the workbook",
        ),
        side=("native",),
    ),
    "oulu_casia": NativeForm(
        _class_folders(OuluCasia.mapping),
        (NO_ROW, NO_CODE, NO_LIST, "frames before the peak, and the other cameras and lights"),
    ),
    "sfew": NativeForm(_class_folders(Sfew.mapping), (NO_ROW, NO_CODE, NO_LIST, "the test part, which has no labels")),
}
