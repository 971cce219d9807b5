"""The balancing plans, by name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

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
from affect_data.errors import RecipeError, UnknownNameError, suggestion

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

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
    """The plan of a name, with its options.

    Raises:
        UnknownNameError: there is no such plan.
        RecipeError: lists every unknown or invalid option.
    """
    if name not in PLANS:
        raise UnknownNameError("balancing plan", name, PLANS)
    try:
        return PLANS[name].model_validate(dict(options or {}))
    except ValidationError as error:
        raise RecipeError(f"plan '{name}'", [_mistake(name, details) for details in error.errors()]) from None


def _mistake(name: str, details: "ErrorDetails") -> str:
    option = ".".join(map(str, details["loc"]))
    if details["type"] == "extra_forbidden":
        return f"{option}: no option of plan '{name}'; {suggestion(option, PLANS[name].model_fields)}"
    return f"{option}: {details['msg']}, found {details['input']!r}"
