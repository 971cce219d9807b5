"""The training recipe: its sections together, how it is read, and how a resolved recipe is stored."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from affect_data.files import write_text
from affect_data.recipe_file import TRAINING_RECIPE, RecipeText, read_recipe_text, validated
from affect_data.yaml12 import write_yaml
from affect_train.recipe.dataset import DatasetEntry
from affect_train.recipe.methods.options import MethodSection
from affect_train.recipe.methods.supervised import SupervisedOptions
from affect_train.recipe.model import ModelOptions, TaskOptions
from affect_train.recipe.optimization import OptimizerOptions, ScheduleOptions
from affect_train.recipe.rules import contradictions
from affect_train.recipe.section import Name, Section
from affect_train.recipe.training import (
    AugmentationOptions,
    BatchOptions,
    CropOptions,
    TrainingOptions,
)


class Recipe(Section):
    """Everything that a training run depends on."""

    dataset: DatasetEntry = Field(
        description="a dataset folder, or `{path, columns, ...}` for a dataset of the Hub or of another kind (docs/datasets.md)"
    )
    output: Annotated[str, StringConstraints(min_length=1)] = Field(description="the folder of the run")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(0, description="of weights, order, augmentation and dropout")
    tasks: TaskOptions
    model: ModelOptions
    method: MethodSection = SupervisedOptions()
    soft_labels: tuple[Name, ...] = Field((), description="soft-label groups of the dataset")
    batches: BatchOptions = BatchOptions()
    augmentation: AugmentationOptions = AugmentationOptions()
    crop: CropOptions = CropOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    schedule: ScheduleOptions = ScheduleOptions()
    training: TrainingOptions = TrainingOptions()

    def to_yaml(self) -> str:
        """The recipe as YAML with every default written out; `read_recipe` reads an equal recipe from it."""
        return write_yaml(self.model_dump(mode="json"))

    def write(self, path: Path) -> None:
        """Writes `to_yaml` to a file, whole or not at all."""
        write_text(path, self.to_yaml())


def read_recipe(path: Path | str, overrides: Iterable[str] = ()) -> Recipe:
    """The validated recipe of a YAML file.

    Args:
        path: the file.
        overrides: ``key.key=value``, applied in order; the values are YAML.

    Raises:
        UsageError: the file does not exist.
        RecipeError: the file is no training recipe, or has mistakes; lists every mistake, with its line.
    """
    return validated(Recipe, read_recipe_text(Path(path), TRAINING_RECIPE, overrides), contradictions)


def recipe_from(values: Mapping[str, Any], overrides: Iterable[str] = ()) -> Recipe:
    """The validated recipe of plain values, as YAML would give them.

    Raises:
        RecipeError: lists every mistake.
    """
    text = RecipeText.of(values)
    for setting in overrides:
        text.override(setting)
    return validated(Recipe, text, contradictions)
