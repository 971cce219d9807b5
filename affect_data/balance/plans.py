"""The published balancing plans, with their options."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from affect_data.balance.inverse_frequency import inverse_frequency, plane_bin, tempered_frequency, thinned
from affect_data.balance.labels import PlanLabels
from affect_data.balance.ml_ros import charte_clones, clones_to_target, published_clones
from affect_data.balance.pools import (
    Bools,
    EmptyPoolError,
    Floats,
    PoolWeights,
    classes_in,
    cleaned_classes,
    cleaned_units,
)
from affect_data.errors import DataError, UnknownNameError, UsageError
from affect_data.vocabulary import EXPRESSIONS

DENG_ACTION_UNITS: Final = (1, 2, 4, 6, 12, 15, 20, 25)
DENG_EXPRESSION_THINNING: Final = {"affwild2": {"neutral": 10, "happiness": 2, "sadness": 2}}
DENG_VA_THINNING: Final = {"affwild2": 5}

Every = Annotated[int, Field(ge=1)]
Percentage = Annotated[float, Field(gt=0.0)]
RepeatCap = Annotated[int | None, Field(ge=1, description="how often an epoch may show a row at most")]


class Plan(BaseModel, ABC):
    """A way to weigh the training rows.

    Attributes:
        name: of the plan in commands and provenance.
        source: the publication.
        databases: only rows of these take part; empty: all databases.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: ClassVar[str]
    source: ClassVar[str]

    databases: tuple[str, ...] = Field((), description="only rows of these databases; all without")

    @abstractmethod
    def weigh(self, labels: PlanLabels, seed: int) -> list[PoolWeights]:
        """The weights of every row in each pool that the plan balances.

        Raises:
            EmptyPoolError: no row belongs to a pool.
            DataError: the labels do not allow the plan.
            UnknownNameError: an option names a database that the dataset does not have.
        """

    def described(self) -> dict[str, Any]:
        """The options as plain values, for the provenance."""
        return self.model_dump(mode="json")

    def _rows(self, labels: PlanLabels) -> Bools:
        _known_databases(self.databases, labels)
        return labels.of(self.databases)


def _known_databases(names: tuple[str, ...] | Mapping[str, Any], labels: PlanLabels) -> None:
    for name in names:
        if name not in labels.databases:
            raise UnknownNameError("database of the dataset", name, labels.databases)


class MlRos(Plan):
    """ML-ROS: clones random rows of the action units whose IRLbl is above MeanIR, in turns, up to a budget."""

    name = "ml_ros"
    source = "Charte et al., Neurocomputing 163 (2015)"

    action_units: tuple[int, ...] = Field((), description="FACS numbers; all that are annotated without")
    percentage: Percentage = Field(25.0, description="budget of clones, per cent of the rows")

    def weigh(self, labels: PlanLabels, seed: int) -> list[PoolWeights]:
        """The pool of action units: 1 plus the number of times that Charte's loop clones the row."""
        rows = self._rows(labels)
        units = cleaned_units(self.action_units) or labels.annotated_units(rows)
        pool = _annotated_pool(labels, rows, units, complete=False)
        present = labels.units(units)[pool] == 1
        clones = np.bincount(charte_clones(present, self.percentage, seed), minlength=len(present))
        notes = [f"{clones.sum():,} clones among {len(present):,} rows"]
        return [PoolWeights.of("au", pool, 1.0 + clones, notes, units=units)]


def _annotated_pool(labels: PlanLabels, rows: Bools, units: tuple[int, ...], *, complete: bool) -> Bools:
    known = labels.units(units) >= 0
    annotated = rows & known.any(axis=1)
    pool = rows & known.all(axis=1) if complete and units else annotated
    if pool.any():
        _no_database_is_lost(labels, annotated, pool, units)
    else:
        which = "every one" if complete else "one"
        raise EmptyPoolError(
            "au", f"a row with {which} of the action units {', '.join(map(str, units)) or '(none is annotated)'}"
        )
    return pool


