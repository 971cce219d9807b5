"""Models that label faces: our own, image classifiers of transformers, ONNX and TFLite files with a description."""

from pathlib import Path

from affect_data.bounds import read_json
from affect_data.errors import UsageError
from affect_train.addresses import HubAddress, described_model, hub_address
from affect_train.errors import NotAModelError
from affect_train.inference.target_prior import TargetPrior
from affect_train.labelling.teachers.base import Teacher, TeacherError, TeacherLogits
from affect_train.labelling.teachers.own import AffectTeacher
from affect_train.network.model import AffectConfig
from affect_train.run_folder import MODEL_CONFIG

__all__ = ["AffectTeacher", "Teacher", "TeacherError", "TeacherLogits", "open_teacher"]


def open_teacher(source: str | Path | Teacher, target: TargetPrior | None = None) -> Teacher:
    """The teacher that a source names.

    Args:
        source: a teacher itself; a run folder or model folder of affect_train; a description (``.yaml``); a folder of an image classifier of
            transformers; the Hub id of a model that affect_train published, or of an image classifier.
        target: the prior that the logits of a model of affect_train are moved to; None: they stay as they are.

    Raises:
        NotAModelError: the source is none of these.
        UsageError: a file that a description names is missing; or the teacher cannot be moved to the prior.
        RecipeError: a description has mistakes.
        TeacherError: the model does not fit its description, or the names of its classes are not in the vocabulary.
        HubError: the Hub has no such repository, refuses, or cannot be reached.
    """
    if target is not None:
        return _moved(source, target)
    if isinstance(source, Teacher):
        return source
    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        return _described(path)
    if path.is_dir():
        return _foreign(path) if _is_foreign(path) else AffectTeacher(path)
    if path.suffix in (".onnx", ".tflite"):
        raise UsageError(
            f"'{source}': the file does not say what its outputs mean; name a YAML that does, see docs/teachers.md"
        )
    address = hub_address(source)
    return AffectTeacher(path) if address is None else _on_the_hub(address)


def _moved(source: str | Path | Teacher, target: TargetPrior) -> Teacher:
    """A model of affect_train, moved to another prior: no other says how often its labels were."""
    address = None if isinstance(source, Teacher) or Path(source).is_dir() else hub_address(source)
    own = not isinstance(source, Teacher) and (
        (Path(source).is_dir() and not _is_foreign(Path(source)))
        or (address is not None and described_model(address, MODEL_CONFIG).get("model_type") == AffectConfig.model_type)
    )
    if not own:
        raise UsageError(
            f"'{source}' is no model of affect_train, so its training labels' frequencies are not known: leave --prior out"
        )
    return AffectTeacher(str(source), target)


def _described(path: Path) -> Teacher:
    from affect_train.labelling.teachers.description import read_description

    description = read_description(path)
    if description.format == "transformers":
        from affect_train.labelling.teachers.classifier import described_classifier

        return described_classifier(description, path)
    from affect_train.labelling.teachers.described import GraphTeacher

    return GraphTeacher(description, path)


def _foreign(source: str | Path) -> Teacher:
    from affect_train.labelling.teachers.classifier import ClassifierTeacher

    return ClassifierTeacher(source)


def _on_the_hub(address: HubAddress) -> Teacher:
    if described_model(address, MODEL_CONFIG).get("model_type") == AffectConfig.model_type:
        return AffectTeacher(str(address))
    if address.revision:
        raise UsageError(
            f"'{address}' is no model of affect_train, and of others the newest revision is used: name it as {address.name}, or give a folder"
        )
    return _foreign(address.name)


def _is_foreign(path: Path) -> bool:
    """Whether a folder holds a model of transformers that is not ours."""
    try:
        config = read_json(path / MODEL_CONFIG)
    except FileNotFoundError:
        return False
    except ValueError as error:
        raise NotAModelError(path, f"{MODEL_CONFIG} is not readable ({error})", "Name another folder") from error
    return isinstance(config, dict) and config.get("model_type") != AffectConfig.model_type
