"""The reader of anyone's own data. What it is called and what it labels is said in the recipe, so each entry has a class of its own."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Final

import polars as pl

from affect_data.databases.base import TASKS, Database, DatabaseOptions
from affect_data.databases.licence import Licence, Reading, Tier
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.table.arrow import ADDRESS, picture_opener
from affect_data.databases.table.class_folders import list_class_folders
from affect_data.databases.table.columns import Columns, class_named
from affect_data.databases.table.hub_datasets import downloaded, files_by_split
from affect_data.databases.table.labels import named_values
from affect_data.databases.table.mapping import DEFAULT_IMAGE, rows_of
from affect_data.databases.table.options import TableOptions
from affect_data.databases.table.reading import read_table
from affect_data.databases.table.sections import ClassColumn
from affect_data.databases.table.tables import IMAGE, SPLIT, Table
from affect_data.errors import suggestion
from affect_data.vocabulary import COMPOUND_EXPRESSIONS, EXPRESSIONS

TABLE: Final = "table"
"""What a recipe calls this reader."""

COLUMNS_SHOWN: Final = 12


class TableDatabase(Database):
    """A table, class folders or a Hugging Face dataset, as the recipe describes them."""

    title = "own data"
    homepage = citation = ""
    licence = Licence("not stated", publishes=Tier.RECIPE, url="")
    source_family = TABLE
    releases = ("",)
    Options: ClassVar[type[DatabaseOptions]] = TableOptions
    options: TableOptions

    @classmethod
    def layout(cls) -> str:
        """Nothing: only the recipe knows what there should be."""
        return ""

    def default_root(self) -> Path | None:
        """The folder of a dataset of the Hub, which is downloaded."""
        place = self.options.dataset
        return downloaded(place.path, place.revision) if place is not None and place.path else None

    def follows_links(self, path: Path) -> bool:
        """Whether a folder is a commit in the Hub's cache, whose files are links to those of other commits."""
        place = self.options.dataset
        in_cache = path.parent.name == "snapshots" and (path.parent.parent / "blobs").is_dir()
        return place is not None and place.path is not None and in_cache

    def release_of(self, root: DatabaseRoot) -> str:
        """What the recipe says; of a dataset of the Hub, the commit that was downloaded."""
        return self.options.release or (root.path.name if self.follows_links(root.path) else "")

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """A row for each row of the tables, or for each picture of the class folders.

        Raises:
            DatabaseNotFoundError: the root lacks what the recipe names.
            DatasetPlaceError: the files of a Hugging Face dataset are not found.
        """
        tables = [table for table in self._tables(root) if table is not None]
        unread: dict[str, None] = {}
        kept = []
        for table in tables:
            if self._has_columns(root, table):
                kept.append(rows_of(root, table.rows, self.options))
            unread |= dict.fromkeys(name for name in table.names if not self._wants(name))
        if unread:
            names = ", ".join(list(unread)[:COLUMNS_SHOWN])
            more = f" and {len(unread) - COLUMNS_SHOWN} more" if len(unread) > COLUMNS_SHOWN else ""
            root.note(f"columns that are not read: {names}{more}")
        places = {"image": pl.String, "source_file": pl.String, "source_line": pl.Int32}
        return pl.concat([pl.DataFrame(schema=places), *kept], how="diagonal_relaxed")

    def missing_images(self, root: DatabaseRoot, images: pl.Series) -> pl.Series:
        """Which images should be files and do not exist; those in parquet and Arrow files were found while reading."""
        return ~images.str.contains(rf"(?i)\A{ADDRESS.pattern}\z") & root.missing_images(images)

    def open_images(self, path: Path) -> Callable[[str], bytes]:
        """A function from a row's ``image`` to its bytes, as found: those of a file, or of a row of a parquet or Arrow file."""
        given = self.options.columns.image_column()
        return picture_opener(path, given.column if given else DEFAULT_IMAGE)

    def _tables(self, root: DatabaseRoot) -> Iterable[Table | None]:
        options = self.options
        if options.class_folders is not None:
            if options.class_folders not in (".", "./") and not (root.path / options.class_folders).is_dir():
                raise self.not_found(root, because=f"there is no folder '{options.class_folders}'")
            table = list_class_folders(root, options.class_folders)
            if table.rows.is_empty():
                raise self.not_found(root, because=f"no folder in '{options.class_folders}' holds pictures")
            return [table]
        if options.dataset is not None:
            found = files_by_split(root.path, options.dataset)
            return [self._read(root, path, split) for split, paths in found.items() for path in paths]
        return [self._read(root, path, split) for split, path in options.files().items()]

    def _read(self, root: DatabaseRoot, path: str, split: str) -> Table | None:
        if not (root.path / path).is_file():
            raise self.not_found(root, because=f"there is no file '{path}'")
        table = read_table(root, path, self._wants, separator=self.options.separator, sheet=self.options.sheet)
        if table is None or not split:
            return table
        return Table(table.rows.with_columns(pl.lit(split).alias(SPLIT)), table.names)

    def _named(self) -> dict[str, str]:
        """The columns that the recipe names, each with its key."""
        columns = self.options.columns
        named = {column: key for key, column in columns.label_columns()} | columns.other_columns()
        return named if columns.image or self.options.class_folders else {DEFAULT_IMAGE: "columns.image"} | named

    def _wants(self, name: str) -> bool:
        named = self._named()
        return name in (IMAGE, SPLIT) or name in named or any(one.partition("[")[0] == name for one in named)

    def _has_columns(self, root: DatabaseRoot, table: Table) -> bool:
        """Whether a table has the columns that the recipe names; each that it lacks is a defect."""
        there = table.rows.columns
        image = self.options.columns.image_column()
        pictures = {image.column if image else DEFAULT_IMAGE} if IMAGE in there else set()
        lacking = {
            column: key for column, key in self._named().items() if column not in there and column not in pictures
        }
        path = table.rows["source_file"][0] if len(table.rows) else next(iter(root.annotation_files), "")
        for column, key in lacking.items():
            root.defect(
                path, 1, f"no column {column!r}", f"the column of {key}; {suggestion(column, table.names)}",
                "correct the name in the recipe",
            )  # fmt: skip
        return not lacking


