"""Finds the files of UNBC-McMaster: the codes of each frame, and the pictures of each sequence with their numbers."""

import re
from typing import Final

import polars as pl

from affect_data.databases.root import DatabaseRoot

SUBJECTS: Final = (
    "042-ll042", "043-jh043", "047-jl047", "048-aa048", "049-bm049", "052-dr052", "059-fn059", "064-ak064", "066-mg066",
    "080-bn080", "092-ch092", "095-tv095", "096-bg096", "097-gf097", "101-mg101", "103-jk103", "106-nm106", "107-hs107",
    "108-th108", "109-ib109", "115-jy115", "120-kz120", "121-vw121", "123-jh123", "124-dn124",
)  # fmt: skip
"""The people, by the names of their folders."""

SUBJECT_FOLDER: Final = re.compile(r"\d{3}-[a-z]{2}\d{3}", re.IGNORECASE)
LABEL_SUFFIX: Final = "_facs.txt"
LABELS: Final = "Frame_Labels"
IMAGES: Final = "Images"

FRAME: Final = ("subject", "track", "frame")
_FILES: Final = {
    "subject": pl.String, "track": pl.String, "frame": pl.Int32, "stem": pl.String, "source_file": pl.String
}  # fmt: skip
_PICTURES: Final = {"subject": pl.String, "track": pl.String, "frame": pl.Int32, "picture": pl.String}


def folder_named(root: DatabaseRoot, name: str) -> str | None:
    """The path of a folder, also inside of another with the same name, as some mirrors nest them; None if there is none."""
    outer = root.one_of(name)
    return (root.one_of(name, under=outer) or outer) if outer else None


def find_label_files(root: DatabaseRoot, kind: str) -> pl.DataFrame:
    """The files of one kind, sorted: subject, track, frame, stem (the file's name without `_facs.txt`), source_file.

    A folder of an unknown person, a file that is not named after its sequence, and two files of one frame are defects.

    Args:
        root: of the database.
        kind: ``FACS`` or ``PSPI``; only the folder distinguishes the two.
    """
    labels = folder_named(root, LABELS)
    folder = root.one_of(kind, under=labels) if labels else None
    found: list[tuple[str, str, int, str, str]] = []
    for entry in sorted(root.entries(folder)) if folder else ():
        if not SUBJECT_FOLDER.fullmatch(entry):
            continue
        if entry.lower() not in SUBJECTS:
            root.defect(
                f"{folder}/{entry}", 0, f"a person {entry}", f"one of the {len(SUBJECTS)} people of UNBC-McMaster",
                "remove the folder, or give it its official name",
            )  # fmt: skip
            continue
        for sequence in sorted(root.entries(f"{folder}/{entry}")):
            place, track = f"{folder}/{entry}/{sequence}", sequence.lower()
            for number, name in _label_files_of(root, place, track).items():
                found.append((entry.lower(), track, number, name[: -len(LABEL_SUFFIX)], f"{place}/{name}"))
    return pl.DataFrame(found, _FILES, orient="row").sort(FRAME)


def _label_files_of(root: DatabaseRoot, folder: str, track: str) -> dict[int, str]:
    own = re.compile(re.escape(track) + r"(\d{1,9})" + re.escape(LABEL_SUFFIX), re.IGNORECASE)
    for name in sorted(root.entries(folder)):
        if name.lower().endswith(LABEL_SUFFIX) and not name.startswith(".") and not own.fullmatch(name):
            root.defect(
                f"{folder}/{name}", 0, "a name that does not begin with its sequence's, then a frame number",
                f"names such as {track}001{LABEL_SUFFIX}", "give the file its official name, or remove it",
            )  # fmt: skip
    unread = [name for name in root.label_files(folder) if not name.lower().endswith(LABEL_SUFFIX)]
    root.lose_unread(folder, unread, f"{track}001{LABEL_SUFFIX}")
    return root.numbered(folder, own, "label file")


def find_pictures(root: DatabaseRoot, sequences: pl.DataFrame) -> pl.DataFrame:
    """The pictures of the sequences: subject, track, frame, picture (the path); two pictures of one frame are a defect.

    Args:
        root: of the database.
        sequences: with subject and track.
    """
    container = folder_named(root, IMAGES)
    found: list[tuple[str, str, int, str]] = []
    for subject, track in sequences.select("subject", "track").unique().sort("subject", "track").iter_rows():
        person = root.one_of(subject, under=container) if container else None
        folder = root.one_of(track, under=person) if person else None
        pattern = re.compile(re.escape(track) + r"(\d{1,9})\.(?:png|jpe?g)", re.IGNORECASE)
        pictures = root.numbered(folder, pattern, "picture") if folder else {}
        found += [(subject, track, number, f"{folder}/{name}") for number, name in pictures.items()]
    return pl.DataFrame(found, _PICTURES, orient="row")


def with_images(files: pl.DataFrame, pictures: pl.DataFrame) -> pl.DataFrame:
    """The label files, in their order, with `image`: the picture of the frame, or the path at which it is missing."""
    missed = pl.format(f"{IMAGES}/{{}}/{{}}/{{}}.png", "subject", "track", "stem")
    rows = files.join(pictures, on=FRAME, how="left", maintain_order="left")
    return rows.with_columns(image=pl.coalesce("picture", missed)).drop("picture")
