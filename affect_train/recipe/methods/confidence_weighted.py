"""The options of the method ``confidence_weighted``."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from affect_train.recipe.methods.options import MethodOptions, Refusable
from affect_train.recipe.section import Mistake, Sections


class ConfidenceWeightedOptions(MethodOptions):
    """Learning from labels alone; an expression counts as much as the model believes it."""

    refuses: ClassVar[Mapping[Refusable, str]] = {
        "streaming": "keeps the weight of each row of the split",
        "accumulation": "divides weights by their mean over the rows of a step, of which a micro-batch knows only its own",
    }

    name: Literal["confidence_weighted"] = Field("confidence_weighted", description="of the method")
    power: Annotated[float, Field(gt=0.0)] = Field(
        1.0, description="of the probability that the model gives to a row's own label, which is then the row's weight"
    )
    after_steps: Annotated[int, Field(ge=0)] = Field(
        0, description="training steps in which all rows count alike, because the model knows nothing yet"
    )

    def mistakes(self, sections: Sections) -> Iterator[Mistake]:
        """The mistakes of every method; and no expressions to weigh."""
        yield from super().mistakes(sections)
        tasks = sections.get("tasks")
        if tasks is not None and not tasks.expression:
            yield ("tasks", "expression"), f"missing; the method {self.name!r} weighs rows by their expression"
