"""Looks for leaks between the splits of a recipe's dataset before anything is trained."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from accelerate.utils import broadcast_object_list

from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import DataError
from affect_data.leaks.leaks import LeakError, Part, find_leaks, guard_dataset, stored_copies
from affect_train.inputs.labels import column_array, load_folds
from affect_train.recipe.recipe import Recipe
from affect_train.reporting import Reporter
from affect_train.runtime import Runtime
from affect_train.training.data import TrainingData
from affect_train.training.held_out import rows_in

if TYPE_CHECKING:
    from datasets import Dataset

FOREIGN_REMEDY = "Mend the splits of the dataset. To train all the same, with figures that are too good, say `training: {leaks: report}`."
NOUNS = {
    "subject": "people",
    "track": "videos",
    "picture": "pictures",
    "picture name": "pictures of several databases",
    "group": "groups of copies",
}


def guard_training(recipe: Recipe, folder: DatasetFolder, runtime: Runtime) -> None:
    """Refuses a dataset with people, videos or copies in two splits, unless the recipe accepts them; accepted leaks are reported.

    The main process looks; on a refusal, all processes end with an error.

    Args:
        recipe: of the run.
        folder: its dataset.
        runtime: of this process.

    Raises:
        LeakError: there are leaks that the recipe does not accept.
        DataError: the same, on the other processes.
        UsageError: the recipe holds a fold out that the dataset does not have.
    """
    refusal: LeakError | None = None
    if runtime.accelerator.is_main_process:
        options = recipe.training
        try:
            leaks = guard_dataset(
                folder, leaks=options.leaks, copies=options.copies, parts=guarded_parts(recipe, folder)
            )
        except LeakError as error:
            refusal = error
        else:
            runtime.reporter.say(summary(leaks, audited=bool(stored_copies(folder))))
    message = broadcast_object_list([str(refusal) if refusal is not None else None])[0]
    if refusal is not None:
        raise refusal
    if message is not None:
        raise DataError(message)


def guard_loaded(recipe: Recipe, data: TrainingData, reporter: Reporter) -> None:
    """Refuses people and videos in two splits of a dataset that is no dataset folder, unless the recipe accepts them; every process looks.

    Raises:
        LeakError: there are leaks that the recipe does not accept.
    """
    if data.train.dataset is None:
        reporter.say("leaks: not looked for, because the rows are streamed")
        return
    people = [_people(data.train.name, data.train.dataset)]
    if data.validation is not None:
        people.append(_people(data.validation.name, data.validation.passed()[0]))
    rows = pl.concat(people)
    if not ((rows["subject"] != "").any() or (rows["track"] != "").any()):
        reporter.say("leaks: not looked for, because the rows name neither people nor videos")
        return
    leaks = find_leaks(rows)
    if len(leaks) and recipe.training.leaks == "refuse":
        raise LeakError(leaks, FOREIGN_REMEDY)
    found = _counted(leaks)
    said = (
        f"{', '.join(found)} are in two splits: what is measured there is too good"
        if found
        else "no person or video is in two splits"
    )
    reporter.say(f"leaks: {said}; copies of pictures are looked for in dataset folders alone")


def _people(split: str, dataset: "Dataset") -> pl.DataFrame:
    names = np.array(dataset.features["database"].names)
    named = {"database": names[column_array(dataset, "database")], "split": split}
    return pl.DataFrame({**named, **{column: dataset[column][:] for column in ("subject", "track")}})


def guarded_parts(recipe: Recipe, folder: DatasetFolder) -> list[Part]:
    """The parts that must not share people, videos and pictures: the splits, where a held-out fold is a part of its own.

    Rows in no fold are in no part unless they are trained on: folds already leave out people who are also in a split that is kept apart.
    """
    trained, held_out = recipe.training.split, recipe.training.held_out
    kept = rows_in(recipe, folder)
    if kept is None or held_out is None:
        return [Part(split, split) for split in folder.splits]
    folds = load_folds(folder, trained, held_out.folds)
    held = Part(f"fold {held_out.fold} of {trained}", trained, folds == held_out.fold)
    others = [Part(split, split) for split in folder.splits if split != trained]
    return [Part(trained, trained, kept), held, *others]


def summary(leaks: pl.DataFrame, *, audited: bool) -> str:
    """One line about the leaks that a run accepts.

    Args:
        leaks: from `affect_data.leaks.leaks.dataset_leaks`.
        audited: whether an audit has stored near copies, which then count too.
    """
    found = _counted(leaks)
    unaudited = "" if audited else "; near copies are looked for by `affect-data audit`, which has stored none"
    if not found:
        return f"leaks: no person, video or equal picture is in two splits{unaudited}"
    return f"leaks: {', '.join(found)} are in two splits: what is measured there is too good{unaudited}"


def _counted(leaks: pl.DataFrame) -> Sequence[str]:
    kinds = leaks["kind"].to_list()
    rows = leaks["rows"].to_list()
    return [
        f"{kinds.count(kind):,} {noun} ({sum(count for k, count in zip(kinds, rows, strict=True) if k == kind):,} rows)"
        for kind, noun in NOUNS.items()
        if kind in kinds
    ]
