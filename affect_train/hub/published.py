"""``affectkit.json`` of a model: what a published model says of itself, for its card and for the next `publish`."""

from typing import Any, Final, Literal

from pydantic import ValidationError

from affect_data.bounds import parse_json
from affect_data.errors import DataError
from affect_data.hub.published import PUBLISHED, Description, FileFacts, Source

CONFIG: Final = "config.json"
PROCESSOR: Final = "preprocessor_config.json"
GRAPH: Final = "model.onnx"
TEACHER: Final = "teacher.yaml"
RECIPE: Final = "recipe.yaml"
EVALUATION: Final = "evaluation.json"


class PublishedModel(Description):
    """The content of the file.

    Attributes:
        format, format_version: what kind of repository this is; another kind or version is not read.
        affectkit_version: that published it.
        name: of the repository.
        weights: sha256 over the weight files, as soft labels and evaluations state it.
        trained_on: name, fingerprint and, of a dataset of the Hub, commit of what it was trained on.
        groups: fingerprints of the column groups that the training used.
        sources: the databases of that dataset by name, as published datasets state them.
        opset: of the ONNX graph; 0 if there is none.
        left_out: files that were not published, and why.
        files: every file except this one and the card.
    """

    format: Literal["affectkit-model"] = "affectkit-model"
    format_version: Literal[1] = 1
    affectkit_version: str
    name: str
    weights: str
    trained_on: dict[str, Any]
    groups: dict[str, str]
    sources: dict[str, Source]
    opset: int
    left_out: dict[str, str]
    files: dict[str, FileFacts]


def read_published_model(data: bytes, where: str) -> PublishedModel:
    """What a repository says of its model.

    Args:
        data: bytes of its ``affectkit.json``.
        where: names the repository in errors.

    Raises:
        DataError: this version of affectkit cannot read it.
    """
    try:
        return PublishedModel.model_validate(parse_json(data, PUBLISHED))
    except (ValueError, ValidationError) as error:
        because = str(error).splitlines()[0]
        raise DataError(
            f"{where}: {PUBLISHED} is none of a model that this affectkit reads ({because}). Update affectkit, or choose another repository"
        ) from None
