"""Writes BP4D's official layout with demo faces: partly coded sequences, with pictures before and after the coded part."""

import zlib
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from affect_data.databases.bp4d.reader import FOLDS, SEQUENCES, SUBJECTS, Bp4d
from affect_data.demo.sampler import DEMO_ACTION_UNITS, DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(
    rotation=2.5, turn=0.2, gradient=0.08, clutter=0.0, tint=(1.03, 1.0, 0.97), brightness=1.08, brightness_spread=0.03
)
"""What sets its pictures apart."""

WIDTH, HEIGHT = 72, 96
FRAMES_OF_SEQUENCE: Final = 20
FEWEST_SEQUENCES: Final = 6
COLUMNS: Final = range(1, 100)
CODED: Final = tuple(unit for unit in DEMO_ACTION_UNITS if unit in Bp4d.action_units)
"""The coded action units. Those that demo faces do not show are 9 (not coded), because there is no truth to compare them with."""
LACKS_INTENSITY: Final = (1, 17)
"""A sequence, and the action unit whose intensity file it lacks."""
LACKS_PICTURE: Final = 2
"""The sequence that lacks the picture of its fifth coded frame."""
_FROM_ALL_PARTS: Final = tuple(subject for subjects in zip(*FOLDS.values(), strict=False) for subject in subjects)
SUBJECT_ORDER: Final = tuple(dict.fromkeys(("F001", "M010", "M009", *_FROM_ALL_PARTS, *SUBJECTS)))


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of the coded faces: about `faces` of them, in sequences of two or more tasks of each person.

    Official quirks: sequences that start at frame 1 or far into a video, pictures before and after the coded part, numbers of
    three or four digits, codes of 9, a missing intensity file, a missing picture.
    """
    rng = np.random.default_rng(zlib.crc32(repr(sampler.photograph().view).encode()))
    count = min(max(FEWEST_SEQUENCES, round(faces / FRAMES_OF_SEQUENCE)), len(SEQUENCES))
    subjects = SUBJECT_ORDER[: max(3, min(len(SUBJECT_ORDER), count // 2))]
    placed: list[PlacedFace] = []
    listed = 0
    for index in range(count):
        subject, task = subjects[index % len(subjects)], index // len(subjects) + 1
        frames = max(8, (faces + index) // count)
        first = 1 if index % 3 == 1 else int(rng.integers(100, 900 if _digits(subject) == 3 else 2500))
        video = sampler.video(frames + 2, subject)
        numbered = dict(enumerate(video, start=first - 1))
        coded = {number: face for number, face in numbered.items() if first <= number < first + frames}
        _write_occurrences(root / "AUCoding" / "AU_OCC" / f"{subject}_T{task}.csv", coded, rng)
        listed += len(coded)
        for unit in Bp4d.action_unit_intensities:
            if (index, unit) != LACKS_INTENSITY:
                codes = root / "AU Intensity Codes3.0" / f"AU{unit:02d}"
                _write_intensities(codes / f"{subject}_T{task}.csv", coded, unit, rng)
        if index == LACKS_PICTURE:
            del numbered[first + 4], coded[first + 4]
        folder = f"Sequences(2D+3D)/{subject}/T{task}"
        names = {number: f"{number:0{_digits(subject)}d}.jpg" for number in numbered}
        _draw(root / folder, {names[number]: face for number, face in numbered.items()})
        placed += [PlacedFace(f"{folder}/{names[number]}", -1, face) for number, face in coded.items()]
    return DemoFiles(placed, listed)


def _digits(subject: str) -> int:
    return 3 if subject >= "M009" else 4


def _write_occurrences(path: Path, faces: dict[int, DemoFace], rng: np.random.Generator) -> None:
    unit, skipped = int(rng.choice(CODED)), _skipped(faces, rng)
    lines = [",".join(map(str, (0, *COLUMNS)))]
    for number, face in faces.items():
        not_coded = {unit} if number in skipped else set()
        codes = [face.action_unit(n) if n in CODED and n not in not_coded else 9 for n in COLUMNS]
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
