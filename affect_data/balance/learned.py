"""A plan whose weights a training run has learned."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field

from affect_data.balance.inverse_frequency import Floats
from affect_data.balance.labels import PlanLabels
from affect_data.balance.plans import Plan, RepeatCap
from affect_data.balance.pools import Bools, EmptyPoolError, PoolWeights, classes_in, cleaned_classes
from affect_data.errors import DataError

SCHEMA = pl.Schema({"uid": pl.String, "weight": pl.Float32})


class LearnedWeights(Plan):
    """Rows with an expression, weighted as a meta-learning run has learned; each class as a whole comes equally often.

    A row that the run has not seen has the mean weight of its class.
    """

    name = "learned_weights"
    source = "Li & Shan, MAL, 2021: the weights; their use for drawing rows is ours"

    file: str = Field(description="`weights.parquet` of a run of the method meta_auxiliary")
    expressions: str | tuple[str, ...] = Field("aff_wild2_7", description="an expression set, or class names")
    equal_classes: bool = Field(default=True, description="false: a class is drawn as often as its weights add up to")
    repeat_cap: RepeatCap = None

    def described(self) -> dict[str, Any]:
        """The options as plain values, with the name and the hash of the file in place of its path."""
        path = Path(self.file)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return {**super().described(), "file": path.name, "file_sha256": digest}

    def weigh(self, labels: PlanLabels, seed: int) -> list[PoolWeights]:  # noqa: ARG002 - nothing is drawn
        """The pool of expressions with learned weights; classes as a whole are drawn equally often unless `equal_classes` is off."""
        names = cleaned_classes(self.expressions)
        pool = self._rows(labels) & classes_in(labels.expression, names)
        if not pool.any():
            raise EmptyPoolError("expression", f"a row with one of the expressions {', '.join(names)}")
        learned, unseen = self._learned(labels, pool)
        weights = np.zeros(len(labels))
        for code in np.unique(labels.expression[pool]):
            rows = np.flatnonzero(pool & (labels.expression == code))
            own = np.where(np.isnan(learned[rows]), _mean(learned[rows]), learned[rows])
            weights[rows] = own / own.sum() if self.equal_classes and own.sum() > 0 else own
        notes = (
            [f"{unseen:,} of {pool.sum():,} rows have no learned weight: they have their class's mean"]
            if unseen
            else []
        )
        return [PoolWeights("expression", pool, weights, notes, self.repeat_cap)]

    def _learned(self, labels: PlanLabels, pool: Bools) -> tuple[Floats, int]:
        try:
            table = pl.read_parquet(self.file, columns=list(SCHEMA)).cast(SCHEMA)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"'{self.file}' holds no learned weights ({error}); a run of the method meta_auxiliary writes weights.parquet"
            ) from error
        uids = pl.DataFrame({"uid": labels.uids()})
        found = uids.join(table, on="uid", how="left", maintain_order="left")["weight"].to_numpy().astype(np.float64)
        if len(found) != len(labels) or (found[~np.isnan(found)] < 0).any():
            raise DataError(f"'{self.file}' names a row twice, or has a negative weight; write it again")
        unseen = int(np.isnan(found[pool]).sum())
        if unseen == pool.sum():
            raise DataError(
                f"'{self.file}' has a weight for none of the {unseen:,} rows with an expression; name the run that was trained on this dataset"
            )
        return found, unseen


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 1.0
