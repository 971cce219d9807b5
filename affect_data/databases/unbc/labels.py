"""Reads the labels of UNBC-McMaster: action units with intensities, and the pain score, of each frame."""

from collections.abc import Collection, Mapping
from typing import Final

import polars as pl

from affect_data.databases.root import DatabaseRoot
from affect_data.databases.unbc.files import FRAME

HIGHEST_SCORE: Final = 16
"""5 for AU4, 5 for AU6 or AU7, 5 for AU9 or AU10, and 1 for AU43."""
ROUNDING: Final = 1e-3


def read_intensities(
    root: DatabaseRoot, files: pl.DataFrame, highest: Mapping[int, int], not_used: Collection[int]
) -> pl.DataFrame:
    """A row for each file with `au_intensity_<number>` (0 if the file does not list the action unit) and `not_used`.

    A line that is not four numbers, an unknown action unit, an intensity out of range and an action unit listed twice are defects. A file with an
    excluded line is left out, because the action unit of that line would count as absent.

    Args:
        root: of the database.
        files: with source_file and image.
        highest: the highest intensity of each coded action unit; all intensities are integers from 0.
        not_used: action units that files may list without giving a label; the column `not_used` says whether a file does.
    """
    lines = _lines(root, files)
    kept = root.drop_excluded(lines)
    excluded = lines.join(kept, on=["source_file", "source_line"], how="anti")["source_file"].unique()
    listed = _listed(root, kept, highest, not_used)
    levels = [
        pl.col("intensity").filter(pl.col("action_unit") == unit).first().alias(f"au_intensity_{unit}")
        for unit in highest
    ]
    of_file = listed.group_by("source_file").agg(
        *levels, pl.col("action_unit").is_in(list(not_used)).any().alias("not_used")
    )
    rows = files.filter(~pl.col("source_file").is_in(excluded.implode()))
    rows = rows.join(of_file, on="source_file", how="left", maintain_order="left")
    return rows.with_columns(
        *(pl.col(f"au_intensity_{unit}").fill_null(0) for unit in highest),
        pl.col("not_used").fill_null(value=False),
    )


def read_scores(root: DatabaseRoot, files: pl.DataFrame) -> pl.DataFrame:
    """A row for each file with `score_pspi`; a file that is not one number from 0 to 16 is a defect, an excluded file is left out.

    Args:
        root: of the database.
        files: with source_file and image.
    """
    kept = root.drop_excluded(_lines(root, files))
    numbers = kept.filter(pl.col("line") != "")
    expected = f"one pain score, a number from 0 to {HIGHEST_SCORE}"
    empty = kept.join(numbers, on="source_file", how="anti").unique("source_file", keep="first", maintain_order=True)
    remedy = "restore the file, or name the line under `exclude` in the recipe"
    root.refuse(empty, pl.lit(value=True), "an empty file", expected, remedy)
    value = numbers["line"].cast(pl.Float64, strict=False)
    fits = value.is_between(0, HIGHEST_SCORE).fill_null(value=False)
    numbers = root.refuse(numbers.with_columns(value.alias("score_pspi")), ~fits, "pain score = {line!r}", expected)
    numbers = root.refuse_repeated(numbers, "source_file", "a second number = {line!r}", expected)
    scores = numbers.select("source_file", "score_pspi")
    return files.join(scores, on="source_file", how="inner", maintain_order="left")


