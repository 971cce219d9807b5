"""The section ``method.coupling`` of a training recipe: how action units and expressions teach each other."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from affect_data.vocabulary import EXPRESSION_ACTION_UNITS, expression_named, slot_of
from affect_train.recipe.section import Count, Mistake, Section, Sections, Weight, trained_tasks
from affect_train.tasks import TaskSet

NEUTRAL: Final = "neutral"

RelationWeight = Annotated[float, Field(gt=0.0, le=1.0)]

RelationTable = Mapping[str, Mapping[int, float]]
"""The action units of each expression: 1 for prototypical ones, otherwise the share of subjects who show them."""


class CoAnnotationOptions(Section):
    """Labels of one task stand in for missing labels of the other."""

    au_weight: Weight = Field(1.0, description="of the action units that images with an expression alone are given")
    expression_weight: Weight = Field(
        1.0, description="of the expressions that images with action units alone are given"
    )


class SoftCoAnnotationOptions(Section):
    """Every image with action units gets a distribution over expressions."""

    weight: Weight = Field(1.0, description="of this loss in the sum")
    weighted: bool = Field(default=True, description="action units count by their share of subjects; false: all alike")
    temperature: Annotated[float, Field(gt=0.0)] = Field(1.0, description="the scores are divided by it before softmax")


class DistributionMatchingOptions(Section):
    """Predicted action units should agree with those that the predicted expression implies; no label is needed."""

    form: Literal["one_sided", "binary"] = Field(
        "binary", description="`one_sided`: -p log q, as published; `binary`: -p log q - (1 - p) log(1 - q)"
    )
    gradient: Literal["both", "expressions", "action_units", "symmetric"] = Field(
        "symmetric",
        description="`both`: one loss that changes both heads, as published; `expressions` and `action_units`: this head alone learns, from the "
        "other as it is; `symmetric`: half of each of these two",
    )
    weight: Weight = Field(1.0, description="of this loss in the sum")
    weighted: bool = Field(
        default=False, description="p(AU | expression) is the share of subjects; false: 1 for every related action unit"
    )
    reduction: Literal["mean", "sum"] = Field("mean", description="over action units; `sum` as published")


class CouplingOptions(Section):
    """How action units and expressions teach each other, as in FaceBehaviorNet (arXiv 1910.11111)."""

    prior: Literal["du2014", "data"] = Field(
        "du2014",
        description="the relations of Du et al. (2014), or the frequencies on training rows that have both labels",
    )
    relations: dict[str, dict[int, RelationWeight]] | None = Field(
        None,
        description="in place of those of Du et al.: for each expression its action units, 1 or the share of subjects",
    )
    neutral: Literal["include", "leave_out"] = Field(
        "include",
        description="`include`: neutral shows no action unit (`prior: data`: those that it shows); `leave_out`: nothing is said of it",
    )
    least_rows: Count = Field(
        10,
        description="`prior: data`: rows of an expression that carry the action unit before its frequency is believed",
    )
    co_annotation: CoAnnotationOptions | None = Field(
        None, description="labels of one task from those of the other (FaceBehaviorNet)"
    )
    soft_co_annotation: SoftCoAnnotationOptions | None = Field(
        None, description="soft expressions from action units (FaceBehaviorNet)"
    )
    distribution_matching: DistributionMatchingOptions | None = Field(
        None,
        description="predicted action units should match what the predicted expression makes likely (FaceBehaviorNet)",
    )

    @field_validator("relations")
    @classmethod
    def _are_of_the_vocabulary(
        cls, relations: dict[str, dict[int, float]] | None
    ) -> dict[str, dict[int, float]] | None:
        if relations is None:
            return None
        for numbers in relations.values():
            for number in numbers:
                slot_of(number)
        named = {expression_named(name): units for name, units in relations.items()}
        if len(named) < len(relations):
            raise ValueError(f"found {', '.join(relations)}; name every expression once")
        if NEUTRAL in named:
            raise ValueError("neutral has relations; it shows no action unit, or is left out (`neutral`)")
        return named

    @model_validator(mode="after")
    def _couples_something(self) -> Self:
        couplings = ("co_annotation", "soft_co_annotation", "distribution_matching")
        if not any(getattr(self, name) for name in couplings):
            raise ValueError(
                f"couples nothing; give one of {', '.join(couplings)} (`{{}}` for its defaults), or remove it"
            )
        if self.relations is not None and self.prior == "data":
            raise ValueError("`relations` are given and `prior` is 'data'; remove one of them")
        return self

    @property
    def table(self) -> RelationTable | None:
        """The relations that are known before any label is seen; None if they are counted in the labels."""
        if self.prior == "data":
            return None
        return self.relations if self.relations is not None else EXPRESSION_ACTION_UNITS

    @property
    def counts_neutral(self) -> bool:
        """Whether neutral counts as an expression (otherwise it is left out)."""
        return self.neutral == "include"

    def mistakes(self, sections: Sections) -> Iterator[Mistake]:
        """Contradictions between the coupling and the tasks of a recipe."""
        trained = trained_tasks(sections)
        if not trained:
            return
        if not {"au", "expression"} <= set(trained):
            yield ("method", "coupling"), "takes `tasks.action_units` and `tasks.expression`; give both, or remove it"
        elif self.table is not None and not has_relation(
            self.table, sections["tasks"].task_set(), neutral=self.counts_neutral
        ):
            yield ("method", "coupling"), no_relation(sections["tasks"].task_set())


def related_expressions(table: RelationTable, tasks: TaskSet, *, neutral: bool) -> tuple[str, ...]:
    """The expressions of a head that have relations in a table.

    Args:
        table: by expression; without neutral.
        tasks: the heads.
        neutral: whether neutral counts, as an expression without action units.
    """
    return tuple(name for name in tasks.expressions if name in table or (name == NEUTRAL and neutral))


def has_relation(table: RelationTable, tasks: TaskSet, *, neutral: bool) -> bool:
    """Whether at least two expressions are related, and one has an action unit of the head; arguments as for `related_expressions`."""
    related = related_expressions(table, tasks, neutral=neutral)
    predicted = any(number in tasks.action_units for name in related for number in table.get(name, {}))
    return predicted and len(related) >= 2


def no_relation(tasks: TaskSet) -> str:
    """The message for two heads without a relation between them."""
    return (
        f"no relation between the expressions {', '.join(tasks.expressions) or '(none)'} and "
        f"{', '.join(f'AU{number}' for number in tasks.action_units) or 'no action unit'}; couple heads that share one, or give `relations`"
    )
