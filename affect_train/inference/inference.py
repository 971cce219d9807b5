"""The one loop of inference: what is computed for every row of a split, on any number of processes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from affect_data.dataset.kinds.soft_labels import HEADS
from affect_train.clips import pooled
from affect_train.errors import NotAModelError
from affect_train.inference.target_prior import TargetPrior, move_to
from affect_train.inputs.batch import FaceBatch
from affect_train.inputs.inputs import IndexedInputs, Inputs
from affect_train.inputs.preprocess import Preprocessing
from affect_train.network.habits import label_as
from affect_train.network.model import AffectModel, load_model
from affect_train.network.output import AffectOutput
from affect_train.runtime import Runtime, precision_for

Logits = dict[str, NDArray[Any]]
"""Arrays [rows, width] by head: au, expression, valence, arousal; heads that the model lacks are absent."""

Outputs = Callable[[FaceBatch], Mapping[str, Tensor]]
"""From a batch to tensors [N, width] by name."""

Advance = Callable[[int], None]

INFERENCE_BATCH = 64
"""Rows that a model sees at a time, unless its run or the command says otherwise."""

BATCH_KEY, PRECISION_KEY = "inference_batch", "inference_precision"
"""Where a model's configuration says what its run did, if that is not the usual."""

_ROWS_AT_ONCE = 1 << 17


class ComputedRows(NamedTuple):
    """Values computed for N rows.

    Attributes:
        rows: int64 [N], the rows' numbers in the split.
        values: arrays [N, width] by name.
    """

    rows: NDArray[np.int64]
    values: Logits


def open_model(
    folder: Path, target: TargetPrior | None = None, labels_as: str | None = None
) -> tuple[AffectModel, Preprocessing]:
    """A trained model and the preprocessing that is stored with it.

    Args:
        folder: of the model.
        target: the prior that its logits are moved to; None: they stay as they are.
        labels_as: the database as whose labels its outputs are to be; None: the shared network's own.

    Raises:
        NotAModelError: the folder holds no complete model, or its heads or its preprocessing are unknown to this release.
        UsageError: the model cannot be moved to that prior, or has learned no habits of databases.
        UnknownNameError: it has not learned from that database.
        RecipeError: the file of the prior has mistakes.
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
    if target is not None:
        move_to(model, target, str(folder))
    if labels_as is not None:
        label_as(model, labels_as, str(folder))
    return model, preprocessing


def infer(
    model: AffectModel,
    inputs: Inputs,
    runtime: Runtime,
    *,
    rows: NDArray[np.int64] | None = None,
    advance: Advance | None = None,
) -> Logits | None:
    """The logits of rows of a split, float32, on the main process; None on the others.

    Every batch holds the same rows for any number of processes, so that the logits are the same to the last bit.

    Args:
        model: not wrapped for distributed training; its mode (training or evaluation) is restored.
        inputs: of the split, without augmentation.
        runtime: of this process.
        rows: int64, numbers of the wanted rows in the wanted order, all of them among the inputs; None: all rows of the split.
        advance: called after every batch with the number of rows that all processes have done meanwhile.
    """
    device = next(model.parameters()).device

    def outputs(faces: FaceBatch) -> dict[str, Tensor]:
        shown = faces.to(device)
        return logits_of(model(shown.inputs, shown.places, shown.counts))

    with inference_of(model, runtime):
        return compute_rows(outputs, inputs, runtime, batch_size=batch_of(model, runtime), rows=rows, advance=advance)


def infer_features(
    model: AffectModel,
    inputs: Inputs,
    runtime: Runtime,
    *,
    rows: NDArray[np.int64] | None = None,
    advance: Advance | None = None,
) -> NDArray[np.float16] | None:
    """The backbone's pooled features of rows of a split, float16 [rows, D], on the main process; None on the others.

    The arguments are those of `infer`; the inputs are pictures.
    """
    device = next(model.parameters()).device

    def features(faces: FaceBatch) -> dict[str, Tensor]:
        shown = faces.to(device)
        return {"features": pooled(model.features(shown.inputs), shown.counts)}

    with inference_of(model, runtime):
        found = compute_rows(
            features,
            inputs,
            runtime,
            batch_size=batch_of(model, runtime),
            dtype=torch.float16,
            rows=rows,
            advance=advance,
        )
    return None if found is None else found["features"]


def infer_clip_features(
    model: AffectModel, inputs: IndexedInputs, clips: NDArray[np.int64], runtime: Runtime
) -> NDArray[np.float16] | None:
    """The features of the frames of clips, float16 [clips, frames, D], NaN where one has no more, on the main process; None on the others.

    Args:
        model: as for `infer`.
        inputs: pictures of the split.
        clips: int64, the rows that are clips, ascending; one at least.
        runtime: of this process.
    """
    device, most = next(model.parameters()).device, int(model.config.clip_frames)

    def features(faces: FaceBatch) -> dict[str, Tensor]:
        shown = faces.to(device)
        found = model.features(shown.inputs)
        counts = torch.ones(len(found), dtype=torch.int64, device=device) if shown.counts is None else shown.counts
        frames = found.new_full((len(counts), most, found.shape[1]), torch.nan)
        frames[torch.arange(most, device=device) < counts[:, None]] = found
        return {"frames": frames.flatten(1)}

    with inference_of(model, runtime):
        found = compute_rows(features, inputs.showing(clips), runtime, dtype=torch.float16, rows=clips)
    return None if found is None else found["frames"].reshape(len(clips), most, -1)


@contextmanager
def inference_of(model: AffectModel, runtime: Runtime) -> Iterator[None]:
    """Evaluation mode without gradients, in the precision of the runtime or the model's run; at the end the model's mode is restored."""
    training, device = model.training, next(model.parameters()).device
    precision = precision_of(model, runtime)
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    model.eval()
    try:
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=precision != "no"):
            yield
    finally:
        model.train(training)


def note_inference(model: AffectModel, batch: int, precision: str) -> None:
    """Writes into a model's configuration how its run evaluates it, where that is not the usual."""
    for key, value, usual in ((BATCH_KEY, batch, INFERENCE_BATCH), (PRECISION_KEY, precision, "no")):
        if value != usual:
            setattr(model.config, key, value)


