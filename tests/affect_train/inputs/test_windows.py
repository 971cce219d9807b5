"""Windows of consecutive frames against a plain walk over the rows."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset, Features, Value
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from affect_train.inputs.batch import FaceBatch, Pick
from affect_train.inputs.features import ClipFeatures, FeatureArray
from affect_train.inputs.sampler import Pool
from affect_train.inputs.windows import FeatureWindows, Windows, cut, every_row, track_windows

Row = tuple[int, str, int, int]
"""Database, track, frame, face."""


def split_of(rows: list[Row]) -> Dataset:
    database, track, frame, face = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns = {"database": database, "track": track, "frame": frame, "face": face}
    kinds = Features({name: Value("string" if name == "track" else "int64") for name in columns})
    return Dataset.from_dict({name: list(values) for name, values in columns.items()}, features=kinds)


def windows_as_lists(windows: Windows) -> list[list[int]]:
    return [windows.rows_of([number])[0].tolist() for number in range(len(windows))]


ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(["", "a", "b"]), st.integers(-1, 14), st.integers(-1, 1)),
    min_size=1,
    max_size=50,
    unique=True,
)


@st.composite
def cuts(draw: st.DrawFn) -> tuple[list[Row], int, int]:
    window = draw(st.integers(1, 6))
    return draw(ROWS), window, draw(st.integers(1, window))


@settings(max_examples=150, deadline=None)
@given(cuts())
def test_windows_hold_each_frame_of_each_run_and_never_cross_a_gap_a_face_a_track_or_a_database(
    case: tuple[list[Row], int, int],
) -> None:
    rows, window, stride = case
    found = track_windows(split_of(rows), window, stride)
    numbers = {row: number for number, row in enumerate(rows)}
    runs = []
    for database, track, frame, face in sorted(rows, key=lambda row: (row[0], row[1], row[3], row[2])):
        if not track or frame < 0:
            continue
        before = (database, track, frame - 1, face)
        if frame > 0 and before in numbers:
            runs[-1].append(numbers[database, track, frame, face])
        else:
            runs.append([numbers[database, track, frame, face]])
    expected = []
    for run in runs:
        start = 0
        while True:
            expected.append(run[start : start + window])
            if start + window >= len(run):
                break
            start += stride
    assert sorted(windows_as_lists(found)) == sorted(expected)
    assert found.runs == len(runs)

    whole = windows_as_lists(every_row(found))
    assert set(range(len(rows))) == {row for one in whole for row in one}
    outside = sorted(row for row, (_, track, frame, _) in enumerate(rows) if not track or frame < 0)
    assert [one for one in whole if one[0] in outside] == [[row] for row in outside]


@settings(max_examples=50, deadline=None)
@given(ROWS, st.integers(1, 6))
def test_windows_that_do_not_overlap_hold_every_row_exactly_once(rows: list[Row], window: int) -> None:
    found = every_row(track_windows(split_of(rows), window, window))
    assert sorted(row for one in windows_as_lists(found) for row in one) == list(range(len(rows)))


@settings(max_examples=50, deadline=None)
@given(cuts(), st.lists(st.booleans(), min_size=50, max_size=50))
def test_rows_that_are_not_kept_are_in_no_window_and_make_a_gap(
    case: tuple[list[Row], int, int], flags: list[bool]
) -> None:
    rows, window, stride = case
    kept = np.array(flags[: len(rows)])
    found = track_windows(split_of(rows), window, stride, kept)
    assume(kept.any())
    alone = [row for row, keep in zip(rows, kept, strict=True) if keep]
    again = track_windows(split_of(alone), window, stride)
    numbers = np.flatnonzero(kept)
    assert sorted(windows_as_lists(found)) == sorted(numbers[one].tolist() for one in windows_as_lists(again))


def test_a_run_of_seven_frames_is_cut_until_its_end_is_reached() -> None:
    starts, lengths = cut(np.array([0, 7]), np.array([7, 2]), 4, 2)
    # 0123 2345 456 of the first run, both frames of the second
    assert starts.tolist() == [0, 2, 4, 7]
    assert lengths.tolist() == [4, 4, 3, 2]
    with pytest.raises(ValueError, match="windows of 4 frames every 5 frames would leave frames out"):
        cut(np.array([0]), np.array([7]), 4, 5)


def test_a_run_that_the_stride_meets_exactly_has_no_window_more() -> None:
    assert cut(np.array([0]), np.array([6]), 4, 2)[0].tolist() == [0, 2]
    assert cut(np.array([0]), np.array([4]), 4, 2)[0].tolist() == [0]


SEVEN: list[Row] = [(0, "a", 1, 0), (0, "a", 2, 0), (0, "a", 3, 0), (0, "a", 5, 0), (1, "a", 4, 0), (0, "", 6, 0)]


def test_rows_of_windows_come_with_their_place() -> None:
    found = track_windows(split_of(SEVEN), 2, 1)
    assert windows_as_lists(found) == [[0, 1], [1, 2], [3], [4]]
    rows, places = found.rows_of([1, 3, 1])
    assert rows.tolist() == [1, 2, 4, 1, 2]
    assert places.tolist() == [0, 1, 0, 0, 1]


def test_a_window_is_in_a_pool_if_one_of_its_rows_is() -> None:
    found = track_windows(split_of(SEVEN), 2, 1)
    pools = found.pools({"au": Pool(np.array([2, 3])), "va": Pool(np.array([1, 5])), "expression": Pool(np.array([5]))})
    assert {name: pool.rows.tolist() for name, pool in pools.items()} == {"au": [1, 2], "va": [0, 1], "expression": []}


class Numbers:
    def __len__(self) -> int:
        return len(SEVEN)

    def take(self, rows: np.ndarray) -> FaceBatch:
        return FaceBatch(torch.from_numpy(rows), [f"row{row}" for row in rows], torch.from_numpy(rows)[:, None] + 0.5)

    def take_frames(self, rows: np.ndarray, most: int) -> FaceBatch:
        assert most == 2
        return self.take(rows)


def test_a_batch_of_windows_is_their_frames_each_behind_its_place() -> None:
    images = FeatureWindows(Numbers(), every_row(track_windows(split_of(SEVEN), 2, 2)), 2)
    assert (len(images), images.rows) == (5, 6)
    batch = images.__getitems__([Pick(4), Pick(0)])
    assert batch.uids == ["row5", "row0", "row1"]
    assert batch.rows.tolist() == [5, 0, 1]
    assert batch.inputs.tolist() == [[5.5], [0.5], [1.5]]
    assert batch.places.tolist() == [0, 0, 1]


def test_a_clip_is_a_window_of_its_frames_among_those_of_tracks() -> None:
    values = np.arange(7, dtype=np.float16)[:, None]
    # The last row is a clip of three frames.
    frames = ClipFeatures(np.array([[10.0], [11.0], [12.0]], np.float16), np.array([0, 0, 0, 0, 0, 3]))
    features = FeatureArray(values[:6], pa.array([f"row{row}" for row in range(6)]), frames)
    images = FeatureWindows(features, every_row(track_windows(split_of(SEVEN), 2, 2)), 4)
    batch = images.__getitems__([Pick(0), Pick(4), Pick(1)])
    assert batch.uids == ["row0", "row1", "row5", "row2"]
    assert batch.inputs.flatten().tolist() == [0, 1, 10, 11, 12, 2]
    assert batch.places.tolist() == [0, 1, 0, 1, 2, 0]
    assert batch.counts.tolist() == [1, 1, 3, 1]
    chosen = batch.select(torch.tensor([2, 0]))
    assert (chosen.inputs.flatten().tolist(), chosen.places.tolist()) == ([10, 11, 12, 0], [0, 1, 2, 0])
    # A window of two frames shows the middle ones of two parts, the first alone and the other two.
    shorter = FeatureWindows(features, every_row(track_windows(split_of(SEVEN), 2, 2)), 2)
    assert shorter.__getitems__([Pick(4)]).inputs.flatten().tolist() == [10, 12]


def test_frames_of_clips_are_kept_by_row_and_no_clip_has_none() -> None:
    nan = np.nan
    frames = np.array([[[1.0], [2.0], [nan]], [[3.0], [nan], [nan]]], np.float16)
    kept = ClipFeatures.of(frames, np.array([1, 3]), 5)
    assert kept.values.flatten().tolist() == [1, 2, 3]
    assert [kept.numbers(row, 8) for row in range(5)] == [[], [0, 1], [], [2], []]
    assert ClipFeatures.none(frames[:, 0]).numbers(1, 8) == []
