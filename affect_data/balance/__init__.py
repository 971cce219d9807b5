"""Balancing plans: a weight for every training row, by which the rows of an epoch are drawn.

A plan never copies or drops a row. Its weights are a column group of the train split, ``balance.<name>``, with a column for each pool: ``au``,
``expression`` and ``va`` for the rows with a label of the task, ``weight`` for rows that are drawn as one pool.
"""

from affect_data.balance.drawing import draw
from affect_data.balance.plans import Plan
from affect_data.balance.registry import PLANS, make_plan
from affect_data.balance.weighing import BalanceReport, balance, load_weights
from affect_data.dataset.kinds.balance import BalanceProvenance

__all__ = [
    "PLANS",
    "BalanceProvenance",
    "BalanceReport",
    "Plan",
    "balance",
    "draw",
    "load_weights",
    "make_plan",
]
