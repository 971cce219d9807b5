"""The balancing plans, by name."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from affect_data.balance.learned import LearnedWeights
from affect_data.balance.plans import (
    DatabaseTemperature,
    Deng,
    DengActionUnits,
    DengExpressions,
    DengValenceArousal,
    MlRos,
    Plan,
    VuJoint,
)
from affect_data.errors import RecipeError, UnknownNameError

PLANS: Final[Mapping[str, type[Plan]]] = {
    plan.name: plan
    for plan in (
        MlRos,
        DengActionUnits,
        DengExpressions,
        DengValenceArousal,
        Deng,
        VuJoint,
        DatabaseTemperature,
        LearnedWeights,
    )
}


def make_plan(name: str, options: Mapping[str, Any] | None = None) -> Plan:
    """The plan of a name with options.

    Raises:
        UnknownNameError: there is no such plan.
        RecipeError: an option is unknown or does not validate; all mistakes at once.
    """
    if name not in PLANS:
        raise UnknownNameError("balancing plan", name, PLANS)
    try:
        return PLANS[name].model_validate(dict(options or {}))
    except ValidationError as error:
        known = ", ".join(PLANS[name].model_fields)
        mistakes = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r}; options: {known})"
            for e in error.errors()
        ]
        raise RecipeError(f"plan '{name}'", mistakes) from None
