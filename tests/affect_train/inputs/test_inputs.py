"""Inputs of every kind, as evaluation and training ask for their batches."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.loading import load_dataset
from affect_train.inputs import labels
from affect_train.inputs.batch import FaceBatch, Pick
from affect_train.inputs.features import FeatureArray
from affect_train.inputs.inputs import IndexedInputs, KeptProcesses, RowsInOrder
from affect_train.inputs.loading import FaceImages, View
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.windows import FeatureWindows, every_row, one_run, track_windows

CROP = Preprocessing(16)


@pytest.fixture(params=["pictures", "features", "windows"])
def inputs(request: pytest.FixtureRequest, dataset: Path) -> IndexedInputs:
    """The 21 validation rows of the tiny dataset."""
    rows = labels.split_rows(open_dataset(dataset), "validation")
    if request.param == "pictures":
        return FaceImages(rows, CROP)
    features = FeatureArray(np.arange(42, dtype=np.float16).reshape(21, 2), pa.array(rows["uid"][:]))
    if request.param == "features":
        return features
    return FeatureWindows(features, every_row(track_windows(rows, 3, 2)), 3)


def rows_of(batches: list[FaceBatch]) -> list[int]:
    return [row for batch in batches for row in batch.rows.tolist()]


def test_every_kind_shows_all_rows_whatever_the_number_of_processes(inputs: IndexedInputs) -> None:
    assert inputs.rows == 21
    alone = list(inputs.in_order(4))
    assert set(rows_of(alone)) == set(range(21))
    shared = [list(inputs.in_order(4, 2, rank)) for rank in (0, 1)]
    turns = [shared[number % 2][number // 2] for number in range(len(alone))]
    for one, other in zip(alone, turns, strict=True):
        assert one.uids == other.uids
        assert torch.equal(one.inputs, other.inputs)


@pytest.mark.parametrize("processes", [2, 4, 7])
def test_every_process_has_as_many_batches_and_one_without_rows_shows_inputs_all_the_same(
    inputs: IndexedInputs, processes: int
) -> None:
    shared = [list(inputs.in_order(6, processes, rank)) for rank in range(processes)]
    assert len({len(batches) for batches in shared}) == 1
    repeated = [batch for batches in shared for batch in batches if not len(batch.rows)]
    assert len(repeated) == -len(list(inputs.in_order(6))) % processes
    assert all(len(batch.inputs) and not batch.uids for batch in repeated)


def test_every_kind_can_be_asked_for_some_rows_under_their_own_numbers(inputs: IndexedInputs) -> None:
    whole = {
        row: values
        for batch in inputs.in_order(5)
        for row, values in zip(batch.rows.tolist(), batch.inputs, strict=True)
    }
    shown = inputs.showing(np.array([17, 2, 9]))
    assert shown.rows == 21
    batches = list(shown.in_order(5))
    assert set(rows_of(batches)) >= {17, 2, 9}
    for batch in batches:
        for row, values in zip(batch.rows.tolist(), batch.inputs, strict=True):
            assert torch.equal(values, whole[row])


def test_pictures_are_shown_without_the_rows_that_are_not_wanted(dataset: Path) -> None:
    shown = FaceImages(load_dataset(dataset, "validation"), CROP).showing(np.array([17, 2, 9]))
    assert rows_of(list(shown.in_order(2))) == [17, 2, 9]


def test_a_loader_lives_on_from_one_evaluation_to_the_next(inputs: IndexedInputs) -> None:
    kept = KeptProcesses(inputs)
    first, second = kept.in_order(8), kept.in_order(8)
    assert first is second is not kept.in_order(8, 2)
    assert rows_of(list(first)) == rows_of(list(second)) == rows_of(list(inputs.in_order(8)))
    assert (kept.rows, len(kept)) == (inputs.rows, len(inputs))
    assert rows_of([kept.__getitems__([Pick(3)])]) == rows_of([inputs.__getitems__([Pick(3)])])
    assert kept.showing(np.array([2])).rows == 21


def test_a_view_shows_the_pictures_that_its_options_name(dataset: Path) -> None:
    rows = load_dataset(dataset, "train")
    shown = View(CROP, seed=3, cache=True, threads=2).images(rows)
    expected = FaceImages(rows, CROP).__getitems__([Pick(4), Pick(7)])
    assert torch.equal(shown.__getitems__([Pick(4), Pick(7)]).inputs, expected.inputs)
    assert shown._cache is not None
    assert shown._cache.holds(4)


def test_consecutive_frames_are_cut_as_those_of_a_track() -> None:
    windows = one_run(7, 3, 2)
    assert [windows.rows_of([number])[0].tolist() for number in range(len(windows))] == [
        [0, 1, 2],
        [2, 3, 4],
        [4, 5, 6],
    ]
    assert (windows.rows, windows.runs) == (7, 1)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 4))
def test_evaluation_sees_every_row_once_in_the_same_batches_on_any_number_of_processes(
    rows: int, size: int, processes: int
) -> None:
    alone = list(RowsInOrder(rows, size))
    shared = [list(RowsInOrder(rows, size, processes, rank)) for rank in range(processes)]
    assert [pick.row for batch in alone for pick in batch] == list(range(rows))
    assert sorted(batch for shard in shared for batch in shard) == alone
    assert [len(RowsInOrder(rows, size, processes, rank)) for rank in range(processes)] == list(map(len, shared))
    assert all(isinstance(pick, Pick) for batch in alone for pick in batch)
