"""The arms of the twin: what each learns from. ``arms.yaml`` names them and says which are compared."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from affect_data.errors import UsageError

Metric = Literal["accuracy", "macro_f1", "macro_f1_5", "nll", "ccc", "ap", "f1_tuned", "f1_half", "auroc"]


class Strict(BaseModel):
    """A section that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Arm(Strict):
    """One way to learn, with the same network, batches and number of steps as every other."""

    mean_of: tuple[str, ...] = Field((), description="no training: the mean probability of these arms")
    combine: tuple[str, ...] = Field((), description="no training: expressions, valence-arousal and AUs of three arms")
    shift: float = Field(
        0.0, description="with `mean_of`: subtracts this much of the log prior of expressions at inference"
    )
    tasks: tuple[Literal["expression", "va", "au"], ...] = ("expression", "va", "au")
    labels: Literal["own", "all"] = Field("own", description="`all`: every pool is labelled for every task")
    start: int = Field(0, description="another number begins from other weights")
    fold: int | None = Field(None, description="learn without this fifth of every pool")
    teachers: tuple[str, ...] = Field((), description="arms whose probabilities are learned beside the labels")
    out_of_fold: bool = Field(
        default=False, description="each row from the teacher that has not seen it, in the order of folds"
    )
    soft: Literal["all", "own"] = Field(
        "all", description="`own`: no soft labels for a task that the pool is not labelled for"
    )
    hard_weight: float = 0.6
    relations: Literal["right", "wrong"] | None = Field(
        None, description="soft co-annotation of expressions from AUs by this table"
    )
    relations_weight: float = Field(1.0, description="of the co-annotation's loss")
    relations_temperature: float = Field(1.0, description="by which its scores are divided before the softmax")
    weigh: Literal["raw", "batch", "confidence", "known"] | None = Field(
        None, description="the expression losses of single rows"
    )
    weigh_after: float = Field(0.0, description="the share of the steps in which all rows count alike first")
    equal_start: bool = Field(default=False, description="learned weights begin at one half for every row")
    adjust: float = Field(0.0, description="adds this much of the log prior to the logits of expressions in training")
    balanced: bool = Field(default=False, description="draws every expression equally often")
    positive_weight: bool = Field(default=False, description="multiplies the loss of present AUs by absent / present")
    steps: float = Field(1.0, description="times the steps of the others")
    tuned: bool = Field(default=True, description="false: the usual weight decay")
    like: str | None = Field(None, description="takes the weight decay that was chosen for this arm")

    @model_validator(mode="after")
    def _learns_or_combines(self) -> Self:
        if self.combine and len(self.combine) != 3:
            raise ValueError("`combine` names three arms: of expressions, of valence and arousal, of AUs")
        if self.mean_of and self.combine:
            raise ValueError("give one of `mean_of` and `combine`")
        return self

    @property
    def trains(self) -> bool:
        """Whether there is something to train."""
        return not (self.mean_of or self.combine)

    @property
    def needs(self) -> tuple[str, ...]:
        """The arms that must be there before."""
        return (*self.mean_of, *self.combine, *self.teachers, *((self.like,) if self.like else ()))


class Claim(Strict):
    """One arm should be better than another."""

    claim: str
    better: str
    than: str
    metrics: tuple[Metric, ...] = ("accuracy", "macro_f1", "nll", "ccc", "ap", "f1_tuned")


class Case(Strict):
    """A world, and the arms that are tried in it."""

    faces: int = Field(description="of each of the three pools")
    votes: Literal["one", "all"]
    corrupted: float = 0.0
    arms: tuple[str, ...]


class Twin(Strict):
    """All of it."""

    seeds: int
    tuning_seeds: int = Field(description="more seeds, on which weight decay is chosen, and nothing is reported")
    steps: int
    batch: int = Field(description="rows of each pool in a step")
    learning_rate: float
    dropout: float
    usual_decay: float
    decays: tuple[float, ...] = Field(description="the grid; one more is tried where the best lies at its edge")
    components: int
    resamples: int = Field(description="of the faces, for intervals")
    worlds: dict[str, Case]
    arms: dict[str, Arm]
    claims: tuple[Claim, ...]

    @model_validator(mode="after")
    def _names_arms(self) -> Self:
        for place, names in self._mentions():
            unknown = [name for name in names if name not in self.arms]
            if unknown:
                raise ValueError(f"{place} names {unknown[0]!r}, which is no arm")
        return self

    def _mentions(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield from ((f"arms.{name}", arm.needs) for name, arm in self.arms.items())
        yield from ((f"worlds.{name}", case.arms) for name, case in self.worlds.items())
        yield from ((f"claim {claim.claim!r}", (claim.better, claim.than)) for claim in self.claims)

    def in_order(self, world: str) -> list[str]:
        """The arms of a world, those that others need before these."""
        found: list[str] = []

        def add(name: str) -> None:
            for needed in self.arms[name].needs:
                add(needed)
            if name not in found:
                found.append(name)

        for name in self.worlds[world].arms:
            add(name)
        return found


def read_twin(path: Path, changes: dict[str, object] | None = None) -> Twin:
    """The twin that a YAML file describes.

    Args:
        path: the file.
        changes: values in place of the file's, by key.

    Raises:
        UsageError: a key or a name is unknown, or a value cannot be used.
    """
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        return Twin(**{**values, **(changes or {})})
    except ValidationError as error:
        found = "; ".join(": ".join((*map(str, one["loc"]), one["msg"])) for one in error.errors())
        raise UsageError(f"'{path}': {found}") from error
