"""The labels that plans weigh rows by, as arrays."""

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
        databases: names; `database` is an index into them.
        database: int16 [N].
        au: int8 [N, slots of `ACTION_UNITS`]: 0 absent, 1 present, -1 not annotated.
        expression: int8 [N], -1 without one.
        valence: float32 [N], NaN without one.
        arousal: float32 [N], NaN where valence is.
        read_from: the dataset and its split; None where they were made.
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
        """The name of every row, read anew: most plans do not need them."""
        assert self.read_from is not None, "these labels were not read from a dataset"
        dataset, split = self.read_from
        return dataset.labels(split)["uid"]

    @property
    def has_va(self) -> Bools:
        """Which rows have valence and arousal: bool [N]."""
        return ~np.isnan(self.valence)

    def units(self, action_units: tuple[int, ...]) -> npt.NDArray[np.int8]:
        """The columns of `au` of some action units, in their order: int8 [N, L]."""
        return self.au[:, [ACTION_UNIT_SLOTS[number] for number in action_units]]

    def annotated_units(self, rows: Bools) -> tuple[int, ...]:
        """The action units that some of the rows have annotated."""
        found = np.zeros(len(ACTION_UNITS), np.bool_)
        for start in range(0, len(self), 1 << 16):
            found |= (self.au[start : start + (1 << 16)][rows[start : start + (1 << 16)]] >= 0).any(axis=0)
        return tuple(number for number, known in zip(ACTION_UNITS, found, strict=True) if known)

    def of(self, names: tuple[str, ...]) -> Bools:
        """Which rows come from the named databases; all of them where none is named: bool [N]."""
        if not names:
            return np.ones(len(self), np.bool_)
        return np.isin(self.database, [self.databases.index(name) for name in names])
