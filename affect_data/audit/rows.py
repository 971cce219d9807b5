"""A dataset as audits see it: columns of its rows on demand, some rows at a time, so that no check holds all labels of a large dataset."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from affect_data.dataset.blocks import LabelBlocks
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.vocabulary import EXPRESSIONS, slot_of

if TYPE_CHECKING:
    from affect_data.audit.pictures.copies import Copies
    from affect_data.audit.pictures.facts import Pictures

Progress = Callable[[str, int, int], None]


@dataclass
class AuditedDataset:
    """The rows of all splits of a dataset, one split after the other; `row` is a position over all splits.

    Attributes:
        folder: the dataset.
        workers: processes that decode pictures.
        progress: is called during long steps.
    """

    folder: DatasetFolder
    workers: int = 1
    progress: Progress = field(default=lambda *_: None)

    def __len__(self) -> int:
        return len(self._labels)

    @cached_property
    def _labels(self) -> LabelBlocks:
        return LabelBlocks(self.folder)

    def blocks(self, *columns: str) -> Iterator[pl.DataFrame]:
        """The rows as from `LabelBlocks.blocks`, and `expression_name` beside `expression`."""
        for block in self._labels.blocks(*columns):
            yield _named(block)

    def rows(self, *columns: str) -> pl.DataFrame:
        """All rows as from `LabelBlocks.rows`, and `expression_name` beside `expression`; `identified` adds what names a row."""
        return _named(self._labels.rows(*columns))

    def identified(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Some rows in ascending order, with `uid` and `split`, and all categories as text.

        Args:
            rows: with `row`.
        """
        rows = rows.sort("row", maintain_order=True).with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
        return rows.with_columns(self._labels.uids(rows["row"].to_numpy()))

    def slots(self, column: str, units: Sequence[int]) -> npt.NDArray[Any]:
        """Labels of action units, [units, rows]: of `au` int8 with -1 for none, of `au_intensity` float32 in 0..5 with NaN for none.

        Args:
            column: ``au`` or ``au_intensity``.
            units: FACS numbers.
        """
        places = [slot_of(number) for number in units]
        found = np.empty((len(places), len(self)), np.int8 if column == "au" else np.float32)
        for block in self.blocks(column) if places else ():
            first = block["row"][0]
            found[:, first : first + len(block)] = block[column].to_numpy()[:, places].T
        return found

    @cached_property
    def face_boxes(self) -> npt.NDArray[np.float32]:
        """The face box of every row, float32 [rows, 4]; NaN where there is none."""
        parts = (block["face_box"].to_numpy() for block in self.blocks("face_box"))
        return np.concatenate([np.empty((0, 4), np.float32), *parts])

    @property
    def digests(self) -> npt.NDArray[np.uint64]:
        """The first half of the sha256 of every row's picture, uint64 [rows, 2]."""
        return self._labels.digests()

    @cached_property
    def pictures(self) -> "Pictures":
        """Every distinct face picture of the dataset: hashes, small copies, measurements."""
        from affect_data.audit.pictures.facts import read_pictures

        return read_pictures(self.folder, self.digests, self.face_boxes, self.workers, self.progress)

    @cached_property
    def copies(self) -> "Copies":
        """Which rows show the same picture or nearly the same."""
        from affect_data.audit.pictures.copies import find_copies

        return find_copies(self.pictures, self.rows("database", "track"))

    def teachers(self) -> dict[str, SoftLabelProvenance]:
        """Provenance of the soft labels that fit the dataset, by name."""
        return {name: SOFT_LABELS.read(self.folder, name) for name in SOFT_LABELS.fitting(self.folder)}

    def logits(self, teacher: str, head: str) -> "StoredColumn":
        """A teacher's logits of all rows."""
        return self.stored(SOFT_LABELS.group(teacher), SOFT_LABELS.column(teacher, head))

    def feature_names(self) -> tuple[str, ...]:
        """Names of the stored features that fit the dataset, alphabetical."""
        return FEATURES.fitting(self.folder)

    def features(self, name: str) -> "StoredColumn":
        """Stored features of all rows."""
        return self.stored(FEATURES.group(name), FEATURES.group(name))

    def stored(self, group: str, column: str) -> "StoredColumn":
        """A column of a group that has lists of one length, such as features, of all rows."""
        tables = [self.folder.load(split, [group]).data.table for split in self.folder.splits]
        return StoredColumn([table.column(column) for table in tables])


class StoredColumn:
    """Lists of numbers of all rows, over memory maps.

    Args:
        parts: the column of each split.
    """

    def __init__(self, parts: Sequence[pa.ChunkedArray]) -> None:
        self._whole = pa.chunked_array([chunk for part in parts for chunk in part.chunks], parts[0].type)

    def __len__(self) -> int:
        return len(self._whole)

    def __getitem__(self, rows: slice | npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        """Some rows, float32 [rows, width]."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            part = self._whole.slice(start, stop - start)
        else:
            part = self._whole.take(pa.array(rows))
        flat = np.concatenate([chunk.flatten().to_numpy(zero_copy_only=False) for chunk in part.chunks] or [_NONE])
        return flat.reshape(len(part), -1 if len(part) else 0).astype(np.float32)


_NONE = np.empty(0, np.float32)


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    if "expression" not in rows.columns:
        return rows
    codes = dict(enumerate(EXPRESSIONS))
    name = pl.col("expression").replace_strict(codes, default=None, return_dtype=pl.Enum(EXPRESSIONS))
    return rows.with_columns(name.alias("expression_name"))
