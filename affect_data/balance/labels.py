"""The labels by which plans weigh rows, as arrays."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.label_chunks import label_chunks
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PlanLabels:
    """The labels of N rows.

    Attributes:
        databases: names of the databases.
        database: int16 [N], index into `databases`.
        au: int8 [N, slots of `ACTION_UNITS`]: 0 absent, 1 present, -1 not annotated.
        expression: int8 [N]; -1 where there is none.
        valence: float32 [N]; NaN where there is none.
        arousal: float32 [N]; NaN where valence is NaN.
        read_from: the dataset and its split; None if the labels were not read from one.
    """

    databases: tuple[str, ...]
    database: npt.NDArray[np.int16]
    au: npt.NDArray[np.int8]
    expression: npt.NDArray[np.int8]
    valence: npt.NDArray[np.float32]
    arousal: npt.NDArray[np.float32]
    read_from: tuple[DatasetFolder, str] | None = None

    def __len__(self) -> int:
        return len(self.database)

    @classmethod
    def read(cls, dataset: DatasetFolder, split: str) -> "PlanLabels":
        """The labels of a split."""
        rows = dataset.rows(split)
        databases = tuple(sorted(dataset.manifest.databases))
        labels = cls(
            databases,
            np.empty(rows, np.int16),
            np.empty((rows, len(ACTION_UNITS)), np.int8),
            np.empty(rows, np.int8),
            np.empty(rows, np.float32),
            np.empty(rows, np.float32),
            (dataset, split),
        )
        start = 0
        for chunk in label_chunks(dataset, split, ("database", "au", "expression", "valence", "arousal")):
            part = slice(start, start + len(chunk))
            for column in ("database", "au", "expression", "valence", "arousal"):
                getattr(labels, column)[part] = chunk[column]
            start = part.stop
        return labels

    def uids(self) -> pl.Series:
        """The name of every row. It is read on demand, because most plans do not need it."""
        assert self.read_from is not None, "these labels were not read from a dataset"
        dataset, split = self.read_from
        return dataset.labels(split)["uid"]

    @property
    def has_va(self) -> Bools:
        """Which rows have valence and arousal, bool [N]."""
        return ~np.isnan(self.valence)

    def having(self, column: str) -> Bools:
        """Which rows have a label, bool [N]: of action units (``au``), an ``expression``, valence and arousal (``va``), or any (``weight``)."""
        if column == "au":
            return np.asarray((self.au >= 0).any(axis=1))
        if column == "expression":
            return self.expression >= 0
        if column == "va":
            return self.has_va
        return self.having("au") | self.having("expression") | self.has_va

    def units(self, action_units: tuple[int, ...]) -> npt.NDArray[np.int8]:
        """The columns of `au` for L action units, in their order, int8 [N, L]."""
        return self.au[:, [ACTION_UNIT_SLOTS[number] for number in action_units]]

    def annotated_units(self, rows: Bools) -> tuple[int, ...]:
        """The action units that are annotated in at least one of the rows."""
        found = np.zeros(len(ACTION_UNITS), np.bool_)
        for start in range(0, len(self), 1 << 16):
            found |= (self.au[start : start + (1 << 16)][rows[start : start + (1 << 16)]] >= 0).any(axis=0)
        return tuple(number for number, known in zip(ACTION_UNITS, found, strict=True) if known)

    def of(self, names: tuple[str, ...]) -> Bools:
        """Which rows come from the named databases, bool [N]; all rows if none is named."""
        if not names:
            return np.ones(len(self), np.bool_)
        return np.isin(self.database, [self.databases.index(name) for name in names])
