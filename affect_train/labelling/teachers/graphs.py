"""ONNX and TFLite files as plain functions over arrays. Their runtimes are optional, and are imported when a file is opened."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affect_data.errors import UsageError
from affect_train.labelling.teachers.base import TeacherError
from affect_train.labelling.teachers.external_data import external_files

Arrays = dict[str, NDArray[Any]]

INSTALL = "pip install 'affectkit[teachers]'"


class MissingRuntimeError(UsageError):
    """The package that runs a model's file is not installed."""

    def __init__(self, file: Path, package: str) -> None:
        super().__init__(f"'{file.name}' needs the package '{package}', which is not installed: {INSTALL}")


class Graph(ABC):
    """A model file: one input, named outputs.

    Attributes:
        shape: of the input; None where a side may have any size.
        files: all files that the model consists of.
    """

    shape: tuple[int | None, ...]
    files: tuple[Path, ...]

    @abstractmethod
    def run(self, batch: NDArray[np.float32]) -> Arrays:
        """The outputs of a batch by name. A graph with another, fixed batch size runs once for each item."""


class OnnxGraph(Graph):
    """An ONNX file, run by onnxruntime.

    Args:
        file: the model.
        input_name: of the input; None: the only one.

    Raises:
        MissingRuntimeError: onnxruntime is not installed.
        TeacherError: the file is no ONNX model, lacks the input, or names files outside of its folder.
    """

    def __init__(self, file: Path, input_name: str | None = None) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingRuntimeError(file, "onnxruntime") from None
        self.files = (file, *external_files(file))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            providers = onnxruntime.get_available_providers()
            self._session = onnxruntime.InferenceSession(str(file), options, providers=providers)
        except Exception as error:  # the runtime's exceptions have no common base class
            raise TeacherError(
                file.name, f"onnxruntime cannot load it ({_one_line(error)})", "Export it again"
            ) from error
        inputs = {node.name: node for node in self._session.get_inputs()}
        node = inputs[_only(file, "input", input_name, inputs)]
        self._input, self._dtype = node.name, _ONNX_TYPES.get(node.type)
        if self._dtype is None:
            raise TeacherError(file.name, f"its input is a {node.type}", f"Known: {', '.join(sorted(_ONNX_TYPES))}")
        self.shape = tuple(side if isinstance(side, int) else None for side in node.shape)
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, batch: NDArray[np.float32]) -> Arrays:
        """The outputs of a batch by name, as onnxruntime gives them."""
        if self.shape[0] not in (None, len(batch)):
            return _stacked([self.run(batch[row : row + 1]) for row in range(len(batch))])
        found = self._session.run(self._names, {self._input: batch.astype(self._dtype)})
        return dict(zip(self._names, found, strict=True))


_ONNX_TYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}


class TfliteGraph(Graph):
    """A TFLite file, run by ai-edge-litert; quantised inputs and outputs are converted by the file's own scales.

    Args:
        file: the model.
        input_name: of the input; None: the only one.

    Raises:
        MissingRuntimeError: ai-edge-litert is not installed.
        TeacherError: the file is no TFLite model, or lacks the input.
    """

    def __init__(self, file: Path, input_name: str | None = None) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise MissingRuntimeError(file, "ai-edge-litert") from None
        try:
            self._interpreter = Interpreter(model_path=str(file), num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise TeacherError(file.name, f"it cannot be loaded ({_one_line(error)})", "Convert it again") from error
        self.files = (file,)
        inputs = {details["name"]: details for details in self._interpreter.get_input_details()}
        self._details = inputs[_only(file, "input", input_name, inputs)]
        # Converters write a batch size of 1 where they mean any: the interpreter can be resized.
        self.shape = (None, *(int(side) if side > 0 else None for side in self._details["shape_signature"][1:]))
        self._batch = int(self._details["shape"][0])

    def run(self, batch: NDArray[np.float32]) -> Arrays:
        """The outputs of a batch by name, converted to float if they are quantised; the interpreter is resized to the batch."""
        if len(batch) != self._batch:
            self._interpreter.resize_tensor_input(self._details["index"], batch.shape, strict=False)
            self._interpreter.allocate_tensors()
            self._batch = len(batch)
        self._interpreter.set_tensor(self._details["index"], _quantised(batch, self._details))
        self._interpreter.invoke()
        found = {}
        for details in self._interpreter.get_output_details():
            found[details["name"]] = _dequantised(self._interpreter.get_tensor(details["index"]), details)
        return found


def open_graph(kind: str, file: Path, input_name: str | None = None) -> Graph:
    """The model of a file: ``onnx`` or ``tflite``."""
    return OnnxGraph(file, input_name) if kind == "onnx" else TfliteGraph(file, input_name)


def _quantised(values: NDArray[np.float32], details: Mapping[str, Any]) -> NDArray[Any]:
    kind, (scale, zero) = details["dtype"], details["quantization"]
    if not np.issubdtype(kind, np.integer):
        return values.astype(kind)
    limits = np.iinfo(kind)
    quantised: NDArray[Any] = np.clip(np.round(values / (scale or 1) + zero), limits.min, limits.max).astype(kind)
    return quantised


def _dequantised(values: NDArray[Any], details: Mapping[str, Any]) -> NDArray[Any]:
    scale, zero = details["quantization"]
    if np.issubdtype(values.dtype, np.integer) and scale:
        real: NDArray[Any] = (values.astype(np.float32) - zero) * scale
        return real
    # A copy, because the next batch overwrites the interpreter's memory.
    return np.array(values)


def _stacked(parts: list[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _only(file: Path, what: str, name: str | None, known: Mapping[str, object]) -> str:
    if name is None and len(known) == 1:
        return next(iter(known))
    if name is None or name not in known:
        found = f"it has no {what} '{name}'" if name is not None else f"it has {len(known)} {what}s"
        raise TeacherError(file.name, found, f"Name one of: {', '.join(known)}")
    return name


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
