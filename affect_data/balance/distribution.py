"""The make-up of a pool whose rows may count several times: before balancing, as planned, and as drawn."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affect_data.balance.labels import PlanLabels
from affect_data.statistics.imbalance import irlbl, label_counts
from affect_data.statistics.va_plane import histogram
from affect_data.vocabulary import EXPRESSIONS


@dataclass(frozen=True)
class Distribution:
    """Counts over rows that may count several times, or by a fraction.

    Attributes:
        rows: how many there are, with multiplicity.
        databases: rows by database.
        action_units: rows that show an action unit, for the units that the plan balances.
        irlbl: imbalance ratio by action unit; None if no row shows it.
        expressions: rows by class, without empty classes.
        va_bins: float64 [valence bin, arousal bin], rows by bin over [-1, 1] x [-1, 1].
    """

    rows: float
    databases: dict[str, float]
    action_units: dict[int, float]
    irlbl: dict[int, float | None]
    expressions: dict[str, float]
    va_bins: npt.NDArray[np.float64]

    @property
    def max_ir(self) -> float | None:
        """The largest IRLbl of an action unit that occurs."""
        return max((ratio for ratio in self.irlbl.values() if ratio is not None), default=None)

    def plane(self) -> dict[str, float]:
        """How evenly the rows lie on the plane: `occupied_bins`, the rows in the `smallest_bin` and `largest_bin` of these, and `evenness`.

        Evenness is the entropy over the occupied bins divided by the largest possible entropy: 1 if all hold the same number of rows.
        """
        rows = self.va_bins[self.va_bins > 0]
        if not len(rows):
            return {"occupied_bins": 0, "smallest_bin": 0.0, "largest_bin": 0.0, "evenness": 0.0}
        shares = rows / rows.sum()
        evenness = float(-(shares * np.log(shares)).sum() / np.log(len(rows))) if len(rows) > 1 else 1.0
        return {
            "occupied_bins": len(rows),
            "smallest_bin": float(rows.min()),
            "largest_bin": float(rows.max()),
            "evenness": evenness,
        }

    def summary(self) -> dict[str, Any]:
        """Everything as plain dictionaries with names as keys, with `plane` in place of the histogram."""
        document = {key: value for key, value in asdict(self).items() if key != "va_bins"}
        for key in ("action_units", "irlbl"):
            document[key] = {str(number): value for number, value in document[key].items()}
        return {**document, "max_ir": self.max_ir, "va": self.plane()}

    def to_json(self) -> dict[str, Any]:
        """Everything, the histogram included, as plain lists and dictionaries."""
        return {**self.summary(), "va_bins": self.va_bins.tolist()}


def distribution(labels: PlanLabels, times: npt.NDArray[np.generic], units: tuple[int, ...]) -> Distribution:
    """The distribution of rows.

    Args:
        labels: of N rows.
        times: [N], how often each row counts; 0 leaves a row out.
        units: action units to count.
    """
    chosen = np.flatnonzero(times)
    weights = times[chosen].astype(np.float64)
    databases = np.bincount(labels.database[chosen], weights, len(labels.databases))
    present = label_counts(labels.units(units)[chosen] == 1, weights)
    ratios = [None if np.isnan(ratio) else float(ratio) for ratio in irlbl(present)]
    codes = labels.expression[chosen].astype(np.int64)
    classes = np.bincount(codes + 1, weights, len(EXPRESSIONS) + 1)[1:]
    known = labels.has_va[chosen]
    bins = histogram(labels.valence[chosen][known], labels.arousal[chosen][known], weights[known])
    return Distribution(
        rows=float(weights.sum()),
        databases={name: float(n) for name, n in zip(labels.databases, databases, strict=True) if n},
        action_units=dict(zip(units, present.tolist(), strict=True)),
        irlbl=dict(zip(units, ratios, strict=True)),
        expressions={name: float(n) for name, n in zip(EXPRESSIONS, classes, strict=True) if n},
        va_bins=bins,
    )
