"""Finds the files of CK+: the label files of each sequence, and its pictures with their numbers."""

import re
from typing import Final

import polars as pl

from affect_data.databases.root import DatabaseRoot

IMAGES: Final = "cohn-kanade-images"
CONTAINERS: Final = {
    "FACS": ("FACS", "FACS_labels"),
    "Emotion": ("Emotion", "Emotion_labels"),
    IMAGES: (IMAGES, "extended-cohn-kanade-images"),
}
"""The folders of each kind of files; an archive may have been unpacked into a folder with the name of the archive."""
SUFFIXES: Final = {"FACS": "_facs.txt", "Emotion": "_emotion.txt"}
SUBJECT: Final = re.compile(r"S\d{3}", re.IGNORECASE)
SEQUENCE: Final = re.compile(r"\d{3}")

PEAK: Final = ("subject", "track", "frame")
_FILES: Final = {"subject": pl.String, "track": pl.String, "frame": pl.Int32, "source_file": pl.String}


def folder_of(root: DatabaseRoot, kind: str) -> str | None:
    """The folder with the people's folders of a kind of files; None if there is none.

    Args:
        root: of the database.
        kind: a key of `CONTAINERS`.
    """
    for name in CONTAINERS[kind]:
        outer = root.one_of(name)
        if outer is not None:
            return root.one_of(CONTAINERS[kind][0], under=outer) or outer
    return None


def find_label_files(root: DatabaseRoot, kind: str) -> pl.DataFrame:
    """The label files of one kind, sorted: subject, track, frame, source_file.

    A file that is not named after its sequence is a defect; a label file of another name is a loss.

    Args:
        root: of the database.
        kind: ``FACS`` or ``Emotion``.
    """
    folder = folder_of(root, kind)
    found: list[tuple[str, str, int, str]] = []
    for subject in sorted(root.entries(folder)) if folder else ():
        if not SUBJECT.fullmatch(subject):
            continue
        for sequence in sorted(root.entries(f"{folder}/{subject}")):
            if SEQUENCE.fullmatch(sequence):
                place, track = f"{folder}/{subject}/{sequence}", f"{subject.upper()}_{sequence}"
                files = _files_of(root, place, track, SUFFIXES[kind])
                found += [(subject.upper(), track, number, f"{place}/{name}") for number, name in files.items()]
    return pl.DataFrame(found, _FILES, orient="row").sort(PEAK)


def _files_of(root: DatabaseRoot, folder: str, track: str, suffix: str) -> dict[int, str]:
    own = re.compile(rf"{track}_(\d{{8}}){re.escape(suffix)}", re.IGNORECASE)
    example = f"{track}_00000011{suffix}"
    other = [name for name in root.label_files(folder) if not own.fullmatch(name)]
    named = [name for name in other if name.lower().endswith(suffix)]
    for name in named:
        remedy = "give the file its official name, or move it to its sequence"
        root.defect(f"{folder}/{name}", 0, "a name that is not of its sequence", f"names such as {example}", remedy)
    root.lose_unread(folder, [name for name in other if name not in named], example)
    return root.numbered(folder, own, "label file")


def pictures_of(root: DatabaseRoot, images: str, track: str) -> dict[int, str]:
    """The paths of a sequence's pictures by their numbers.

    Args:
        root: of the database.
        images: the folder with the people's folders.
        track: such as S005_001.
    """
    subject, _, sequence = track.partition("_")
    person = root.one_of(subject, under=images)
    folder = root.one_of(sequence, under=person) if person else None
    pattern = re.compile(rf"{track}_(\d{{8}})\.(?:png|jpe?g|tiff?)", re.IGNORECASE)
    return {n: f"{folder}/{name}" for n, name in root.numbered(folder, pattern, "picture").items()} if folder else {}
