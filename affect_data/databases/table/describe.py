"""Looks at own data and proposes the entry of a recipe, with what each value would mean and what contradicts the proposal."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import polars as pl

from affect_data.databases.root import DatabaseRoot
from affect_data.databases.spelling import numbers, plain
from affect_data.databases.table.class_folders import list_class_folders
from affect_data.databases.table.columns import CLASS, SPLIT_ALIASES, class_named
from affect_data.databases.table.guesses import (
    FEWEST_NAMED,
    PICTURE,
    SENTINELS,
    box_of,
    range_of,
    role_of,
    unit_of,
)
from affect_data.databases.table.hub_datasets import files_by_split
from affect_data.databases.table.options import DatasetPlace
from affect_data.databases.table.picture_places import picture_place
from affect_data.databases.table.reading import read_table
from affect_data.databases.table.tables import IMAGE, KINDS, Table, kind_of
from affect_data.errors import DataError, DefectsFoundError
from affect_data.vocabulary import EXPRESSIONS

MOST_CLASSES: Final = 40
"""A column of more different values is not one of classes."""
NAMES_TRIED: Final = 8
"""So many names of pictures are looked for."""
FILLED: Final = 0.6
"""Values that fill less of a range than this may be of another one."""
FOLDER: Final = r"([^/]+)/[^/]*$"


@dataclass
class Description:
    """What was found in own data.

    Attributes:
        rows: number of rows.
        entry: the proposed entry of a recipe.
        values: by column of classes, each value, the class that it would mean (empty if none), and its rows.
        questions: what contradicts the proposal, or has to be decided.
        unread: columns that the entry does not use.
        strange_splits: the column of splits and its values of which none is known; empty if there are none.
    """

    rows: int
    entry: dict[str, Any]
    values: dict[str, list[tuple[str, str, int]]] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    unread: tuple[str, ...] = ()
    strange_splits: tuple[str, tuple[str, ...]] = ("", ())


def describe(path: Path) -> Description:
    """What a table, a folder of class folders or the folder of a Hugging Face dataset holds.

    Raises:
        DataError: there is nothing that can be read.
        DefectsFoundError: the table has defects in itself, such as two columns of one name.
    """
    if path.is_file():
        root = DatabaseRoot(path.parent)
        tables: Sequence[Table | None] = [read_table(root, path.name, lambda _: True)]
        source: dict[str, Any] = {"file": path.name}
    elif path.is_dir():
        root = DatabaseRoot(path)
        tables, source = _of_folder(root)
    else:
        raise DataError(f"'{path}' does not exist; name a table ({', '.join(KINDS)}) or a folder")
    read = [table for table in tables if table is not None]
    if root.defects or not read:
        raise DefectsFoundError(path.name, sorted(root.defects))
    rows = pl.concat([table.rows for table in read], how="diagonal_relaxed")
    return _Proposal(root.path, rows, source).description()


def _of_folder(root: DatabaseRoot) -> tuple[Sequence[Table | None], dict[str, Any]]:
    """The tables of a folder, and how an entry names them."""
    names = sorted(root.entries())
    if not any(kind_of(name) in KINDS for name in names) and not (root.path / "data").is_dir():
        listed = list_class_folders(root, ".")
        if not listed.rows.is_empty():
            return [listed], {"class_folders": "."}
    found = files_by_split(root.path, DatasetPlace())
    return [read_table(root, path, lambda _: True) for paths in found.values() for path in paths], {"dataset": {}}


class _Proposal:
    """The proposal for some rows, made column by column."""

    def __init__(self, root: Path, rows: pl.DataFrame, source: Mapping[str, Any]) -> None:
        self.root = root
        self.rows = rows
        self.source = source
        self.columns: dict[str, Any] = {}
        self.missing: dict[str, list[str | int]] = {}
        self.found = Description(len(rows), {})
        self.used = {"source_file", "source_line", IMAGE}

    def description(self) -> Description:
        """All of it."""
        self._picture()
        self._places()
        self._split()
        self._box()
        self._units()
        self._plane()
        self._votes()
        self._expression()
        self._people()
        if self.missing:
            self.columns["missing"] = {
                column: found[0] if len(found) == 1 else found for column, found in self.missing.items()
            }
        self.found.entry = {"reader": "table", **self.source, "columns": self.columns}
        self.found.unread = tuple(name for name in self._free() if not name.endswith(".path"))
        if (
            not self.columns.keys() & {"expression", "action_units", "valence", "votes"}
            and "class_folders" not in self.source
        ):
            self.found.questions.append("no column looks like a label: name them under `columns`")
        return self.found

    def _free(self) -> Iterator[str]:
        return (name for name in self.rows.columns if name not in self.used)

    def _take(self, key: str, column: str) -> None:
        self.columns[key] = column
        self.used.add(column)

    def _first(self, role: str, fits: Callable[[pl.Series], bool] = lambda _: True) -> str | None:
        return next((name for name in self._free() if role_of(name) == role and fits(self.rows[name])), None)

    def _picture(self) -> None:
        if IMAGE in self.rows.columns or "class_folders" in self.source:
            self.used |= {name for name in self.rows.columns if name.endswith(".path")} | {"image"}
            return
        named = self._first("image") or next(
            (n for n in self._free() if _share(self.rows[n].str.contains(PICTURE)) > 0.5), None
        )
        if named is None:
            self.found.questions.append("no column names pictures: say which one does under `columns.image`")
            return
        if named != "image":
            self._take("image", named)
        self.used.add(named)
        self._folder(named)

    def _folder(self, column: str) -> None:
        """Proposes the folder and the ending with which the names in a column are files."""
        names = self.rows[column].drop_nulls().unique(maintain_order=True).head(NAMES_TRIED).to_list()
        if not names:
            return
        inside = [name for name in names if not Path(name).is_absolute() and ".." not in Path(name).parts]
        place = picture_place(self.root, inside)
        if place is None:
            self.found.questions.append(
                f"{column}: no folder here has {names[0]!r}: say `folder` or `suffix` under `columns.image`"
            )
            return
        given = {key: value for key, value in zip(("folder", "suffix"), place, strict=True) if value}
        if given:
            self.columns["image"] = {"column": column, **given}

    def _places(self) -> None:
        for role in ("subject", "track", "frame", "face", "timestamp"):
            fits = (lambda _: True) if role in ("subject", "track") else _is_numeric
            if (column := self._first(role, fits)) is not None:
                self._take(role, column)

    def _split(self) -> None:
        known = [name.lower() for name in SPLIT_ALIASES]
        column = self._first("split", lambda texts: texts.n_unique() <= MOST_CLASSES)
        if column is None:
            return
        strange = sorted(value for value in self.rows[column].unique().drop_nulls() if value.lower() not in known)
        self._take("split", column)
        if strange:
            self.found.strange_splits = (column, tuple(strange))
            self.found.questions.append(
                f"{column}: say which split {', '.join(strange)} mean, as `{{column: {column}, names: {{{strange[0]}: validation}}}}`"
            )

    def _box(self) -> None:
        found = box_of(list(self._free()))
        if found is None:
            return
        names, how = found
        lists = names[0].endswith("[0]")
        self.columns["face_box"] = names[0].removesuffix("[0]") if lists else names
        if how != "corners":
            self.columns["face_box_format"] = how
        self.used |= set(names)

    def _units(self) -> None:
        units: dict[int, dict[str, Any]] = {}
        for column in list(self._free()):
            unit = unit_of(column)
            if unit is None or not _is_numeric(self.rows[column]):
                continue
            number, kind = unit
            values = self._without_sentinels(column, 0, 5)
            only_two = values.drop_nulls().is_in([0.0, 1.0]).all()
            kind = kind or ("occurrence" if only_two else "intensity")
            if kind == "intensity" and only_two:
                self.found.questions.append(
                    f"{column} is called an intensity and holds 0 and 1 alone: is it occurrence?"
                )
            if kind == "occurrence" and not only_two:
                self.found.questions.append(
                    f"{column} is called occurrence and holds other numbers than 0 and 1: is it an intensity?"
                )
            units.setdefault(number, {})[kind] = column
            self.used.add(column)
        if units:
            self.columns["action_units"] = {
                number: one["occurrence"] if one.keys() == {"occurrence"} else one
                for number, one in sorted(units.items())
            }

    def _plane(self) -> None:
        pair = [self._first(role, _is_numeric) for role in ("valence", "arousal")]
        if pair[0] is None or pair[1] is None:
            return
        spans = []
        for role, column in zip(("valence", "arousal"), pair, strict=True):
            self._take(role, str(column))
            values = self._without_sentinels(
                str(column), *range_of(self._numbers(str(column)).drop_nulls().to_list())
            ).drop_nulls()
            spans += values.to_list()
        low, high = range_of(spans)
        if (low, high) != (-1.0, 1.0):
            self.columns["valence_arousal_range"] = [_whole(low), _whole(high)]
        if spans and (max(spans) - min(spans)) < FILLED * (high - low):
            self.found.questions.append(
                f"{pair[0]} and {pair[1]} go from {min(spans):g} to {max(spans):g}: is their range {low:g} to {high:g}?"
            )

    def _votes(self) -> None:
        candidates = {name: class_named(name.removesuffix("_votes"), EXPRESSIONS) for name in self._free()}
        named = {name: found for name, found in candidates.items() if found and _is_numeric(self.rows[name])}
        if len(set(named.values())) == len(named) >= FEWEST_NAMED:
            self.columns["votes"] = {found: name for name, found in named.items()}
            self.used |= set(named)

    def _expression(self) -> None:
        if "class_folders" in self.source:
            self.used.add(CLASS)
            self._classes(CLASS)
            return
        column = self._first("expression", _is_few) or next(
            (name for name in self._free() if _is_few(self.rows[name]) and _named_share(self.rows[name]) > 0.5), None
        )
        if column is not None:
            self._take("expression", column)
            self._classes(column)

    def _people(self) -> None:
        """Proposes what is said of the person; words stay as the table has them."""
        if (column := self._first("age", _is_numeric)) is not None:
            self._take("age", column)
            self._without_sentinels(column, 0, 150)
        for role in ("sex", "ethnicity"):
            if (column := self._first(role, _is_few)) is not None:
                self.used.add(column)
                words = sorted(plain(self.rows[column], ()).drop_nulls().unique().to_list())
                self.columns[role] = {"column": column, "names": {word: word for word in words}}

    def _classes(self, column: str) -> None:
        """Proposes what the values of a column mean."""
        texts = plain(self.rows[column], ())
        counted = texts.drop_nulls().value_counts().sort("count", texts.name, descending=[True, False])
        values = [str(value) for value in counted[texts.name]]
        names = {value: class_named(value, EXPRESSIONS) or "" for value in values}
        unnamed = [value for value in values if not names[value]]
        by_folder = self._by_folder(texts) if column != CLASS else {}
        if unnamed and by_folder.keys() >= set(unnamed):
            names |= by_folder
            self._ask_about_folders(column, by_folder)
        elif unnamed:
            self.found.questions.append(
                f"{column}: say what {', '.join(unnamed)} mean, under `names`, or `missing` where that is no label"
            )
        if any(names[value] and class_named(value, EXPRESSIONS) is None for value in values) or unnamed:
            given = {
                value: names[value]
                for value in sorted(values)
                if names[value] and class_named(value, EXPRESSIONS) is None
            }
            self.columns["expression"] = ({} if column == CLASS else {"column": column}) | {"names": given}
        for name in EXPRESSIONS:
            several = [value for value in values if names[value] == name]
            if len(several) > 1:
                self.found.questions.append(f"{column}: {' and '.join(several)} would both mean {name}")
        self.found.values[column] = [(value, names[value], int(rows)) for value, rows in counted.iter_rows()]

    def _by_folder(self, texts: pl.Series) -> dict[str, str]:
        """The class of each value by the folders of its pictures, if each value has a single one that is called after a class."""
        given = self.columns.get("image", "image")
        image = given["column"] if isinstance(given, dict) else given
        if image not in self.rows.columns:
            return {}
        pairs = pl.DataFrame({"value": texts, "folder": self.rows[image].str.extract(FOLDER, 1)}).drop_nulls().unique()
        if pairs["value"].n_unique() < len(pairs) or pairs["folder"].n_unique() < len(pairs):
            return {}
        named = {value: class_named(folder, EXPRESSIONS) for value, folder in pairs.iter_rows()}
        return {value: name for value, name in named.items() if name}

    def _ask_about_folders(self, column: str, by_folder: Mapping[str, str]) -> None:
        ordered = [by_folder[value] for value in sorted(by_folder, key=lambda value: (len(value), value))]
        how = " in alphabetical order, as programs count them" if all(a < b for a, b in pairwise(ordered)) else ""
        self.found.questions.append(f"{column} numbers the folders of the pictures{how}: the names are theirs")

    def _numbers(self, column: str) -> pl.Series:
        return numbers(self.rows[column])

    def _without_sentinels(self, column: str, low: float, high: float) -> pl.Series:
        """The numbers of a column, null where one is outside of the range and in use for "no label"; such values are proposed as missing."""
        values = self._numbers(column)
        outside = values.filter(~values.is_between(low, high)).unique().drop_nulls().to_list()
        found = sorted(value for value in outside if value in SENTINELS)
        if found:
            self.missing[column] = [_whole(value) for value in found]  # type: ignore[misc]
            shown = ", ".join(f"{value:g}" for value in found)
            self.found.questions.append(
                f"{column}: {shown} is taken for no label, because it lies outside of {low:g} to {high:g}"
            )
        return values.set(values.is_in(found).fill_null(value=False), None)


def _share(where: pl.Series) -> float:
    return float(where.sum()) / max(1, len(where))


def _is_numeric(texts: pl.Series) -> bool:
    return texts.null_count() < len(texts) and numbers(texts).null_count() == texts.null_count()


def _is_few(texts: pl.Series) -> bool:
    return 0 < texts.drop_nulls().n_unique() <= MOST_CLASSES


def _named_share(texts: pl.Series) -> float:
    values = texts.unique().drop_nulls().to_list()
    return sum(class_named(value, EXPRESSIONS) is not None for value in values) / max(1, len(values))


def _whole(value: float) -> float | int:
    return int(value) if math.isfinite(value) and value == int(value) else value
