"""Connected components: rows that share a key, or pictures that are copies of each other, directly or through others."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def connected_components(count: int, first: Rows, second: Rows) -> Rows:
    """The component of every node of a graph, named by its smallest node.

    Args:
        count: number of nodes.
        first: int64 [edges], one end of every edge.
        second: int64 [edges], the other end.

    Returns:
        int64 [count]; a node without an edge is a component of its own.
    """
    root = np.arange(count, dtype=np.int64)
    first, second = first.astype(np.int64), second.astype(np.int64)
    while True:
        one, other = root[first], root[second]
        apart = one != other
        if not apart.any():
            return root
        first, second, one, other = first[apart], second[apart], one[apart], other[apart]
        # Roots are linked to smaller roots only, so that there is no cycle; then every path is shortened to its end.
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while True:
            shorter = root[root]
            if (shorter == root).all():
                break
            root = shorter


def numbered(keys: Sequence[npt.NDArray[np.generic]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """A number for every different row, in order of appearance, int32 [rows], and the first row of each number, int32, ascending.

    Args:
        keys: columns of the rows, without NaN.
    """
    order = np.lexsort(list(keys)[::-1]).astype(np.int32)
    new = np.ones(len(order), bool)
    new[1:] = np.any([key[order[1:]] != key[order[:-1]] for key in keys], axis=0)
    # The sort is stable, so that the first of equal rows comes first.
    first_row = order[new]
    rank = np.empty_like(first_row)
    rank[np.argsort(first_row, kind="stable")] = np.arange(len(first_row), dtype=np.int32)
    number = np.empty_like(order)
    number[order] = rank[np.cumsum(new, dtype=np.int32) - 1]
    return number, np.sort(first_row)


def edges_of_keys(keys: npt.NDArray[np.integer]) -> tuple[Rows, Rows]:
    """Edges that join all rows with the same key, one edge fewer than rows; rows with a negative key have none."""
    rows = np.nonzero(keys >= 0)[0]
    rows = rows[np.argsort(keys[rows], kind="stable")]
    same = keys[rows[1:]] == keys[rows[:-1]]
    return rows[:-1][same], rows[1:][same]
