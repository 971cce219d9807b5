"""A teacher's logits for every row of every split, written as a column group of the dataset."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.ranges import ROWS_PER_BATCH, RowRange
from affect_data.dataset.soft_labels import SoftLabelWriter
from affect_train.clips import describe_pooling
from affect_train.inference import inference
from affect_train.inference.inference import Logits
from affect_train.inference.target_prior import TargetPrior
from affect_train.inputs.batch import Pick
from affect_train.inputs.labels import clip_rows
from affect_train.inputs.source import open_own_folder
from affect_train.labelling.teachers import Teacher, open_teacher
from affect_train.run_folder import weights_digest
from affect_train.runtime import Runtime

__all__ = ["label", "label_with", "weights_digest"]

RANGES = 32
"""A split that has the rows is labelled in at least this many files. A kill costs one file, and processes share the files."""


def label(
    path: Path | str | Teacher,
    dataset: Path | str,
    name: str,
    *,
    workers: int | None = None,
    batch_size: int | None = None,
    target: TargetPrior | None = None,
) -> dict[str, Any] | None:
    """What was written, on the main process, None on the others: a teacher's soft labels ``soft.<name>`` of all rows, without augmentation.

    A run that was killed goes on where it stopped. If the same teacher has already labelled the same dataset, nothing is done.

    Args:
        path: whatever `open_teacher` takes: a teacher, a run or model folder, the description of a foreign model, a classifier of transformers.
        dataset: dataset folder.
        name: of the soft labels.
        workers: loader processes; None: what the machine has, as `loader_processes` says.
        batch_size: rows that the teacher sees at a time; None: 64.
        target: the prior that the teacher's logits are moved to; None: they stay as they are.

    Raises:
        UsageError: soft labels cannot have this name, or the teacher cannot be moved to the prior.
        NotADatasetError: the dataset is not built.
        NotAModelError: there is no model.
        TeacherError: a foreign model does not fit.
    """
    SOFT_LABELS.check_name(name)
    folder = open_own_folder(dataset, "affect-train label")
    return label_with(open_teacher(path, target), folder, name, Runtime.start(workers=workers, batch_size=batch_size))


def label_with(teacher: Teacher, folder: DatasetFolder, name: str, runtime: Runtime) -> dict[str, Any] | None:
    """What was written, as `label` says; of a teacher and a dataset that are open already."""
    accelerator, reporter = runtime.accelerator, runtime.reporter
    provenance = provenance_of(teacher, name, folder)
    rows = {split: folder.rows(split) for split in folder.splits}
    writer = SoftLabelWriter(folder.path, provenance, rows_per_range(max(rows.values()), inference.INFERENCE_BATCH))
    is_done, found = writer.is_committed(), 0
    # Every process must have looked before one of them writes.
    accelerator.wait_for_everyone()
    if is_done:
        reporter.say(f"'{name}' has been written by this teacher already; nothing was done")
    else:
        teacher.to(accelerator.device)
        with writer.owned() if accelerator.is_main_process else nullcontext():
            found = _label_missing(teacher, folder, writer, runtime)
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                writer.commit()
        for split, count in rows.items():
            clips = len(clip_rows(folder, split))
            pooled = f"; {describe_pooling(clips, teacher.clip_frames)}" if clips else ""
            reporter.say(f"labelled {split}: {count:,} rows{pooled}")
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return None
    described = {
        "name": name,
        "dataset": folder.path.name,
        "rows": rows,
        "rows_found": sum(rows.values()) if is_done else found,
    }
    return described | {"provenance": provenance.model_dump(mode="json")}


def _label_missing(teacher: Teacher, folder: DatasetFolder, writer: SoftLabelWriter, runtime: Runtime) -> int:
    """How many rows were labelled before; writes this process's share of the missing ranges."""
    missing, accelerator = writer.missing(), runtime.accelerator
    accelerator.wait_for_everyone()
    total, left = (sum(map(len, parts)) for parts in (writer.ranges(), missing))
    if left < total:
        runtime.reporter.say(f"{total - left:,} of {total:,} rows were labelled before; going on")
    if teacher.sees_windows:
        _label_windows(teacher, folder, writer, missing, runtime)
        return total - left
    own = missing[accelerator.process_index :: accelerator.num_processes]
    with runtime.reporter.bar("label", total, total - left) as advance:
        for split in folder.splits:
            parts = [part for part in own if part.split == split]
            for part, logits in labelled_ranges(teacher, folder, parts, runtime):
                writer.write(part, logits)
                advance(len(part) * accelerator.num_processes)
    return total - left


