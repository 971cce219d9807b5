"""Holds the dataset of a recipe against leaks between its splits before anything is trained."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from affect_data.errors import DataError
from affect_data.leaks import LeakError, Part, guard_dataset, stored_groups
from affect_data.store import DatasetFolder
from affect_train.labels import column_array
from affect_train.preparation import check_dataset, rows_in
from affect_train.recipe import Recipe
from affect_train.recipe_dataset import DatasetSource
from affect_train.reporting import Reporter

if TYPE_CHECKING:
    import polars as pl

NOUNS = {"subject": "people", "track": "videos", "picture": "pictures", "group": "groups of copies"}


def guard_training(recipe: Recipe, accelerator: Accelerator, reporter: Reporter) -> None:
    """Refuses a dataset of which people, videos or copies are in two splits, as far as the recipe says, and tells of those that it accepts.

    The main process looks; all processes end with the same error.

    Raises:
        LeakError: there are leaks that the recipe does not accept.
        DataError: the same, on the other processes.
        UsageError: the recipe holds a fold out that the dataset does not have.
    """
    if isinstance(recipe.dataset, DatasetSource):
        reporter.say("leaks: not looked for, because the dataset is no dataset folder of affectkit (`affect-data build` makes one)")
        return
    refusal: LeakError | None = None
    if accelerator.is_main_process:
        folder, options = check_dataset(recipe), recipe.training
        try:
            leaks = guard_dataset(folder, leaks=options.leaks, copies=options.copies, parts=parts_of(recipe, folder))
        except LeakError as error:
            refusal = error
        else:
            reporter.say(summary(leaks, audited=bool(stored_groups(folder))))
    message = broadcast_object_list([str(refusal) if refusal is not None else None])[0]
    if refusal is not None:
        raise refusal
    if message is not None:
        raise DataError(message)


def parts_of(recipe: Recipe, folder: DatasetFolder) -> list[Part]:
    """The rows that must not share people, videos and pictures: those of the splits; a fold that is held out is a part of its own.

    Rows in no fold are in no part: folds leave out whoever is also in a split that is kept apart.
    """
    trained, held_out = recipe.training.split, recipe.training.held_out
    kept = rows_in(recipe, folder)
    if kept is None or held_out is None:
        return [Part(split, split) for split in folder.splits]
    group = f"folds.{held_out.folds}"
    folds = column_array(folder.load(trained, [group]), group)
    held = Part(f"fold {held_out.fold} of {trained}", trained, folds == held_out.fold)
    others = [Part(split, split) for split in folder.splits if split != trained]
    return [Part(trained, trained, kept), held, *others]


def summary(leaks: "pl.DataFrame", *, audited: bool) -> str:
    """One line about the leaks that a run accepts.

    Args:
        leaks: see `affect_data.leaks.dataset_leaks`.
        audited: whether near copies are among them.
    """
    found = _counted(leaks)
    unaudited = "" if audited else "; near copies are looked for by `affect-data audit`, which has stored none"
    if not found:
        return f"leaks: no person, video or equal picture is in two splits{unaudited}"
    return f"leaks: {', '.join(found)} are in two splits: what is measured there is too good{unaudited}"


def _counted(leaks: "pl.DataFrame") -> Sequence[str]:
    kinds = leaks["kind"].to_list()
    rows = leaks["rows"].to_list()
    return [
        f"{kinds.count(kind):,} {noun} ({sum(count for k, count in zip(kinds, rows, strict=True) if k == kind):,} rows)"
        for kind, noun in NOUNS.items()
        if kind in kinds
    ]
