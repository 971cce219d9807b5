"""Writes OMG-Emotion's official layout with demo faces: three lists of utterances, and the frames that a user extracts from their videos."""

from pathlib import Path
from typing import Final

from affect_data.databases.omg import COLUMNS, EXPRESSIONS, LISTS
from affect_data.demo.frames import frame_numbers, write_frames
from affect_data.demo.sampler import DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(rotation=5.0, turn=0.5, tint=(1.05, 1.0, 0.94), brightness_spread=0.12, blur=0.004, noise=7.0)
"""What sets its pictures apart."""

SIZE: Final = 40
UTTERANCES_OF_VIDEO: Final = 4
FRAMES_OF_UTTERANCE: Final = 3
NO_CLASS, NO_VIDEO = 3, 6
"""Positions of an utterance without a class, and of one whose video is gone."""
NAMELESS: Final = ",,,,,0.21,0.36,"
"""A line that names no utterance, as two of the official training list are."""


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of one face for each utterance: that of its middle frame.

    Official quirks: arousal before valence and from 0 to 1, a line that names no utterance, one without a class, one whose video is gone.
    """
    lines: dict[str, list[str]] = {split: [",".join(COLUMNS)] for split in LISTS}
    placed = []
    for position in range(faces):
        number, utterance = divmod(position, UTTERANCES_OF_VIDEO)
        split = list(LISTS)[number % len(LISTS)]
        video, name = f"{number * 7919:08x}f_1", f"utterance_{utterance + 1}"
        face = _speaker(sampler, video)
        code = "" if position == NO_CLASS else str(EXPRESSIONS.index(face.expression))
        start = 0.5 + utterance
        cells = (
            f"https://youtu.be/{video}",
            start,
            start + 0.5,
            video,
            f"{name}.mp4",
            face.arousal,
            face.valence,
            code,
        )
        lines[split].append(",".join(map(str, cells)))
        if position != NO_VIDEO:
            folder = root / "frames" / split / video / name
            folder.mkdir(parents=True)
            names = [f"{number:05d}.jpg" for number in frame_numbers(FRAMES_OF_UTTERANCE, 0)]
            middle = write_frames(folder, face, names, SIZE)
            placed.append(PlacedFace(middle.relative_to(root).as_posix(), -1, face))
    lines["train"].append(NAMELESS)
    for split, name in LISTS.items():
        (root / name).write_text("\n".join(lines[split]) + "\n", encoding="utf-8")
    return DemoFiles(placed, listed=faces + 1)


def _speaker(sampler: FaceSampler, video: str) -> DemoFace:
    """A face with one of the expressions, and an arousal that the database has a number for."""
    while True:
        face = sampler.photograph(video)
        if face.expression in EXPRESSIONS and face.arousal >= 0:
            return face
