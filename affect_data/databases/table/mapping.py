"""From a table to the rows that every reader gives, as the recipe says."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from affect_data.databases.base import IMAGE_MISSING, SPLITS
from affect_data.databases.refusal import PLACE
from affect_data.databases.root import FARTHEST_PIXEL, DatabaseRoot
from affect_data.databases.table.columns import CLASS, SPLIT_ALIASES, Columns, class_named
from affect_data.databases.table.labels import Cells, action_units, valence_arousal
from affect_data.databases.table.options import TableOptions
from affect_data.databases.table.sections import ClassColumn
from affect_data.databases.table.side_values import side_values
from affect_data.databases.table.tables import IMAGE, SPLIT
from affect_data.databases.voting import decide, shares
from affect_data.vocabulary import COMPOUND_EXPRESSIONS, EXPRESSIONS

DEFAULT_IMAGE: Final = "image"
NOT_MOST_VOTED: Final = "the class is not the most voted"
HIGHEST_FRAME: Final = 999_999_999
HIGHEST_FACE: Final = 32_767

CONTRADICTED: Final = 0.5
"""From this share of disagreeing rows on, class folders in the paths of pictures contradict a column of classes."""


def rows_of(root: DatabaseRoot, table: pl.DataFrame, options: TableOptions) -> pl.DataFrame:
    """The rows of a table, with columns of `base.ROW_COLUMNS`.

    Args:
        root: of the database, which takes the defects.
        table: texts by column with their place, null for an empty cell.
        options: of the recipe.
    """
    columns = options.columns
    table = _with_image(root, table, columns)
    cells = Cells(root, table, columns.missing)
    found = [
        table["image"],
        *table.select(*PLACE),
        *_places(cells, columns),
        *_split(cells, columns),
        *_face_box(cells, columns),
        *action_units(cells, columns),
        *valence_arousal(cells, columns),
        *_masked(cells, columns),
        *side_values(cells, columns),
    ]
    rows = _with_expressions(cells, pl.DataFrame(found), options)
    cells.finish()
    return rows


def _with_image(root: DatabaseRoot, table: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """The rows that have a picture, with its path as `image`; one without is a failure."""
    given = columns.image_column()
    held = table[IMAGE] if IMAGE in table.columns else None
    if given is not None and given.column in table.columns:
        texts = table[given.column]
        folder = f"{given.folder.strip('/')}/" if given.folder.strip("/.") else ""
        paths = pl.select(pl.lit(folder) + texts.str.strip_prefix("./") + pl.lit(given.suffix)).to_series()
    elif held is not None:
        paths = held
    else:
        paths = table[DEFAULT_IMAGE].str.strip_prefix("./")
    table = table.drop("image", strict=False).with_columns(paths.alias("image"))
    is_empty = pl.col("image").is_null()
    root.fail(table.filter(is_empty).drop("image"), IMAGE_MISSING)
    return table.filter(~is_empty)


def _places(cells: Cells, columns: Columns) -> list[pl.Series]:
    """Who and what is shown: subject, track, frame, face and timestamp."""
    found = []
    for key, highest in (("subject", None), ("track", None), ("frame", HIGHEST_FRAME), ("face", HIGHEST_FACE)):
        given = columns.text_column(key)
        if given is None:
            continue
        texts = cells.labelled(given.column)
        if given.pattern is not None:
            part = texts.str.extract(given.pattern, 1)
            cells.refuse(given.column, texts.is_not_null() & part.is_null(), f"a text that matches {given.pattern}")
            cells.rows = cells.rows.with_columns(part.alias(f"{key} of {given.column}"))
            given = given.model_copy(update={"column": f"{key} of {given.column}"})
        values = cells.labelled(given.column) if highest is None else cells.integers(given.column, highest)
        found.append(values.alias(key))
    if columns.timestamp is not None:
        found.append(cells.numbers(columns.timestamp, 0.0, float(HIGHEST_FRAME)).alias("timestamp"))
    return found


def _split(cells: Cells, columns: Columns) -> list[pl.Series]:
    """The official split, from a column or from the name of a file or folder."""
    given = columns.split_column()
    column = given.column or (SPLIT if SPLIT in cells.rows.columns else None)
    if column is None:
        return []
    texts = cells.labelled(column)
    names: Mapping[str, str] = {**SPLIT_ALIASES, **{name.lower(): split for name, split in given.names.items()}}
    splits = texts.str.to_lowercase().replace_strict(names, default=None, return_dtype=pl.String)
    cells.refuse(
        column, texts.is_not_null() & splits.is_null(), f"{', '.join(SPLITS)}, or a name under `columns.split.names`"
    )
    return [splits.alias("split")]


def _face_box(cells: Cells, columns: Columns) -> list[pl.Series]:
    """Boxes as left, top, right, bottom; one with some sides missing, or without area, is a defect."""
    names = columns.box_columns()
    if not names:
        return []
    sides = dict(zip("abcd", (cells.numbers(name, -FARTHEST_PIXEL, FARTHEST_PIXEL) for name in names), strict=True))
    box = pl.DataFrame(sides)
    if columns.face_box_format == "corner_and_size":
        box = box.with_columns(pl.col("c") + pl.col("a"), pl.col("d") + pl.col("b"))
    known = box.select(n=pl.sum_horizontal(pl.all().is_not_null()))["n"]
    flat = box.select((pl.col("a") >= pl.col("c")) | (pl.col("b") >= pl.col("d"))).to_series().fill_null(value=False)
    expected = f"a box ({columns.face_box_format}) of some width and height"
    for name in names:
        cells.refuse(name, known.is_between(1, 3) | ((known == 4) & flat), expected)
    values = box.select(pl.when(known == 4).then(pl.concat_list(pl.all().cast(pl.Float32))))
    return [values.to_series().alias("face_box")]


def _masked(cells: Cells, columns: Columns) -> list[pl.Series]:
    """Why labels are not used, by task."""
    units = (column for unit in columns.units().values() for column in (unit.occurrence, unit.intensity) if column)
    classes = (columns.class_column(label) for label in ("expression", "compound_expression"))
    named = [given.column for given in classes if given is not None and given.column]
    return [
        *cells.masked("au", units),
        *cells.masked("va", filter(None, (columns.valence, columns.arousal))),
        *cells.masked("expression", named),
    ]


def _with_expressions(cells: Cells, rows: pl.DataFrame, options: TableOptions) -> pl.DataFrame:
    """The rows with expression and compound_expression, and with votes; votes without a class are decided by the rule."""
    columns = options.columns
    for label, known in (("expression", EXPRESSIONS), ("compound_expression", COMPOUND_EXPRESSIONS)):
        given = columns.class_column(label)
        if given is None and label == "expression" and options.class_folders is not None:
            given = ClassColumn()
        if given is not None:
            labels = cells.classes(given, given.column or CLASS, known)
            rows = rows.with_columns(labels.alias(label))
    if "expression" in rows.columns and options.class_folders is None:
        _compare_with_folders(cells, rows)
    return _with_votes(cells, rows, options) if columns.votes else rows


def _with_votes(cells: Cells, rows: pl.DataFrame, options: TableOptions) -> pl.DataFrame:
    columns = options.columns
    expressions = list(columns.votes)
    counted = {name: cells.numbers(column, 0, HIGHEST_FRAME) for name, column in columns.votes.items()}
    others = {f"({name})": cells.numbers(name, 0, HIGHEST_FRAME) for name in columns.votes_for_none}
    votes = pl.DataFrame({**counted, **others})
    rows = rows.with_columns(shares(votes, expressions, list(others)))
    if "expression" not in rows.columns:
        return rows.with_columns(decide(votes, expressions, list(others), options.rule, options.minimum_share))
    most = pl.max_horizontal(votes)
    own = pl.coalesce(pl.when(rows["expression"] == name).then(votes[name]) for name in expressions)
    contradicts = pl.select((own < most).fill_null(value=False)).to_series()
    return rows.with_columns(
        expression=rows["expression"].set(contradicts, None),
        expression_masked=pl.select(
            pl.when(contradicts).then(pl.lit(NOT_MOST_VOTED)).otherwise(_reasons(rows))
        ).to_series(),
    )


def _reasons(rows: pl.DataFrame) -> pl.Expr | pl.Series:
    return rows["expression_masked"] if "expression_masked" in rows.columns else pl.lit(None, dtype=pl.String)


def _compare_with_folders(cells: Cells, rows: pl.DataFrame) -> None:
    """Records a defect if pictures lie in folders that are called after classes, and most of them after another one than the column says."""
    folders = rows["image"].str.extract(r"([^/]+)/[^/]*$", 1)
    names = {folder: class_named(folder, EXPRESSIONS) for folder in folders.unique().drop_nulls()}
    said = folders.replace_strict(names, default=None, return_dtype=pl.String)
    both = pl.DataFrame(
        {"said": said, "label": rows["expression"], **{name: rows[name] for name in PLACE}}
    ).drop_nulls()
    other = both.filter(pl.col("said") != pl.col("label"))
    if len(other) and len(other) > CONTRADICTED * len(both):
        first = other.row(0, named=True)
        cells.root.defect(
            first["source_file"], first["source_line"],
            f"{first['label']} for a picture in a folder of {first['said']}, and {len(other) - 1:,} more of {len(both):,} rows",
            "the class that the folder is called after", "correct the order under `columns.expression.names`, or rename the folders",
        )  # fmt: skip
