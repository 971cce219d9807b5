"""Writes DISFA's official layout with demo faces, one of its videos, and the frames that a user extracts from all of them."""

from pathlib import Path
from typing import Final

from PIL import Image

from affect_data.databases.disfa.reader import SUBJECTS, Disfa
from affect_data.demo.clip import write_clip
from affect_data.demo.sampler import DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(rotation=2.0, turn=0.2, gradient=0.05, clutter=0.0, tint=(0.97, 1.0, 1.04), brightness_spread=0.03)
"""What sets its pictures apart."""

WIDTH, HEIGHT = 96, 72
VIDEOS: Final = "Videos_LeftCamera"
FRAMES_A_SECOND: Final = 20
FRAMES_OF_SUBJECT: Final = 24
FEWEST_FRAMES: Final = 5
WITHOUT_FILE: Final = ("SN004", 15)
"""The subject that lacks the label file of one action unit."""
ONE_LABEL_FEWER: Final = "SN010"
"""The subject whose last frame is not labelled, as in the official files."""
SUBJECT_ORDER: Final = tuple(dict.fromkeys((SUBJECTS[0], WITHOUT_FILE[0], ONE_LABEL_FEWER, *SUBJECTS)))


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces: videos of up to 27 subjects, extracted to frames numbered from 1.

    Only the first subject has the video itself. Official quirks: Windows line ends, a missing label file, and a subject with one label fewer than
    frames.
    """
    subjects = SUBJECT_ORDER[: min(max(faces // FRAMES_OF_SUBJECT, 3), len(SUBJECTS))]
    placed: list[PlacedFace] = []
    for index, subject in enumerate(subjects):
        count = max((faces + index) // len(subjects), FEWEST_FRAMES)
        video = sampler.video(count + (subject == ONE_LABEL_FEWER), subject)
        frames = [_widened(face.draw(HEIGHT)) for face in video]
        _write_frames(root / "Images" / subject, frames)
        if index == 0:
            _write_video(root / VIDEOS / f"LeftVideo{subject}_comp.avi", frames)
        _write_labels(root / "ActionUnit_Labels" / subject, subject, video[:count])
        placed += [
            PlacedFace(f"Images/{subject}/{number:05d}.jpg", -1, face) for number, face in enumerate(video[:count], 1)
        ]
    return DemoFiles(placed, listed=len(placed))


def _write_frames(folder: Path, frames: list[Image.Image]) -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, start=1):
        frame.save(folder / f"{number:05d}.jpg", quality=92)


def _write_video(path: Path, frames: list[Image.Image]) -> None:
    path.parent.mkdir(parents=True)
    write_clip(path, frames, FRAMES_A_SECOND)


def _widened(face: Image.Image) -> Image.Image:
    """A picture of the official aspect, 4:3, with the face in its middle; the borders of the face continue to the sides."""
    left = (WIDTH - face.width) // 2
    picture = Image.new("RGB", (WIDTH, HEIGHT))
    picture.paste(face.crop((0, 0, 1, HEIGHT)).resize((left, HEIGHT)), (0, 0))
    picture.paste(face.crop((face.width - 1, 0, face.width, HEIGHT)).resize((left, HEIGHT)), (left + face.width, 0))
    picture.paste(face, (left, 0))
    return picture


def _write_labels(folder: Path, subject: str, video: list[DemoFace]) -> None:
    folder.mkdir(parents=True)
    for unit in Disfa.action_units:
        if (subject, unit) != WITHOUT_FILE:
            lines = [f"{number},{face.intensity(unit)}\r\n" for number, face in enumerate(video, start=1)]
            (folder / f"{subject}_au{unit}.txt").write_bytes("".join(lines).encode())
