"""Reads the copies of RAF-DB's basic part in which numbered folders stand for the labels."""

from typing import Final

import polars as pl

from affect_data.databases.root import DatabaseRoot
from affect_data.vocabulary import EXPRESSIONS

SPLITS: Final = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
PARENTS: Final = ("", "DATASET")
PICTURE: Final = r"\.(jpg|jpeg|png)$"


def class_folders(root: DatabaseRoot) -> dict[str, str]:
    """The numbered folders of pictures, each with the split that the folder above it names."""
    found: dict[str, str] = {}
    for parent in (root.one_of(name) if name else "" for name in PARENTS):
        for name, split in SPLITS.items():
            above = root.one_of(name, under=parent) if parent is not None else None
            if above is not None:
                found |= {f"{above}/{entry}": split for entry in sorted(root.entries(above)) if entry.isdigit()}
    return found


def faces_of_class_folders(root: DatabaseRoot, class_order: tuple[str, ...]) -> pl.DataFrame:
    """One row for each picture of the numbered folders: image, split, expression; the picture is its own annotation line.

    Args:
        root: with folders such as ``train/1``.
        class_order: expressions in the order of the folders' numbers.
    """
    folders = class_folders(root)
    numbers = sorted({int(folder.rpartition("/")[2]) for folder in folders})
    if numbers != list(range(numbers[0], numbers[0] + len(class_order))):
        root.defect(
            next(iter(folders)),
            0,
            f"class folders {', '.join(map(str, numbers))}",
            f"one folder for each of the {len(class_order)} expressions of class_order, without a gap",
            "correct class_order in the recipe",
        )
        return _rows([], {})
    names = dict(zip(numbers, class_order, strict=True))
    pictures = [(folder, name) for folder in folders for name in sorted(root.entries(folder))]
    for folder, name in pictures:
        official = name.partition("_")[0]
        if official in SPLITS and SPLITS[official] != folders[folder] != "validation":
            root.defect(
                f"{folder}/{name}",
                1,
                f"a {official} picture in a {folders[folder]} folder",
                "each picture in a folder of its split",
                "move the picture to its split",
            )
    labels = {folder: names[int(folder.rpartition("/")[2])] for folder in folders}
    rows = _rows([(f"{folder}/{name}", folders[folder], labels[folder]) for folder, name in pictures], folders)
    root.note(f"{len(folders)} class folders: {', '.join(f'{number} = {name}' for number, name in names.items())}")
    return rows
