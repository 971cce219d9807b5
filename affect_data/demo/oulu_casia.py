"""Writes Oulu-CASIA's official layout with demo faces: short sequences from neutral to the peak, by person and expression."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from affect_data.databases.oulu_casia import PEOPLE, OuluCasia
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(rotation=2.0, turn=0.2, gradient=0.1, clutter=0.0, brightness_spread=0.05, tint=(1.03, 1.0, 0.96))
"""What sets its pictures apart: a laboratory with a plain wall."""

SIZE: Final = 48
FOLDER: Final = "OriginalImg/VL/Strong"
FRAMES: Final = 2
NO_FRAMES: Final = 4
"""Position of a sequence whose folder is empty."""


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of the peaks: about `faces` of them, of people who show all six expressions.

    As in a copy that broke off, the folder of a sequence is empty.
    """
    placed = []
    people = min(PEOPLE, max(1, faces // len(OuluCasia.mapping)))
    for person in range(1, people + 1):
        subject = f"P{person:03d}"
        for number, row in enumerate(OuluCasia.mapping):
            place = f"{FOLDER}/{subject}/{row.native}"
            (root / place).mkdir(parents=True)
            face = sampler.photograph(subject, expression=row.unified)
            if (person - 1) * len(OuluCasia.mapping) + number == NO_FRAMES:
                continue
            for frame in range(FRAMES):
                level = frame / (FRAMES - 1)
                shown = replace(face, strengths=tuple(strength * level for strength in face.strengths))
                shown.draw(SIZE).save(root / place / f"{frame:03d}.jpeg", quality=92)
            placed.append(PlacedFace(f"{place}/{FRAMES - 1:03d}.jpeg", -1, face))
    return DemoFiles(placed, listed=people * len(OuluCasia.mapping))
