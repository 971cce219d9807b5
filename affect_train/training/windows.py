"""The windows that a recipe trains on, and the pools of windows that batches are drawn from."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from affect_train.errors import NoWindowsError
from affect_train.inputs.labels import clips_in
from affect_train.inputs.sampler import Pool
from affect_train.inputs.windows import Windows, track_windows, with_alone
from affect_train.recipe.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset


def training_windows(recipe: Recipe, dataset: "Dataset", kept: NDArray[np.bool_] | None = None) -> Windows:
    """The windows of the training split; a clip is a window of its frames.

    Args:
        recipe: of a model with a recurrent stage.
        dataset: the training split.
        kept: bool [rows], the rows that are trained on; None: all.

    Raises:
        NoWindowsError: no row has a track and a frame number, or is a clip.
    """
    options = recipe.model.temporal
    assert options is not None
    windows = track_windows(dataset, options.window, options.strides[0], kept)
    clips = clips_in(dataset)
    windows = with_alone(windows, np.flatnonzero(clips if kept is None else clips & kept))
    if not len(windows):
        raise NoWindowsError(recipe.dataset, recipe.training.split)
    return windows


def pools_of_windows(recipe: Recipe, pools: Mapping[str, Pool], windows: Windows) -> dict[str, Pool]:
    """Pools of windows from pools of rows; a database without tracks has no pool.

    Raises:
        NoWindowsError: all labels of a task are on rows without a track.
    """
    found = windows.pools(pools)
    if recipe.batches.sampler == "database_proportional":
        return {name: pool for name, pool in found.items() if len(pool)}
    empty = [name for name, pool in found.items() if not len(pool)]
    if empty:
        raise NoWindowsError(recipe.dataset, recipe.training.split, empty)
    return found


def describe_windows(windows: Windows) -> str:
    """A line that says how many windows of how many frames there are, and how many rows are in none."""
    frames = len(windows.order)
    left = windows.rows - frames
    return (
        f"{len(windows):,} windows of {windows.lengths.min()} to {windows.lengths.max()} frames over {windows.runs:,} runs of consecutive "
        f"frames ({frames:,} rows); {left:,} rows without a track, or held out, take no part"
    )
