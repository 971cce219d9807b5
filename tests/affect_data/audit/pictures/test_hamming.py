import numpy as np
import pytest

from affect_data.audit.pictures.hamming import matches_within, pairs_within
from affect_data.leaks.connected import connected_components, edges_of_keys


def codes_with_neighbours(rows: int, seed: int) -> np.ndarray:
    """Random codes, a third of them a few bits away from another, some equal."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**64, rows, dtype=np.uint64)
    third = rows // 3
    codes[third : 2 * third] = codes[:third]
    for _ in range(6):
        bits = np.uint64(1) << rng.integers(0, 64, third).astype(np.uint64)
        codes[third : 2 * third] ^= np.where(rng.random(third) < 0.6, bits, np.uint64(0))
    codes[-5:] = codes[:5]
    return codes


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 6, 8, 12])
def test_pairs_are_those_of_comparing_each_with_each(radius: int) -> None:
    codes = codes_with_neighbours(600, seed=radius)
    distance = np.bitwise_count(codes[:, None] ^ codes[None])
    expected = np.nonzero(np.triu(distance <= radius, 1))
    first, second, found = pairs_within(codes, radius)
    assert np.array_equal(first, expected[0])
    assert np.array_equal(second, expected[1])
    assert np.array_equal(found, distance[expected])
    assert len(first) > 0


@pytest.mark.parametrize("radius", [0, 5, 8])
def test_matches_between_two_sets_are_those_of_comparing_each_with_each(radius: int) -> None:
    codes = codes_with_neighbours(600, seed=1)
    expected = np.nonzero(np.bitwise_count(codes[:250, None] ^ codes[None]) <= radius)
    query, code, _ = matches_within(codes[:250], codes, radius)
    assert np.array_equal(query, expected[0])
    assert np.array_equal(code, expected[1])


def test_a_crowded_chunk_is_searched_in_bounded_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affect_data.audit.pictures.hamming._AT_ONCE", 64)
    codes = np.arange(200, dtype=np.uint64)
    first, _, _ = pairs_within(codes, 3)
    distance = np.bitwise_count(codes[:, None] ^ codes[None])
    assert len(first) == int(np.triu(distance <= 3, 1).sum())


def test_a_radius_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match=r"radius 13 is not in 0\.\.12"):
        pairs_within(np.zeros(2, np.uint64), 13)


def test_groups_follow_chains_of_edges() -> None:
    groups = connected_components(7, np.array([5, 1, 4]), np.array([1, 3, 6]))
    assert groups.tolist() == [0, 1, 2, 1, 4, 1, 4]


def test_groups_of_a_long_chain_are_one() -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(5000)
    groups = connected_components(5000, order[:-1], order[1:])
    assert (groups == 0).all()


def test_rows_with_a_negative_key_stay_alone() -> None:
    first, second = edges_of_keys(np.array([3, -1, 3, -1, 3]))
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 2), (2, 4)]
