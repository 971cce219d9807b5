"""A model as an ONNX graph, checked against the model itself, and the description that makes the graph a teacher."""

import importlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from affect_data.dataset.kinds.soft_labels import HEADS
from affect_data.yaml12 import write_yaml
from affect_train.inference.inference import logits_of
from affect_train.inputs.preprocess import Preprocessing
from affect_train.network.model import AffectModel

OPSET: Final = 17
TOLERANCE: Final = 1e-4
"""Greatest difference between an output of the graph and of the model."""

PACKAGES: Final = ("onnx", "onnxruntime")
"""The first writes the graph for torch, the second compares it with the model."""

INSTALL: Final = "pip install 'affectkit[publish]'"
PIXELS: Final = "pixels"
PICTURES: Final = 3
HEADER: Final = """\
# What goes into model.onnx and what comes out, for `affect-train label DESCRIPTION DATASET`. Scale, mean and deviation are inside of the graph.
"""


class NotExportedError(Exception):
    """A model that has no ONNX graph with the same outputs; says why."""


class AffectGraph(nn.Module):
    """A model as a function from pixels to a tuple of tensors: predictions, then the logits of the heads.

    Attributes:
        names: of the outputs.
    """

    def __init__(self, model: AffectModel) -> None:
        super().__init__()
        self.model = model
        with torch.inference_mode():
            self.names = tuple(self._outputs(grey(model, 1)))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """The outputs in the order of `names`, from uint8 [N, 3, S, S]."""
        return tuple(self._outputs(pixels).values())

    def _outputs(self, pixels: Tensor) -> Mapping[str, Tensor]:
        output = self.model(pixels)
        logits = {f"{head}_logits": values for head, values in logits_of(output).items()}
        return {**self.model.predictions(output), **logits}


def export_onnx(model: AffectModel, path: Path) -> None:
    """Writes a model's graph and compares its outputs with those of the model.

    The graph takes ``pixels``, uint8 [N, 3, S, S] in RGB. It gives what `AffectModel.predictions` gives, by the same names, and the logits of each
    head as ``<head>_logits``.

    Args:
        model: on the CPU, in evaluation mode.
        path: file to write.

    Raises:
        NotExportedError: there is no graph with the same outputs, and why.
    """
    if model.config.temporal is not None:
        raise NotExportedError("its recurrent stage reads windows of videos")
    missing = [package for package in PACKAGES if not _is_installed(package)]
    if missing:
        raise NotExportedError(f"{' and '.join(missing)} not installed: {INSTALL}")
    # The exporter restores the mode that it finds.
    graph = AffectGraph(model).eval()
    try:
        with warnings.catch_warnings():
            # The exporter warns of its own age, and of shapes that become constants: the input has one size.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph,
                (grey(model, 2),),
                str(path),
                # The newer exporter needs onnxscript as well.
                dynamo=False,
                opset_version=OPSET,
                input_names=[PIXELS],
                output_names=list(graph.names),
                dynamic_axes={name: {0: "faces"} for name in (PIXELS, *graph.names)},
            )
    except Exception as error:  # the exporter's errors have no common base class
        path.unlink(missing_ok=True)
        raise NotExportedError(f"torch cannot export it ({_first_line(error)})") from error
    _compare(graph, path)


def teacher_description(model: AffectModel, preprocessing: Preprocessing, file: str) -> str:
    """The text of a description of an exported graph, as `affect_train.labelling.teachers` reads it.

    Args:
        model: that was exported.
        preprocessing: of the model.
        file: name of the graph beside the description.
    """
    tasks, outputs = model.config.task_set(), list[dict[str, Any]]()
    named = {"au": {"holds": "action_units", "action_units": list(tasks.action_units)}}
    named["expression"] = {"holds": "expression", "classes": list(tasks.expressions)}
    for head in HEADS:
        if head in model.heads:
            described = named.get(head, {"holds": head})
            outputs.append({"name": f"{head}_logits", "values": "logits", **described})
    size = {"size": preprocessing.image_size, "name": PIXELS, "scale": 1.0, "margin": preprocessing.margin}
    # Named only where it is not the default, which an earlier affectkit reads as well.
    full = {} if preprocessing.reduced_scale else {"reduced_scale": False}
    bins = {"bins": tasks.valence_arousal_bins} if tasks.valence_arousal_bins else {}
    return HEADER + write_yaml({"format": "onnx", "file": file, "input": {**size, **full}, "outputs": outputs, **bins})


def grey(model: AffectModel, pictures: int) -> Tensor:
    """Grey pictures as a model takes them, uint8 [N, 3, S, S]."""
    size = model.config.image_size
    return torch.full((pictures, 3, size, size), 128, dtype=torch.uint8)


def _compare(graph: AffectGraph, path: Path) -> None:
    import onnxruntime

    numbers = torch.Generator().manual_seed(0)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    pixels = torch.randint(0, 256, (PICTURES, *grey(graph.model, 1).shape[1:]), dtype=torch.uint8, generator=numbers)
    with torch.inference_mode():
        expected = graph(pixels)
    found = session.run(list(graph.names), {PIXELS: pixels.numpy()})
    for name, here, there in zip(graph.names, expected, found, strict=True):
        difference = float(np.abs(here.numpy() - there).max())
        # Written so that NaN is a difference.
        if not difference <= TOLERANCE:
            path.unlink()
            raise NotExportedError(f"the graph's output {name} differs by {difference:.2g} from the model's")


def _is_installed(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