def batch_of(model: AffectModel, runtime: Runtime) -> int:
    """How many rows a model sees at a time: those of the runtime, else of the model's run."""
    return runtime.batch_size or getattr(model.config, BATCH_KEY, None) or INFERENCE_BATCH


def precision_of(model: AffectModel, runtime: Runtime) -> str:
    """The precision of forward passes: that of the runtime, else of a training under way, else of the model's run if this device computes in it."""
    training = runtime.accelerator.mixed_precision
    if runtime.precision is not None or training != "no":
        return runtime.precision or training
    match getattr(model.config, PRECISION_KEY, "no"):
        case "bf16":
            return precision_for("auto")
        case "fp16" if runtime.accelerator.device.type == "cuda":
            return "fp16"
    return "no"


def compute(
    outputs: Outputs, batches: Iterable[FaceBatch], dtype: torch.dtype = torch.float32
) -> Iterator[ComputedRows]:
    """The values of each batch, as it comes.

    Args:
        outputs: computes the values.
        batches: of inputs.
        dtype: of the arrays; values too large for half precision become infinite.
    """
    waiting: tuple[Tensor, dict[str, Tensor]] | None = None
    for faces in batches:
        values = {name: tensor.to(dtype) for name, tensor in outputs(faces).items()}
        if not len(faces.rows):
            continue  # its pass was for the other processes
        if all(tensor.device.type == "cpu" for tensor in values.values()):
            yield _read(faces.rows, values)
            continue
        before, waiting = waiting, (faces.rows, values)
        # Read one batch late, so that the device has work while values are read from it.
        if before is not None:
            yield _read(*before)
    if waiting is not None:
        yield _read(*waiting)


def _read(rows: Tensor, values: Mapping[str, Tensor]) -> ComputedRows:
    return ComputedRows(rows.numpy(), {name: tensor.cpu().numpy() for name, tensor in values.items()})


