"""Where the csv lists of AffectNet lie, and the images that they name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from affect_data.databases.root import DatabaseRoot

MANUAL_NAMES: Final = {"train": "training.csv", "validation": "validation.csv"}
AUTOMATIC_NAME: Final = "automatically_annotated.csv"
MANUAL_LISTS: Final = (
    "Manually_Annotated_file_lists",
    "Manually_Annotated/Manually_Annotated_file_lists",
    "Manually_Annotated_compressed/Manually_Annotated_file_lists",
    "Manually_Annotated",
    "Manually_Annotated_compressed",
    "Manually_Annotated/Manually_Annotated_Images",
    "Manually_Annotated_compressed/Manually_Annotated_Images",
    "",
)
MANUAL_IMAGES: Final = (
    "Manually_Annotated/Manually_Annotated_Images",
    "Manually_Annotated_compressed/Manually_Annotated_Images",
    "Manually_Annotated_Images",
    "Manually_Annotated",
    "Manually_Annotated_compressed",
)
AUTOMATIC_LISTS: Final = (
    "Automatically_annotated_file_list",
    "Automatically_annotated_file_lists",
    "Automatically_Annotated/Automatically_annotated_file_list",
    "Automatically_Annotated/Automatically_annotated_file_lists",
    "Automatically_Annotated",
    "",
)
AUTOMATIC_IMAGES: Final = (
    "Automatically_Annotated/Automatically_Annotated_Images",
    "Automatically_Annotated_compressed/Automatically_Annotated_Images",
    "Automatically_Annotated_Images",
    "Automatically_Annotated",
    "Automatically_Annotated_compressed",
)


@dataclass(frozen=True)
class FileList:
    """One csv list: its path, the folder of its images (both relative to the root), and its split."""

    path: str
    images: str
    split: str


def file_lists(root: DatabaseRoot, *, automatic: bool) -> list[FileList]:
    """The lists to read. A missing list is a defect, unless both manual lists are missing.

    Args:
        root: of the database.
        automatic: whether the list with labels of a network is read too.
    """
    manual = {split: find_list(root, MANUAL_LISTS, name) for split, name in MANUAL_NAMES.items()}
    if not any(manual.values()):
        return []
    images = _image_folder(root, MANUAL_IMAGES)
    for split, name in MANUAL_NAMES.items():
        if manual[split] is None:
            _absent_list(root, MANUAL_LISTS, name)
    lists = [FileList(path, images, split) for split, path in manual.items() if path is not None]
    found = find_list(root, AUTOMATIC_LISTS, AUTOMATIC_NAME)
    if automatic and found is None:
        _absent_list(root, AUTOMATIC_LISTS, AUTOMATIC_NAME)
    elif automatic and found is not None:
        lists.append(FileList(found, _image_folder(root, AUTOMATIC_IMAGES), "train"))
    elif found is not None:
        root.note(f"{found}: not read, a network gave its labels; `automatic: true` adds them to the training split")
    return lists


def _folder(root: DatabaseRoot, place: str) -> str | None:
    """The relative path of a folder, matched without regard to case; None if there is none."""
    folder = ""
    for part in PurePosixPath(place).parts:
        found = root.one_of(part, under=folder)
        if found is None or not (root.path / found).is_dir():
            return None
        folder = found
    return folder


def find_list(root: DatabaseRoot, places: Sequence[str], name: str) -> str | None:
    """The path of a list in the first of some folders that has it; None if none has."""
    for place in places:
        folder = _folder(root, place)
        if folder is not None and (path := root.one_of(name, under=folder)):
            return path
    return None


def _absent_list(root: DatabaseRoot, places: Sequence[str], name: str) -> None:
    root.defect(f"{places[0]}/{name}", 0, "no such file", f"the official list {name}", "put the official list there")


def _image_folder(root: DatabaseRoot, places: Sequence[str]) -> str:
    """The first of the folders that holds numbered folders; a defect if none does."""
    for place in places:
        folder = _folder(root, place)
        if folder is not None and any(name.isdigit() for name in root.entries(folder)):
            return folder
    root.defect(
        places[0],
        0,
        "no numbered folders of images",
        "the folders 1, 2, 3, ... of the images",
        "unpack the images there",
    )
    return places[0]
