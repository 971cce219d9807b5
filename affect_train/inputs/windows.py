"""Windows of consecutive frames, which never cross a gap in the frame numbers or the end of a track."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from affect_train.inputs.batch import FaceBatch, Pick
from affect_train.inputs.inputs import IndexedInputs
from affect_train.inputs.labels import column_array, text_codes
from affect_train.inputs.sampler import Pool, Rows

if TYPE_CHECKING:
    from datasets import Dataset

NO_FRAME = -1


@dataclass(frozen=True)
class Windows:
    """Windows of one split, each of consecutive frames of one face.

    Attributes:
        order: int64 [n], row numbers; the rows of a run (an unbroken sequence of frames) are next to each other, by frame.
        starts: int64 [windows], where each window begins in `order`.
        lengths: int64 [windows], frames of each window, 1 or more.
        runs: how many runs there are.
        rows: how many rows the split has.
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
        """Pools of windows from pools of rows: of the windows that hold at least one of the rows."""
        found = {}
        for name, pool in pools.items():
            chosen = np.zeros(self.rows, dtype=np.int64)
            chosen[pool.rows] = 1
            before = np.concatenate([[0], np.cumsum(chosen[self.order])])
            found[name] = Pool(np.flatnonzero(before[self.starts + self.lengths] > before[self.starts]))
        return found


def track_windows(dataset: "Dataset", window: int, stride: int, kept: NDArray[np.bool_] | None = None) -> Windows:
    """The windows of all tracks, in the order of databases, tracks and frames; rows without a track or a frame number are in none.

    In a run of consecutive frames a window begins every `stride` frames, until one reaches the end of the run. That last one may be shorter.

    Args:
        dataset: one split; at least the columns database, track, frame and face.
        window: the most frames of a window.
        stride: frames from the beginning of a window to that of the next, at most `window`.
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
    """Beginnings and lengths of the windows, from the beginnings and lengths of the runs; all int64.

    Raises:
        ValueError: windows would leave frames out.
    """
    if not 1 <= stride <= window:
        raise ValueError(f"windows of {window} frames every {stride} frames would leave frames out")
    counts = 1 + -(-np.maximum(lengths - window, 0) // stride)
    offsets = stride * (np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))
    return np.repeat(begins, counts) + offsets, np.minimum(np.repeat(lengths, counts) - offsets, window)


def one_run(frames: int, window: int, stride: int) -> Windows:
    """The windows of rows that are all consecutive frames of one face, cut like those of a track."""
    starts, lengths = cut(np.zeros(1, np.int64), np.array([frames]), window, stride)
    return Windows(np.arange(frames), starts, lengths, 1, frames)


def every_row(windows: Windows) -> Windows:
    """The same windows, followed by a window of one frame for each row that is in none."""
    return with_alone(windows, np.setdiff1d(np.arange(windows.rows), windows.order))


def with_alone(windows: Windows, alone: Rows) -> Windows:
    """The same windows, followed by a window of its own for each of some rows, int64, that are in none."""
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
        """The features of some rows, float32 [N, D]."""
        ...

    def take_frames(self, rows: Rows, most: int) -> FaceBatch:
        """The same, with the features of the frames of clips, at most `most` of each."""
        ...


class FeatureWindows(IndexedInputs):
    """Windows of features; the row of a pick is the number of a window.

    Args:
        features: of every row; those of the frames of a clip are the frames of its window.
        windows: of the same split.
        longest: the most frames of a window.
    """

    def __init__(self, features: FeatureRows, windows: Windows, longest: int) -> None:
        self.features = features
        self.windows = windows
        self.longest = longest

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def rows(self) -> int:
        """Rows of the split."""
        return self.windows.rows

    def showing(self, rows: Rows) -> "FeatureWindows":  # noqa: ARG002 - all windows, so that every batch is that of the whole split
        """All windows, because the logits of a frame depend on the frames around it."""
        return self

    def __getitems__(self, picks: Sequence[Pick]) -> FaceBatch:
        """The features of the frames of the picked windows, one window after the other, and their places."""
        rows, places = self.windows.rows_of([pick.row for pick in picks])
        faces = self.features.take_frames(rows, self.longest)
        if faces.counts is not None:
            counts = faces.counts.numpy()
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            places = np.repeat(places, counts) + within
        return faces._replace(places=torch.from_numpy(places))
