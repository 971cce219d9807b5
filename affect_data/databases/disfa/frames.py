"""Finds the frames that were extracted from the videos of DISFA, and whether they are numbered from 0 or from 1."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from affect_data.databases.root import DatabaseRoot
from affect_data.databases.videos import VideoLayout
from affect_data.video.clocks import FrameClock

CONTAINERS: Final = (
    "Images", "Image", "Img", "Frames", "Videos_LeftCamera", "Video_LeftCamera", "Videos_RightCamera", "Video_RightCamera",
)  # fmt: skip
FRAME_FOLDER: Final = re.compile(r"(left|right|)(?:video)?(SN\d{3})(?:_comp)?", re.IGNORECASE)
FRAME_FILE: Final = re.compile(r"(?:.*\D)?(\d{1,9})\.(?:jpe?g|png|bmp)", re.IGNORECASE)

VIDEOS: Final = VideoLayout(
    # The left camera comes first, which most papers use.
    folders=("Videos_LeftCamera", "Video_LeftCamera", "Videos_RightCamera", "Video_RightCamera", ""),
    names=re.compile(r"(?:left|right)video(?P<video>SN\d{3})_comp\.avi", re.IGNORECASE),
    frames="Images/{video}",
    clock=FrameClock(first=1),
)


@dataclass(frozen=True)
class FrameFolder:
    """The extracted frames of one video.

    Attributes:
        path: relative to the root.
        files: from file number to file name.
        first: the file number of the video's first frame, 0 or 1.
    """

    path: str
    files: Mapping[int, str]
    first: int

    def pattern(self) -> tuple[str, int, str]:
        """The pattern of the file names: text before the number, smallest number of digits, text after the number."""
        name = self.files[min(self.files)]
        match = FRAME_FILE.fullmatch(name)
        assert match is not None, name
        return name[: match.start(1)], len(match[1]), name[match.end(1) :]


def find_frame_folders(root: DatabaseRoot, first_frame: int | None) -> dict[str, FrameFolder]:
    """The folder of extracted frames of each subject that has one; plain folders come before the left camera and the right camera.

    A folder with an unclear numbering, or with two files of one number, is a defect.

    Args:
        root: of the database.
        first_frame: the file number of a video's first frame; None: 0 if there is a file with that number, otherwise 1.
    """
    numbered: dict[str, tuple[str, dict[int, str]]] = {}
    for subject, path in _candidates(root):
        if subject not in numbered:
            files = root.numbered(path, FRAME_FILE, "file")
            if files:
                numbered[subject] = (path, files)
    from_zero = any(0 in files for _, files in numbered.values())
    folders: dict[str, FrameFolder] = {}
    for subject, (path, files) in numbered.items():
        first = first_frame if first_frame is not None else int(0 not in files)
        problem = _numbering_problem(files, first_frame, from_zero=from_zero)
        if problem:
            root.defect(
                path, 0, problem, "frames numbered from 0, or from 1, in all folders alike",
                "extract the frames again, or say `first_frame: 0` or `first_frame: 1` under `databases: disfa:` in the recipe",
            )  # fmt: skip
        folders[subject] = FrameFolder(path, files, first)
    for path in sorted({folder.path.rpartition("/")[0] for folder in folders.values()}):
        starts = sorted({folder.first for folder in folders.values() if folder.path.rpartition("/")[0] == path})
        root.note(f"frames in {path}, numbered from {' and '.join(map(str, starts))}")
    return folders


def _candidates(root: DatabaseRoot) -> list[tuple[str, str]]:
    """Subject and path of every folder whose name is that of a folder of frames, best first."""
    found: list[tuple[int, str, str, str]] = []
    for rank, container in enumerate(CONTAINERS):
        folder = root.one_of(container)
        for name in root.entries(folder) if folder else ():
            match = FRAME_FOLDER.fullmatch(name)
            if match:
                found.append((rank, match[1].lower(), match[2].upper(), f"{folder}/{name}"))
    return [(subject, path) for _, _, subject, path in sorted(found)]


def _numbering_problem(files: Mapping[int, str], first_frame: int | None, *, from_zero: bool) -> str | None:
    numbers = f"file numbers from {min(files)} to {max(files)}"
    if first_frame is not None:
        return f"{numbers}, while `first_frame: {first_frame}` is set" if min(files) < first_frame else None
    if min(files) > 1:
        return numbers
    if from_zero and 0 not in files:
        return f"{numbers}, while other folders have a file number 0"
    return None