def own_database(name: str, options: TableOptions) -> type[TableDatabase]:
    """The class of an entry of a recipe, which states what the entry says of itself.

    Args:
        name: of the entry.
        options: what it says.
    """
    columns, licence = options.columns, options.licence
    units = columns.units()
    low, high = columns.valence_arousal_range
    facts: dict[str, Any] = {
        "__doc__": TableDatabase.__doc__,
        "name": name,
        "title": options.title or name,
        "homepage": options.homepage,
        "citation": options.citation,
        "licence": Licence(licence.terms, licence.publishes, licence.url, Reading(licence.read_on, licence.source)),
        "source_family": options.family or name,
        "action_units": tuple(
            sorted(
                {number for number, unit in units.items() if unit.occurrence or unit.threshold}.union(
                    columns.rater_units()
                )
            )
        ),
        "action_unit_intensities": tuple(number for number, unit in units.items() if unit.intensity),
        "expressions": _expressions(options),
        "compound_expressions": _known(columns.class_column("compound_expression"), COMPOUND_EXPRESSIONS),
        "has_expression_votes": bool(columns.votes),
        "valence_arousal": f"{low:g}..{high:g}" if columns.valence else "",
        "has_timestamps": columns.timestamp is not None,
        **_side_facts(columns),
    }
    return type("OwnDatabase", (TableDatabase,), facts)


def _side_facts(columns: Columns) -> dict[str, Any]:
    """What the entry declares besides its labels."""
    native, raters = columns.native_expression, columns.raters.values()
    labelled = {
        "au": any(rater.action_units for rater in raters),
        "expression": any(rater.expression for rater in raters),
        "va": any(rater.valence for rater in raters),
    }
    return {
        "people": columns.people(),
        "action_unit_sides": tuple(columns.side_columns()),
        "native_expressions": native.words() if native else (),
        "rater_labels": tuple(task for task in TASKS if labelled[task]),
        "scores": {
            name: score.meaning or f"the column {score.column}" for name, score in columns.score_columns().items()
        },
    }


def _expressions(options: TableOptions) -> tuple[str, ...]:
    """The expressions that an entry may label."""
    given = options.columns.class_column("expression")
    if given is None and options.class_folders is not None:
        given = ClassColumn()
    return _known(given, EXPRESSIONS) or tuple(options.columns.votes)


def _known(given: ClassColumn | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """The classes that a column may hold: those that the recipe names; all where texts name classes themselves."""
    if given is None:
        return ()
    if not isinstance(given.names, tuple):
        return known
    named = (class_named(name, known) for name in named_values(given).values())
    return tuple(dict.fromkeys(name for name in named if name is not None))
