"""Writes the weights of a plan as a column group, and reports the make-up of an epoch drawn by them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from affect_data.balance.distribution import Distribution, distribution
from affect_data.balance.drawing import draw, expected_draws
from affect_data.balance.labels import PlanLabels
from affect_data.balance.plans import Plan
from affect_data.balance.pools import PoolWeights
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.balance import BALANCE, BalanceProvenance
from affect_data.dataset.writing import add_group

SPLIT: Final = "train"


@dataclass(frozen=True)
class PoolReport:
    """One pool before and after balancing.

    Attributes:
        column: name of the pool.
        rows: how many rows belong to it.
        draws: how many rows were drawn for one epoch.
        distinct: how many of these are different.
        largest_repeat: how often the most repeated row was drawn.
        repeat_cap: how often a row may be drawn at most; None: no limit.
        notes: what people should know, a line each.
        before: the pool, each row counted once.
        planned: the expectation of an epoch.
        realised: the epoch as drawn.
    """

    column: str
    rows: int
    draws: int
    distinct: int
    largest_repeat: int
    repeat_cap: int | None
    notes: tuple[str, ...]
    before: Distribution
    planned: Distribution
    realised: Distribution

    def to_json(self, *, histograms: bool) -> dict[str, Any]:
        """The report as plain lists and dictionaries, with or without the histograms of valence and arousal."""
        parts = {part: getattr(self, part) for part in ("before", "planned", "realised")}
        names = ("rows", "draws", "distinct", "largest_repeat", "repeat_cap")
        return {
            **{name: getattr(self, name) for name in names},
            "notes": list(self.notes),
            **{part: found.to_json() if histograms else found.summary() for part, found in parts.items()},
        }


@dataclass(frozen=True)
class BalanceReport:
    """The result of `balance`.

    Attributes:
        dataset: the dataset, which now has the group.
        name: of the group, without its prefix.
        plan: with its options.
        seed: of the plan.
        pools: a report for each column.
    """

    dataset: DatasetFolder
    name: str
    plan: Plan
    seed: int
    pools: tuple[PoolReport, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as plain lists and dictionaries."""
        return {
            "dataset": str(self.dataset.path),
            "group": BALANCE.group(self.name),
            "plan": self.plan.name,
            "options": self.plan.described(),
            "seed": self.seed,
            "pools": {pool.column: pool.to_json(histograms=True) for pool in self.pools},
        }


def balance(path: Path | str, plan: Plan, name: str, seed: int = 0, draws: int | None = None) -> BalanceReport:
    """A report on the weights of a plan, which are written as the column group ``balance.<name>`` of the train split.

    Writing the same again changes nothing; another plan under the same name replaces the group.

    Args:
        path: dataset folder.
        plan: with its options.
        name: of the group.
        seed: of the plan, and of the epoch that is drawn for the report.
        draws: rows of that epoch in every pool; None: as many as the pool has.

    Raises:
        UsageError: the name has other characters than letters, digits, ``-`` and ``_``; or the repeat cap allows too few draws.
        UnknownNameError: the dataset has no train split, or an option names something unknown.
        DataError: the labels do not allow the plan.
    """
    BALANCE.check_name(name)
    folder = open_dataset(path)
    folder.rows(SPLIT)
    labels = PlanLabels.read(folder, SPLIT)
    pools = plan.weigh(labels, seed)
    taking_part = labels.of(plan.databases)
    pools = [replace(pool, notes=[*pool.notes, *_left_out(labels, pool, taking_part)]) for pool in pools]
    reports = tuple(_report(labels, pool, seed, draws) for pool in pools)
    provenance = BalanceProvenance(
        name=name,
        plan=plan.name,
        options=plan.described(),
        seed=seed,
        made_from=BALANCE.made_from(folder),
        pools={report.column: report.to_json(histograms=False) for report in reports},
    )
    return BalanceReport(_write(folder, name, pools, provenance), name, plan, seed, reports)


def _report(labels: PlanLabels, pool: PoolWeights, seed: int, draws: int | None) -> PoolReport:
    rows = int(pool.pool.sum())
    count = rows if draws is None else draws
    stored = pool.weights.astype(np.float32)
    times = np.bincount(draw(stored, count, seed, pool.repeat_cap), minlength=len(labels))
    units = pool.units or labels.annotated_units(pool.pool)
    return PoolReport(
        column=pool.column,
        rows=rows,
        draws=count,
        distinct=int((times > 0).sum()),
        largest_repeat=int(times.max()),
        repeat_cap=pool.repeat_cap,
        notes=tuple(pool.notes),
        before=distribution(labels, pool.pool, units),
        planned=distribution(labels, expected_draws(stored, count, pool.repeat_cap), units),
        realised=distribution(labels, times, units),
    )


def _left_out(labels: PlanLabels, pool: PoolWeights, taking_part: npt.NDArray[np.bool_]) -> list[str]:
    """A line for each database that has labels of the pool's kind, takes part, and has no row that can be drawn."""
    labelled = taking_part & labels.having(pool.column)
    lost = {name: int((labelled & labels.of((name,))).sum()) for name in labels.databases}
    return [
        f"{name}: none of its {rows:,} labelled rows is drawn"
        for name, rows in lost.items()
        if rows and not pool.weights[labels.of((name,))].any()
    ]


def _write(folder: DatasetFolder, name: str, pools: list[PoolWeights], provenance: BalanceProvenance) -> DatasetFolder:
    from datasets import Features, Value

    columns = {BALANCE.column(name, pool.column): pa.array(pool.weights.astype(np.float32)) for pool in pools}
    features = Features(dict.fromkeys(columns, Value("float32")))
    return add_group(
        folder, BALANCE.group(name), [(SPLIT, pa.table(columns))], features, provenance.model_dump(mode="json")
    )


def load_weights(dataset: DatasetFolder | Path | str, name: str) -> dict[str, npt.NDArray[np.float32]]:
    """The weights of the train rows, float32 [N] by pool: ``au``, ``expression``, ``va`` or ``weight``, those that the plan balances.

    Raises:
        UnknownNameError: the dataset has no weights of this name.
        StaleGroupError: the weights were made for other rows or labels.
    """
    folder = dataset if isinstance(dataset, DatasetFolder) else open_dataset(dataset)
    BALANCE.read(folder, name)
    table = folder.load(SPLIT, [BALANCE.group(name)]).data.table
    own = BALANCE.column(name, "")
    return {column.removeprefix(own): table.column(column).to_numpy() for column in table.column_names}
