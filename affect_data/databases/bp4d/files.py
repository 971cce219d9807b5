"""Finds the files of BP4D: occurrence codes, intensity codes, and the pictures of each sequence with their numbers."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from affect_data.databases.root import DatabaseRoot

OCCURRENCE_FILE: Final = re.compile(r"([FM]\d{3}_T\d{1,2})\.csv", re.IGNORECASE)
INTENSITY_FILE: Final = re.compile(r"([FM]\d{3}_T\d{1,2})(?:_AU(\d{1,2}))?\D*\.csv", re.IGNORECASE)
INTENSITY_FOLDER: Final = re.compile(r"AU[ _]Intensity[ _]Codes.*|AU_INT", re.IGNORECASE)
UNIT_FOLDER: Final = re.compile(r"AU(\d{1,2})", re.IGNORECASE)
PICTURE: Final = re.compile(r"(\d{1,9})\.jpe?g", re.IGNORECASE)
VIDEO: Final = re.compile(r"2?[FM]\d{2,3}_T?\d{1,2}\.(?:avi|mp4|wmv)", re.IGNORECASE)


@dataclass(frozen=True)
class SequenceNames:
    """The sequences that a database has.

    Attributes:
        known: their names, such as ``F001_T1``.
        described: the same in words, for messages.
        remedy: what to do with a file of another sequence.
    """

    known: frozenset[str]
    described: str
    remedy: str


@dataclass(frozen=True)
class Pictures:
    """The pictures of one sequence.

    Attributes:
        folder: relative to the root.
        files: number to file name.
    """

    folder: str
    files: Mapping[int, str]

    @property
    def digits(self) -> int:
        """How many digits a number has at least: 4 for most people, 3 for M009 to M018."""
        return min(len(name.partition(".")[0]) for name in self.files.values())


def find_occurrence_files(root: DatabaseRoot, sequences: SequenceNames) -> dict[str, str]:
    """The path of the occurrence file, by sequence; a file of an unknown sequence is a defect."""
    coding = root.one_of("AUCoding")
    candidates = [root.one_of("AU_OCC", "AUCoding", under=coding), coding] if coding else [root.one_of("AU_OCC")]
    for folder in candidates:
        names = sorted(root.entries(folder)) if folder else []
        matches = [(match[1].upper(), name) for name in names if (match := OCCURRENCE_FILE.fullmatch(name))]
        if folder and matches:
            root.lose_unread(
                folder,
                [name for name in names if _is_table(name) and not OCCURRENCE_FILE.fullmatch(name)],
                "F001_T1.csv",
            )
            return {track: f"{folder}/{name}" for track, name in matches if _is_known(root, folder, name, sequences)}
    return {}


def find_intensity_files(
    root: DatabaseRoot, sequences: SequenceNames, action_units: Collection[int]
) -> dict[tuple[str, int], str]:
    """The path of the intensity file, by sequence and action unit.

    An unknown sequence, an action unit without coded intensities, and a second file of one sequence are defects.
    """
    found: dict[tuple[str, int], str] = {}
    for folder, unit in _unit_folders(root):
        if unit not in action_units:
            known = ", ".join(f"AU{number:02d}" for number in sorted(action_units))
            root.defect(folder, 0, f"intensities of AU{unit}", f"folders {known}", "remove the folder")
            continue
        names = sorted(root.entries(folder))
        root.lose_unread(
            folder, [name for name in names if _is_table(name) and not INTENSITY_FILE.fullmatch(name)], "F001_T1.csv"
        )
        for name in names:
            match = INTENSITY_FILE.fullmatch(name)
            if match is None or not _is_known(root, folder, name, sequences):
                continue
            track = match[1].upper()
            if (track, unit) in found or int(match[2] or unit) != unit:
                root.defect(
                    f"{folder}/{name}", 0, f"a file of AU{int(match[2] or unit)} of {track}",
                    f"one file of AU{unit} for each sequence", "remove it, or put it where it belongs",
                )  # fmt: skip
                continue
            found[track, unit] = f"{folder}/{name}"
    return found


def find_pictures(root: DatabaseRoot, tracks: Collection[str], folders: Collection[str]) -> dict[str, Pictures]:
    """The pictures of each sequence that has any, in the first of the folders that has them; two pictures with one number are a defect."""
    containers = [found for name in folders if (found := root.one_of(name) if name else "") is not None]
    pictures: dict[str, Pictures] = {}
    for track in sorted(tracks):
        subject, _, task = track.partition("_")
        for container in containers:
            folder = root.one_of(subject, under=container)
            folder = root.one_of(task, under=folder) if folder else None
            files = root.numbered(folder, PICTURE, "picture") if folder else {}
            if folder and files:
                pictures[track] = Pictures(folder, files)
                break
    return pictures


def find_videos(root: DatabaseRoot) -> list[str]:
    """The paths of videos such as ``2F01_01.avi``, which some distributions hold instead of pictures."""
    folders = ["", *(entry for entry in sorted(root.entries()) if (root.path / entry).is_dir())]
    return [
        f"{folder}/{name}".lstrip("/")
        for folder in folders
        for name in sorted(root.entries(folder))
        if VIDEO.fullmatch(name)
    ]


def _is_table(name: str) -> bool:
    return name.lower().endswith(".csv")


def _is_known(root: DatabaseRoot, folder: str, name: str, sequences: SequenceNames) -> bool:
    """Whether a file belongs to a sequence of the database; if not, a defect is recorded."""
    track = "_".join(name.upper().split(".")[0].split("_")[:2])
    if track in sequences.known:
        return True
    root.defect(f"{folder}/{name}", 0, f"sequence {track}", sequences.described, sequences.remedy)
    return False


def _unit_folders(root: DatabaseRoot) -> Iterator[tuple[str, int]]:
    """Path and action unit of every folder such as ``AU06`` in a folder of intensity codes."""
    parents = [""] + ([coding] if (coding := root.one_of("AUCoding")) else [])
    for parent in parents:
        for entry in sorted(root.entries(parent)):
            folder = root.inner_of(f"{parent}/{entry}".lstrip("/"))
            for name in sorted(root.entries(folder)) if INTENSITY_FOLDER.fullmatch(entry) else ():
                match = UNIT_FOLDER.fullmatch(name)
                if match:
                    yield f"{folder}/{name}", int(match[1])
