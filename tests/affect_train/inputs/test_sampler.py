from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affect_data.errors import UsageError
from affect_train.inputs.sampler import BatchOrder, Pool, batch_order, earlier, turns

POOLS = {"au": np.arange(0, 10), "expression": np.arange(10, 14), "va": np.arange(14, 35)}


def test_uniform_sampling_shows_every_row_and_fills_the_last_batch() -> None:
    order = batch_order("uniform", POOLS, rows=35, batch_size=8, seed=0)
    rows, occurrences = order.of_epoch(0)
    assert rows.shape == (5, 8)
    assert sorted(rows.ravel()[:35]) == list(range(35))
    assert occurrences.ravel().tolist() == [0] * 35 + [1] * 5


def test_uniform_sampling_that_divides_shows_every_row_once() -> None:
    rows, _ = batch_order("uniform", {}, rows=32, batch_size=8, seed=0).of_epoch(0)
    assert sorted(rows.ravel()) == list(range(32))


def test_tasks_have_equal_shares_and_the_longest_pool_is_seen_whole() -> None:
    order = BatchOrder(POOLS, 6, seed=0)
    rows, _ = order.of_epoch(0)
    assert rows.shape == (11, 6)  # 21 rows of va, two places in each batch
    assert set(POOLS["va"]) <= set(rows.ravel().tolist())
    for batch in rows:
        assert [len(set(pool) & set(batch.tolist())) > 0 for pool in POOLS.values()] == [True] * 3
    counts = Counter("au" if row < 10 else "expression" if row < 14 else "va" for row in rows.ravel())
    assert counts == {"au": 22, "expression": 22, "va": 22}


def test_a_short_pool_is_repeated_in_new_orders_each_row_as_often_as_the_others() -> None:
    rows, occurrences = BatchOrder(POOLS, 6, seed=0).of_epoch(0)
    expression = rows.ravel()[1::3]
    passes = [expression[start : start + 4].tolist() for start in range(0, 20, 4)]
    assert all(sorted(one) == [10, 11, 12, 13] for one in passes)
    assert len({tuple(one) for one in passes}) > 1
    pairs = list(zip(rows.ravel().tolist(), occurrences.ravel().tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)


def test_shares_that_do_not_divide_differ_by_one_row_and_even_out() -> None:
    rows, _ = BatchOrder(POOLS, 7, seed=0, steps=3).of_epoch(0)
    counts = Counter("au" if row < 10 else "expression" if row < 14 else "va" for row in rows.ravel())
    assert counts == {"au": 7, "expression": 7, "va": 7}


def test_the_order_is_a_function_of_seed_and_epoch_alone() -> None:
    first, again = BatchOrder(POOLS, 6, seed=3), BatchOrder(POOLS, 6, seed=3)
    list(first)
    assert np.array_equal(first.of_epoch(5)[0], again.of_epoch(5)[0])
    assert not np.array_equal(first.of_epoch(5)[0], first.of_epoch(6)[0])
    assert not np.array_equal(first.of_epoch(5)[0], BatchOrder(POOLS, 6, seed=4).of_epoch(5)[0])


def test_a_pass_can_start_in_the_middle() -> None:
    order = BatchOrder(POOLS, 6, seed=0)
    order.set_position(2)
    whole = list(order)
    order.set_position(2, start=4)
    assert len(order) == 7
    assert list(order) == whole[4:]
    assert {pick.epoch for batch in whole for pick in batch} == {2}


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("sampler", ["uniform", "task_balanced", "database_proportional"])
def test_what_all_processes_see_together_is_the_order(processes: int, sampler: str) -> None:
    order = batch_order(sampler, POOLS, rows=35, batch_size=12, seed=0)
    shards = [list(order.shard(processes, rank)) for rank in range(processes)]
    rows, _ = order.of_epoch(0)
    assert len({len(shard) for shard in shards}) == 1
    for step, expected in enumerate(rows):
        together = [pick.row for shard in shards for pick in shard[step]]
        assert together == expected.tolist()
        assert {len(shard[step]) for shard in shards} == {12 // processes}


def test_every_process_gets_every_task_in_its_part_of_a_batch() -> None:
    order = BatchOrder(POOLS, 12, seed=0)
    for rank in (0, 1):
        for batch in order.shard(2, rank):
            counts = Counter("au" if pick.row < 10 else "expression" if pick.row < 14 else "va" for pick in batch)
            assert counts == {"au": 2, "expression": 2, "va": 2}


DATABASES = {"large": np.arange(0, 130), "middle": np.arange(130, 170), "small": np.arange(170, 177)}


def database_of(row: int) -> str:
    return "large" if row < 130 else "middle" if row < 170 else "small"


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_databases_in_proportion_show_every_row_once_and_fill_the_last_batch(processes: int) -> None:
    order = batch_order("database_proportional", DATABASES, rows=177, batch_size=24, seed=0)
    shards = [[pick for batch in order.shard(processes, rank) for pick in batch] for rank in range(processes)]
    rows = Counter(pick.row for shard in shards for pick in shard)
    assert order.steps == 8  # 192 places for 177 rows
    assert set(rows) == set(range(177))
    assert sorted(rows.values()) == [1] * 162 + [2] * 15
    filled = Counter(database_of(row) for row, times in rows.items() if times == 2)
    assert filled == {"large": 11, "middle": 3, "small": 1}
    pairs = [(pick.row, pick.occurrence) for shard in shards for pick in shard]
    assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_part_of_a_batch_mixes_the_databases_in_proportion(processes: int) -> None:
    order = batch_order("database_proportional", DATABASES, rows=177, batch_size=24, seed=0)
    places = 24 // processes
    for rank in range(processes):
        for batch in order.shard(processes, rank):
            found = Counter(database_of(pick.row) for pick in batch)
            assert all(abs(found[name] - len(pool) / 177 * places) < 1.5 for name, pool in DATABASES.items())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 200))
