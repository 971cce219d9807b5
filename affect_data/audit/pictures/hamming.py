"""All pairs of 64-bit codes within a Hamming distance, without comparing all pairs.

Divide codes into disjoint chunks, and allow each chunk some flipped bits. If two codes differ in more than the allowed bits in every chunk, they
differ in at least the sum of ``flips + 1`` over the chunks. So when that sum exceeds the radius, codes within it agree in at least one chunk up to
its flips, and only such codes are compared in full. The result is exact.

Source:
    Norouzi, Punjani & Fleet, *Fast Exact Search in Hamming Space with Multi-Index Hashing*, IEEE TPAMI 36 (2014).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb
from typing import Final

import numpy as np
import numpy.typing as npt

BITS: Final = 64
MOST_RADIUS: Final = 12

Codes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

_Keys = npt.NDArray[np.uint32]
_Places = npt.NDArray[np.int32]

_AT_ONCE: Final = 1 << 17
"""Queries that are looked up together: their keys and what they find stay in the processor's cache."""

_ONE_BY_ONE: Final = 8
"""Codes of equal keys are read one by one up to this many, then all together."""

_A_LOOK: Final = 5_000
"""What one difference costs whatever is searched, in look-ups."""

_WIDEST: Final = 22
"""Most bits of a chunk, whose values index an array."""


def pairs_within(codes: Codes, radius: int) -> tuple[Rows, Rows, npt.NDArray[np.uint8]]:
    """All pairs of distinct rows whose codes differ in at most `radius` bits.

    Args:
        codes: uint64 [rows]. Equal codes are pairs too: merge them first if there are many.
        radius: largest number of differing bits, 0 to `MOST_RADIUS`.

    Returns:
        first, second, distance: rows with ``first < second``, sorted, each pair once.

    Raises:
        ValueError: the radius is out of range.
    """
    first, second = _together(_search(codes, codes, radius, within_one=True))
    first, second = np.minimum(first, second), np.maximum(first, second)
    return _sorted(codes, codes, first, second)


def matches_within(queries: Codes, codes: Codes, radius: int) -> tuple[Rows, Rows, npt.NDArray[np.uint8]]:
    """All pairs of a query and a code that differ in at most `radius` bits.

    Returns:
        query, code, distance: rows of `queries` and of `codes`, sorted, each pair once.

    Raises:
        ValueError: the radius is out of range.
    """
    return _sorted(queries, codes, *_together(_search(queries, codes, radius, within_one=False)))


def _together(parts: Iterator[tuple[Rows, Rows]]) -> tuple[Rows, Rows]:
    found = [(np.empty(0, np.int64), np.empty(0, np.int64)), *parts]
    return np.concatenate([query for query, _ in found]), np.concatenate([code for _, code in found])


def _sorted(queries: Codes, codes: Codes, query: Rows, code: Rows) -> tuple[Rows, Rows, npt.NDArray[np.uint8]]:
    order = np.lexsort((code, query))
    query, code = query[order], code[order]
    return query, code, np.bitwise_count(queries[query] ^ codes[code])


def _search(queries: Codes, codes: Codes, radius: int, *, within_one: bool) -> Iterator[tuple[Rows, Rows]]:
    """Pairs within the radius, each once, in parts of no order; with `within_one`, unordered pairs of different rows of one array."""
    if not 0 <= radius <= MOST_RADIUS:
        raise ValueError(f"radius {radius} is not in 0..{MOST_RADIUS}")
    chunks = _chunks(len(queries), len(codes), radius)
    queries, codes = _dealt(queries, len(chunks)), _dealt(codes, len(chunks))
    for number, chunk in enumerate(chunks):
        by_key = _ByKey(codes, chunk)
        asked = by_key if within_one else _ByKey(queries, chunk)
        for query, code, difference in _candidates(asked, by_key, chunk, within_one=within_one):
            near = np.flatnonzero(np.bitwise_count(difference) <= radius)
            for earlier in chunks[:number]:
                # A pair that an earlier chunk has found already is dropped here.
                near = near[np.bitwise_count(difference[near] & earlier.mask) > earlier.flips]
            if len(near):
                yield asked.rows[query[near]].astype(np.int64), by_key.rows[code[near]].astype(np.int64)


@dataclass(frozen=True)
class _Chunk:
    """`width` neighbouring bits of a code, beginning with the bit at `shift`, of which up to `flips` may differ."""

    shift: int
    width: int
    flips: int

    @property
    def mask(self) -> np.uint64:
        return np.uint64(((1 << self.width) - 1) << self.shift)

    def keys(self, codes: Codes) -> _Keys:
        return ((codes & self.mask) >> np.uint64(self.shift)).astype(np.uint32)

    @property
    def looks(self) -> int:
        """How many differences there are."""
        return sum(comb(self.width, count) for count in range(self.flips + 1))

    def differences(self) -> Iterator[int]:
        """The values by which two keys may differ, as bits; 0 comes first."""
        for count in range(self.flips + 1):
            for bits in combinations(range(self.width), count):
                yield sum(1 << bit for bit in bits)


