"""Everything of a run that is to be published, written to a folder beside it."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from affect_data.bounds import read_json
from affect_data.databases.base import Tier
from affect_data.dataset.folder import open_dataset
from affect_data.errors import DataError, UsageError
from affect_data.files import exclusive, link_file, with_a_name, write_json, write_text
from affect_data.hub.policy import Terms, terms_of
from affect_data.hub.published import PUBLISHED
from affect_data.hub.staging import facts_of, source_of
from affect_data.system_errors import writing_to
from affect_train.hub.export import OPSET, NotExportedError, export_onnx, teacher_description
from affect_train.hub.processor import AffectImageProcessor
from affect_train.hub.published import (
    CONFIG,
    EVALUATION,
    GRAPH,
    PROCESSOR,
    RECIPE,
    TEACHER,
    PublishedModel,
)
from affect_train.inference.inference import open_model
from affect_train.inputs.preprocess import Preprocessing
from affect_train.network.model import AffectModel
from affect_train.recipe.recipe import Recipe, read_recipe
from affect_train.run_folder import RunFolder, model_folder, weights_digest

UNKNOWN: Final = "terms not known to affectkit"


@dataclass(frozen=True)
class StagedModel:
    """What is ready to be published.

    Attributes:
        folder: holds every file except the card.
        published: its ``affectkit.json``.
        config, evaluation: the content of these files; the evaluation is empty if there is none of these weights.
        recipe: of the run.
        terms: of the databases that the model was trained on.
    """

    folder: Path
    published: PublishedModel
    config: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    recipe: Recipe
    terms: Mapping[str, Terms]


@contextmanager
def staged_model(path: Path, repository: str, dataset: Path | None = None) -> Iterator[StagedModel]:
    """A run's published files in a hidden folder beside it, which is removed at the end of the block.

    Args:
        path: run folder.
        repository: its name on the Hub.
        dataset: that the run was trained on; by default where its recipe says that it is.

    Raises:
        UsageError: this is no run folder, or the dataset is not there.
        DataError: the dataset is another one than the run was trained on, a file cannot be read, or the disk is full.
        NotAModelError: the run has no finished model.
    """
    run = RunFolder(path)
    contents = _contents(run)
    recipe = read_recipe(run.recipe)
    terms = _terms(recipe, contents, dataset)
    folder = with_a_name(path).parent / f".{with_a_name(path).name}.publishing"
    # The lock of training: nobody changes the model while it is read, and nobody else stages it.
    with exclusive(path, new=False):
        model, preprocessing = open_model(model_folder(run.model))
        shutil.rmtree(folder, ignore_errors=True)
        try:
            with writing_to(folder):
                folder.mkdir()
                staged = _stage(run, folder, repository, contents, recipe, terms, model, preprocessing)
            yield staged
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _contents(run: RunFolder) -> dict[str, Any]:
    if not (run.recipe.is_file() and run.contents.is_file()):
        raise UsageError(
            f"'{run.path}' is no run folder: the card needs its {run.recipe.name} and {run.contents.name}. Name the folder that "
            "`affect-train train` wrote"
        )
    try:
        found: dict[str, Any] = read_json(run.contents)
    except (OSError, ValueError) as error:
        raise DataError(f"'{run.contents}' cannot be read ({error}); train again") from error
    return found


def _terms(recipe: Recipe, contents: Mapping[str, Any], dataset: Path | None) -> dict[str, Terms]:
    """The terms of the databases that a run was trained on."""
    if not isinstance(recipe.dataset, str):
        return {contents["name"]: Terms(contents["name"], UNKNOWN, Tier.RECIPE, "")}
    path, seen = dataset or Path(recipe.dataset), contents["dataset"]["fingerprint"]
    if dataset is None and not path.is_dir():
        raise UsageError(
            f"the dataset '{path}' is not here, and the card names its databases and their licences: say where it is by --dataset"
        )
    folder = open_dataset(path)
    if folder.fingerprint != seen:
        raise DataError(
            f"'{path}' has the fingerprint {folder.fingerprint}, the run was trained on {seen}: name that dataset by --dataset, or train again"
        )
    return terms_of(folder)


def _stage(
    run: RunFolder,
    folder: Path,
    repository: str,
    contents: Mapping[str, Any],
    recipe: Recipe,
    terms: Mapping[str, Terms],
    model: AffectModel,
    preprocessing: Preprocessing,
) -> StagedModel:
    for file in run.model.glob("*.safetensors*"):
        link_file(file, folder / file.name)
    write_text(folder / CONFIG, (run.model / CONFIG).read_text(encoding="utf-8"))
    processor = AffectImageProcessor(model.config.preprocessing, model.config.preprocessing_hash)
    write_text(folder / PROCESSOR, processor.to_json_string())
    write_text(folder / RECIPE, recipe.to_yaml())
    weights = weights_digest(run.model)
    evaluation, left_out = _evaluation(run, weights, model.config.thresholds, model.config.action_units)
    if evaluation:
        write_json(folder / EVALUATION, evaluation)
    left_out |= _export(model, preprocessing, folder)
    published = PublishedModel(
        affectkit_version=version("affectkit"),
        name=repository,
        weights=weights,
        trained_on={"name": contents["name"], **contents["dataset"]},
        groups=contents["groups"],
        sources={name: source_of(name, own) for name, own in terms.items()},
        opset=0 if GRAPH in left_out else OPSET,
        left_out=left_out,
        files={file.name: facts_of(file) for file in sorted(folder.iterdir())},
    )
    write_text(folder / PUBLISHED, published.text())
    config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return StagedModel(folder, published, config, evaluation, recipe, terms)


def _export(model: AffectModel, preprocessing: Preprocessing, folder: Path) -> dict[str, str]:
    """Files that could not be written, and why."""
    try:
        export_onnx(model, folder / GRAPH)
    except NotExportedError as error:
        return {
            GRAPH: str(error),
            TEACHER: f"it would describe {GRAPH}; by its name the model is a teacher all the same",
        }
    if preprocessing.policy is not None:
        return {
            TEACHER: f"descriptions know no crop policies; by its name the model is a teacher all the same, of {preprocessing.described}"
        }
    write_text(folder / TEACHER, teacher_description(model, preprocessing, GRAPH))
    return {}


def _evaluation(
    run: RunFolder, weights: str, thresholds: list[float], units: list[int]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The run's evaluation, and, if it is none of these weights and thresholds, why it is left out."""
    again = "evaluate the run again: `affect-train evaluate`"
    try:
        found = read_json(run.evaluation)
    except FileNotFoundError:
        return {}, {EVALUATION: f"there is none; {again}"}
    except (OSError, ValueError) as error:
        raise DataError(f"'{run.evaluation}' cannot be read ({error}); {again}") from error
    if found.get("weights") != weights:
        return {}, {EVALUATION: f"it is of other weights; {again}"}
    now = {str(unit): limit for unit, limit in zip(units, thresholds, strict=True)}
    for split in found["splits"].values():
        judged = split["overall"].get("au", {}).get("by_action_unit", {})
        if any(entry["threshold"] != now[unit] for unit, entry in judged.items()):
            return {}, {EVALUATION: f"it is of other thresholds; {again}"}
    return found, {}
