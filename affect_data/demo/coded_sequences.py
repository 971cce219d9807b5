"""Draws coded sequences in the form of BP4D and BP4D+: partly coded, with pictures before and after the coded part."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from affect_data.databases.bp4d.coded_sequences import CODED_INTENSITIES, CODED_UNITS
from affect_data.demo.sampler import DEMO_ACTION_UNITS, DemoFace, FaceSampler
from affect_data.demo.truth import DemoFiles, PlacedFace

WIDTH, HEIGHT = 72, 96
FRAMES_OF_SEQUENCE: Final = 20
FEWEST_SEQUENCES: Final = 6
CODED: Final = tuple(unit for unit in DEMO_ACTION_UNITS if unit in CODED_UNITS)
"""The coded action units. Those that demo faces do not show are 9 (not coded), because there is no truth to compare them with."""
LACKS_INTENSITY: Final = (1, 17)
"""A sequence, and the action unit whose intensity file it lacks."""
LACKS_PICTURE: Final = 2
"""The sequence that lacks the picture of its fifth coded frame."""


@dataclass(frozen=True)
class Form:
    """How a database writes its sequences.

    Attributes:
        people: their names, in the order in which they are drawn.
        tasks: the numbers of the coded ones.
        columns: the action units of the columns.
        intensities: path of a file of intensities, from ``{unit:02d}`` and ``{track}``.
        pictures: the folder of all pictures.
        digits: how many digits a person's pictures have.
        offset: from the number of a frame to that of its picture.
    """

    people: tuple[str, ...]
    tasks: tuple[int, ...]
    columns: tuple[int, ...]
    intensities: str
    pictures: str
    digits: Callable[[str], int]
    offset: int


def write_sequences(root: Path, sampler: FaceSampler, faces: int, form: Form) -> DemoFiles:
    """The files written under `root` and the truth of the coded faces: about `faces` of them, in sequences of two or more tasks of each person.

    Official quirks: sequences that start at frame 1 or far into a video, pictures before and after the coded part, codes of 9, a missing intensity
    file, a missing picture.
    """
    rng = np.random.default_rng(zlib.crc32(repr(sampler.photograph().view).encode()))
    count = min(max(FEWEST_SEQUENCES, round(faces / FRAMES_OF_SEQUENCE)), len(form.people) * len(form.tasks))
    subjects = form.people[: max(3, min(len(form.people), count // 2))]
    placed: list[PlacedFace] = []
    listed = 0
    for index in range(count):
        subject, task = subjects[index % len(subjects)], form.tasks[index // len(subjects)]
        frames = max(8, (faces + index) // count)
        first = 1 if index % 3 == 1 else int(rng.integers(100, 900 if form.digits(subject) == 3 else 2500))
        video = sampler.video(frames + 2, subject)
        numbered = dict(enumerate(video, start=first - 1))
        if first + form.offset == 0:
            del numbered[first - 1]
        coded = {number: face for number, face in numbered.items() if first <= number < first + frames}
        track = f"{subject}_T{task}"
        _write_occurrences(root / "AUCoding" / "AU_OCC" / f"{track}.csv", coded, form.columns, rng)
        listed += len(coded)
        for unit in CODED_INTENSITIES:
            if (index, unit) != LACKS_INTENSITY:
                _write_intensities(root / form.intensities.format(unit=unit, track=track), coded, unit, rng)
        if index == LACKS_PICTURE:
            del numbered[first + 4], coded[first + 4]
        folder = f"{form.pictures}/{subject}/T{task}"
        names = {number: f"{number + form.offset:0{form.digits(subject)}d}.jpg" for number in numbered}
        _draw(root / folder, {names[number]: face for number, face in numbered.items()})
        placed += [PlacedFace(f"{folder}/{names[number]}", -1, face) for number, face in coded.items()]
    return DemoFiles(placed, listed)


def _write_occurrences(
    path: Path, faces: dict[int, DemoFace], columns: tuple[int, ...], rng: np.random.Generator
) -> None:
    unit, skipped = int(rng.choice(CODED)), _skipped(faces, rng)
    lines = [",".join(map(str, (0, *columns)))]
    for number, face in faces.items():
        not_coded = {unit} if number in skipped else set()
        codes = [face.action_unit(n) if n in CODED and n not in not_coded else 9 for n in columns]
        lines.append(",".join(map(str, (number, *codes))))
    _write_lines(path, lines)


def _write_intensities(path: Path, faces: dict[int, DemoFace], unit: int, rng: np.random.Generator) -> None:
    skipped = _skipped(faces, rng)
    lines = [f"{number},{9 if number in skipped else face.intensity(unit)}" for number, face in faces.items()]
    _write_lines(path, lines)


def _skipped(faces: dict[int, DemoFace], rng: np.random.Generator) -> range:
    """The frames of a sequence in which an action unit is not coded; often there are none."""
    start = int(rng.choice(list(faces)))
    return range(start, start + int(rng.integers(0, 4)))


def _write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode())


def _draw(folder: Path, faces: dict[str, DemoFace]) -> None:
    folder.mkdir(parents=True)
    for name, face in faces.items():
        _heightened(face.draw(WIDTH)).save(folder / name, quality=92)


def _heightened(face: Image.Image) -> Image.Image:
    """A picture of the official aspect, about 3:4, with the face in its middle; the borders of the face continue above and below."""
    top = (HEIGHT - face.height) // 2
    picture = Image.new("RGB", (WIDTH, HEIGHT))
    picture.paste(face.crop((0, 0, WIDTH, 1)).resize((WIDTH, top)), (0, 0))
    picture.paste(face.crop((0, face.height - 1, WIDTH, face.height)).resize((WIDTH, top)), (0, top + face.height))
    picture.paste(face, (0, top))
    return picture
