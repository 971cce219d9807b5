"""The dataset of a run, opened once and held against the recipe before anything else is loaded."""

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.features import FEATURES, FeatureProvenance
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_train.inputs.source import OwnFolder, Source, open_recipe_source
from affect_train.recipe.recipe import Recipe


def open_training_source(recipe: Recipe, folder: DatasetFolder | None = None) -> Source:
    """The dataset of a recipe; quick, so that a run on an unbuilt one ends before anything else is loaded.

    Args:
        recipe: of the run.
        folder: the recipe's dataset where it is open already.

    Raises:
        NotADatasetError: it is not built.
        SourceError: it is no dataset folder, and cannot be opened.
        UnknownNameError: it lacks a split, a teacher or the features that the recipe names.
        StaleGroupError: these were made for other rows or labels.
    """
    source = open_recipe_source(recipe.dataset) if folder is None else OwnFolder(folder)
    for split in filter(None, (recipe.training.split, recipe.training.validation_split)):
        source.check_split(split)
    feature_provenance(recipe, source)
    if source.folder is not None:
        for name in recipe.soft_labels:
            SOFT_LABELS.read(source.folder, name)
    return source


def feature_provenance(recipe: Recipe, source: Source) -> FeatureProvenance | None:
    """Where the stored features of a recipe come from; None where it names none.

    Raises:
        UnknownNameError: the dataset has no features of this name.
        StaleGroupError: they were made for other rows or labels.
    """
    if recipe.model.features is None:
        return None
    assert source.folder is not None, "a recipe of another dataset names no stored features"
    return FEATURES.read(source.folder, recipe.model.features)
