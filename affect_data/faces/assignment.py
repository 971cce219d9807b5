"""The pairing of rows and columns of a table of costs with the smallest sum of costs."""

import numpy as np
from numpy.typing import NDArray


def assigned(costs: NDArray[np.float64], most: float) -> list[tuple[int, int]]:
    """Pairs of a row and a column, no row and no column twice: the pairing with the smallest sum, where a row left alone costs `most`.

    So no pair costs more than `most`. The time is cubic in the number of rows.

    Source: Jonker & Volgenant, A Shortest Augmenting Path Algorithm for Dense and Sparse Linear Assignment Problems (1987).

    Args:
        costs: float64 [rows, columns], not NaN; infinite where a pair is impossible.
        most: what a row without a column costs.
    """
    rows, columns = costs.shape
    # Each row has a column of its own for staying alone, so that all rows can be assigned.
    table = np.full((rows, columns + rows), np.inf)
    table[:, :columns] = np.where(costs <= most, costs, np.inf)
    table[np.arange(rows), columns + np.arange(rows)] = most
    row_of = np.full(columns + rows, -1)
    prices = np.zeros(columns + rows)
    gains = np.zeros(rows)
    for row in range(rows):
        _augment(table, row, row_of, prices, gains)
    return sorted((int(row), column) for column, row in enumerate(row_of[:columns]) if row >= 0)


def _augment(
    table: NDArray[np.float64],
    row: int,
    row_of: NDArray[np.int64],
    prices: NDArray[np.float64],
    gains: NDArray[np.float64],
) -> None:
    """Gives `row` a column, moving other rows along the shortest path to a free one; all arrays but the table are changed in place."""
    shortest = np.full(len(row_of), np.inf)
    previous = np.full(len(row_of), -1)
    done = np.zeros(len(row_of), dtype=np.bool_)
    length, reached, column = 0.0, row, -1
    while True:
        through = length + table[reached] - gains[reached] - prices
        better = ~done & (through < shortest)
        shortest[better], previous[better] = through[better], column
        column = int(np.where(done, np.inf, shortest).argmin())
        length = shortest[column]
        if row_of[column] < 0:
            break
        done[column] = True
        reached = row_of[column]
    gains[row] += length
    gains[row_of[done]] += length - shortest[done]
    prices[done] -= length - shortest[done]
    while column >= 0:
        before = int(previous[column])
        row_of[column] = row_of[before] if before >= 0 else row
        column = before
