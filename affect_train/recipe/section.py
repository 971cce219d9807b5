"""The base of all sections of a training recipe, and types that they share."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]

TASKS: Final = ("au", "expression", "va")

Sections = Mapping[str, Any]
"""The validated sections of a recipe by name; one that has a mistake of its own is absent."""

Mistake = tuple[tuple[str, ...], str]
"""The key that is at fault, and the message."""


class Section(BaseModel):
    """A part of a recipe; unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class HeldOutOptions(Section):
    """A fold of the training split that is not trained on."""

    folds: Name = Field(
        description="folds of the dataset, as `affect-data folds` and `affect-train cross-label` write them"
    )
    fold: Annotated[int, Field(ge=0)] = Field(description="the fold that stays out")
    others: Literal["out", "trained"] = Field(
        "out", description="rows in no fold: those of other databases, where the folds are one database's"
    )


def trained_tasks(sections: Sections) -> tuple[str, ...]:
    """The tasks of `TASKS` that a recipe trains; empty if its section ``tasks`` is absent."""
    tasks = sections.get("tasks")
    if tasks is None:
        return ()
    named = (tasks.action_units, tasks.expression, tasks.valence_arousal)
    return tuple(task for task, found in zip(TASKS, named, strict=True) if found)
