"""Stored crops in place of whole pictures: the column group of a preprocessing's policy, and whether it is the one that the policy would give."""

from pathlib import Path
from typing import TYPE_CHECKING

from affect_data.dataset.folder import MANIFEST, DatasetFolder, open_dataset
from affect_data.dataset.kinds.crops import CROPS, CropProvenance, uncropped_rows
from affect_data.dataset.schema import LABELS
from affect_data.errors import DataError, UsageError
from affect_data.faces.policies import BOX, policy_named
from affect_train.inputs.preprocess import Preprocessing
from affect_train.recipe.recipe import Recipe

if TYPE_CHECKING:
    from datasets import Dataset


def preprocessing_of(recipe: Recipe) -> Preprocessing:
    """The recipe's preprocessing: how a face is cut out and scaled for the model."""
    crop, size = recipe.crop, recipe.model.image_size
    if crop.policy == BOX:
        return Preprocessing(size, crop.margin, crop.reduced_scale)
    return Preprocessing.of_crops(size, policy_named(crop.policy), reduced_scale=crop.reduced_scale, room=crop.room)


def check_crops(recipe: Recipe) -> None:
    """Refuses a recipe whose crop policy its dataset has no crops of; a dataset that is not built yet is not looked at.

    Raises:
        DataError: the message names the command that cuts them.
    """
    built = isinstance(recipe.dataset, str) and (Path(recipe.dataset) / MANIFEST).is_file()
    if built and recipe.crop.policy != BOX:
        crop_groups(open_dataset(str(recipe.dataset)), preprocessing_of(recipe))


def crop_groups(folder: DatasetFolder, preprocessing: Preprocessing) -> tuple[str, ...]:
    """The column groups that hold the pictures for a preprocessing, besides those of the build; none if it cuts out faces itself.

    Raises:
        DataError: the dataset lacks the crops, has clips, or its crops were cut in another way or from other pictures.
    """
    if preprocessing.policy is None:
        return ()
    name = preprocessing.policy.name
    if folder.manifest.layout.clips:
        raise DataError(
            f"crop.policy: '{folder.path}' has clips, of whose frames no crops are stored; train with `crop.policy: box`, "
            "or build the dataset without the databases that label whole clips"
        )
    if name not in CROPS.names(folder):
        known = ", ".join(CROPS.names(folder)) or "none"
        raise DataError(
            f"crop.policy is {name}, but '{folder.path}' has no crops of this policy (it has {known}). "
            f"Cut them: `affect-data align {folder.path} --crops {name}`"
        )
    _check(folder, CROPS.read(folder, name), preprocessing)
    return (CROPS.group(name),)


def shown_rows(folder: DatasetFolder, split: str, preprocessing: Preprocessing) -> "Dataset":
    """The labels of a split beside the pictures that a preprocessing takes, over memory maps; raises what `crop_groups` raises."""
    layout, crops = folder.manifest.layout, crop_groups(folder, preprocessing)
    return folder.load(split, [LABELS, *(crops or layout.pictures)])


def describe_crops(folder: DatasetFolder, preprocessing: Preprocessing) -> tuple[str, ...]:
    """A line about the rows that show no crop of a found face; none if there are none."""
    if preprocessing.policy is None:
        return ()
    name = preprocessing.policy.name
    uncropped, rows = uncropped_rows(folder, name), sum(map(folder.rows, folder.splits))
    if not uncropped:
        return ()
    by_database = ", ".join(f"{database} {count:,}" for database, count in uncropped.items())
    return (
        f"crops {name}: {sum(uncropped.values()):,} of {rows:,} rows of the dataset show no found face, but their own box or the whole picture "
        f"({by_database})",
    )


def refuse_crops(preprocessing: Preprocessing, dataset: str) -> None:
    """Refuses a crop policy where there are no column groups that could hold its crops.

    Args:
        preprocessing: of the model or recipe.
        dataset: its name, for the message.

    Raises:
        UsageError: the preprocessing has a policy.
    """
    if preprocessing.policy is not None:
        raise UsageError(
            f"crop.policy is {preprocessing.policy.name}, whose crops lie in a dataset folder, which '{dataset}' is not; "
            "build one with `affect-data build` and cut them by `affect-data align`"
        )


def _check(folder: DatasetFolder, found: CropProvenance, preprocessing: Preprocessing) -> None:
    assert preprocessing.policy is not None
    if found.policy_digest != preprocessing.policy.digest():
        raise DataError(
            f"crops '{found.name}' of '{folder.path}' were cut by {found.policy_digest} (version {found.policy.get('version')}), "
            f"the model takes {preprocessing.policy.digest()} (version {preprocessing.policy.version}). "
            f"Cut them again: `{CROPS.remedy(found.name, folder)}`"
        )
