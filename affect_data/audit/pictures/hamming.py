"""All pairs of 64-bit codes within a Hamming distance, without comparing all pairs.

Divide codes into ``radius // 2 + 1`` disjoint chunks. By the pigeonhole principle, two codes within ``radius`` differ by at most one bit in at least
one chunk. So only codes that agree in a chunk, up to one bit, are compared in full. The result is exact.

Source:
    Norouzi, Punjani & Fleet, *Fast Exact Search in Hamming Space with Multi-Index Hashing*, IEEE TPAMI 36 (2014).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

BITS: Final = 64
MOST_RADIUS: Final = 12

Codes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

_CANDIDATES_AT_ONCE: Final = 1 << 21
# With three chunks or more, a chunk has at most 22 bits and can index an array.
_FEWEST_CHUNKS: Final = 3


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
    return _search(codes, codes, radius, within_one=True)


def matches_within(queries: Codes, codes: Codes, radius: int) -> tuple[Rows, Rows, npt.NDArray[np.uint8]]:
    """All pairs of a query and a code that differ in at most `radius` bits.

    Returns:
        query, code, distance: rows of `queries` and of `codes`, sorted, each pair once.

    Raises:
        ValueError: the radius is out of range.
    """
    return _search(queries, codes, radius, within_one=False)


def _search(queries: Codes, codes: Codes, radius: int, *, within_one: bool) -> tuple[Rows, Rows, npt.NDArray[np.uint8]]:
    if not 0 <= radius <= MOST_RADIUS:
        raise ValueError(f"radius {radius} is not in 0..{MOST_RADIUS}")
    chunks = _chunks(max(radius // 2 + 1, _FEWEST_CHUNKS))
    queries, codes = _dealt(queries, len(chunks)), _dealt(codes, len(chunks))
    masks = [chunk.mask() for chunk in chunks]
    found: list[tuple[Rows, Rows]] = []
    for number, chunk in enumerate(chunks):
        index = _Index(codes, chunk)
        for query, code in index.candidates(queries, within_one=within_one):
            difference = queries[query] ^ codes[code]
            keep = np.bitwise_count(difference) <= radius
            query, code, difference = query[keep], code[keep], difference[keep]
            # A pair that an earlier chunk has found already is dropped here.
            for earlier in masks[:number]:
                new = np.bitwise_count(difference & earlier) > 1
                query, code, difference = query[new], code[new], difference[new]
            found.append((query, code))
    first = np.concatenate([np.empty(0, np.int64), *(query for query, _ in found)])
    second = np.concatenate([np.empty(0, np.int64), *(code for _, code in found)])
    if within_one:
        first, second = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    return first, second, np.bitwise_count(queries[first] ^ codes[second])


@dataclass(frozen=True)
class _Chunk:
    """Neighbouring bits of a code, beginning with the bit at `shift`."""

    shift: int
    width: int

    def mask(self) -> np.uint64:
        return np.uint64(((1 << self.width) - 1) << self.shift)


def _chunks(count: int) -> list[_Chunk]:
    """Disjoint chunks that cover all bits."""
    bounds = [BITS * number // count for number in range(count + 1)]
    return [_Chunk(low, high - low) for low, high in pairwise(bounds)]


def _dealt(codes: Codes, hands: int) -> Codes:
    """Codes with their bits dealt out over the chunks in turn, because neighbouring bits of a perceptual hash are alike.

    Distances between codes do not change.
    """
    bits = np.unpackbits(np.ascontiguousarray(codes).view(np.uint8).reshape(-1, BITS // 8), axis=1)
    order = np.concatenate([np.arange(hand, BITS, hands) for hand in range(hands)])
    return np.ascontiguousarray(np.packbits(bits.take(order, axis=1), axis=1)).view(np.uint64)[:, 0]


class _Index:
    """Codes by the value of one chunk."""

    def __init__(self, codes: Codes, chunk: _Chunk) -> None:
        self.chunk = chunk
        keys = self._keys(codes)
        self.order = np.argsort(keys, kind="stable").astype(np.int64)
        self.starts = np.concatenate([[0], np.bincount(keys, minlength=1 << chunk.width).cumsum()])

    def candidates(self, queries: Codes, *, within_one: bool) -> Iterator[tuple[Rows, Rows]]:
        """Rows of queries and of codes whose chunks differ in at most one bit; with `within_one` each unordered pair once."""
        keys = self._keys(queries)
        # In the order of their keys, queries read the index from front to back.
        rows = self.order if within_one else np.argsort(keys, kind="stable").astype(np.int64)
        keys = keys[rows]
        if within_one:
            yield from self._equal_among(rows, keys)
        else:
            yield from self._expand(rows, *self._range(keys))
        for position in range(self.chunk.width):
            bit = np.uint32(1 << position)
            chosen = (keys & bit) == 0 if within_one else slice(None)
            yield from self._expand(rows[chosen], *self._range(keys[chosen] ^ bit))

    def _equal_among(self, rows: Rows, keys: npt.NDArray[np.uint32]) -> Iterator[tuple[Rows, Rows]]:
        _, ends = self._range(keys)
        yield from self._expand(rows, np.arange(1, len(rows) + 1), ends)

    def _keys(self, codes: Codes) -> npt.NDArray[np.uint32]:
        return ((codes & self.chunk.mask()) >> np.uint64(self.chunk.shift)).astype(np.uint32)

    def _range(self, keys: npt.NDArray[np.uint32]) -> tuple[Rows, Rows]:
        return self.starts[keys], self.starts[keys.astype(np.int64) + 1]

    def _expand(self, rows: Rows, starts: Rows, ends: Rows) -> Iterator[tuple[Rows, Rows]]:
        """Each row beside every code of its range, in blocks of bounded size."""
        lengths = ends - starts
        some = lengths > 0
        rows, starts, lengths = rows[some], starts[some], lengths[some]
        totals = lengths.cumsum()
        begin = 0
        while begin < len(rows):
            done = totals[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(totals, done + _CANDIDATES_AT_ONCE, "right")))
            part = lengths[begin:end]
            before = np.repeat(totals[begin:end] - part - done, part)
            places = np.arange(int(part.sum())) - before + np.repeat(starts[begin:end], part)
            yield np.repeat(rows[begin:end], part), self.order[places]
            begin = end
