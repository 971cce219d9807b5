"""Pools, the rows that are drawn together, and the names of action units and classes in options."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from affect_data.errors import DataError, UnknownNameError
from affect_data.vocabulary import ACTION_UNIT_SLOTS, EXPRESSION_ALIASES, EXPRESSION_SETS, EXPRESSIONS

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class EmptyPoolError(DataError):
    """The dataset has no rows for a pool of the plan."""

    def __init__(self, pool: str, wanted: str) -> None:
        self.pool = pool
        super().__init__(
            f"the train split has no {wanted.removeprefix('a ')}, so that there is nothing to balance; "
            "`affect-data stats` shows which labels there are"
        )


@dataclass(frozen=True)
class PoolWeights:
    """The weights of one pool.

    Attributes:
        column: ``au``, ``expression`` or ``va`` for the rows with a label of the task, ``weight`` for rows that are drawn as one pool.
        pool: bool [N], the rows that belong to the pool, thinned ones included.
        weights: float64 [N], 0 outside the pool.
        notes: what people should know of these weights, a line each.
        repeat_cap: how often an epoch may show a row at most; None: no limit.
        units: the action units that the plan balances; empty if it balances other labels.
    """

    column: str
    pool: Bools
    weights: Floats
    notes: list[str] = field(default_factory=list)
    repeat_cap: int | None = None
    units: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        column: str,
        pool: Bools,
        weights: npt.NDArray[np.generic],
        notes: Sequence[str] = (),
        repeat_cap: int | None = None,
        units: tuple[int, ...] = (),
    ) -> "PoolWeights":
        """Pool weights from the weights of the pool's rows alone; all other rows have 0."""
        spread = np.zeros(len(pool))
        spread[pool] = weights
        return cls(column, pool, spread, list(notes), repeat_cap, units)


def cleaned_units(numbers: tuple[int, ...]) -> tuple[int, ...]:
    """FACS numbers in the order of the vocabulary, each once.

    Raises:
        UnknownNameError: the vocabulary has no such action unit.
    """
    for number in numbers:
        if number not in ACTION_UNIT_SLOTS:
            raise UnknownNameError("action unit", str(number), map(str, ACTION_UNIT_SLOTS))
    return tuple(sorted(set(numbers)))


def cleaned_classes(names: str | tuple[str, ...]) -> tuple[str, ...]:
    """The classes of an expression set or of a list of names, spelled as in the vocabulary.

    Raises:
        UnknownNameError: there is no such set or class.
    """
    if isinstance(names, str):
        if names not in EXPRESSION_SETS:
            raise UnknownNameError("expression set", names, EXPRESSION_SETS)
        return EXPRESSION_SETS[names]
    cleaned = tuple(EXPRESSION_ALIASES.get(name.strip().lower(), name.strip().lower()) for name in names)
    for name in cleaned:
        if name not in EXPRESSIONS:
            raise UnknownNameError("expression", name, EXPRESSIONS)
    return cleaned


def classes_in(codes: npt.NDArray[np.integer], names: tuple[str, ...]) -> Bools:
    """Which rows have one of the classes, bool [N]."""
    return np.isin(codes, [EXPRESSIONS.index(name) for name in names])
