"""Image classifiers of the library transformers as teachers, by the names of their classes."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from affect_data.vocabulary import expression_named, slot_of
from affect_train.inputs.preprocess import Preprocessing
from affect_train.labelling.teachers.base import Teacher, TeacherError, TeacherLogits
from affect_train.labelling.teachers.description import TeacherDescription
from affect_train.network.backbones import in_own_memory
from affect_train.run_folder import files_digest
from affect_train.tasks import TaskSet

ACTION_UNIT = re.compile(r"(?i)(?:au|action unit)[ _-]?0*(\d+)")
WEIGHTS = ("*.safetensors", "*.bin")

RENAME = "Give a YAML with `format: transformers`, `file` and `classes`: the vocabulary's names in the model's order, null to leave one out"


class ClassifierTeacher(Teacher):
    """A classifier over expressions, or a multi-label classifier over action units.

    The face is cut out as for every other model and normalised by the model's own mean and deviation.

    Args:
        source: local folder or Hub id.
        classes: names in place of the model's own, None leaves one out; empty: the model's own.
        name: of the teacher; the folder's name or the Hub id by default.
        margin: around the face box.

    Raises:
        TeacherError: it cannot be loaded, or its classes are neither expressions nor action units.
    """

    def __init__(
        self, source: str | Path, classes: Sequence[str | None] = (), name: str | None = None, margin: float = 0.2
    ) -> None:
        is_local = Path(source).is_dir()
        name = name or (Path(source).resolve().name if is_local else str(source))
        self.model, processor = _load(source, name)
        own = [str(self.model.config.id2label[position]) for position in range(self.model.config.num_labels)]
        if classes and len(classes) != len(own):
            raise TeacherError(
                name, f"`classes` names {len(classes)}, the model has {len(own)}: {', '.join(own)}", RENAME
            )
        self._columns, tasks = _heads(classes or own, name, is_multi_label=_is_multi_label(self.model.config))
        size, scale, mean, std = _normalisation(processor, name)
        self._scale = torch.tensor([scale / side for side in std]).reshape(1, 3, 1, 1)
        self._shift = torch.tensor([-centre / side for centre, side in zip(mean, std, strict=True)]).reshape(1, 3, 1, 1)
        revision = _revision(Path(source)) if is_local else str(self.model.config._commit_hash)
        origin = hashlib.sha256(f"{revision} {list(classes or own)}".encode()).hexdigest()
        super().__init__(name, origin, tasks, Preprocessing(size, margin))

    def to(self, device: torch.device) -> "ClassifierTeacher":
        """The same teacher on `device`."""
        super().to(device)
        self.model.to(device)
        self._scale, self._shift = self._scale.to(device), self._shift.to(device)
        return self

    def logits(self, pixels: Tensor) -> TeacherLogits:
        """The logits of the named classes or action units, float [N, width] by head."""
        found = self.model(torch.addcmul(self._shift, pixels.float(), self._scale)).logits
        return {head: found[:, columns] for head, columns in self._columns.items()}


def described_classifier(description: TeacherDescription, path: Path) -> ClassifierTeacher:
    """The classifier that a description names: a folder beside the description, or a Hub id."""
    beside = path.parent / description.file
    margin = description.input.margin if description.input is not None else 0.2
    source = beside if beside.is_dir() else description.file
    return ClassifierTeacher(source, description.classes, path.stem, margin)


def _load(source: str | Path, name: str) -> tuple[Any, Mapping[str, Any]]:
    from transformers import AutoModelForImageClassification
    from transformers.image_processing_base import ImageProcessingMixin

    try:
        model, report = AutoModelForImageClassification.from_pretrained(source, output_loading_info=True)
        processor, _ = ImageProcessingMixin.get_image_processor_dict(source)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        because = " ".join(str(error).split())[:300]
        raise TeacherError(
            name,
            f"transformers cannot load an image classifier and its image processor ({because})",
            "Name a folder of `save_pretrained` with preprocessor_config.json, or a Hub id that can be reached",
        ) from error
    lost = sorted(report["missing_keys"])
    if lost:
        raise TeacherError(
            name, f"weights are missing: {', '.join(lost[:5])}", "Name a trained classifier, not a backbone"
        )
    in_own_memory(model)
    return model.eval(), processor


def _is_multi_label(config: Any) -> bool:  # noqa: ANN401 - a configuration of transformers
    return bool(config.problem_type == "multi_label_classification")


def _heads(names: Sequence[str | None], teacher: str, *, is_multi_label: bool) -> tuple[dict[str, list[int]], TaskSet]:
    units, expressions, unknown = {}, {}, []
    for position, name in enumerate(names):
        if name is None:
            continue
        unit = ACTION_UNIT.fullmatch(name.strip())
        try:
            if unit:
                slot_of(int(unit[1]))
                units[int(unit[1])] = position
            else:
                expressions[expression_named(name)] = position
        except ValueError:
            unknown.append(name)
    if unknown:
        raise TeacherError(teacher, f"no expression or action unit is called {', '.join(map(repr, unknown))}", RENAME)
    if len(units) + len(expressions) != sum(name is not None for name in names):
        raise TeacherError(teacher, f"classes are named twice: {', '.join(map(str, names))}", RENAME)
    if expressions and is_multi_label:
        raise TeacherError(
            teacher, "its expressions exclude nothing (multi-label)", "Expressions need a softmax over classes"
        )
    if units and not is_multi_label:
        raise TeacherError(
            teacher,
            "its action units exclude one another (softmax)",
            "Action units need `problem_type: multi_label_classification`",
        )
    columns = {"au": list(units.values()), "expression": list(expressions.values())}
    return {head: found for head, found in columns.items() if found}, TaskSet(tuple(units), tuple(expressions))


def _normalisation(processor: Mapping[str, Any], name: str) -> tuple[int, float, list[float], list[float]]:
    """Side of the input, and scale, mean and deviation of pixels from 0 to 255."""
    cropped = processor.get("crop_size") if processor.get("do_center_crop") else None
    size = cropped or processor.get("size")
    sides = set(size.values()) if isinstance(size, Mapping) else {size}
    if len(sides) != 1 or not isinstance(side := sides.pop(), int):
        raise TeacherError(name, f"its input size is {size!r}", "Square inputs of a fixed size are known")
    scale = processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1.0
    if not processor.get("do_normalize", True):
        return side, scale, [0.0] * 3, [1.0] * 3
    mean, std = processor.get("image_mean"), processor.get("image_std")
    if not (mean and std and len(mean) == len(std) == 3):
        raise TeacherError(name, f"its image processor has mean {mean!r} and std {std!r}", "Three channels are known")
    return side, scale, list(mean), list(std)


def _revision(folder: Path) -> str:
    return files_digest([folder / "config.json", *sorted(file for kind in WEIGHTS for file in folder.glob(kind))])
