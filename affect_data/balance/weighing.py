"""Writes the weights of a plan as a column group, with what an epoch drawn by them consists of."""

from dataclasses import dataclass
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
    """What one pool was and becomes.

    Attributes:
        column: name of the pool.
        rows: rows that belong to it.
        draws: rows of the epoch that was drawn.
        distinct: different rows among them.
        largest_repeat: how often the most repeated row was drawn.
        repeat_cap: how often a row may be drawn at most.
        notes: what people should know.
        before: the pool, each row once.
        planned: the expectation of an epoch.
        realised: one epoch as drawn.
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
        """The same as plain lists and dictionaries; without the histograms of valence and arousal where they are not asked for."""
        parts = {part: getattr(self, part) for part in ("before", "planned", "realised")}
        names = ("rows", "draws", "distinct", "largest_repeat", "repeat_cap")
        return {
            **{name: getattr(self, name) for name in names},
            "notes": list(self.notes),
            **{part: found.to_json() if histograms else found.summary() for part, found in parts.items()},
        }


@dataclass(frozen=True)
class BalanceReport:
    """What `balance` wrote.

    Attributes:
        dataset: with the group.
        name: of the group, without its prefix.
        plan: with its options.
        seed: of the plan.
        pools: one report a column.
    """

    dataset: DatasetFolder
    name: str
    plan: Plan
    seed: int
    pools: tuple[PoolReport, ...]

    def to_json(self) -> dict[str, Any]:
        """The same as plain lists and dictionaries."""
        return {
            "dataset": str(self.dataset.path),
            "group": BALANCE.group(self.name),
            "plan": self.plan.name,
            "options": self.plan.described(),
            "seed": self.seed,
            "pools": {pool.column: pool.to_json(histograms=True) for pool in self.pools},
        }


def balance(path: Path | str, plan: Plan, name: str, seed: int = 0, draws: int | None = None) -> BalanceReport:
    """Weighs the train split of a dataset by a plan and writes the weights as the column group ``balance.<name>``.

    Writing the same again changes nothing; another plan under the same name replaces it.

    Args:
        path: dataset folder.
        plan: with its options.
        name: of the group.
        seed: of the plan, and of the epoch that is drawn for the report.
        draws: rows of that epoch in every pool; as many as the pool has without.

    Raises:
        UsageError: the name has other characters than letters, digits, ``-`` and ``_``; or draws and repeat cap do not fit.
        UnknownNameError: the dataset has no train split, or an option names something unknown.
        DataError: the labels do not allow the plan.
    """
    BALANCE.check_name(name)
    folder = open_dataset(path)
    folder.rows(SPLIT)
    labels = PlanLabels.read(folder, SPLIT)
    pools = plan.weigh(labels, seed)
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


def _write(folder: DatasetFolder, name: str, pools: list[PoolWeights], provenance: BalanceProvenance) -> DatasetFolder:
    from datasets import Features, Value

    columns = {BALANCE.column(name, pool.column): pa.array(pool.weights.astype(np.float32)) for pool in pools}
    features = Features(dict.fromkeys(columns, Value("float32")))
    return add_group(
        folder, BALANCE.group(name), [(SPLIT, pa.table(columns))], features, provenance.model_dump(mode="json")
    )


def load_weights(dataset: DatasetFolder | Path | str, name: str) -> dict[str, npt.NDArray[np.float32]]:
    """The weights of the train rows by pool, float32 [N]: ``au``, ``expression``, ``va``, ``weight``, as far as the plan is about them.

    Raises:
        UnknownNameError: the dataset has no weights of this name.
        StaleGroupError: they were made for other rows or labels.
    """
    folder = dataset if isinstance(dataset, DatasetFolder) else open_dataset(dataset)
    BALANCE.read(folder, name)
    table = folder.load(SPLIT, [BALANCE.group(name)]).data.table
    own = BALANCE.column(name, "")
    return {column.removeprefix(own): table.column(column).to_numpy() for column in table.column_names}
