"""Clips in batches: which frames are shown, and what becomes one output."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from affect_train.clips import frame_draws, pictures_of, pooled, pooling_of, shown_frames
from affect_train.inputs.batch import FaceBatch

COUNTS = st.lists(st.integers(1, 5), min_size=1, max_size=6)


@given(st.integers(1, 100), st.integers(1, 20), st.integers(0, 1000))
def test_one_frame_of_each_equal_part_is_shown_and_all_where_there_are_no_more(
    count: int, most: int, seed: int
) -> None:
    draws = np.random.default_rng(seed).random(most)
    for shown in (shown_frames(count, most), shown_frames(count, most, draws)):
        if count <= most:
            assert shown == list(range(count))
            continue
        borders = [part * count // most for part in range(most + 1)]
        assert all(low <= frame < high for frame, low, high in zip(shown, borders, borders[1:], strict=False))
        assert len(shown) == most


def test_every_frame_of_a_part_can_be_drawn_and_the_middle_is_fixed() -> None:
    assert shown_frames(9, 3) == [1, 4, 7]
    assert shown_frames(9, 3, np.array([0.0, 0.5, 0.999])) == [0, 4, 8]


def test_draws_follow_from_the_key_alone() -> None:
    assert frame_draws("a", 4).tolist() == frame_draws("a", 4).tolist()
    assert frame_draws("a", 4).tolist() != frame_draws("b", 4).tolist()
    assert (frame_draws("a", 1000) < 1).all()
    assert abs(frame_draws("a", 1000).mean() - 0.5) < 0.05


@given(COUNTS)
def test_the_output_of_a_row_is_the_mean_over_its_pictures(counts: list[int]) -> None:
    values = torch.arange(3.0 * sum(counts)).reshape(-1, 3)
    ends = np.cumsum(counts)
    by_hand = [values[end - count : end].mean(0) for end, count in zip(ends, counts, strict=True)]
    assert torch.allclose(pooled(values, torch.tensor(counts)), torch.stack(by_hand))


def test_the_gradient_is_shared_among_the_pictures() -> None:
    values = torch.zeros(4, 1, requires_grad=True)
    pooled(values, torch.tensor([1, 3])).sum().backward()
    assert values.grad is not None
    assert values.grad.flatten().tolist() == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3])


def test_without_clips_nothing_is_computed() -> None:
    values = torch.ones(3, 2)
    assert pooled(values, None) is values
    assert pooling_of(0, 8) == {}
    assert pooling_of(2, 8) == {"clips": {"rows": 2, "frames": 8, "pooling": "mean of the frames' logits"}}


@given(COUNTS, st.data())
def test_the_pictures_of_chosen_rows_are_found_in_their_order(counts: list[int], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=5))
    begins = np.cumsum([0, *counts])
    expected = [picture for row in rows for picture in range(begins[row], begins[row + 1])]
    assert pictures_of(torch.tensor(counts), torch.tensor(rows, dtype=torch.int64)).tolist() == expected


def batch(counts: list[int] | None, first: int = 0) -> FaceBatch:
    """Rows named by their number, whose pictures are the number of the row and of the picture."""
    lengths = counts or [1, 1, 1]
    inputs = torch.tensor([10 * (first + row) + picture for row, n in enumerate(lengths) for picture in range(n)])
    rows = torch.arange(first, first + len(lengths))
    uids = [str(row) for row in rows.tolist()]
    return FaceBatch(rows, uids, inputs, rows + 100, counts=torch.tensor(counts) if counts else None)


def test_rows_are_selected_with_all_their_pictures() -> None:
    chosen = batch([2, 1, 3]).select(torch.tensor([2, 0]))
    assert chosen.inputs.tolist() == [20, 21, 22, 0, 1]
    assert chosen.counts is not None
    assert chosen.counts.tolist() == [3, 2]
    assert (chosen.uids, chosen.rows.tolist(), chosen.pools.tolist()) == (["2", "0"], [2, 0], [102, 100])
    assert batch(None).select(torch.tensor([1])).counts is None


@pytest.mark.parametrize("counts", [[2, 1, 3], None])
def test_a_row_takes_the_place_of_one_with_another_number_of_pictures(counts: list[int] | None) -> None:
    changed = batch(counts).with_row(1, batch([2], first=7))
    own = {"0": [0, 1] if counts else [0], "2": [20, 21, 22] if counts else [20]}
    assert changed.inputs.tolist() == [*own["0"], 70, 71, *own["2"]]
    assert changed.counts is not None
    assert changed.counts.tolist() == [len(own["0"]), 2, len(own["2"])]
    assert (changed.uids, changed.rows.tolist()) == (["0", "7", "2"], [0, 7, 2])
    # What a row is drawn for does not change with what is shown in its place.
    assert changed.pools is not None
    assert changed.pools.tolist() == [100, 101, 102]
