"""Windows of consecutive frames: they never cross a gap in the frame numbers, nor the end of a track."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affect_train.inputs.batch import FaceBatch, Faces, Pick
from affect_train.inputs.labels import column_array, text_codes
from affect_train.inputs.sampler import Pool, Rows

if TYPE_CHECKING:
    from datasets import Dataset

NO_FRAME = -1


@dataclass(frozen=True)
class Windows:
    """Windows of one split, each a stretch of consecutive frames of one face.

    Attributes:
        order: int64 [n], row numbers, those of a run next to each other and by frame.
        starts: int64 [windows], where each begins in `order`.
        lengths: int64 [windows], its frames, 1 or more.
        runs: how many stretches of consecutive frames there are.
        rows: of the split.
    """

    order: Rows
    starts: Rows
    lengths: Rows
    runs: int
    rows: int

    def __len__(self) -> int:
        return len(self.starts)

    def rows_of(self, numbers: Sequence[int]) -> tuple[Rows, Rows]:
        """The rows of some windows one after the other, and the place of each row in its window from 0, both int64 [frames]."""
        lengths = self.lengths[list(numbers)]
        places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return self.order[np.repeat(self.starts[list(numbers)], lengths) + places], places

    def pools(self, pools: Mapping[str, Pool]) -> dict[str, Pool]:
        """From pools of rows to pools of the windows that hold one of these rows at least."""
        found = {}
        for name, pool in pools.items():
            chosen = np.zeros(self.rows, dtype=np.int64)
            chosen[pool.rows] = 1
            before = np.concatenate([[0], np.cumsum(chosen[self.order])])
            found[name] = Pool(np.flatnonzero(before[self.starts + self.lengths] > before[self.starts]))
        return found


def track_windows(dataset: "Dataset", window: int, stride: int, kept: NDArray[np.bool_] | None = None) -> Windows:
    """The windows of all tracks, in the order of databases, tracks and frames; rows without a track or a frame number are in none.

    A run of consecutive frames is cut from its first frame on every `stride` frames, until a window reaches its end: that one may be shorter.

    Args:
        dataset: one split; at least the columns database, track, frame and face.
        window: the most frames of a window.
        stride: frames from the beginning of a window to that of the next, `window` at most.
        kept: bool [rows], the rows that may be in a window; None: all.
    """
    tracks, frames = text_codes(dataset, "track"), column_array(dataset, "frame").astype(np.int64)
    chosen = (tracks >= 0) & (frames > NO_FRAME) & (True if kept is None else kept)
    rows = np.flatnonzero(chosen)
    face = (column_array(dataset, "database")[rows], tracks[rows], column_array(dataset, "face")[rows])
    sorting = np.lexsort((frames[rows], *reversed(face)))
    follows = np.diff(frames[rows][sorting]) == 1
    for key in face:
        follows &= np.diff(key[sorting]) == 0
    begins = np.flatnonzero(np.concatenate([[True], ~follows])[: len(rows)])
    starts, lengths = cut(begins, np.diff(begins, append=len(rows)), window, stride)
    return Windows(rows[sorting], starts, lengths, len(begins), len(dataset))


def cut(begins: Rows, lengths: Rows, window: int, stride: int) -> tuple[Rows, Rows]:
    """Beginnings and lengths of the windows of runs, given the same of the runs; all int64.

    Raises:
        ValueError: windows would leave frames out.
    """
    if not 1 <= stride <= window:
        raise ValueError(f"windows of {window} frames every {stride} frames would leave frames out")
    counts = 1 + -(-np.maximum(lengths - window, 0) // stride)
    offsets = stride * (np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))
    return np.repeat(begins, counts) + offsets, np.minimum(np.repeat(lengths, counts) - offsets, window)


def every_row(windows: Windows) -> Windows:
    """The same windows, and after them each row that is in none as a window of one frame."""
    alone = np.setdiff1d(np.arange(windows.rows), windows.order)
    return Windows(
        order=np.concatenate([windows.order, alone]),
        starts=np.concatenate([windows.starts, len(windows.order) + np.arange(len(alone))]),
        lengths=np.concatenate([windows.lengths, np.ones(len(alone), dtype=np.int64)]),
        runs=windows.runs,
        rows=windows.rows,
    )


class FeatureRows(Protocol):
    """Features by row number."""

    def __len__(self) -> int: ...

    def take(self, rows: Rows) -> FaceBatch:
        """The features of some rows, float32 [N, D], where a batch of images would have its pixels."""
        ...


class FeatureWindows(Faces):
    """Windows of features, in the place of a split's images; the row of a pick is the number of a window.

    Args:
        features: of every row.
        windows: of the same split.
    """

    def __init__(self, features: FeatureRows, windows: Windows) -> None:
        self.features = features
        self.windows = windows

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def rows(self) -> int:
        """Rows of the split."""
        return self.windows.rows

    def __getitems__(self, picks: Sequence[Pick]) -> FaceBatch:
        """The frames of the picked windows, one window after the other, as `placed` features."""
        rows, places = self.windows.rows_of([pick.row for pick in picks])
        faces = self.features.take(rows)
        return faces._replace(pixels=placed(faces.pixels, torch.from_numpy(places)))


def placed(features: Tensor, places: Tensor) -> Tensor:
    """Features [N, D] with their place in the window before them, float [N, 1 + D]: what a temporal model takes in the place of pixels.

    Args:
        features: float [N, D], frames of a window next to each other and in order.
        places: int64 [N], from 0 in each window.
    """
    return torch.cat([places.to(features)[:, None], features], dim=1)
