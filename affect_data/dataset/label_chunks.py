"""The labels of a split as arrays, chunk by chunk from the memory map, so that counting needs little memory for any number of rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from affect_data.dataset.folder import DatasetFolder

ROWS_PER_CHUNK: Final = 1 << 18


@dataclass(frozen=True)
class LabelChunk:
    """Some consecutive rows of a split.

    Attributes:
        split: name of the split.
        databases: names of the dataset's databases; `database` is an index into them.
        table: the columns that were asked for.
    """

    split: str
    databases: tuple[str, ...]
    table: pa.Table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        """A column as an array: [N], or [N, slots] for a fixed-size list."""
        chunked = self.table.column(column)
        array = chunked.chunk(0) if chunked.num_chunks == 1 else pa.concat_arrays(chunked.chunks)
        if not pa.types.is_fixed_size_list(array.type):
            return np.asarray(array.to_numpy(zero_copy_only=False))
        return np.asarray(array.flatten().to_numpy(zero_copy_only=False)).reshape(len(array), -1)


def label_chunks(dataset: DatasetFolder, split: str, columns: Sequence[str]) -> Iterator[LabelChunk]:
    """The rows of a split in order, `ROWS_PER_CHUNK` at a time.

    Args:
        dataset: the dataset.
        split: name of the split.
        columns: label columns of the schema.
    """
    stored = dataset.stored_labels(split, columns)
    databases = tuple(dataset.manifest.databases)
    for start in range(0, len(stored), ROWS_PER_CHUNK):
        yield LabelChunk(split, databases, dataset.view.table(stored.slice(start, ROWS_PER_CHUNK), columns))
