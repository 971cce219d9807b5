"""The scores of the ABAW challenges, by the challenges' own formulas."""

from collections.abc import Mapping, Sequence
from typing import Any


def abaw_scores(report: Mapping[str, Any]) -> dict[str, float | None]:
    """The challenges' scores for the tasks that were evaluated; None where a part is not defined.

    The challenges divide by the number of classes and of action units: one that is neither predicted nor present counts 0 there. An action unit
    without any label, which the challenges do not have, is left out.

    Args:
        report: ``au``, ``expression`` and ``va`` of `metrics.evaluate_predictions`.

    Sources: Kollias et al., ABAW (2020): expression 0.67 F1 + 0.33 accuracy, action units 0.5 F1 + 0.5 accuracy, mean CCC; ABAW3 (2022) and later:
    the sum of F1 over 8 expressions / 8, over 12 action units / 12, mean CCC, and their sum for multi-task learning.
    """
    scores: dict[str, float | None] = {}
    if "au" in report:
        units = [unit["f1"] or 0.0 for unit in report["au"]["by_action_unit"].values() if unit["labels"]]
        scores["au_2022"] = sum(units) / len(units) if units else None
        scores["au_2020"] = _weighted([(0.5, scores["au_2022"]), (0.5, report["au"]["accuracy"])])
    if "expression" in report:
        expression = report["expression"]
        classes = [one["f1"] or 0.0 for one in expression["by_class"].values()]
        scores["expression_2022"] = sum(classes) / len(classes) if expression["labels"] else None
        scores["expression_2020"] = _weighted([(0.67, scores["expression_2022"]), (0.33, expression["accuracy"])])
    if "va" in report:
        scores["va"] = report["va"]["mean_ccc"]
    if {"au", "expression", "va"} <= report.keys():
        scores["multi_task"] = _weighted([(1.0, scores[key]) for key in ("au_2022", "expression_2022", "va")])
    return scores


def _weighted(parts: Sequence[tuple[float, float | None]]) -> float | None:
    values = [weight * value for weight, value in parts if value is not None]
    return sum(values) if len(values) == len(parts) else None
