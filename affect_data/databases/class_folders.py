"""Reads copies of databases in which folders are the labels: numbered ones, or ones with names."""

import re
from collections.abc import Mapping
from typing import Final

import polars as pl

from affect_data.databases.root import DatabaseRoot
from affect_data.vocabulary import NotInVocabularyError, expression_named

SPLITS: Final = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
ABOVE: Final = ("", "DATASET")
PICTURES: Final = (".jpg", ".jpeg", ".png")
NUMBERED_NAME: Final = re.compile(r"\d*[ _.-]*(.+)")


def class_folders(root: DatabaseRoot) -> dict[str, str]:
    """The folders of pictures, each with its split, which is the name of the folder above: the numbered ones, or all if one has a name."""
    found = {path: split for path, split in _folders(root).items() if not _name(path).startswith(".")}
    named = any(named_class(path) for path in found)
    return {path: split for path, split in found.items() if named or _name(path).isdigit()}


def named_class(folder: str) -> str | None:
    """The expression that a folder is called after, as in ``train/Surprise`` or ``train/1_surprise``; None where its name is none."""
    match = NUMBERED_NAME.fullmatch(_name(folder))
    try:
        return expression_named(match[1]) if match else None
    except NotInVocabularyError:
        return None


def _name(folder: str) -> str:
    return folder.rpartition("/")[2]


def _folders(root: DatabaseRoot) -> dict[str, str]:
    found: dict[str, str] = {}
    for above in (root.one_of(name) if name else "" for name in ABOVE):
        for name, split in SPLITS.items():
            folder = root.one_of(name, under=above) if above is not None else None
            if folder is not None:
                entries = (f"{folder}/{entry}" for entry in sorted(root.entries(folder)))
                found |= {entry: split for entry in entries if (root.path / entry).is_dir()}
    return found


def read_class_folders(
    root: DatabaseRoot, classes: tuple[str, ...], class_order: tuple[str, ...] | None
) -> pl.DataFrame | None:
    """A row for each picture in class folders: those of names need no order; None if they have numbers, and no order is given.

    Args:
        root: with folders such as ``train/Surprise`` or ``train/1``.
        classes: expressions of the database.
        class_order: expressions in the order of the folders' numbers.
    """
    named = classes_by_name(root, classes)
    if named is not None:
        return faces_of_class_folders(root, named)
    return faces_of_class_folders(root, classes_by_number(root, class_order)) if class_order is not None else None


def checked_order(class_order: tuple[str, ...] | None, classes: tuple[str, ...]) -> tuple[str, ...] | None:
    """The names of the vocabulary of an order of numbered folders, which must name each class once.

    Raises:
        ValueError: it names others, or one twice.
    """
    if class_order is None:
        return None
    names = tuple(expression_named(name) for name in class_order)
    if sorted(names) != sorted(classes):
        raise ValueError(f"found {', '.join(names)}; class_order names each of {', '.join(classes)} once")
    return names


def classes_by_name(root: DatabaseRoot, classes: tuple[str, ...]) -> dict[str, str] | None:
    """The expression of each class folder where they have names; None where they have numbers. Another name is a defect.

    Args:
        root: with folders such as ``train/Surprise``.
        classes: expressions of the database.
    """
    folders = class_folders(root)
    names = {folder: name for folder in folders if (name := named_class(folder)) in classes}
    if not names:
        return None
    for folder in folders:
        if folder not in names:
            root.defect(
                folder,
                0,
                "a folder that is called after no class",
                f"one of {', '.join(classes)}",
                "rename it, or move it away",
            )
    return names


def classes_by_number(root: DatabaseRoot, class_order: tuple[str, ...]) -> dict[str, str]:
    """The expression of each numbered class folder; numbers that do not fit the order are a defect.

    Args:
        root: with folders such as ``train/1``.
        class_order: expressions in the order of the folders' numbers.
    """
    folders = class_folders(root)
    numbers = sorted({int(_name(folder)) for folder in folders})
    names = dict(zip(numbers, class_order, strict=False))
    if len(numbers) != len(class_order) or numbers[-1] - numbers[0] != len(numbers) - 1:
        root.defect(
            next(iter(folders)).rpartition("/")[0],
            0,
            f"class folders {', '.join(map(str, numbers))}",
            f"{len(class_order)} numbers without a gap, one for each expression of class_order",
            "complete the folders; an expression without pictures has an empty one",
        )
    return {folder: names[int(_name(folder))] for folder in folders if int(_name(folder)) in names}


def faces_of_class_folders(root: DatabaseRoot, classes: Mapping[str, str]) -> pl.DataFrame:
    """A row for each picture in the class folders: image, split, expression; the picture itself is its source.

    Args:
        root: of the database.
        classes: the expression of each folder.
    """
    folders = class_folders(root)
    pictures = [
        (f"{folder}/{name}", split, classes.get(folder))
        for folder, split in folders.items()
        for name in sorted(root.entries(folder))
        if name.lower().endswith(PICTURES)
    ]
    faces = pl.DataFrame(
        pictures, schema={"image": pl.String, "split": pl.String, "expression": pl.String}, orient="row"
    ).with_columns(source_file=pl.col("image"), source_line=pl.lit(1, dtype=pl.Int32))
    faces = root.drop_excluded(faces)
    _refuse_other_splits(root, faces)
    meanings = dict.fromkeys((_name(folder), name) for folder, name in classes.items())
    order = ", ".join(f"{folder} = {name}" for folder, name in meanings)
    root.note(f"{len(faces):,} faces in {len(folders)} class folders: {order}")
    return faces


def _refuse_other_splits(root: DatabaseRoot, faces: pl.DataFrame) -> None:
    """Records a defect for each picture whose official name says train and whose folder says test, or vice versa."""
    official = pl.col("image").str.extract(r"/(train|test)_[^/]*$")
    wrong = (official != pl.col("split")) & (pl.col("split") != "validation")
    expected = "a picture in the folder of its split"
    root.refuse(faces, wrong, "in a folder of {split}", expected, "move the picture")
