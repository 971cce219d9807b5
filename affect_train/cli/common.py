"""What the commands of ``affect-train`` share: options, printing, and the end of their processes."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from affect_data.cli.common import Debug as Debug
from affect_data.cli.common import Json as Json
from affect_data.cli.common import out_console as out_console
from affect_data.cli.common import print_next as print_next
from affect_data.errors import UsageError

if TYPE_CHECKING:
    from affect_train.inference.target_prior import TargetPrior
    from affect_train.recipe.section import HeldOutOptions

Workers = Annotated[
    int | None,
    typer.Option(
        min=0, help="Processes that decode images; 0: the main process. By default what the machine has beside a GPU."
    ),
]

BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Rows that the model sees at a time; by default as many as in its run (`batches.evaluation`), or 64.",
    ),
]
Precision = Annotated[
    Literal["no", "bf16", "fp16"] | None,
    typer.Option(
        help="Of the forward passes; `no` is float32. By default that of the model's run, where the device has it."
    ),
]

PriorName = Annotated[
    str | None,
    typer.Option(
        "--prior",
        metavar="uniform|FILE",
        help="Move the logits from the training labels' frequencies to these: equal ones, or those of a YAML file (docs/methods.md).",
    ),
]
PriorStrength = Annotated[
    float, typer.Option(min=0.0, help="With --prior: the part of the way; 0.5 is half of the adjustment.")
]


def target_prior(named: str | None, strength: float) -> "TargetPrior | None":
    """The prior that ``--prior`` names; None without it.

    Raises:
        UsageError: there is no such file, or a strength without a prior.
        RecipeError: the file has mistakes.
    """
    if named is None:
        if strength != 1.0:
            raise UsageError("--prior-strength: says how far logits go to a prior; name it by `--prior uniform`")
        return None
    from affect_train.inference.target_prior import TargetPrior

    target = TargetPrior(named, strength)
    # Read now, so that a mistake in the file is reported before anything is loaded.
    _ = target.prior
    return target


def print_json(document: object) -> None:
    """Prints one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def named_fold(text: str) -> "HeldOutOptions":
    """The fold that ``NAME:NUMBER`` names.

    Raises:
        UsageError: the text does not have this form.
    """
    from affect_train.recipe.section import HeldOutOptions

    name, colon, number = text.rpartition(":")
    if not (name and colon and number.isdecimal()):
        raise UsageError(f"--fold: found '{text}'; expected NAME:NUMBER, such as jaa:0")
    return HeldOutOptions(folds=name, fold=int(number))


def leave_process_group() -> None:
    """Leaves torch's process group, if there is one: torch complains about processes that end inside a group."""
    # Not imported: a command without several processes does not use it, and the import takes seconds.
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
