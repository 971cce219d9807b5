"""The labels of a whole dataset as one compact table, made once, that filters and sorting work on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.layout import MISSING_STEP
from affect_data.dataset.schema import MISSING_CLASS
from affect_data.errors import DataError
from affect_data.viewing.absence import Absence, absence
from affect_data.viewing.evidence import finding_columns
from affect_data.viewing.maps import Maps
from affect_data.viewing.teachers import teacher_columns
from affect_data.vocabulary import unit_name

CELLS: Final = 32
"""Cells of the VA plane along each axis."""

LISTED: Final = "listed"
"""The column with the places of rows that were named by hand; null for others."""

_STORED: Final = (
    *("uid", "database", "release", "subject", "track", "source_file", "frame", "face", "au", "au_intensity"),
    *("expression", "valence", "arousal", "va_mask", "image_digest", "compound_expression"),
)


@dataclass(frozen=True)
class LabelTable:
    """The rows of all splits, one after the other, as columns of small numbers.

    Attributes:
        frame: a row for each face. ``split`` and ``database`` are codes; ``release`` and ``file`` (the annotation file) are enumerations, and so
            are ``subject`` and ``track``, as ``database/name``, null where there is none; ``uid``, ``origin``, ``frame`` and ``face`` are as
            stored; ``expression`` and ``compound`` are codes or -1; ``valence`` and ``arousal`` are null without a label; ``plane`` is the cell
            of the VA plane or -1; ``au<number>`` is 1, 0 or -1; ``intensity<number>`` is null without a label; ``copies`` is a number for each
            group of copies, or null; ``severity`` and ``score`` are those of the worst finding and ``finding.<check>`` is the score of a check,
            null without one; ``soft.<teacher>.<task>`` is how far a teacher is from the label, and ``confidence.<teacher>`` how sure it is of
            an expression.
        splits: names, in the order of the rows.
        starts: first row of each split.
        databases: names by code.
        units: action units whose occurrence is coded.
        intensities: action units whose intensity is coded.
        checks: audits with findings.
        teachers: names of soft labels that fit the pictures, with the tasks that can be compared with labels.
        not_audited: why there are no findings; empty if the audit fits the labels.
        maps: where the rows lie on maps of stored features.
        absence: why labels are missing.
    """

    frame: pl.DataFrame
    splits: tuple[str, ...]
    starts: tuple[int, ...]
    databases: tuple[str, ...]
    units: tuple[int, ...] = ()
    intensities: tuple[int, ...] = ()
    checks: tuple[str, ...] = ()
    teachers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    not_audited: str = ""
    maps: Maps = field(default_factory=Maps)
    absence: Absence = field(default_factory=Absence)

    def __len__(self) -> int:
        return len(self.frame)

    def place(self, row: int) -> tuple[str, int]:
        """The split of a row, and its number within the split."""
        code = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.splits[code], row - self.starts[code]

    def row(self, split: str, number: int) -> int:
        """The row that has a number within a split."""
        return self.starts[self.splits.index(split)] + number


def label_table(folder: DatasetFolder) -> LabelTable:
    """The table of a dataset, with the findings of its audit and the soft labels that fit its pictures."""
    parts = [_rows_of(folder, split, code) for code, split in enumerate(folder.splits)]
    frame = pl.concat(parts)
    found, checks, not_audited = finding_columns(folder, frame)
    teachers, compared = teacher_columns(folder, frame)
    frame = frame.drop("digest").with_columns(
        *(as_names(frame[name]) for name in ("release", "subject", "track", "file")),
        plane_cells(frame["valence"].to_numpy(), frame["arousal"].to_numpy()),
        *found,
        *compared,
    )
    units = folder.manifest.layout.action_units
    return LabelTable(
        frame=frame.rechunk(),
        splits=folder.splits,
        starts=tuple(int(end) - len(part) for end, part in zip(np.cumsum([*map(len, parts)]), parts, strict=True)),
        databases=tuple(folder.manifest.databases),
        units=units,
        intensities=folder.manifest.layout.intensities,
        checks=checks,
        teachers=teachers,
        not_audited=not_audited,
        maps=Maps(folder),
        absence=absence(folder, frame, tasks(units)),
    )


def tasks(units: Sequence[int]) -> Mapping[str, pl.Expr]:
    """For each task, whether a row has a label of it.

    Args:
        units: action units whose occurrence is coded.
    """
    coded = [pl.col(f"au{number}") >= 0 for number in units]
    return {
        "expression": pl.col("expression") >= 0,
        "compound": pl.col("compound") >= 0,
        "au": pl.any_horizontal(coded) if coded else pl.lit(value=False),
        "va": pl.col("plane") >= 0,
    }


def with_listed(table: LabelTable, uids: Sequence[str]) -> LabelTable:
    """The table with the column `LISTED`: the place of each row in a list of uids, null for rows that are not in it.

    Raises:
        DataError: the table has none of them.
    """
    wanted = pl.DataFrame({"uid": list(dict.fromkeys(uids))}, schema={"uid": pl.String}).with_row_index(LISTED)
    frame = table.frame.join(wanted.cast({LISTED: pl.Int32}), on="uid", how="left", maintain_order="left")
    if frame[LISTED].null_count() == len(frame):
        first = uids[0] if uids else "-"
        raise DataError(f"the dataset has none of the {len(wanted):,} uids that were named, for example {first!r}")
    return replace(table, frame=frame)


def as_names(texts: pl.Series) -> pl.Series:
    """Texts as an enumeration in alphabetical order, so that its numbers count and sort."""
    return texts.cast(pl.Enum(texts.drop_nulls().unique().sort()))


def plane_cells(valence: npt.NDArray[np.float32], arousal: npt.NDArray[np.float32]) -> pl.Series:
    """The cell of the VA plane that each row lies in, int16: row by row from the lowest arousal, -1 where a value is NaN."""
    known = ~(np.isnan(valence) | np.isnan(arousal))
    across, up = (
        np.clip(np.floor((np.where(known, values, 0) + 1) / 2 * CELLS), 0, CELLS - 1) for values in (valence, arousal)
    )
    return pl.Series("plane", np.where(known, up * CELLS + across, -1).astype(np.int16))


def _rows_of(folder: DatasetFolder, split: str, code: int) -> pl.DataFrame:
    stored = folder.stored_labels(split, _STORED).combine_chunks()
    texts = folder.view.frame(stored, ("database", "release", "subject", "track", "source_file"))
    named = [
        pl.when(pl.col(name) != "").then(pl.format("{}/{}", "database", name)).alias(name)
        for name in ("subject", "track")
    ]
    has_va = np.asarray(stored.column("va_mask").to_numpy())
    return texts.select("release", *named, pl.col("source_file").alias("file")).with_columns(
        pl.lit(code, pl.Int8).alias("split"),
        _codes(stored, "database", "database"),
        *(pl.Series(name, stored.column(name)) for name in ("uid", "origin", "frame", "face")),
        _codes(stored, "expression", "expression"),
        _codes(stored, "compound_expression", "compound"),
        *(_dimension(stored, name, has_va) for name in ("valence", "arousal")),
        _digests(stored),
        *_units(stored, "au", "au"),
        *(_without_fill(values) for values in _units(stored, "au_intensity", "intensity")),
    )


def _codes(stored: pa.Table, column: str, name: str) -> pl.Series:
    if column not in stored.column_names:
        return pl.Series(name, np.full(len(stored), MISSING_CLASS, np.int8))
    return pl.Series(name, stored.column(column)).cast(pl.Int8)


def _dimension(stored: pa.Table, name: str, known: "npt.NDArray[np.bool_]") -> pl.Series:
    values = np.where(known, np.asarray(stored.column(name).to_numpy()), np.float32(np.nan)).astype(np.float32)
    return pl.Series(name, values, nan_to_null=True)


def _units(stored: pa.Table, column: str, name: str) -> list[pl.Series]:
    """A column for each action unit, with the stored values."""
    if column not in stored.column_names or not len(stored):
        return []
    children = stored.column(column).chunk(0)
    prefix = unit_name(0)[:-1]
    return [
        pl.Series(f"{name}{field.name.removeprefix(prefix)}", children.field(field.name)) for field in children.type
    ]


def _without_fill(values: pl.Series) -> pl.Series:
    """Intensities, float32, with nulls where there is no label: stored as -1 for whole steps, otherwise as NaN."""
    numbers: Any = values.cast(pl.Float32).to_numpy()
    return pl.Series(
        values.name, np.where(numbers == MISSING_STEP, np.nan, numbers).astype(np.float32), nan_to_null=True
    )


def _digests(stored: pa.Table) -> pl.Series:
    """The first eight bytes of each picture's digest, which tell pictures apart, as numbers."""
    if not len(stored):
        return pl.Series("digest", [], pl.UInt64)
    values = stored.column("image_digest").chunk(0).flatten().to_numpy(zero_copy_only=False)
    return pl.Series("digest", values.reshape(len(stored), -1)[:, :8].copy().view(np.uint64).ravel())
