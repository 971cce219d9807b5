"""A model's logits for every row of a split, on any number of processes."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from affect_train.errors import NotAModelError
from affect_train.inputs.batch import FaceBatch, Faces
from affect_train.inputs.foreign.streaming import StreamedFaces
from affect_train.inputs.loading import FaceLoader
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.sampler import RowsInOrder
from affect_train.inputs.windows import FeatureWindows
from affect_train.network.model import AffectModel, AffectOutput, load_model

Inputs = Faces | StreamedFaces
"""Pictures of a split, features in their place or windows of these; or a split that is read once, in its own order."""

Logits = dict[str, NDArray[Any]]
"""Arrays [rows, width] by head: au, expression, valence, arousal; heads that the model lacks are absent."""

HEADS = ("au", "expression", "valence", "arousal")
INFERENCE_BATCH = 64


def build_accelerator(**options: object) -> Accelerator:
    """The Accelerator of this process: on an accelerator device where there is one, else on the CPU.

    ``cpu=True`` is what makes ``accelerate launch --multi_gpu --num_processes 2`` run on a machine without a GPU.
    """
    return Accelerator(cpu=not torch.accelerator.is_available(), **options)


def open_model(folder: Path) -> tuple[AffectModel, Preprocessing]:
    """A trained model and the preprocessing that is stored with it.

    Raises:
        NotAModelError: the folder holds no complete model, it has heads that no dataset has labels for, or its preprocessing is not one
            that this release makes.
    """
    model = load_model(folder)
    remedy = "Use the release that trained it, or train it again"
    try:
        model.config.task_set()
    except ValueError as error:
        raise NotAModelError(
            folder, f"its heads do not fit the vocabulary of the datasets ({error})", remedy
        ) from error
    try:
        preprocessing = Preprocessing.from_dict(model.config.preprocessing)
    except (TypeError, ValueError) as error:
        raise NotAModelError(folder, f"its preprocessing cannot be used ({error})", remedy) from error
    if preprocessing.digest() != model.config.preprocessing_hash:
        found = f"its preprocessing has hash {preprocessing.digest()}, training saw {model.config.preprocessing_hash}"
        raise NotAModelError(folder, found, remedy)
    return model, preprocessing


def infer(
    model: AffectModel,
    images: Inputs,
    accelerator: Accelerator,
    *,
    workers: int = 0,
    dtype: type[np.floating[Any]] = np.float32,
    advance: Callable[[int], None] | None = None,
) -> Logits | None:
    """The logits of every row in row order, on the main process; None on the others.

    Every batch has the same rows whatever the number of processes, so that the numbers are the same to the last bit.

    Args:
        model: not wrapped for distributed training; left in the mode in which it was.
        images: the split, without augmentation, or its stored features, or windows of them.
        accelerator: tells the processes apart.
        workers: loader processes.
        dtype: of the result.
        advance: called after every batch with the number of rows that all processes did in its time.
    """
    return _infer(
        model,
        lambda pixels: logits_of(model(pixels)),
        images,
        accelerator,
        workers=workers,
        dtype=dtype,
        advance=advance,
    )


def infer_features(
    model: AffectModel,
    images: Faces,
    accelerator: Accelerator,
    *,
    workers: int = 0,
    advance: Callable[[int], None] | None = None,
) -> NDArray[np.float16] | None:
    """The backbone's pooled features of every row in row order, float16 [rows, D], on the main process; None on the others.

    The arguments are those of `infer`.
    """
    found = _infer(
        model,
        lambda pixels: {"features": model.features(pixels)},
        images,
        accelerator,
        workers=workers,
        dtype=np.float16,
        advance=advance,
    )
    return None if found is None else found["features"]


def _infer(
    model: AffectModel,
    outputs: Callable[[Tensor], dict[str, Tensor]],
    images: Inputs,
    accelerator: Accelerator,
    *,
    workers: int,
    dtype: type[np.floating[Any]],
    advance: Callable[[int], None] | None,
) -> Logits | None:
    share = (INFERENCE_BATCH, accelerator.num_processes, accelerator.process_index)
    loader: Iterable[FaceBatch] = (
        images.in_order(*share)
        if isinstance(images, StreamedFaces)
        else FaceLoader(images, RowsInOrder(len(images), *share), workers)
    )
    device, training = next(model.parameters()).device, model.training
    rows: list[NDArray[np.int64]] = []
    parts: dict[str, list[NDArray[Any]]] = {}
    model.eval()
    try:
        with torch.inference_mode(), accelerator.autocast():
            for faces in loader:
                rows.append(faces.rows.numpy())
                for name, values in outputs(faces.pixels.to(device, non_blocking=True)).items():
                    parts.setdefault(name, []).append(values.float().cpu().numpy().astype(dtype))
                if advance is not None:
                    advance(len(faces.uids) * accelerator.num_processes)
    finally:
        model.train(training)
    own = (
        np.concatenate([np.empty(0, np.int64), *rows]),
        {name: np.concatenate(values) for name, values in parts.items()},
    )
    gathered = _gather(own, accelerator)
    rows_of_split = images.rows if isinstance(images, FeatureWindows) else len(images)
    return None if gathered is None else _in_row_order(gathered, rows_of_split)


def logits_of(output: AffectOutput) -> dict[str, Tensor]:
    """The logits of the heads that the model has."""
    every = {head: getattr(output, f"{head}_logits") for head in HEADS}
    return {head: logits for head, logits in every.items() if logits is not None}


def predictions(model: AffectModel, logits: Logits) -> dict[str, NDArray[Any]]:
    """Probabilities and expectations from gathered logits, as `AffectModel.predictions` names them."""
    device = next(model.parameters()).device
    tensors = {
        f"{head}_logits": torch.from_numpy(logits[head]).float().to(device) if head in logits else None
        for head in HEADS
    }
    with torch.inference_mode():
        predicted = model.predictions(AffectOutput(**tensors))
    return {name: values.cpu().numpy() for name, values in predicted.items()}


Part = tuple[NDArray[np.int64], Logits]


def _gather(own: Part, accelerator: Accelerator) -> list[Part] | None:
    if accelerator.num_processes == 1:
        return [own]
    parts: list[Any] | None = [None] * accelerator.num_processes if accelerator.is_main_process else None
    torch.distributed.gather_object(own, parts, dst=0)
    return parts


def _in_row_order(parts: list[Part], count: int) -> Logits:
    """The rows of all processes by their numbers; a row that was seen more than once has the mean of what was said of it."""
    seen = np.zeros(count, dtype=np.int64)
    for rows, _ in parts:
        seen += np.bincount(rows, minlength=count)
    if not seen.all():
        raise RuntimeError(f"{int((seen == 0).sum())} of {count} rows were seen by no process")
    ordered: Logits = {}
    for head in dict.fromkeys(head for _, logits in parts for head in logits):
        own = [(rows, logits[head]) for rows, logits in parts if head in logits]
        first = own[0][1]
        if seen.max() == 1:
            ordered[head] = np.empty((count, first.shape[1]), dtype=first.dtype)
            for rows, values in own:
                ordered[head][rows] = values
        else:
            # Sums of a few numbers of half the width are exact, so that their order does not show.
            total = np.zeros((count, first.shape[1]))
            for rows, values in own:
                np.add.at(total, rows, values)
            ordered[head] = (total / seen[:, None]).astype(first.dtype)
    return ordered
