"""Reads copies of RAF-DB's basic part in which numbered folders are the labels."""

from typing import Final

import polars as pl

from affect_data.databases.root import DatabaseRoot

SPLITS: Final = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
ABOVE: Final = ("", "DATASET")
PICTURES: Final = (".jpg", ".jpeg", ".png")


def class_folders(root: DatabaseRoot) -> dict[str, str]:
    """The numbered folders of pictures, each with its split, which is the name of the folder above."""
    found: dict[str, str] = {}
    for above in (root.one_of(name) if name else "" for name in ABOVE):
        for name, split in SPLITS.items():
            folder = root.one_of(name, under=above) if above is not None else None
            if folder is not None:
                found |= {f"{folder}/{entry}": split for entry in sorted(root.entries(folder)) if entry.isdigit()}
    return found


def faces_of_class_folders(root: DatabaseRoot, class_order: tuple[str, ...]) -> pl.DataFrame:
    """A row for each picture in the numbered folders: image, split, expression; the picture itself is its source.

    Args:
        root: with folders such as ``train/1``.
        class_order: expressions in the order of the folders' numbers.
    """
    folders = class_folders(root)
    numbers = sorted({int(folder.rpartition("/")[2]) for folder in folders})
    names = dict(zip(numbers, class_order, strict=False))
    if len(numbers) != len(class_order) or numbers[-1] - numbers[0] != len(numbers) - 1:
        root.defect(
            next(iter(folders)).rpartition("/")[0],
            0,
            f"class folders {', '.join(map(str, numbers))}",
            f"{len(class_order)} numbers without a gap, one for each expression of class_order",
            "complete the folders; an expression without pictures has an empty one",
        )
    pictures = [
        (f"{folder}/{name}", split, names.get(int(folder.rpartition("/")[2])))
        for folder, split in folders.items()
        for name in sorted(root.entries(folder))
        if name.lower().endswith(PICTURES)
    ]
    faces = pl.DataFrame(
        pictures, schema={"image": pl.String, "split": pl.String, "expression": pl.String}, orient="row"
    ).with_columns(source_file=pl.col("image"), source_line=pl.lit(1, dtype=pl.Int32))
    faces = root.drop_excluded(faces)
    _refuse_other_splits(root, faces)
    order = ", ".join(f"{number} = {name}" for number, name in names.items())
    root.note(f"{len(faces):,} faces in {len(folders)} class folders: {order}")
    return faces


def _refuse_other_splits(root: DatabaseRoot, faces: pl.DataFrame) -> None:
    """Records a defect for each picture whose official name says train and whose folder says test, or vice versa."""
    official = pl.col("image").str.extract(r"/(train|test)_[^/]*$")
    wrong = (official != pl.col("split")) & (pl.col("split") != "validation")
    expected = "a picture in the folder of its split"
    root.refuse(faces, wrong, "in a folder of {split}", expected, "move the picture")