def _label_windows(
    teacher: Teacher, folder: DatasetFolder, writer: SoftLabelWriter, missing: Sequence[RowRange], runtime: Runtime
) -> None:
    """Writes ranges of a teacher that reads windows, split by split on the main process: windows cross the ends of ranges."""
    for split in dict.fromkeys(part.split for part in missing):
        logits = split_logits(teacher, folder, split, runtime)
        if logits is not None:
            for part in (one for one in missing if one.split == split):
                writer.write(part, {head: values[part.start : part.stop] for head, values in logits.items()})


def split_logits(teacher: Teacher, folder: DatasetFolder, split: str, runtime: Runtime) -> Logits | None:
    """The float16 logits of a whole split in row order, on the main process; None on the others."""
    inputs = teacher.inputs(folder, split, runtime)
    return inference.compute_rows(partial(teacher.label, split), inputs, runtime, dtype=torch.float16)


def labelled_ranges(
    teacher: Teacher, folder: DatasetFolder, ranges: Sequence[RowRange], runtime: Runtime
) -> Iterator[tuple[RowRange, Logits]]:
    """Ranges of one split with their logits, float16 [rows, width] by head; one range is in memory at a time."""
    if not ranges:
        return
    split = ranges[0].split
    inputs = teacher.inputs(folder, split, runtime)
    size = runtime.batch_size or inference.INFERENCE_BATCH
    order = RowBatches(ranges, size)
    computed = inference.compute(
        partial(teacher.label, split), inputs.batches(order, runtime.workers), dtype=torch.float16
    )
    for one in ranges:
        batches = -(-len(one) // size)
        yield one, inference.joined(islice(computed, batches)).values


class RowBatches:
    """All rows of some ranges in order, in batches that do not cross the end of a range.

    Args:
        parts: the ranges.
        size: rows of a batch.
    """

    def __init__(self, parts: Sequence[RowRange], size: int) -> None:
        self._parts = parts
        self._size = size

    def __len__(self) -> int:
        return sum(-(-len(part) // self._size) for part in self._parts)

    def __iter__(self) -> Iterator[list[Pick]]:
        for part in self._parts:
            for start in range(part.start, part.stop, self._size):
                yield [Pick(row) for row in range(start, min(start + self._size, part.stop))]


def rows_per_range(rows: int, batch: int) -> int:
    """How many rows of a split go into one file: a multiple of the batch, so that every batch holds the same rows in every run."""
    largest = max(ROWS_PER_BATCH // batch, 1) * batch
    return min(largest, max(1, -(-rows // (RANGES * batch))) * batch)


def view_of(teacher: Teacher, folder: DatasetFolder) -> str:
    """How the teacher sees the pictures of a dataset, in words, and what it does with its clips."""
    pooled = f", clips by the mean logits of up to {teacher.clip_frames} frames"
    return teacher.view + (pooled if folder.manifest.layout.clips else "")


def provenance_of(teacher: Teacher, name: str, folder: DatasetFolder) -> SoftLabelProvenance:
    """The provenance of a teacher's soft labels: where they come from, and what their columns mean."""
    return SoftLabelProvenance(
        name=name,
        teacher_id=teacher.name,
        teacher_revision=teacher.revision,
        made_from=SOFT_LABELS.made_from(folder),
        view=view_of(teacher, folder),
        out_of_fold=teacher.out_of_fold,
        action_units=teacher.tasks.action_units,
        expressions=teacher.tasks.expressions,
        valence_arousal_bins=teacher.tasks.valence_arousal_bins,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