def _no_database_is_lost(labels: PlanLabels, annotated: Bools, pool: Bools, units: tuple[int, ...]) -> None:
    """Refuses a pool of completely annotated rows that holds no row of a database with action units."""
    coded = {name: labels.annotated_units(annotated & labels.of((name,))) for name in labels.databases}
    coded = {name: tuple(unit for unit in units if unit in found) for name, found in coded.items()}
    lost = [name for name, found in coded.items() if found and not (pool & labels.of((name,))).any()]
    if not lost:
        return
    missing = {name: [unit for unit in units if unit not in coded[name]] for name in lost}
    said = "; ".join(
        f"{name}: {(annotated & labels.of((name,))).sum():,} rows"
        + (f", AU{', AU'.join(map(str, absent))} not coded" if absent else ", none with all of them")
        for name, absent in missing.items()
    )
    shared = [unit for unit in units if all(unit in found for found in coded.values() if found)]
    kept = [name for name, found in coded.items() if found and name not in lost]
    remedies = [f"--option action_units={','.join(map(str, shared))} (coded in all)"] if shared != list(units) else []
    raise DataError(
        f"only rows that have all of the action units {', '.join(map(str, units))} would be drawn, and so no row of {said}. "
        f"Use {' or '.join([*(remedies if shared else []), '--option mode=corrected'])}; "
        f"or state that they are left out: --option databases={','.join(kept)}"
    )


class DengActionUnits(Plan):
    """Oversampling of rare action units towards a fixed IRLbl."""

    name = "deng2020_au"
    source = "Deng et al., FG 2020"

    mode: Literal["corrected", "paper"] = Field(
        "corrected", description="`paper` repeats the published loop, its defects included: see docs/balancing.md"
    )
    action_units: tuple[int, ...] = Field(DENG_ACTION_UNITS, description="FACS numbers")
    target: float = Field(2.0, gt=1.0, description="IRLbl that the rarest action unit is brought to")
    percentage: Percentage | None = Field(
        None, description="budget of clones, per cent of the rows; 50 in mode `paper`, none in mode `corrected`"
    )
    sample: int = Field(32, ge=1, description="rows that mode `paper` clones at once")
    repeat_cap: RepeatCap = None

    def weigh(self, labels: PlanLabels, seed: int) -> list[PoolWeights]:
        """The pool of action units: weights by the published loop, or, in the corrected mode, 1 plus the row's clones."""
        units = cleaned_units(self.action_units)
        pool = _annotated_pool(labels, self._rows(labels), units, complete=self.mode == "paper")
        present = labels.units(units)[pool] == 1
        absent = [unit for unit, occurs in zip(units, present.any(axis=0), strict=True) if not occurs]
        if self.mode == "paper":
            weights, notes = self._published(present, absent, units, seed)
            return [PoolWeights.of("au", pool, weights, notes, units=units)]
        found = clones_to_target(present, self.target, seed, self.percentage, self.repeat_cap)
        notes = [f"{found.times.sum():,} clones among {len(present):,} rows"]
        notes += [f"no row shows AU{unit}: left out" for unit in absent]
        if not found.reached:
            notes.append(f"the largest IRLbl stays at {found.largest_ratio:.2f}, above the target {self.target:g}")
        return [PoolWeights.of("au", pool, 1.0 + found.times, notes, self.repeat_cap, units)]

    def _published(
        self, present: Bools, absent: list[int], units: tuple[int, ...], seed: int
    ) -> tuple[Floats, list[str]]:
        if absent:
            rest = [unit for unit in units if unit not in absent]
            raise DataError(
                f"plan '{self.name}' in mode `paper` divides by zero for action units that none of the fully annotated rows shows: "
                f"{', '.join(map(str, absent))}. Leave them out (--option action_units={','.join(map(str, rest))}) or use --option mode=corrected"
            )
        if self.repeat_cap is not None:
            raise UsageError(
                f"plan '{self.name}': mode `paper` knows no repeat_cap; leave it out or use mode `corrected`"
            )
        percentage = 50.0 if self.percentage is None else self.percentage
        picks = published_clones(present, self.target, percentage, self.sample, seed)
        times = np.bincount(picks, minlength=len(present))
        notes = [
            f"{len(picks):,} clones among {len(present):,} rows; as published, a row cloned n times weighs n, not n + 1"
        ]
        return np.maximum(times, 1).astype(np.float64), notes


