"""Writes BP4D+'s official layout with demo faces."""

from pathlib import Path
from typing import Final

from affect_data.databases.bp4d.coded_sequences import CODED_UNITS
from affect_data.databases.bp4d_plus import FOLDS, SUBJECTS, TASKS
from affect_data.demo.coded_sequences import Form, write_sequences
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles

STYLE: Final = Style(
    rotation=2.5, turn=0.2, gradient=0.08, clutter=0.0, tint=(0.99, 1.0, 1.0), brightness=1.05, brightness_spread=0.03
)
"""What sets its pictures apart."""

_FROM_ALL_PARTS: Final = tuple(subject for subjects in zip(*FOLDS.values(), strict=False) for subject in subjects)
FORM: Final = Form(
    people=tuple(dict.fromkeys(("F041", "F001", "M058", *_FROM_ALL_PARTS, *SUBJECTS))),
    tasks=TASKS,
    columns=CODED_UNITS,
    intensities="AUCoding/AU_INT/AU{unit:02d}/{track}_AU{unit:02d}.csv",
    pictures="2D+3D",
    digits=lambda subject: 4 if subject.startswith("M") else 3,
    offset=-1,
)


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of the coded faces. Beside the quirks of all coded sequences: pictures that count from 0."""
    return write_sequences(root, sampler, faces, FORM)
