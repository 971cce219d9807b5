"""Features of a split that a backbone computed earlier, as inputs in the place of pictures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.schema import LABELS
from affect_train.inputs.batch import FaceBatch, Pick, drawn_from
from affect_train.inputs.inputs import IndexedInputs
from affect_train.inputs.labels import column_array

if TYPE_CHECKING:
    from datasets import Dataset


class FeatureArray(IndexedInputs):
    """Features of a split.

    Args:
        values: float16 [rows, D].
        uids: of the rows.
    """

    def __init__(self, values: NDArray[np.float16], uids: pa.Array | pa.ChunkedArray) -> None:
        self._values = values
        self._uids = uids

    def __len__(self) -> int:
        return len(self._values)

    def __getitems__(self, picks: Sequence[Pick]) -> FaceBatch:
        """The features of the picked rows, as `take` gives them."""
        faces = self.take(np.array([pick.row for pick in picks], dtype=np.int64))
        return faces._replace(pools=drawn_from(picks))

    def take(self, rows: NDArray[np.int64]) -> FaceBatch:
        """The features of some rows, float32 [N, D]."""
        # Torch widens half precision several times as fast as NumPy.
        values = torch.from_numpy(self._values[rows]).float()
        return FaceBatch(torch.from_numpy(rows), self._uids.take(rows).to_pylist(), values)


class StoredFeatures(FeatureArray):
    """The stored features of a split.

    Args:
        dataset: one split, with the features' column.
        name: of the features.
    """

    def __init__(self, dataset: "Dataset", name: str) -> None:
        super().__init__(column_array(dataset, FEATURES.group(name)), uids_of(dataset))

    @classmethod
    def of(cls, folder: DatasetFolder, split: str, name: str) -> "StoredFeatures":
        """The stored features of a split of a dataset folder.

        Raises:
            UnknownNameError: the folder has no such split or features.
        """
        return cls(folder.load(split, [LABELS, FEATURES.group(name)]), name)


def uids_of(dataset: "Dataset") -> pa.ChunkedArray:
    """The unique names of the rows of a split."""
    return dataset.select_columns(["uid"]).with_format("arrow")[:].column(0)
