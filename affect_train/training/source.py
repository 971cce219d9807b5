"""The dataset of a run, opened once and compared with the recipe before anything else is loaded."""

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.features import FEATURES, FeatureProvenance
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_train.inputs.crops import crop_groups, preprocessing_of
from affect_train.inputs.source import OwnFolder, Source, open_recipe_source
from affect_train.recipe.recipe import Recipe


def open_training_source(recipe: Recipe, folder: DatasetFolder | None = None) -> Source:
    """The dataset of a recipe. It opens quickly, so that a run without its dataset ends before anything else is loaded.

    Args:
        recipe: of the run.
        folder: the recipe's dataset, if it is open already.

    Raises:
        NotADatasetError: the dataset is not built.
        SourceError: the dataset is no dataset folder, and cannot be opened.
        UnknownNameError: the dataset lacks a split, a teacher or the features that the recipe names.
        StaleGroupError: soft labels, features or crops were made for other rows, labels or pictures.
        DataError: the dataset lacks the crops of the recipe's policy.
    """
    source = open_recipe_source(recipe.dataset) if folder is None else OwnFolder(folder)
    for split in filter(None, (recipe.training.split, recipe.training.validation_split)):
        source.check_split(split)
    feature_provenance(recipe, source)
    if source.folder is not None:
        for name in recipe.soft_labels:
            SOFT_LABELS.read(source.folder, name)
        crop_groups(source.folder, preprocessing_of(recipe))
    return source


def feature_provenance(recipe: Recipe, source: Source) -> FeatureProvenance | None:
    """The provenance of the stored features that a recipe names; None if it names none.

    Raises:
        UnknownNameError: the dataset has no features of this name.
        StaleGroupError: the features were made for other rows or labels.
    """
    if recipe.model.features is None:
        return None
    assert source.folder is not None, "a recipe of another dataset names no stored features"
    return FEATURES.read(source.folder, recipe.model.features)
