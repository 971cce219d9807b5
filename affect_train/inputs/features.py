"""Features of a split that a backbone computed earlier, as inputs in the place of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.schema import LABELS
from affect_train.clips import shown_frames
from affect_train.inputs.batch import FaceBatch, Pick, drawn_from
from affect_train.inputs.inputs import IndexedInputs
from affect_train.inputs.labels import column_array

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class ClipFeatures:
    """Features of the frames of clips.

    Attributes:
        values: float16 [M, D], the frames of all clips one after the other.
        ends: int64 [rows], how many frames there are up to the end of each row; rows that are no clips have none.
    """

    values: NDArray[np.float16]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, frames: NDArray[np.float16], clips: NDArray[np.int64], rows: int) -> "ClipFeatures":
        """The frames of some rows.

        Args:
            frames: float16 [clips, frames, D], NaN where a clip has no more frames.
            clips: int64, their row numbers, ascending.
            rows: of the split.
        """
        there = ~np.isnan(frames[:, :, 0])
        counts = np.zeros(rows, dtype=np.int64)
        counts[clips] = there.sum(axis=1)
        return cls(frames[there], np.cumsum(counts))

    @classmethod
    def none(cls, values: NDArray[np.float16]) -> "ClipFeatures":
        """No frames, for rows with these features of which none is a clip."""
        return cls(values[:0], np.zeros(len(values), dtype=np.int64))

    def numbers(self, row: int, most: int) -> list[int]:
        """Where the frames of a row that are shown lie in `values`; none if it is no clip."""
        start = int(self.ends[row - 1]) if row else 0
        count = int(self.ends[row]) - start
        return [start + frame for frame in shown_frames(count, most)] if count else []


class FeatureArray(IndexedInputs):
    """Features of a split.

    Args:
        values: float16 [rows, D]; of a clip, the mean over its frames.
        uids: of the rows.
        frames: of the clips; None if there are none.
    """

    def __init__(
        self,
        values: NDArray[np.float16],
        uids: pa.Array | pa.ChunkedArray,
        frames: ClipFeatures | None = None,
    ) -> None:
        self._values = values
        self._uids = uids
        self._frames = frames

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

    def take_frames(self, rows: NDArray[np.int64], most: int) -> FaceBatch:
        """The features of some rows, and in place of those of a clip the features of its frames, at most `most` of them."""
        own = [[] if self._frames is None else self._frames.numbers(row, most) for row in rows.tolist()]
        if self._frames is None or not any(own):
            return self.take(rows)
        values = [
            self._frames.values[numbers] if numbers else self._values[row][None]
            for row, numbers in zip(rows.tolist(), own, strict=True)
        ]
        counts = torch.tensor([len(part) for part in values])
        inputs = torch.from_numpy(np.concatenate(values)).float()
        return FaceBatch(torch.from_numpy(rows), self._uids.take(rows).to_pylist(), inputs, counts=counts)


class StoredFeatures(FeatureArray):
    """The stored features of a split.

    Args:
        dataset: one split, with the features' column.
        name: of the features.
    """

    def __init__(self, dataset: "Dataset", name: str) -> None:
        column = FEATURES.group(name)
        values, frames = column_array(dataset, column), None
        if frames_column(name) in dataset.column_names:
            stored = dataset.select_columns([frames_column(name)]).with_format("arrow")[:].column(0).combine_chunks()
            lengths = stored.value_lengths().to_numpy().astype(np.int64)
            flat = stored.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, values.shape[1])
            frames = ClipFeatures(flat, np.cumsum(lengths))
        super().__init__(values, uids_of(dataset), frames)

    @classmethod
    def of(cls, folder: DatasetFolder, split: str, name: str) -> "StoredFeatures":
        """The stored features of a split of a dataset folder.

        Raises:
            UnknownNameError: the folder has no such split or features.
        """
        return cls(folder.load(split, [LABELS, FEATURES.group(name)]), name)


def frames_column(name: str) -> str:
    """The column of the features of the frames of clips."""
    return f"{FEATURES.group(name)}.frames"


def uids_of(dataset: "Dataset") -> pa.ChunkedArray:
    """The unique names of the rows of a split."""
    return dataset.select_columns(["uid"]).with_format("arrow")[:].column(0)