def _chunks(queries: int, codes: int, radius: int) -> list[_Chunk]:
    """Disjoint chunks that cover all bits, as many as need the fewest look-ups and comparisons for random codes."""
    fewest = -(-BITS // _WIDEST)
    plans = [_plan(count, radius) for count in range(fewest, max(fewest, radius + 1) + 1)]

    def work(plan: list[_Chunk]) -> float:
        return sum(
            (1 << chunk.width) + chunk.looks * (_A_LOOK + queries * (1 + codes / (1 << chunk.width))) for chunk in plan
        )

    return min(plans, key=work)


def _plan(count: int, radius: int) -> list[_Chunk]:
    """`count` chunks of nearly equal width; the sum of ``flips + 1`` is the radius plus 1, or `count` if that is more."""
    bounds = [BITS * number // count for number in range(count + 1)]
    allowed = max(radius + 1, count) - count
    # Wider chunks have emptier values, so that a flip more costs less there: they come last.
    flips = [(allowed + number) // count for number in range(count)]
    return [_Chunk(low, high - low, flip) for (low, high), flip in zip(pairwise(bounds), flips, strict=True)]


def _dealt(codes: Codes, hands: int) -> Codes:
    """Codes with their bits dealt out over the chunks in turn, because neighbouring bits of a perceptual hash are alike.

    Distances between codes do not change.
    """
    order = np.concatenate([np.arange(hand, BITS, hands) for hand in range(hands)])
    dealt = np.empty(len(codes), np.uint64)
    for start in range(0, len(codes), _AT_ONCE):
        part = np.ascontiguousarray(codes[start : start + _AT_ONCE])
        bits = np.unpackbits(part.view(np.uint8).reshape(-1, BITS // 8), axis=1)
        packed = np.packbits(bits.take(order, axis=1), axis=1)
        dealt[start : start + _AT_ONCE] = np.ascontiguousarray(packed).view(np.uint64)[:, 0]
    return dealt


class _ByKey:
    """Codes in the order of one chunk's values.

    Attributes:
        rows: int32 [codes], which code stands at each place.
        codes: uint64 [codes], in that order.
        keys: uint32 [codes], the chunk's values, ascending.
    """

    def __init__(self, codes: Codes, chunk: _Chunk) -> None:
        keys = chunk.keys(codes)
        self.rows = np.argsort(keys, kind="stable").astype(np.int32)
        self.codes, self.keys = codes[self.rows], keys[self.rows]
        self._starts = np.zeros((1 << chunk.width) + 1, np.int32)
        np.cumsum(np.bincount(keys, minlength=1 << chunk.width), out=self._starts[1:])

    def range_of(self, keys: _Keys) -> tuple[_Places, _Places]:
        """Where the codes with each key begin and end."""
        return self._starts[keys], self._starts[keys + np.uint32(1)]


def _candidates(
    asked: _ByKey, by_key: _ByKey, chunk: _Chunk, *, within_one: bool
) -> Iterator[tuple[_Places, _Places, Codes]]:
    """Places of queries and of codes that agree in a chunk up to its flips, and the bits in which they differ."""
    for begin in range(0, len(asked.keys), _AT_ONCE):
        keys, codes = asked.keys[begin : begin + _AT_ONCE], asked.codes[begin : begin + _AT_ONCE]
        every = np.arange(len(keys), dtype=np.int32)
        for difference in chunk.differences():
            query = every
            if within_one and difference:
                # Of the two codes of a pair, the one without the lowest differing bit asks.
                query = np.flatnonzero((keys & np.uint32(difference & -difference)) == 0).astype(np.int32)
            starts, ends = by_key.range_of(keys[query] ^ np.uint32(difference))
            if within_one and not difference:
                starts = query + np.int32(begin + 1)
            for asking, place in _each(query, starts, ends):
                yield asking + np.int32(begin), place, codes[asking] ^ by_key.codes[place]


def _each(query: _Places, starts: _Places, ends: _Places) -> Iterator[tuple[_Places, _Places]]:
    """Each query beside every place of its range."""
    lengths = ends - starts
    for _ in range(_ONE_BY_ONE):
        some = np.flatnonzero(lengths > 0)
        if not len(some):
            return
        query, starts, lengths = query[some], starts[some], lengths[some]
        yield query, starts
        starts, lengths = starts + np.int32(1), lengths - np.int32(1)
    totals = lengths.cumsum(dtype=np.int64)
    begin = 0
    while begin < len(query):
        done = totals[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(totals, done + _AT_ONCE, "right")))
        part = lengths[begin:end]
        if part.any():
            within = np.arange(int(part.sum())) - np.repeat(totals[begin:end] - part - done, part)
            yield np.repeat(query[begin:end], part), (within + np.repeat(starts[begin:end], part)).astype(np.int32)
        begin = end
