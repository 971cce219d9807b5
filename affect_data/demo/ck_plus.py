"""Writes CK+'s official layout with demo faces: short sequences from neutral to the peak, with a file of action units and, for some, of the class."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from affect_data.databases.ck_plus.files import IMAGES
from affect_data.databases.ck_plus.reader import CODED, SUBJECTS, CkPlus
from affect_data.demo.sampler import DEMO_ACTION_UNITS, PRESENT_ABOVE, DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(rotation=1.5, turn=0.15, gradient=0.1, clutter=0.0, brightness_spread=0.05, noise=3.0)
"""What sets its pictures apart: a laboratory with a plain wall."""

SIZE: Final = 48
FRAMES: Final = 3
SEQUENCES_OF_PERSON: Final = 3
NOT_GIVEN_EVERY, OTHER_EVERY = 11, 9
"""Every so many sequences have an intensity that was not given, or an action unit that is not coded."""
NO_PICTURE: Final = 4
OTHER_UNIT: Final = 54


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of the peaks.

    Official quirks: numbers in scientific notation with blanks before them, intensities that were not given, action units that are not coded, empty
    files where none is listed, and folders without a file of the expression: those of neutral faces, because CK+ has no neutral sequence. As in a
    copy that broke off, a picture is not there.
    """
    placed = []
    for position in range(min(faces, len(SUBJECTS) * SEQUENCES_OF_PERSON)):
        subject, sequence = SUBJECTS[position // SEQUENCES_OF_PERSON], f"{position % SEQUENCES_OF_PERSON + 1:03d}"
        face = _without_traces(sampler.photograph(subject))
        place, count = f"{subject}/{sequence}", FRAMES + position % 2
        stem = f"{subject}_{sequence}_{count:08d}"
        _write_frames(root / IMAGES / place, face, stem, count if position != NO_PICTURE else 0)
        _write(root / "FACS" / place / f"{stem}_facs.txt", _facs(face, position))
        (root / "Emotion" / place).mkdir(parents=True)
        if face.expression != "neutral":
            code = CkPlus.expressions.index(face.expression)
            _write(root / "Emotion" / place / f"{stem}_emotion.txt", f"   {code:.7e}\n")
        if position != NO_PICTURE:
            placed.append(PlacedFace(f"{IMAGES}/{place}/{stem}.png", -1, face))
    return DemoFiles(placed, listed=min(faces, len(SUBJECTS) * SEQUENCES_OF_PERSON))


def _without_traces(face: DemoFace) -> DemoFace:
    """The face without action units too weak to count as present: a file that does not list them says that they are absent."""
    return replace(face, strengths=tuple(level if level > PRESENT_ABOVE else 0.0 for level in face.strengths))


def _write_frames(folder: Path, face: DemoFace, stem: str, count: int) -> None:
    """The frames of a sequence, from a neutral face to the peak."""
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        level = (number - 1) / (count - 1)
        shown = replace(face, strengths=tuple(strength * level for strength in face.strengths))
        shown.draw(SIZE, colour=False).save(folder / f"{stem[:-8]}{number:08d}.png")


def _facs(face: DemoFace, position: int) -> str:
    """The text of a FACS file."""
    levels: dict[int, int] = {
        unit: face.intensity(unit) for unit in CODED if unit in DEMO_ACTION_UNITS and face.intensity(unit)
    }
    if levels and position % NOT_GIVEN_EVERY == 0:
        levels[max(levels)] = 0
    if position % OTHER_EVERY == 0:
        levels[OTHER_UNIT] = 3
    return "".join(f"   {unit:.7e}   {level:.7e}\n" for unit, level in levels.items())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
