"""Writes RAF-CE's official layout with demo faces: lists of compound expressions, parts and action units, and two kinds of pictures."""

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from affect_data.databases.raf_ce import ACTION_UNITS, CODED, COMPOUND, LIST, PARTITION
from affect_data.demo.raf_au import tokens_of
from affect_data.demo.sampler import DEMO_COMPOUND_EXPRESSIONS, DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(rotation=5.0, turn=0.5, gradient=0.2, tint_spread=0.04, brightness_spread=0.14, blur=0.002)
"""What sets its pictures apart: it is that of RAF-AU, which has the same pictures."""

BURST: Final = range(20, 24)
"""Positions of near copies of one face, which the official split tears apart."""
PARTS: Final = (0, 0, 0, 1, 2)
FIRST_GAP: Final = 5
"""After the picture of this position, a number is left out."""
ABSENT: Final = 4
"""Position of a picture that is listed, but not there."""


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces.

    Official quirks: action units with letters, in no order, some of them twice, action descriptors, gaps in the numbers of the pictures, and a burst
    of near copies that lie in all three parts. As in a copy that broke off, a picture is not there.
    """
    rng = np.random.default_rng(zlib.crc32(repr(sampler.photograph().view).encode()))
    for folder in ("aligned", "original"):
        (root / folder).mkdir(parents=True)
    placed = []
    lines: dict[str, list[str]] = {LIST: [], PARTITION: [], ACTION_UNITS: []}
    drawn: list[tuple[DemoFace, str]] = []
    for index in range(faces):
        face = sampler.photograph(compound=DEMO_COMPOUND_EXPRESSIONS[index % len(DEMO_COMPOUND_EXPRESSIONS)])
        said = tokens_of(face, rng, index, CODED).strip()
        if index in BURST[1:]:
            first, said = drawn[BURST.start]
            face = replace(first, view=face.view)
        drawn.append((face, said))
        name = f"{index + 1 + (index > FIRST_GAP):04d}"
        lines[LIST].append(f"{name}.jpg {COMPOUND.index(face.compound)}\n")
        lines[PARTITION].append(f"{name}.jpg {PARTS[index % len(PARTS)]}\n")
        lines[ACTION_UNITS].append(f"{name}.jpg {said}\n")
        if index != ABSENT:
            face.draw(64).save(root / "aligned" / f"{name}_aligned.jpg", quality=92)
            face.draw(48).save(root / "original" / f"{name}.jpg", quality=92)
            placed.append(PlacedFace(f"aligned/{name}_aligned.jpg", -1, face))
    for path, text in lines.items():
        (root / path).write_text("".join(text).removesuffix("\n" if path != ACTION_UNITS else ""), encoding="utf-8")
    return DemoFiles(placed, listed=faces)
