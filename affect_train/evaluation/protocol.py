"""Protocols: what makes two figures comparable, in a file whose hash stands beside every figure."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from affect_data.bounds import read_json
from affect_data.dataset.folder import LOCK, DatasetFolder
from affect_data.errors import DataError, UsageError
from affect_data.recipe_file import PROTOCOL, read_recipe_text, validated
from affect_data.vocabulary import ACTION_UNITS
from affect_train.errors import ModelMismatchError
from affect_train.evaluation.metrics import Absent
from affect_train.network.model import AffectConfig
from affect_train.recipe.section import Name, Section
from affect_train.recipe.training import CropOptions


class Protocol(Section):
    """How models are judged: which rows, by what, on which crop."""

    title: str = Field(description="what it is called; no part of the hash")
    split: Name = Field(description="the rows that are judged: those of this split with a label")
    databases: tuple[Name, ...] = Field((), description="and of these databases; by default all")
    metrics: dict[Literal["au", "expression", "va"], str] = Field(
        description="the metric of each task, such as `mean_average_precision`, `macro_f1`, `mean_ccc`"
    )
    action_units: tuple[int, ...] = Field((), description="that count; by default all of the model's")
    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.5, description="the probability from which an action unit counts as present"
    )
    occurrence_from: dict[Name, float] = Field(
        {}, description="the intensity from which an action unit counts as labelled present, by database"
    )
    absent: Absent = Field("skip", description="what a class neither predicted nor present does to a mean F1")
    crop: CropOptions = Field(CropOptions(), description="how faces are cut out, as in a training recipe")

    @field_validator("metrics")
    @classmethod
    def _are_known(cls, metrics: dict[Any, str]) -> dict[Any, str]:
        for task, metric in metrics.items():
            if metric not in METRICS[task]:
                raise ValueError(f"{task}: found {metric!r}; expected one of {', '.join(METRICS[task])}")
        if not metrics:
            raise ValueError("name the metric of one task at least")
        return metrics

    @field_validator("action_units")
    @classmethod
    def _are_action_units(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        unknown = [number for number in numbers if number not in ACTION_UNITS]
        if unknown:
            raise ValueError(f"AU {', '.join(map(str, unknown))} not in the vocabulary")
        return tuple(sorted(set(numbers)))

    def digest(self) -> str:
        """The hash of everything that a figure depends on, 16 hexadecimal digits."""
        content = self.model_dump(mode="json", exclude={"title"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def stated(self) -> dict[str, str]:
        """What stands beside a figure: title and hash."""
        return {"title": self.title, "hash": self.digest()}


METRICS = {
    "au": ("mean_average_precision", "mean_auroc", "mean_f1", "accuracy"),
    "expression": ("macro_f1", "accuracy"),
    "va": ("mean_ccc", "valence_ccc", "arousal_ccc"),
}
"""What a protocol may judge by, by task."""


def read_protocol(path: Path | str) -> Protocol:
    """The validated protocol of a YAML file.

    Raises:
        UsageError: the file does not exist.
        RecipeError: lists every mistake, with its line.
    """
    return validated(Protocol, read_recipe_text(Path(path), PROTOCOL))


def check_protocol(protocol: Protocol, config: AffectConfig, folder: DatasetFolder) -> None:
    """Refuses a model or a dataset that a protocol does not fit.

    Raises:
        ModelMismatchError: the model lacks a task or an action unit of the protocol, or sees other crops.
        UsageError: no row of the dataset has a label of one of its action units, or of its databases.
        DataError: the dataset was built with another intensity threshold.
    """
    tasks, where = config.task_set(), f"the model, judged by '{protocol.title}'"
    lacking: list[str] = [task for task in protocol.metrics if task not in tasks.names]
    lacking += [f"AU{number}" for number in protocol.action_units if number not in tasks.action_units]
    if lacking:
        raise ModelMismatchError(
            where, f"no {', '.join(lacking)}", "all of it predicted", "judge by a protocol of the model's own tasks"
        )
    check_crop(protocol, config.preprocessing, where)
    check_dataset(protocol, folder)


def check_crop(protocol: Protocol, crop: dict[str, Any], where: str) -> None:
    """Refuses another crop than the protocol's.

    Raises:
        ModelMismatchError: a setting differs.
    """
    wanted, policy = protocol.crop.model_dump(mode="json"), crop.get("policy")
    found = {**crop, "policy": policy["name"] if policy else "box"}
    names = ["policy", *(["margin"] if protocol.crop.policy == "box" else []), "reduced_scale"]
    crop = {name: found.get(name, wanted[name]) for name in names}
    differing = [name for name in names if crop[name] != wanted[name]]
    if differing:
        raise ModelMismatchError(
            where,
            ", ".join(f"crop.{name} {crop[name]}" for name in differing),
            ", ".join(f"{wanted[name]}" for name in differing),
            "train with the crop of the protocol, or judge by a protocol with this crop",
        )


def check_dataset(protocol: Protocol, folder: DatasetFolder) -> None:
    """Refuses a dataset that lacks what a protocol names.

    Raises:
        UsageError: no row has a label of one of its action units, or is of one of its databases.
        DataError: the dataset was built with another intensity threshold.
    """
    folder.rows(protocol.split)
    layout = folder.manifest.layout
    unknown = [name for name in protocol.databases if name not in layout.databases]
    unknown += [f"AU{number}" for number in protocol.action_units if number not in layout.action_units]
    if unknown:
        raise UsageError(
            f"the protocol '{protocol.title}' names {', '.join(unknown)}, of which '{folder.path}' has no row; "
            "judge on a dataset that has them, or by another protocol"
        )
    lock = folder.path / LOCK
    built = read_json(lock).get("recipe", {}).get("databases", {}) if lock.exists() else {}
    for name, wanted in protocol.occurrence_from.items():
        found = (
            built.get(name, {}).get("action_unit_threshold", "an unknown one") if name in layout.databases else wanted
        )
        if found != wanted:
            raise DataError(
                f"the protocol '{protocol.title}' counts action units of {name} from an intensity of {wanted:g}; '{folder.path}' was built "
                f"with {found}: build it with `databases: {{{name}: {{action_unit_threshold: {wanted:g}}}}}`"
            )
