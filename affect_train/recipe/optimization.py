"""The sections of a training recipe on the rule of an update and on the learning rate over time, by the names of torch and transformers."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from affect_train.recipe.section import Section, Share, Weight

BETAS: Final = (0.9, 0.999)


@dataclass(frozen=True)
class Rule:
    """An optimizer of ``torch.optim``.

    Attributes:
        torch_name: its class there.
        options: arguments of the class that a recipe may give beside those that all recipes have.
        betas: whether it takes two of them.
        fused: whether torch has one kernel for all weights, which runs where the device has it.
    """

    torch_name: str
    options: frozenset[str]
    betas: bool = False
    fused: bool = False


OPTIMIZERS: Final[Mapping[str, Rule]] = {
    "adamw": Rule("AdamW", frozenset({"eps", "amsgrad"}), betas=True, fused=True),
    "adam": Rule("Adam", frozenset({"eps", "amsgrad", "decoupled_weight_decay"}), betas=True, fused=True),
    "nadam": Rule("NAdam", frozenset({"eps", "momentum_decay", "decoupled_weight_decay"}), betas=True),
    "radam": Rule("RAdam", frozenset({"eps", "decoupled_weight_decay"}), betas=True),
    "adamax": Rule("Adamax", frozenset({"eps"}), betas=True),
    "adafactor": Rule("Adafactor", frozenset({"beta2_decay", "d"})),
    "adagrad": Rule("Adagrad", frozenset({"lr_decay", "initial_accumulator_value", "eps"}), fused=True),
    "adadelta": Rule("Adadelta", frozenset({"rho", "eps"})),
    "rmsprop": Rule("RMSprop", frozenset({"alpha", "eps", "momentum", "centered"})),
    "sgd": Rule("SGD", frozenset({"momentum", "dampening", "nesterov"}), fused=True),
}
"""By name; those whose update takes the loss again (LBFGS), or sparse gradients, are none of them."""

_COSINE = frozenset({"num_cycles"})
_LEAST = frozenset({"min_lr", "min_lr_rate"})

SCHEDULES: Final[Mapping[str, frozenset[str]]] = {
    "cosine": frozenset(),
    "constant": frozenset(),
    "linear": frozenset(),
    "cosine_with_restarts": _COSINE,
    "cosine_with_min_lr": _COSINE | _LEAST,
    "cosine_warmup_with_min_lr": _COSINE | _LEAST | {"warmup_lr_rate"},
    "polynomial": frozenset({"lr_end", "power"}),
    "inverse_sqrt": frozenset({"timescale"}),
    "warmup_stable_decay": _COSINE
    | {"num_decay_steps", "num_stable_steps", "warmup_type", "decay_type", "min_lr_ratio"},
}
"""The options of each schedule by its name. `reduce_lr_on_plateau` and `greedy`, which look at scores on the way, are left out."""

NEEDED: Final[Mapping[str, frozenset[str]]] = {
    "cosine_with_min_lr": _LEAST,
    "cosine_warmup_with_min_lr": _LEAST,
    "warmup_stable_decay": frozenset({"num_decay_steps"}),
}
"""Options of schedules of which one must be given."""

OWN_SCHEDULES: Final = ("cosine", "constant")
"""Schedules by our own formula, whose first step has a rate above 0 and whose last is followed by 0."""

Value = bool | int | float | str


class OptimizerOptions(Section):
    """The rule of an update: an optimizer of torch."""

    name: Literal["adamw", "adam", "nadam", "radam", "adamax", "adafactor", "adagrad", "adadelta", "rmsprop", "sgd"] = (
        Field("adamw", description="the rule of an update, by its name in torch")
    )
    learning_rate: Annotated[float, Field(gt=0.0)] = Field(1e-3, description="after the warm-up")
    weight_decay: Weight = Field(
        0.05,
        description="share of the learning rate by which weights shrink at each step (`adamw`, `adafactor`), or of the weights that is added "
        "to their gradient (others); biases and norms have none",
    )
    betas: tuple[Share, Share] = Field(
        BETAS,
        description="decay of the gradient's running mean and of that of its square, for optimizers with `adam` in their names",
    )
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        1.0, description="each layer of the backbone learns this much slower than the one above it; 1: all alike"
    )
    options: dict[str, Value] = Field(
        {}, description="other arguments of the optimizer, such as `{momentum: 0.9}` for `sgd`"
    )

    @field_validator("betas")
    @classmethod
    def _are_taken(cls, betas: tuple[float, float], info: ValidationInfo) -> tuple[float, float]:
        name = info.data.get("name", "adamw")
        if betas != BETAS and not OPTIMIZERS[name].betas:
            raise ValueError(f"{name} takes none; remove them")
        return betas

    @field_validator("options")
    @classmethod
    def _are_known(cls, options: dict[str, Value], info: ValidationInfo) -> dict[str, Value]:
        name = info.data.get("name", "adamw")
        return known(options, OPTIMIZERS[name].options, name)

    @property
    def rule(self) -> Rule:
        """What torch calls the optimizer, and what it takes."""
        return OPTIMIZERS[self.name]


class ScheduleOptions(Section):
    """The learning rate over time: a schedule of transformers, or one of two of our own."""

    name: Literal[
        "cosine",
        "constant",
        "linear",
        "cosine_with_restarts",
        "cosine_with_min_lr",
        "cosine_warmup_with_min_lr",
        "polynomial",
        "inverse_sqrt",
        "warmup_stable_decay",
    ] = Field(
        "cosine",
        description="`cosine`: the rate falls to 0 over the run along half a cosine; `constant`: it stays; others as transformers defines them",
    )
    warmup_steps: Annotated[int, Field(ge=0)] = Field(0, description="updates over which the rate rises from 0")
    options: dict[str, Value] = Field(
        {},
        validate_default=True,
        description="arguments of the schedule, such as `{min_lr_rate: 0.1}` for `cosine_with_min_lr`",
    )

    @field_validator("options")
    @classmethod
    def _are_known(cls, options: dict[str, Value], info: ValidationInfo) -> dict[str, Value]:
        name = info.data.get("name", "cosine")
        needed = NEEDED.get(name, frozenset())
        if needed and not needed & options.keys():
            raise ValueError(f"{name} needs {' or '.join(sorted(needed))}")
        return known(options, SCHEDULES[name], name)


def known(options: dict[str, Any], names: Collection[str], of: str) -> dict[str, Any]:
    """The options, if all have names that are taken.

    Raises:
        ValueError: says which is not, and which are.
    """
    for name in options:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            taken = f"known: {', '.join(sorted(names))}" if names else "it takes none"
            raise ValueError(f"{of} has no option {name!r}; {taken}{hint}")
    return options
