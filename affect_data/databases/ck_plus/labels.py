"""Reads the labels of CK+: the action units of a FACS file with their intensities, and the expression of a sequence."""

from collections.abc import Collection, Mapping
from typing import Final

import polars as pl

from affect_data.databases.root import DatabaseRoot
from affect_data.databases.spelling import whole_numbers

HIGHEST: Final = 5
NOT_CODED: Final = "an action unit that is not one of the coded ones"
_LINES: Final = pl.Schema(
    {"source_file": pl.String(), "source_line": pl.Int32(), "line": pl.String(), "fields": pl.List(pl.String())}
)


def read_action_units(root: DatabaseRoot, files: pl.DataFrame, coded: Collection[int]) -> pl.DataFrame:
    """A row for each file with `au_<number>`, `au_intensity_<number>` and `au_masked`.

    An action unit that the file does not list is absent, with intensity 0. One of intensity 0 is present, and its intensity was not given. A file
    with an excluded line is left out, because the action unit of that line would count as absent.

    Args:
        root: of the database.
        files: with source_file.
        coded: numbers of the action units that get a label; others are listed, counted as masked.
    """
    lines = _lines(root, files["source_file"].to_list())
    kept = root.drop_excluded(lines)
    excluded = lines.join(kept, on=["source_file", "source_line"], how="anti")["source_file"].unique()
    listed = _listed(root, kept)
    by_file = listed.group_by("source_file").agg(
        *(pl.col("intensity").filter(pl.col("unit") == unit).first().alias(f"level_{unit}") for unit in coded),
        (~pl.col("unit").is_in(list(coded))).any().alias("others"),
    )
    rows = files.filter(~pl.col("source_file").is_in(excluded.implode()))
    rows = rows.join(by_file, on="source_file", how="left", maintain_order="left")
    levels = {unit: pl.col(f"level_{unit}") for unit in coded}
    return rows.select(
        *files.columns,
        *(level.is_not_null().cast(pl.Int8).alias(f"au_{unit}") for unit, level in levels.items()),
        *(
            pl.when(level.is_null())
            .then(0.0)
            .when(level > 0)
            .then(level.cast(pl.Float32))
            .alias(f"au_intensity_{unit}")
            for unit, level in levels.items()
        ),
        au_masked=pl.when("others").then(pl.lit(NOT_CODED)),
    )


def read_expressions(root: DatabaseRoot, files: pl.DataFrame, codes: Mapping[str, str | None]) -> pl.DataFrame:
    """A row for each file with `expression`; a file that is not one number is a defect, an excluded one is left out.

    Args:
        root: of the database.
        files: with source_file.
        codes: the expression of each number.
    """
    lines = _lines(root, files["source_file"].to_list())
    empty = files.filter(~pl.col("source_file").is_in(lines["source_file"].implode()))
    root.refuse(empty.with_columns(source_line=pl.lit(1)), pl.lit(value=True), "an empty file", "one number")
    lines = root.refuse(root.drop_excluded(lines), pl.col("fields").list.len() != 1, "{line!r}", "one number")
    lines = root.refuse_repeated(lines, "source_file", "a second line {line!r}", "one number")
    lines = lines.select("source_file", "source_line", expression=pl.col("fields").list.get(0))
    labels = root.classes(lines, "expression", codes).select("source_file", "expression")
    return files.join(labels, on="source_file", maintain_order="left")


def _lines(root: DatabaseRoot, paths: list[str]) -> pl.DataFrame:
    """The lines that are not blank: source_file, source_line, line, fields."""
    texts = [root.read_text(path).split("\n") for path in paths]
    found = [
        (path, number, line.strip(), line.split())
        for path, text in zip(paths, texts, strict=True)
        for number, line in enumerate(text, start=1)
        if line.strip()
    ]
    return pl.DataFrame(found, _LINES, orient="row")


def _listed(root: DatabaseRoot, lines: pl.DataFrame) -> pl.DataFrame:
    """The action units that lines list: source_file, unit, intensity; a line of another form and a second intensity are defects."""
    lines = root.refuse(lines, pl.col("fields").list.len() != 2, "{line!r}", "two numbers: action unit and intensity")
    lines = lines.with_columns(unit=pl.col("fields").list.get(0), intensity=pl.col("fields").list.get(1))
    unit = whole_numbers(lines["unit"], least=1)
    lines = root.refuse(lines.with_columns(number=unit), unit.is_null(), "action unit = {unit!r}", "a number of FACS")
    lines = root.integers(lines, ["intensity"], range(HIGHEST + 1)).drop_nulls("intensity")
    lines = lines.with_columns(unit=pl.col("number"))
    lines = lines.unique(["source_file", "unit", "intensity"], keep="first", maintain_order=True)
    again = "a second intensity of AU{unit} = {intensity}"
    lines = root.refuse_repeated(lines, ("source_file", "unit"), again, "one line for each action unit")
    return lines.select("source_file", "unit", "intensity")