def check_scores(root: DatabaseRoot, coded: pl.DataFrame, scored: pl.DataFrame) -> None:
    """Records a defect for frames whose pain score is not the sum of their action units: one of the two files is not official.

    Files that already have a defect are not compared.

    Args:
        root: records the defects.
        coded: from `read_intensities`.
        scored: from `read_scores`.
    """
    refused = {defect.path for defect in root.defects}
    refused |= {place.rpartition(":")[0] for defect in root.defects for place in defect.also}
    brow, cheek, lid, nose, lip, eyes = (pl.col(f"au_intensity_{unit}").cast(pl.Int16) for unit in (4, 6, 7, 9, 10, 43))
    frames = coded.join(scored.select(*FRAME, "score_pspi", pspi="source_file"), on=FRAME, maintain_order="left")
    frames = frames.filter(~pl.any_horizontal(pl.col("source_file", "pspi").is_in(list(refused)))).with_columns(
        source_line=pl.lit(1, pl.Int32),
        sum=brow + pl.max_horizontal(cheek, lid) + pl.max_horizontal(nose, lip) + eyes,
    )
    root.refuse(
        frames,
        (pl.col("sum") - pl.col("score_pspi")).abs() > ROUNDING,
        "action units that add up to {sum}, but the pain score {score_pspi:g} in {pspi}",
        "AU4 + max(AU6, AU7) + max(AU9, AU10) + AU43 to be the pain score",
        "restore the file that broke off (one without a line says that no action unit is present), "
        "or name the line under `exclude` in the recipe",
    )


def _lines(root: DatabaseRoot, files: pl.DataFrame) -> pl.DataFrame:
    """All lines of the files: source_file, image, source_line, line (stripped); an empty file has one empty line."""
    texts = [root.read_text(path).rstrip("\n") for path in files["source_file"]]
    split = pl.Series("line", texts, dtype=pl.String).str.split("\n")
    lines = files.select("source_file", "image").with_columns(split)
    count = pl.col("line").list.len()
    lines = lines.with_columns(source_line=pl.int_ranges(1, count + 1, dtype=pl.Int32)).explode("line", "source_line")
    return lines.with_columns(pl.col("line").str.strip_chars())


def _listed(
    root: DatabaseRoot, lines: pl.DataFrame, highest: Mapping[int, int], not_used: Collection[int]
) -> pl.DataFrame:
    """The action units that lines list: source_file, action_unit, intensity; a row for each file and action unit."""
    limits = {unit: highest.get(unit, 5) for unit in (*highest, *not_used)}
    fields = _with_four_fields(root, lines)
    unit, level = (pl.col("fields").list.get(place) for place in (0, 1))
    fields = fields.with_columns(
        unit=unit, found=level, number=unit.cast(pl.Float64, strict=False), level=level.cast(pl.Float64, strict=False)
    )
    known = pl.col("number").is_in([float(number) for number in limits]).fill_null(value=False)
    coded = f"one of the coded action units {', '.join(map(str, highest))}"
    listed = root.refuse(fields, ~known, "action unit = {unit!r}", coded).with_columns(
        action_unit=pl.col("number").cast(pl.Int16)
    )
    limit = pl.col("action_unit").replace_strict(limits, return_dtype=pl.Int8)
    whole = (pl.col("level") == pl.col("level").floor()) & pl.col("level").is_between(0, limit)
    fits = whole.fill_null(value=False)
    levels = pl.format("a whole number from 0 to {}", limit)
    listed = listed.with_columns(levels=pl.when(limit == 1).then(pl.lit("0 or 1")).otherwise(levels))
    listed = root.refuse(listed, ~fits, "intensity of AU{action_unit} = {found!r}", "{levels}")
    again = "an action unit a second time = {unit!r}"
    listed = root.refuse_repeated(listed, ("source_file", "action_unit"), again, "one line for each action unit")
    return listed.select("source_file", "action_unit", pl.col("level").cast(pl.Int8).alias("intensity"))


def _with_four_fields(root: DatabaseRoot, lines: pl.DataFrame) -> pl.DataFrame:
    """The lines that are not empty, with `fields`; a line without exactly four is a defect and is left out."""
    filled = lines.filter(pl.col("line") != "").with_columns(fields=pl.col("line").str.extract_all(r"\S+"))
    count = pl.col("fields").list.len()
    expected = "4 numbers: action unit, intensity, and two that are not read"
    hint = " (a file of one number is a pain score and belongs under PSPI)"
    filled = filled.with_columns(count=count, hint=pl.when(count == 1).then(pl.lit(hint)).otherwise(pl.lit("")))
    return root.refuse(filled, pl.col("count") != 4, "{count} field(s) = {line!r}", expected + "{hint}")
