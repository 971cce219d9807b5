"""Answers which rows a view has, in which order, and how many rows every other choice would have."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.errors import UnknownNameError
from affect_data.viewing.counts import count_choices
from affect_data.viewing.filters import JOINED_BY_AND, KEYS, View, condition, orders
from affect_data.viewing.table import LabelTable

MASKS_KEPT: Final = 48
VIEWS_KEPT: Final = 24
ORDERS_KEPT: Final = 8

DECIDED: Final = "decided"
"""The only key whose rows change while people look."""

Kept = TypeVar("Kept")


@dataclass
class _Recent:
    """The values that were asked for last, by key."""

    size: int
    values: "OrderedDict[Any, Any]" = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Any, make: Callable[[], Kept]) -> Kept:  # noqa: ANN401 - anything hashable
        with self.lock:
            if key in self.values:
                self.values.move_to_end(key)
                kept: Kept = self.values[key]
                return kept
        made = make()
        with self.lock:
            self.values[key] = made
            while len(self.values) > self.size:
                self.values.popitem(last=False)
        return made


class Engine:
    """Filters, orders and counts the rows of a table; several threads may use it.

    Args:
        table: the labels.
        decisions: gives a number that changes with every decision, and the code of what was decided about each row; by default nothing is.
    """

    def __init__(self, table: LabelTable, decisions: Callable[[], tuple[int, pl.Series]] | None = None) -> None:
        self.table = table
        undecided = pl.Series("decided", np.zeros(len(table), np.int8))
        self._decisions = decisions or (lambda: (0, undecided))
        self._masks = _Recent(MASKS_KEPT)
        self._views = _Recent(VIEWS_KEPT)
        self._orders = _Recent(ORDERS_KEPT)

    def rows(self, view: View) -> npt.NDArray[np.uint32]:
        """The rows of a view, in its order, uint32 [N]; rows without a value of the order come last.

        Raises:
            UnknownNameError, UsageError: the view names something that the table does not have.
        """
        asks_decisions = any(key == DECIDED for key, _ in view.filters)
        version = self._decisions()[0] if asks_decisions else 0
        return self._views.get((view, version), lambda: self._rows(view))

    def states(self) -> pl.Series:
        """What is decided about each row, as a code of `filters.STATES`."""
        return self._decisions()[1]

    def counts(self, view: View) -> dict[str, Any]:
        """How many rows every choice has, given all filters of the other keys; of keys in `JOINED_BY_AND`, how many it would leave.

        Raises:
            UnknownNameError, UsageError: the view names something that the table does not have.
        """
        masks = {key: self._mask(key, values) for key, values in view.filters}
        every = pl.repeat(value=True, n=len(self.table), dtype=pl.Boolean, eager=True)

        def others(key: str) -> pl.Series:
            """The rows that all filters but those of one key let through."""
            return reduce(and_, [mask for name, mask in masks.items() if name != key], every)

        allowed = {key: others(key) for key in masks if key not in JOINED_BY_AND}
        whole = reduce(and_, masks.values(), every)
        return count_choices(self.table, whole, {key: allowed.get(key, whole) for key in KEYS}, self.states())

    def _rows(self, view: View) -> npt.NDArray[np.uint32]:
        masks = [self._mask(key, values) for key, values in view.filters]
        kept = np.flatnonzero(reduce(and_, masks).to_numpy()) if masks else np.arange(len(self.table))
        if not view.sort:
            return kept.astype(np.uint32)
        ranks = [keys[kept] for keys in self._orders.get(view.sort, lambda: self._ranks(view.sort))]
        if len(ranks) == 1:
            # Sorting numbers that hold the row is twice as fast as finding the order of others.
            return np.sort((ranks[0] << np.uint64(32)) | kept.astype(np.uint64)).astype(np.uint32)
        return kept[np.argsort((ranks[0] << np.uint64(32)) | ranks[1], kind="stable")].astype(np.uint32)

    def _mask(self, key: str, values: Sequence[str]) -> pl.Series:
        if key == DECIDED:
            version, states = self._decisions()
            frame = pl.DataFrame([states])
            return self._masks.get(
                (key, tuple(values), version), lambda: frame.select(condition(self.table, key, values)).to_series()
            )
        return self._masks.get(
            (key, tuple(values)), lambda: self.table.frame.select(condition(self.table, key, values)).to_series()
        )

    def _ranks(self, sort: str) -> list[npt.NDArray[np.uint64]]:
        """For each column of an order, numbers in its order."""
        known = orders(self.table)
        name = sort.removeprefix("-")
        if name not in known:
            raise UnknownNameError("order", name, known)
        return [
            _ranks(
                self.table.frame[column.removeprefix("-")], descending=column.startswith("-") != sort.startswith("-")
            )
            for column in known[name]
        ]


def _ranks(column: pl.Series, *, descending: bool) -> npt.NDArray[np.uint64]:
    """Numbers of 32 bits in the order of a column's values; the highest of all where there is none."""
    last = np.uint32(0xFFFFFFFF)
    physical = column.to_physical()
    if physical.dtype == pl.Float32:
        bits = physical.fill_null(0.0).to_numpy().view(np.uint32)
        # The bits of negative numbers fall where the numbers rise.
        ranks = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    else:
        ranks = (physical.cast(pl.Int64).fill_null(0).to_numpy() + 1).astype(np.uint32)
    ranks = np.where(column.is_null().to_numpy(), last, last - 1 - ranks if descending else ranks)
    return ranks.astype(np.uint64)