class DengExpressions(Plan):
    """Aff-Wild2 thinned, then one over the number of rows in the class: all classes equally often."""

    name = "deng2020_expression"
    source = "Deng et al., FG 2020"

    expressions: str | tuple[str, ...] = Field("aff_wild2_7", description="an expression set, or class names")
    thin: dict[str, dict[str, Every]] | None = Field(
        None, description="by database and class: keep every n-th row; the published thinning of affwild2 without"
    )
    repeat_cap: RepeatCap = None

    def weigh(self, labels: PlanLabels, seed: int) -> list[PoolWeights]:  # noqa: ARG002 - nothing is drawn
        """The pool of expressions: 1 / count of the class for the rows that thinning leaves, 0 for the others."""
        names = cleaned_classes(self.expressions)
        pool = self._rows(labels) & classes_in(labels.expression, names)
        if not pool.any():
            raise EmptyPoolError("expression", f"a row with one of the expressions {', '.join(names)}")
        kept = pool.copy()
        for database, every in self._thinning(labels).items():
            rows = np.flatnonzero(pool & labels.of((database,)))
            codes = {EXPRESSIONS.index(cleaned_classes((name,))[0]): count for name, count in every.items()}
            kept[rows] = thinned(labels.expression[rows], codes)
        weights = inverse_frequency(labels.expression, kept)
        notes = [f"{pool.sum() - kept.sum():,} of {pool.sum():,} rows thinned out"] if (pool != kept).any() else []
        classes = np.unique(labels.expression[kept])
        if len(classes) == 1:
            notes.append(f"all rows are {EXPRESSIONS[classes[0]]}: they weigh the same")
        return [PoolWeights("expression", pool, weights, notes, self.repeat_cap)]

    def _thinning(self, labels: PlanLabels) -> Mapping[str, Mapping[str, int]]:
        if self.thin is None:
            return {name: every for name, every in DENG_EXPRESSION_THINNING.items() if name in labels.databases}
        _known_databases(self.thin, labels)
        return self.thin


class DengValenceArousal(Plan):
    """Aff-Wild2 thinned, then one over the number of rows in the bin of a 20 x 20 histogram: all bins that occur equally often."""

    name = "deng2020_va"
    source = "Deng et al., FG 2020"

    histogram: Literal["data", "full"] = Field("data", description="bins over the range of the data, or over [-1, 1]")
    thin: dict[str, Every] | None = Field(
        None, description="by database: keep every n-th row; the published thinning of affwild2 without"
    )
    repeat_cap: RepeatCap = None

    def weigh(self, labels: PlanLabels, seed: int) -> list[PoolWeights]:  # noqa: ARG002 - nothing is drawn
        """The pool of valence and arousal: 1 / count of the bin for the rows that thinning leaves, 0 for the others."""
        pool = self._rows(labels) & labels.has_va
        if not pool.any():
            raise EmptyPoolError("va", "a row with valence and arousal")
        kept = pool.copy()
        for database, every in self._thinning(labels).items():
            rows = np.flatnonzero(pool & labels.of((database,)))
            kept[rows] = np.arange(len(rows)) % every == 0
        weights = np.zeros(len(labels))
        weights[kept] = inverse_frequency(plane_bin(labels.valence[kept], labels.arousal[kept], over=self.histogram))
        notes = [f"{pool.sum() - kept.sum():,} of {pool.sum():,} rows thinned out"] if (pool != kept).any() else []
        return [PoolWeights("va", pool, weights, notes, self.repeat_cap)]

    def _thinning(self, labels: PlanLabels) -> Mapping[str, int]:
        if self.thin is None:
            return {name: every for name, every in DENG_VA_THINNING.items() if name in labels.databases}
        _known_databases(self.thin, labels)
        return self.thin


