"""A prior by name: how often expressions and action units are where a model is used."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from affect_data.errors import UsageError
from affect_data.recipe_file import FileKind, read_recipe_text, validated
from affect_data.vocabulary import expression_named, slot_of
from affect_train.recipe.section import Section
from affect_train.tasks import TaskSet

UNIFORM: Final = "uniform"
PRIOR_FILE: Final = FileKind("prior", ("expression", "action_units"), "affect-train evaluate --prior")
ROUNDED: Final = 0.01
"""By how much shares that a person writes may miss a sum of 1."""

Rate = Annotated[float, Field(gt=0.0, lt=1.0)]


class PriorOptions(Section):
    """Frequencies by name; what is not named is not adjusted."""

    expression: dict[str, Rate] | None = Field(None, description="the share of each expression of the head; together 1")
    action_units: dict[int, Rate] | None = Field(None, description="by FACS number, in how many faces it is present")

    @field_validator("expression")
    @classmethod
    def _are_shares(cls, shares: dict[str, float] | None) -> dict[str, float] | None:
        if shares is None:
            return None
        total = sum(shares.values())
        if abs(total - 1) > ROUNDED:
            raise ValueError(f"the shares add up to {total:g}; expected 1")
        return {expression_named(name): share / total for name, share in shares.items()}

    @field_validator("action_units")
    @classmethod
    def _are_known(cls, rates: dict[int, float] | None) -> dict[int, float] | None:
        for number in rates or ():
            slot_of(number)
        return rates

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.expression or self.action_units):
            raise ValueError("name the shares of `expression`, the rates of `action_units`, or both")
        return self


Prior = Literal["uniform"] | PriorOptions
"""``uniform``: every expression equally often, every action unit in half of the faces."""


def misfit(prior: Prior, tasks: TaskSet) -> str | None:
    """Why a prior does not fit the heads of a model, as a sentence with its remedy; None if it does."""
    if isinstance(prior, str):
        return None
    if prior.expression is not None and set(prior.expression) != set(tasks.expressions):
        return (
            f"the prior's expressions are {', '.join(sorted(prior.expression))}, the model's are {', '.join(tasks.expressions) or 'none'}; "
            "give a share to each of these and to no other"
        )
    unknown = sorted(set(prior.action_units or ()) - set(tasks.action_units))
    if unknown:
        listed = ", ".join(f"AU{number}" for number in tasks.action_units) or "none"
        return f"the prior names AU{unknown[0]}, but the model's action units are {listed}; leave it out"
    return None


def read_prior(named: str) -> Prior:
    """The prior that a word or a YAML file names.

    Args:
        named: ``uniform``, or the path of a file with ``expression`` and ``action_units``.

    Raises:
        UsageError: there is no such file.
        RecipeError: lists every mistake of the file, with its line.
    """
    if named == UNIFORM:
        return UNIFORM
    path = Path(named)
    if not path.is_file():
        raise UsageError(
            f"--prior: found '{named}'; expected {UNIFORM}, or a YAML file with the shares of `expression` and the rates of `action_units`"
        )
    return validated(PriorOptions, read_recipe_text(path, PRIOR_FILE))