def compute_rows(
    outputs: Outputs,
    inputs: Inputs,
    runtime: Runtime,
    *,
    batch_size: int | None = None,
    dtype: torch.dtype = torch.float32,
    rows: NDArray[np.int64] | None = None,
    advance: Advance | None = None,
) -> Logits | None:
    """The values of rows of a split, in row order, on the main process; None on the others.

    Args:
        outputs: computes the values.
        inputs: of the split.
        runtime: of this process.
        batch_size: rows of a batch; None: those of the runtime, or the usual.
        dtype: of the arrays.
        rows: int64, numbers of the wanted rows in the wanted order, all of them among the inputs; None: all rows of the split.
        advance: called after every batch with the number of rows that all processes have done meanwhile.
    """
    accelerator = runtime.accelerator
    batches = inputs.in_order(
        batch_size or runtime.batch_size or INFERENCE_BATCH,
        accelerator.num_processes,
        accelerator.process_index,
        workers=runtime.workers,
    )
    parts = []
    for part in compute(outputs, batches, dtype):
        parts.append(part)
        if advance is not None:
            advance(len(part.rows) * accelerator.num_processes)
    gathered = _gather(joined(parts), accelerator)
    if gathered is None:
        return None
    count = inputs.rows or 0
    return (
        in_row_order(gathered, count) if rows is None else in_row_order(_renumbered(gathered, rows, count), len(rows))
    )


def logits_of(output: AffectOutput) -> dict[str, Tensor]:
    """The logits of the heads that the model has."""
    every = {head: getattr(output, f"{head}_logits") for head in HEADS}
    return {head: logits for head, logits in every.items() if logits is not None}


def predictions(model: AffectModel, logits: Logits) -> dict[str, NDArray[Any]]:
    """Probabilities and expectations from gathered logits, as `AffectModel.predictions` names them."""
    count = max(map(len, logits.values()))
    parts = [
        _predicted(model, {head: values[start : start + _ROWS_AT_ONCE] for head, values in logits.items()})
        for start in range(0, max(count, 1), _ROWS_AT_ONCE)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _predicted(model: AffectModel, logits: Logits) -> dict[str, NDArray[Any]]:
    device = next(model.parameters()).device
    tensors = {
        f"{head}_logits": torch.from_numpy(logits[head]).float().to(device) if head in logits else None
        for head in HEADS
    }
    with torch.inference_mode():
        predicted = model.predictions(AffectOutput(**tensors))
    return {name: values.cpu().numpy() for name, values in predicted.items()}


def joined(parts: Iterable[ComputedRows]) -> ComputedRows:
    """Several parts as one; without values if there are no parts."""
    parts = list(parts)
    rows = np.concatenate([np.empty(0, np.int64), *(part.rows for part in parts)])
    names = parts[0].values if parts else ()
    return ComputedRows(rows, {name: np.concatenate([part.values[name] for part in parts]) for name in names})


def in_row_order(parts: Iterable[ComputedRows], count: int) -> Logits:
    """The values of all processes in row order, arrays [count, width] by name; a row that was seen more than once has the mean of its values.

    Raises:
        RuntimeError: one of the `count` rows was not seen.
    """
    parts = list(parts)
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
            # In double precision, sums of a few float32 numbers are exact, so that their order does not matter.
            total = np.zeros((count, first.shape[1]))
            for rows, values in own:
                np.add.at(total, rows, values)
            ordered[head] = (total / seen[:, None]).astype(first.dtype)
    return ordered


def _gather(own: ComputedRows, accelerator: Accelerator) -> list[ComputedRows] | None:
    if accelerator.num_processes == 1:
        return [own]
    parts: list[Any] | None = [None] * accelerator.num_processes if accelerator.is_main_process else None
    torch.distributed.gather_object(own, parts, dst=0)
    return parts


def _renumbered(parts: Iterable[ComputedRows], wanted: NDArray[np.int64], count: int) -> list[ComputedRows]:
    """The parts with the wanted rows only, each numbered by its place in `wanted`."""
    places = np.full(count, -1)
    places[wanted] = np.arange(len(wanted))
    kept = [(part, places[part.rows] >= 0) for part in parts]
    return [
        ComputedRows(places[part.rows][keep], {name: values[keep] for name, values in part.values.items()})
        for part, keep in kept
    ]
