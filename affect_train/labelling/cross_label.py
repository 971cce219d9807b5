"""Soft labels from teachers that were not trained on the rows that they label: one teacher for each fold."""

import gc
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.errors import UsageError
from affect_data.leaks.folds import write_folds
from affect_train.inputs.batch import FaceBatch
from affect_train.inputs.inputs import IndexedInputs
from affect_train.inputs.labels import load_folds
from affect_train.inputs.source import open_own_folder
from affect_train.labelling.averaging import merge
from affect_train.labelling.label import label_with
from affect_train.labelling.teachers import AffectTeacher, Teacher, TeacherLogits
from affect_train.recipe.recipe import Recipe
from affect_train.recipe.section import HeldOutOptions
from affect_train.runtime import Runtime, build_accelerator
from affect_train.training.loop import train


class FoldTeachers(Teacher):
    """One teacher for each fold, which labels the rows of that fold; rows in no fold have the mean probability of all teachers.

    Args:
        name: of all teachers together.
        teachers: trained without fold 0, 1, ...; they have the same tasks and preprocessing.
        folds: int8 [rows] by split; -1 for rows in no fold, on which no teacher was trained.
    """

    def __init__(self, name: str, teachers: Sequence[Teacher], folds: Mapping[str, NDArray[np.int8]]) -> None:
        self.teachers = list(teachers)
        self.folds = dict(folds)
        origin = hashlib.sha256("\n".join(teacher.revision for teacher in teachers).encode())
        for split in sorted(folds):
            origin.update(folds[split].tobytes())
        first = self.teachers[0]
        super().__init__(name, origin.hexdigest(), first.tasks, first.preprocessing, out_of_fold=True)

    def to(self, device: torch.device) -> "FoldTeachers":
        """The same teachers on `device`."""
        super().to(device)
        for teacher in self.teachers:
            teacher.to(device)
        return self

    @property
    def sees_windows(self) -> bool:
        """Whether the teachers read windows of frames; one recipe made them all."""
        return self.teachers[0].sees_windows

    @property
    def view(self) -> str:
        """How every teacher sees the pictures; one recipe made them all."""
        return self.teachers[0].view

    @property
    def clip_frames(self) -> int:
        """How many frames of a clip every teacher sees; one recipe made them all."""
        return self.teachers[0].clip_frames

    def inputs(self, folder: DatasetFolder, split: str, runtime: Runtime) -> IndexedInputs:
        """The inputs of every teacher: a track, and so a window, lies within one fold."""
        return self.teachers[0].inputs(folder, split, runtime)

    def logits(self, pixels: Tensor) -> TeacherLogits:
        """The logits of the mean probability of all teachers."""
        return merge(self.tasks, [(teacher.tasks, teacher.logits(pixels)) for teacher in self.teachers])

    def label(self, split: str, faces: FaceBatch) -> TeacherLogits:
        """The logits of rows of a dataset, each from the teacher that was trained without it."""
        folds = self.folds[split][faces.rows.numpy()]
        found: TeacherLogits = {}
        shown = faces.to(self.device)
        for fold in np.unique(folds).tolist():
            positions = torch.from_numpy(np.flatnonzero(folds == fold))
            part = shown.select(positions)
            logits = (
                self.teachers[fold].label(split, part)
                if fold >= 0
                else merge(self.tasks, [(teacher.tasks, teacher.label(split, part)) for teacher in self.teachers])
            )
            for head, values in logits.items():
                whole = found.setdefault(head, torch.empty(len(folds), values.shape[1], device=self.device))
                whole[positions.to(self.device)] = values.float()
        return found


def cross_label(recipe: Recipe, folds: int, name: str | None = None) -> dict[str, Any] | None:
    """What was written, on the main process, None on the others: the soft labels ``soft.<name>``, by a teacher for each fold.

    The training split is divided so that no subject, track or picture is in two folds; people who also appear in another split are in no fold. The
    recipe trains each teacher into ``OUTPUT/fold-K``, without its fold. After a kill, every step goes on where it stopped.

    Args:
        recipe: of the teachers.
        folds: how many, 2 to 100.
        name: of the soft labels; by default the name of the recipe's output folder.

    Raises:
        UsageError: the number of folds is not in 2..100, or the recipe holds out folds itself.
        DataError: there are fewer groups of subjects than folds.
    """
    if recipe.training.held_out is not None:
        raise UsageError("training.held_out: cross-label holds out every fold in turn; remove it from the recipe")
    name = SOFT_LABELS.check_name(name or Path(recipe.output).name)
    accelerator = build_accelerator()
    folder = open_own_folder(recipe.dataset, "affect-train cross-label")
    if accelerator.is_main_process:
        write_folds(folder, name, folds, seed=recipe.seed, splits=(recipe.training.split,))
    accelerator.wait_for_everyone()
    # Opened again, because another process may have written the folds.
    folder = open_dataset(folder.path)
    runs = [Path(recipe.output) / f"fold-{fold}" for fold in range(folds)]
    for fold, run in enumerate(runs):
        train(fold_recipe(recipe, name, fold, run), folder)
        # Otherwise what a run leaves in memory would add up over the folds.
        gc.collect()
    assigned = {split: load_folds(folder, split, name) for split in folder.splits}
    teachers = FoldTeachers(Path(recipe.output).name, [AffectTeacher(run) for run in runs], assigned)
    written = label_with(teachers, folder, name, Runtime.start(workers=recipe.batches.workers))
    if written is None:
        return None
    counts = {str(fold): int((assigned[recipe.training.split] == fold).sum()) for fold in range(-1, folds)}
    return written | {"folds": counts, "runs": [str(run) for run in runs]}


def fold_recipe(recipe: Recipe, folds: str, fold: int, output: Path) -> Recipe:
    """The recipe of the teacher that is trained without a fold."""
    training = recipe.training.model_copy(update={"held_out": HeldOutOptions(folds=folds, fold=fold)})
    return recipe.model_copy(update={"training": training, "output": str(output)})
