"""A balance as a column group: how often each training row is drawn, one column for each pool."""

from typing import Any, Final

from affect_data.dataset.kinds.base import Dependency, GroupKind, GroupProvenance


class BalanceProvenance(GroupProvenance):
    """Where a group of weights comes from.

    Attributes:
        name: of the group; its columns are ``balance.<name>.<pool>``.
        plan: name of the plan.
        options: all options of the plan, defaults included.
        seed: of the plan and of the epoch that was drawn for the report.
        pools: by column: rows, draws, repeat cap, notes, and the distribution before, as planned and as drawn.
    """

    name: str
    plan: str
    options: dict[str, Any]
    seed: int
    pools: dict[str, dict[str, Any]]


BALANCE: Final = GroupKind(
    called="balancing weights",
    prefix="balance.",
    depends_on={Dependency.LABELS},
    provenance=BalanceProvenance,
    command="affect-data balance DATASET {plan} --name {name}",
)