class Deng(Plan):
    """The three plans of Deng et al. side by side, for the tasks that the dataset has."""

    name = "deng2020"
    source = "Deng et al., FG 2020"

    mode: Literal["corrected", "paper"] = Field("corrected", description="see deng2020_au")
    action_units: tuple[int, ...] = Field(DENG_ACTION_UNITS, description="FACS numbers")
    expressions: str | tuple[str, ...] = Field("aff_wild2_7", description="an expression set, or class names")
    repeat_cap: RepeatCap = None

    def weigh(self, labels: PlanLabels, seed: int) -> list[PoolWeights]:
        """The pools of the three plans, for the tasks that the dataset has."""
        cap = None if self.mode == "paper" else self.repeat_cap
        databases = self.databases
        plans: tuple[Plan, ...] = (
            DengActionUnits(databases=databases, mode=self.mode, action_units=self.action_units, repeat_cap=cap),
            DengExpressions(databases=databases, expressions=self.expressions, repeat_cap=self.repeat_cap),
            DengValenceArousal(databases=databases, repeat_cap=self.repeat_cap),
        )
        found, missing = [], []
        for plan in plans:
            try:
                found += plan.weigh(labels, seed)
            except EmptyPoolError as error:
                missing.append(error)
        if not found:
            raise missing[0]
        return found


class VuJoint(Plan):
    """For rows with both an expression and valence-arousal: one over the rows in the bin plus one over the rows in the class."""

    name = "vu2021_joint"
    source = "Vu et al., ICCVW 2021"

    expressions: str | tuple[str, ...] = Field("aff_wild2_7", description="an expression set, or class names")
    histogram: Literal["data", "full"] = Field("data", description="bins over the range of the data, or over [-1, 1]")
    repeat_cap: RepeatCap = None

    def weigh(self, labels: PlanLabels, seed: int) -> list[PoolWeights]:  # noqa: ARG002 - nothing is drawn
        """One pool of the rows with both labels: 1 / count of the bin + 1 / count of the class, divided by the largest."""
        pool = self._rows(labels) & classes_in(labels.expression, cleaned_classes(self.expressions)) & labels.has_va
        if not pool.any():
            raise EmptyPoolError("weight", "a row with both an expression and valence and arousal")
        bins = plane_bin(labels.valence[pool], labels.arousal[pool], over=self.histogram)
        joint = inverse_frequency(bins) + inverse_frequency(labels.expression[pool])
        return [PoolWeights.of("weight", pool, joint / joint.max(), [], self.repeat_cap)]


class DatabaseTemperature(Plan):
    """Databases in proportion to a power of their size, in the pool of each task and over all labelled rows."""

    name = "database_temperature"
    source = "Arivazhagan et al., arXiv 1907.05019 (for languages)"

    temperature: float = Field(0.5, ge=0.0, le=1.0, description="1: shares as they are; 0: equal shares")
    repeat_cap: RepeatCap = None

    def weigh(self, labels: PlanLabels, seed: int) -> list[PoolWeights]:  # noqa: ARG002 - nothing is drawn
        """A pool for each task and one of all labelled rows: databases in proportion to their rows to the power `temperature`."""
        rows = self._rows(labels)
        pools = {column: rows & labels.having(column) for column in ("au", "expression", "va", "weight")}
        if not pools["weight"].any():
            raise EmptyPoolError("weight", "a row with a label")
        found = []
        for column, pool in pools.items():
            if pool.any():
                databases = labels.database[pool]
                notes = (
                    ["all rows are from one database: they weigh the same"] if (databases == databases[0]).all() else []
                )
                weights = tempered_frequency(databases, self.temperature)
                found.append(PoolWeights.of(column, pool, weights, notes, self.repeat_cap))
        return found
