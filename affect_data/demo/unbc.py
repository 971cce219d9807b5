"""Writes UNBC-McMaster's official layout with demo faces: sequences with a file of action units and a file of the pain score for each frame."""

from pathlib import Path
from typing import Final

from PIL import Image

from affect_data.databases.unbc.files import SUBJECTS
from affect_data.databases.unbc.sequences import HIGHEST_OF
from affect_data.demo.sampler import DEMO_ACTION_UNITS, DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(
    rotation=5.0, turn=0.5, gradient=0.1, clutter=6.0, tint=(0.98, 1.0, 1.0), brightness=0.95, noise=7.0
)
"""What sets its pictures apart."""

WIDTH, HEIGHT = 88, 66
FRAMES_OF_SEQUENCE: Final = 20
FEWEST_SEQUENCES: Final = 4
LISTED: Final = tuple(unit for unit in (4, 6, 7, 9, 10, 12, 20, 25, 26, 43) if unit in DEMO_ACTION_UNITS)
"""The listed action units: all but 43, because demo faces never close their eyes."""
MOVEMENTS: Final = ("aa", "ae", "af", "ai")
LACKS_FACS: Final = (0, 4)
"""A sequence, and its frame that has no file of action units."""
LACKS_SCORE: Final = (1, 2)
LACKS_PICTURE: Final = (2, 5)
NOT_CODED: Final = (1, 7)
"""A sequence, and its frame that has a picture but neither file."""


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of the coded faces: about `faces` of them, in sequences of three or more people.

    Official quirks: empty files where no action unit is present, numbers in scientific notation, the same file name for both kinds of files; and,
    as after a copy that broke off, a missing file of each kind and a missing picture.
    """
    count = min(max(FEWEST_SEQUENCES, round(faces / FRAMES_OF_SEQUENCE)), len(SUBJECTS) * len(MOVEMENTS) * 2)
    subjects = SUBJECTS[: max(3, min(len(SUBJECTS), count // 2))]
    placed: list[PlacedFace] = []
    listed = 0
    for index in range(count):
        subject, number = subjects[index % len(subjects)], index // len(subjects)
        take, movement = divmod(number, len(MOVEMENTS))
        track = f"{subject.partition('-')[2]}t{take + 1}{MOVEMENTS[movement]}aff"
        video = sampler.video(max(8, (faces + index) // count), subject)
        listed += len(video) - (index == NOT_CODED[0])
        for place, (kind, highest) in enumerate(HIGHEST_OF.items()):
            _write(root / "Sequence_Labels" / kind / subject / f"{track}.txt", [_line((index + place) % (highest + 1))])
        for frame, face in enumerate(video, start=1):
            image = _write_frame(root, f"{subject}/{track}", f"{track}{frame:03d}", face, (index, frame))
            if image:
                placed.append(PlacedFace(image, -1, face))
    return DemoFiles(placed, listed)


def _write_frame(root: Path, folder: str, stem: str, face: DemoFace, place: tuple[int, int]) -> str:
    """The path of a frame's picture, empty if a reader gives no row for it; writes the files of the frame."""
    image = f"Images/{folder}/{stem}.png"
    if place != LACKS_PICTURE:
        _save(root / image, face)
    if place == NOT_CODED:
        return ""
    intensities: dict[int, int] = {unit: face.intensity(unit) for unit in LISTED}
    labels = root / "Frame_Labels"
    if place != LACKS_FACS:
        lines = [_line(unit, level, 0, 0) for unit, level in intensities.items() if level]
        _write(labels / "FACS" / folder / f"{stem}_facs.txt", lines)
    if place != LACKS_SCORE:
        _write(labels / "PSPI" / folder / f"{stem}_facs.txt", [_line(_pain_score(intensities))])
    return image if place != LACKS_PICTURE else ""


def _pain_score(intensities: dict[int, int]) -> int:
    four, cheek, nose = (max(intensities[unit] for unit in units) for units in ((4,), (6, 7), (9, 10)))
    return four + cheek + nose


def _line(*numbers: int) -> str:
    """A line of numbers as MATLAB saves them."""
    return "".join(f"{number:16.7e}" for number in numbers) + "\n"


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="ascii")


def _save(path: Path, face: DemoFace) -> None:
    """Saves a picture of the official aspect, 4:3, with the face in its middle; the borders of the face continue to the sides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = face.draw(HEIGHT)
    left = (WIDTH - HEIGHT) // 2
    picture = Image.new("RGB", (WIDTH, HEIGHT))
    picture.paste(drawn.crop((0, 0, 1, HEIGHT)).resize((left, HEIGHT)), (0, 0))
    picture.paste(drawn.crop((HEIGHT - 1, 0, HEIGHT, HEIGHT)).resize((left, HEIGHT)), (left + HEIGHT, 0))
    picture.paste(drawn, (left, 0))
    picture.save(path)
