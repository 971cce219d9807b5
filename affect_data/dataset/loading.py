"""A built dataset as people's other code expects it: `datasets` objects, polars frames with a column for each action unit, names instead of codes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, overload

import polars as pl

from affect_data.dataset.folder import LABEL_NAMES, DatasetFolder, open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.schema import COLUMNS_BY_NAME
from affect_data.errors import DataError
from affect_data.vocabulary import ACTION_UNITS, unit_name

if TYPE_CHECKING:
    from datasets import ClassLabel, Dataset, DatasetDict, IterableDataset, IterableDatasetDict

_UNITS: Final = {"au": "", "au_intensity": "_intensity"}
_CLASSES: Final = ("label_scope", "expression", "compound_expression")
_PLANE: Final = ("valence", "arousal")
_NUMBERS: Final = ("frame", "face")
_LISTS: Final = ("expression_votes", "face_box")


@overload
def load_dataset(
    path: Path | str,
    split: None = None,
    soft_labels: Sequence[str] = (),
    side: Sequence[str] = (),
    *,
    streaming: Literal[False] = False,
) -> "DatasetDict": ...
@overload
def load_dataset(
    path: Path | str,
    split: str,
    soft_labels: Sequence[str] = (),
    side: Sequence[str] = (),
    *,
    streaming: Literal[False] = False,
) -> "Dataset": ...
@overload
def load_dataset(
    path: Path | str,
    split: None = None,
    soft_labels: Sequence[str] = (),
    side: Sequence[str] = (),
    *,
    streaming: Literal[True],
) -> "IterableDatasetDict": ...
@overload
def load_dataset(
    path: Path | str,
    split: str,
    soft_labels: Sequence[str] = (),
    side: Sequence[str] = (),
    *,
    streaming: Literal[True],
) -> "IterableDataset": ...
def load_dataset(
    path: Path | str,
    split: str | None = None,
    soft_labels: Sequence[str] = (),
    side: Sequence[str] = (),
    *,
    streaming: bool = False,
) -> "Dataset | DatasetDict | IterableDataset | IterableDatasetDict":
    """A built dataset as `datasets` gives one: labels, images, the logits of the named teachers, and side groups.

    Where rows name frames of videos, ``image`` decodes the frame when a row is read. To write pictures elsewhere, decode them first:
    ``faces.map(lambda row: {"image": row["image"]})`` puts them into the rows as PNG.

    The columns are those that the folder stores (docs/format.md). `to_polars` and `DatasetFolder.labels` give those of the schema, people and videos
    as text; `DatasetFolder.origin` gives these texts for one row, and `action_unit` an action unit of it.

    Examples:
        >>> faces = affect_data.load_dataset("merged")
        >>> faces["train"].features["expression"].names[:3]
        ['neutral', 'anger', 'disgust']

    Args:
        path: dataset folder.
        split: ``train``, ``validation`` or ``test``; None: all that there are, by name.
        soft_labels: names of teachers; each adds the columns ``soft.<name>.<head>``.
        side: side groups that databases declare, such as ``people`` or ``pspi``.
        streaming: whether rows are given one after the other, without random access.

    Raises:
        NotADatasetError: the folder is not a finished dataset.
        UnknownNameError: it has no such split, teacher or group.
    """
    from datasets import DatasetDict

    folder = open_dataset(path)
    loaded = DatasetDict(
        {name: _loaded(folder, name, soft_labels, side) for name in ([split] if split is not None else folder.splits)}
    )
    if split is not None:
        return loaded[split].to_iterable_dataset() if streaming else loaded[split]
    return _streamed(loaded) if streaming else loaded


def to_polars(
    path: Path | str, split: str | None = None, side: Sequence[str] = (), *, wide: bool = False
) -> pl.DataFrame:
    """The labels of a built dataset as a polars frame, one row a face, with the column ``split`` in front.

    Examples:
        >>> labels = affect_data.to_polars("merged", "train", wide=True)
        >>> shares = labels.group_by("database").agg(polars.col("AU12").mean())     # nulls do not count
        >>> shares.columns
        ['database', 'AU12']

    Args:
        path: dataset folder.
        split: ``train``, ``validation`` or ``test``; None: all splits, one below the other.
        side: side groups that databases declare, whose columns follow.
        wide: the columns are as people look for them: ``AU12`` (0, 1) and ``AU12_intensity`` (0 to 5) for each action unit, classes in words, and
            what is missing is null, so that there are no masks. Otherwise the columns are those of docs/schema.md.

    Raises:
        NotADatasetError: the folder is not a finished dataset.
        UnknownNameError: it has no such split or side group.
    """
    folder = open_dataset(path)
    frames = []
    for name in [split] if split is not None else folder.splits:
        labels = folder.labels(name, LABEL_NAMES, side)
        frames.append(
            (_wide(labels) if wide else labels).insert_column(
                0, pl.repeat(name, len(labels), eager=True).alias("split")
            )
        )
    return pl.concat(frames)


def class_name(feature: "ClassLabel", code: int) -> str | None:
    """The name of a class of a column; None for -1, no label, where `ClassLabel.int2str` raises an error.

    Examples:
        >>> expressions = affect_data.load_dataset("merged", split="train").features["expression"]
        >>> affect_data.class_name(expressions, 6), affect_data.class_name(expressions, -1)
        ('surprise', None)

    Args:
        feature: of the column.
        code: of the class.

    Raises:
        DataError: the column has no such class.
    """
    if code == -1:
        return None
    if not 0 <= code < len(feature.names):
        raise DataError(
            f"{code} is no class; the column has {len(feature.names)}: {', '.join(feature.names)}, and -1 for no label"
        )
    return str(feature.names[code])


def _loaded(folder: DatasetFolder, split: str, soft_labels: Sequence[str], side: Sequence[str]) -> "Dataset":
    layout = folder.manifest.layout
    loaded = folder.load(split, [*layout.groups, *layout.pictures, *side, *map(SOFT_LABELS.group, soft_labels)])
    if folder.videos is not None:
        from affect_data.dataset.shown_images import ShownImage

        # Not `cast_column`, which would copy: what is stored stays, and is only shown otherwise.
        loaded.info.features["image"] = ShownImage(folder.videos)
    return loaded


def _streamed(loaded: "DatasetDict") -> "IterableDatasetDict":
    from datasets import IterableDatasetDict

    return IterableDatasetDict({name: part.to_iterable_dataset() for name, part in loaded.items()})


def _wide(labels: pl.DataFrame) -> pl.DataFrame:
    """Labels with a column for each action unit, words for classes, and nulls in place of fills and masks."""
    units = [
        pl.when(pl.col(f"{column}_mask").arr.get(slot))
        .then(pl.col(column).arr.get(slot))
        .alias(unit_name(unit) + suffix)
        for column, suffix in _UNITS.items()
        for slot, unit in enumerate(ACTION_UNITS)
    ]
    words = [
        pl.col(name).replace_strict(
            dict(enumerate(COLUMNS_BY_NAME[name].class_names)), default=None, return_dtype=pl.String
        )
        for name in _CLASSES
    ]
    filled = [pl.when(pl.col(name) >= 0).then(pl.col(name)).alias(name) for name in _NUMBERS]
    lists = [pl.when(pl.col(name).arr.get(0).is_not_nan()).then(pl.col(name)).alias(name) for name in _LISTS]
    masks = [name for name in LABEL_NAMES if name.endswith("_mask")]
    return labels.with_columns(*units, *words, *filled, *lists, pl.col(_PLANE).fill_nan(None)).drop(*_UNITS, *masks)
