"""Clips: which of its frames a model is shown, and how their outputs become one."""

import hashlib
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affect_data.frames import parts_of

POOLING: Final = "mean of the frames' logits"
"""How a clip's frames become one output, in words."""


def shown_frames(count: int, most: int, draws: NDArray[np.float64] | None = None) -> list[int]:
    """Which frames of a clip are shown, ascending: one of each of as many equal parts, or all frames if there are no more than `most`.

    Args:
        count: frames of the clip.
        most: frames that are shown.
        draws: float64 [most] in [0, 1), the position of the frame in each part; None: the middle one.
    """
    parts = parts_of(count, most)
    if draws is None:
        return [(start + stop) // 2 for start, stop in parts]
    return [start + int(draw * (stop - start)) for draw, (start, stop) in zip(draws, parts, strict=False)]


def frame_draws(key: str, most: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), float64 [most], which follow from the key alone."""
    digest = hashlib.blake2b(f"{key} frames".encode(), digest_size=8).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little"))).random(most)


def pooled(values: Tensor, counts: Tensor | None) -> Tensor:
    """The mean over the pictures of each row, [N, ...]; `values` themselves if every row has one picture.

    Args:
        values: float [M, ...], the pictures of a row next to each other.
        counts: int64 [N], how many pictures each row has, 1 or more, M in all; None: one each.
    """
    return values if counts is None else torch.segment_reduce(values, "mean", lengths=counts, unsafe=True)


def pictures_of(counts: Tensor, rows: Tensor) -> Tensor:
    """The places of the pictures of some rows among those of all rows, int64.

    Args:
        counts: int64 [N], how many pictures each row has.
        rows: int64 [R], the places of rows among the N.
    """
    ends = counts.cumsum(0)
    own = counts[rows]
    begins = (ends[rows] - own).repeat_interleave(own)
    within = torch.arange(int(own.sum()), device=counts.device) - (own.cumsum(0) - own).repeat_interleave(own)
    return begins + within


def pooling_of(clips: int, most: int | None) -> dict[str, Any]:
    """The entry of a report on the clips of a split: how many there are, and how their frames became one output. Empty without clips.

    Args:
        clips: how many rows are clips.
        most: how many frames are shown; None: each of several models has its own number.
    """
    shown = {} if most is None else {"frames": most}
    return {"clips": {"rows": clips, **shown, "pooling": POOLING}} if clips else {}


def describe_pooling(clips: int, most: int) -> str:
    """The same in words."""
    return f"{clips:,} rows are clips: each has the mean logits of up to {most} frames"
