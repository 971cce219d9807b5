"""How often labels are among those that a model has learned, and how its logits move to another prior."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from affect_data.errors import UsageError
from affect_train.recipe.prior import Prior, misfit
from affect_train.tasks import TaskSet

Floats = NDArray[np.float64]


class KnownLabels(Protocol):
    """Labels of a split in the order of the heads: au [rows, A] with its mask, expression [rows] with its mask."""

    @property
    def au(self) -> NDArray[Any]: ...  # noqa: D102

    @property
    def au_mask(self) -> NDArray[np.bool_]: ...  # noqa: D102

    @property
    def expression(self) -> NDArray[Any]: ...  # noqa: D102

    @property
    def expression_mask(self) -> NDArray[np.bool_]: ...  # noqa: D102


@dataclass(frozen=True)
class LabelRates:
    """The prior that a model's probabilities carry.

    Attributes:
        expression: float64 [C], the share of each class of the head, all above 0; None where nothing is known of them.
        au: float64 [A], how often each action unit of the head is present, between 0 and 1; NaN where nothing is known of one, None of any.
    """

    expression: Floats | None = None
    au: Floats | None = None

    @classmethod
    def counted(cls, labels: KnownLabels, rows: NDArray[np.int64], tasks: TaskSet) -> "LabelRates":
        """Counted over the labels of rows, one more of each class, so that no rate is 0 or 1.

        Args:
            labels: for the heads.
            rows: int64, the rows that are trained on.
            tasks: the heads.
        """
        expression = au = None
        if tasks.expressions:
            classes = labels.expression[rows][labels.expression_mask[rows]]
            counts = np.bincount(classes, minlength=len(tasks.expressions)) + 1.0
            expression = counts / counts.sum()
        if tasks.action_units:
            known = labels.au_mask[rows]
            au = ((known & (labels.au[rows] > 0)).sum(axis=0) + 1.0) / (known.sum(axis=0) + 2.0)
        return cls(expression, au)

    @classmethod
    def named(cls, prior: Prior, tasks: TaskSet) -> "LabelRates":
        """What a prior says of the heads.

        Raises:
            UsageError: it lacks a class of the expression head, or names a class or an action unit without a head.
        """
        if isinstance(prior, str):
            classes, units = len(tasks.expressions), len(tasks.action_units)
            return cls(np.full(classes, 1 / classes) if classes else None, np.full(units, 0.5) if units else None)
        problem = misfit(prior, tasks)
        if problem is not None:
            raise UsageError(problem)
        shares, rates = prior.expression, prior.action_units
        return cls(
            None if shares is None else np.array([shares[name] for name in tasks.expressions]),
            None if rates is None else np.array([rates.get(number, np.nan) for number in tasks.action_units]),
        )

    def moved(self, target: "LabelRates", strengths: Mapping[str, float]) -> "LabelRates":
        """The prior that is left when the logits have gone a part of the way to the target: its share of the log odds.

        Args:
            target: where they go.
            strengths: by head, the part of the way; 0 where a head is not named.
        """
        shifts = self.shifts_to(target)
        expression, au = self.expression, self.au
        if expression is not None and "expression" in shifts:
            moved = np.exp(np.log(expression) - strengths.get("expression", 0.0) * shifts["expression"])
            expression = moved / moved.sum()
        if au is not None and "au" in shifts:
            odds = _log_odds(au) - strengths.get("au", 0.0) * shifts["au"]
            au = 1 / (1 + np.exp(-odds))
        return LabelRates(expression, au)

    def shifts_to(self, target: "LabelRates") -> dict[str, Floats]:
        """By head, what is subtracted from the logits to go from this prior to the target.

        Of expressions the difference of log shares, float64 [C]; of action units that of log odds, float64 [A], 0 where one of the two is not known.
        A head of which one of the two says nothing is absent.

        Source: Saerens, Latinne & Decaestecker, *Adjusting the outputs of a classifier to new a priori probabilities* (Neural Computation 14, 2002);
        Menon et al., *Long-tail learning via logit adjustment* (arXiv 2007.07314).
        """
        found = {}
        if self.expression is not None and target.expression is not None:
            found["expression"] = np.log(self.expression) - np.log(target.expression)
        if self.au is not None and target.au is not None:
            found["au"] = np.nan_to_num(_log_odds(self.au) - _log_odds(target.au), nan=0.0)
        return found

    def to_dict(self) -> dict[str, list[float]]:
        """The known rates as plain values, by head."""
        found = {"expression": self.expression, "au": self.au}
        return {head: [round(float(rate), 8) for rate in rates] for head, rates in found.items() if rates is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Sequence[float]]) -> "LabelRates":
        """What `to_dict` described."""
        known: dict[str, Any] = {
            head: np.asarray(values[head], dtype=np.float64) for head in ("expression", "au") if head in values
        }
        return cls(**known)


def _log_odds(rates: Floats) -> Floats:
    found: Floats = np.log(rates) - np.log1p(-rates)
    return found