def test_turns_follow_the_shares_at_every_place(shares: list[int], places: int) -> None:
    taken = turns(np.array(shares), places)
    exact = np.array(shares) / sum(shares)
    counts = np.cumsum(taken[:, None] == np.arange(len(shares)), axis=0)
    assert np.abs(counts[-1] - exact * places).max() < 1
    assert np.abs(counts - exact * np.arange(1, places + 1)[:, None]).max() < len(shares)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30))
def test_occurrences_count_how_often_a_row_came_before(rows: list[int]) -> None:
    assert earlier(np.array(rows, dtype=np.int64)).tolist() == [
        rows[:place].count(row) for place, row in enumerate(rows)
    ]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_weighted_pools_are_drawn_as_their_weights_say(processes: int) -> None:
    weights = np.array([4.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5])  # of 9; 7 rows a pass
    pools = {"au": Pool(np.arange(20, 27), weights), "va": np.arange(0, 14)}
    order = BatchOrder(pools, 12, seed=0, steps=21)  # 126 places of a pool: 18 passes over 7 rows, 9 over 14
    shards = [[pick for batch in order.shard(processes, rank) for pick in batch] for rank in range(processes)]
    times = Counter(pick.row for shard in shards for pick in shard)
    assert [times[row] for row in range(14)] == [9] * 14
    # systematic draws are off by less than one a pass, and even out
    assert [times[row] for row in range(20, 27)] == pytest.approx(weights / 9 * 126, abs=9)
    assert sum(times[row] for row in range(20, 27)) == 126
    pairs = [(pick.row, pick.occurrence) for shard in shards for pick in shard]
    assert len(set(pairs)) == len(pairs) == 252


def test_a_repeat_cap_bounds_how_often_a_row_comes_in_a_pass() -> None:
    heavy = np.array([100.0, *[1.0] * 9])
    free, capped = (
        BatchOrder({"va": Pool(np.arange(10), heavy, cap)}, 5, seed=0).of_epoch(0)[0].ravel() for cap in (None, 2)
    )
    assert len(free) == len(capped) == 10
    assert np.count_nonzero(free == 0) in (9, 10)
    assert np.count_nonzero(capped == 0) == 2
    assert max(Counter(capped.tolist()).values()) == 2


def test_a_weighted_epoch_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int) -> BatchOrder:
        return BatchOrder({"va": Pool(np.arange(40), np.linspace(1, 5, 40))}, 8, seed=seed)

    assert np.array_equal(order(1).of_epoch(2)[0], order(1).of_epoch(2)[0])
    assert not np.array_equal(order(1).of_epoch(2)[0], order(1).of_epoch(3)[0])
    assert not np.array_equal(order(1).of_epoch(2)[0], order(2).of_epoch(2)[0])


def test_a_batch_that_processes_cannot_share_is_an_error() -> None:
    with pytest.raises(
        UsageError, match=r"batches.size is 8, which 3 processes cannot share evenly; make it a multiple of 3"
    ):
        BatchOrder(POOLS, 8, seed=0).shard(3, 0)


def test_a_batch_with_fewer_rows_than_tasks_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"batches.size is 2, but 3 tasks share a batch"):
        BatchOrder(POOLS, 2, seed=0)
