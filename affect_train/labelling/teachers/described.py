"""ONNX and TFLite models as teachers, by their descriptions."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affect_train.inputs.preprocess import Preprocessing
from affect_train.labelling.teachers.base import Teacher, TeacherError, TeacherLogits
from affect_train.labelling.teachers.description import Input, Output, TeacherDescription, model_file
from affect_train.labelling.teachers.graphs import Arrays, open_graph
from affect_train.labelling.teachers.outputs import kept_columns, logits_of_classes, logits_of_numbers, logits_of_units
from affect_train.run_folder import files_digest

if TYPE_CHECKING:
    from pydantic.main import IncEx

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue, as ITU-R BT.601 and the image libraries have them."""

CHECK = "Compare the description's `outputs` with the model's documentation"


class GraphTeacher(Teacher):
    """A model file and the description that gives its outputs their names.

    Args:
        description: validated.
        path: of the description.

    Raises:
        UsageError: the file is missing, or its runtime is not installed.
        TeacherError: input or outputs are not as the description says.
    """

    def __init__(self, description: TeacherDescription, path: Path) -> None:
        file = model_file(description, path)
        assert description.input is not None
        self.description = description
        self.input = description.input
        self._graph = open_graph(description.format, file, self.input.name)
        described = description.model_dump_json(exclude=_without_default(description))
        revision = hashlib.sha256(f"{files_digest(self._graph.files)} {described}".encode())
        preprocessing = Preprocessing(self.input.size, self.input.margin, self.input.reduced_scale)
        super().__init__(path.stem, revision.hexdigest(), description.task_set(), preprocessing)
        self._check_input()
        # Two grey pictures show whether the outputs fit the description, before a whole dataset is labelled.
        self.logits(torch.full((2, 3, self.input.size, self.input.size), 128, dtype=torch.uint8))

    @property
    def view(self) -> str:
        """The crop, and the colour and normalisation that the description gives."""
        given = self.input
        normalised = f"(pixels * {given.scale:.6g} - {list(given.mean)}) / {list(given.std)}"
        return f"{super().view}, {given.colour}, {normalised}"

    def to(self, device: torch.device) -> "GraphTeacher":
        """The same teacher: its runtime chooses the device itself, and takes pixels from main memory."""
        del device
        return self

    def logits(self, pixels: Tensor) -> TeacherLogits:
        """The outputs of the graph as logits, float [N, width] by head; probabilities and numbers are converted."""
        outputs = self._graph.run(model_input(pixels.cpu().numpy(), self.input))
        found: TeacherLogits = {}
        for output in self.description.outputs:
            found |= self._heads(output, self._values(output, outputs, len(pixels)))
        return found

    def _check_input(self) -> None:
        given = model_input(np.zeros((1, 3, self.input.size, self.input.size), np.uint8), self.input).shape
        expected = self._graph.shape
        fits = len(expected) == 4 and all(
            side in (None, made) for side, made in zip(expected[1:], given[1:], strict=True)
        )
        if not fits:
            wanted = [side if side is not None else "any" for side in expected]
            found = f"the model wants an input {wanted}, the description makes {['any', *given[1:]]}"
            raise TeacherError(self.name, found, "Mend `size`, `colour` or `layout` under `input`")

    def _values(self, output: Output, outputs: Arrays, rows: int) -> Tensor:
        if output.name is None and len(outputs) != 1:
            raise TeacherError(
                self.name, f"the model has {len(outputs)} outputs: {', '.join(outputs)}", "Name each under `outputs`"
            )
        name = output.name if output.name is not None else next(iter(outputs))
        if name not in outputs:
            raise TeacherError(self.name, f"the model has no output '{name}'", f"It has {', '.join(outputs)}")
        width = self._width(output)
        values = np.asarray(outputs[name])
        if values.shape[:1] != (rows,) or values.size != rows * width:
            found = f"output '{name}' has shape {list(values.shape)} for {rows} pictures"
            raise TeacherError(self.name, f"{found}, the description names {width} column(s)", CHECK)
        tensor = torch.from_numpy(values.astype(np.float32).reshape(rows, width))
        if not bool(tensor.isfinite().all()):
            raise TeacherError(
                self.name, f"output '{name}' has values that are not finite", "Check scale, mean and std"
            )
        self._check_probabilities(output, name, tensor)
        return tensor

    def _width(self, output: Output) -> int:
        if output.holds == "expression":
            return len(output.classes)
        if output.holds == "action_units":
            return len(output.action_units)
        return {"valence_arousal": 2}.get(output.holds, 1 if output.values == "numbers" else self.description.bins)

    def _check_probabilities(self, output: Output, name: str, values: Tensor) -> None:
        if output.values != "probabilities":
            return
        sums = values.sum(dim=1)
        outside = bool(((values < -1e-3) | (values > 1 + 1e-3)).any())
        if outside or (output.holds != "action_units" and bool(((sums - 1).abs() > 0.02).any())):
            found = (
                f"output '{name}' is said to hold probabilities, but ranges from {values.min():g} to {values.max():g}"
            )
            raise TeacherError(self.name, f"{found} with sums up to {sums.max():g}", "Say `values: logits`")

    def _heads(self, output: Output, values: Tensor) -> TeacherLogits:
        is_probability = output.values == "probabilities"
        if output.holds == "action_units":
            return {"au": logits_of_units(values) if is_probability else values}
        if output.holds == "expression":
            values = values[:, kept_columns(output.classes)]
            return {"expression": logits_of_classes(values) if is_probability else values}
        if output.values == "numbers":
            axes = ("valence", "arousal") if output.holds == "valence_arousal" else (output.holds,)
            self._check_range(values)
            return {axis: logits_of_numbers(values[:, i], self.description.bins) for i, axis in enumerate(axes)}
        return {output.holds: logits_of_classes(values) if is_probability else values}

    def _check_range(self, values: Tensor) -> None:
        if bool((values.abs() > 1.5).any()):
            found = f"valence or arousal reaches {values.abs().max():g}, the range is -1 to 1"
            raise TeacherError(self.name, found, "Scale the outputs in the model; other ranges are not known")


def _without_default(description: TeacherDescription) -> "IncEx":
    """What does not count for the revision: the file's name, and a key that descriptions have not always had, where it changes nothing."""
    left_out: dict[str, bool | set[str]] = {"file": True}
    if description.input is None or description.input.reduced_scale:
        left_out["input"] = {"reduced_scale"}
    return left_out


def model_input(pixels: NDArray[np.uint8], given: Input) -> NDArray[np.float32]:
    """The model's input, float32, in the layout, colour and range that the description gives.

    Args:
        pixels: uint8 [N, 3, S, S], RGB.
        given: the description's section ``input``.
    """
    values = pixels.astype(np.float32)
    if given.colour == "grey":
        values = np.tensordot(np.array(GREY, np.float32), values, axes=(0, 1))[:, None]
    elif given.colour == "bgr":
        values = values[:, ::-1]
    mean, std = (np.array(side, np.float32).reshape(1, -1, 1, 1) for side in (given.mean, given.std))
    values = (values * np.float32(given.scale) - mean) / std
    return np.ascontiguousarray(values if given.layout == "nchw" else values.transpose(0, 2, 3, 1))
