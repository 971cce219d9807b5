"""Writes BP4D's official layout with demo faces."""

from pathlib import Path
from typing import Final

from affect_data.databases.bp4d.reader import FOLDS, SUBJECTS
from affect_data.demo.coded_sequences import Form, write_sequences
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles

STYLE: Final = Style(
    rotation=2.5, turn=0.2, gradient=0.08, clutter=0.0, tint=(1.03, 1.0, 0.97), brightness=1.08, brightness_spread=0.03
)
"""What sets its pictures apart."""

_FROM_ALL_PARTS: Final = tuple(subject for subjects in zip(*FOLDS.values(), strict=False) for subject in subjects)
FORM: Final = Form(
    people=tuple(dict.fromkeys(("F001", "M010", "M009", *_FROM_ALL_PARTS, *SUBJECTS))),
    tasks=tuple(range(1, 9)),
    columns=tuple(range(1, 100)),
    intensities="AU Intensity Codes3.0/AU{unit:02d}/{track}.csv",
    pictures="Sequences(2D+3D)",
    digits=lambda subject: 3 if subject >= "M009" else 4,
    offset=0,
)


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of the coded faces. Beside the quirks of all coded sequences: numbers of three or four digits."""
    return write_sequences(root, sampler, faces, FORM)
