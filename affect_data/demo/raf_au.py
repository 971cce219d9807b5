"""Writes RAF-AU's official layout with demo faces: a list of action units, some of them on one side, and two kinds of pictures."""

import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np

from affect_data.databases.raf_au import CODED, LIST
from affect_data.databases.raf_units import NOTHING
from affect_data.demo.sampler import DEMO_ACTION_UNITS, DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(rotation=5.0, turn=0.5, gradient=0.2, tint_spread=0.04, brightness_spread=0.14, blur=0.002)
"""What sets its pictures apart."""

SIDED_SHARE: Final = 0.2
LETTERS: Final = {
    **dict.fromkeys((1, 2, 6, 10, 12, 14), ("L", "R")),
    **dict.fromkeys((23, 24), ("T", "B", "t")),
}
"""The letters that official lists give to an action unit."""
TWICE_EVERY, DESCRIPTOR_EVERY = 9, 13
FIRST_GAP: Final = 5
"""After the picture of this position, a number is left out."""


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces.

    Official quirks: a blank after a single action unit without a side, numbers in no order, some of them twice, action descriptors, ``null``, gaps in
    the numbers of the pictures. Drawn faces are alike on both sides; the letters are made up.
    """
    rng = np.random.default_rng(zlib.crc32(repr(sampler.photograph().view).encode()))
    for folder in ("aligned", "original"):
        (root / folder).mkdir(parents=True)
    placed, lines = [], []
    for index in range(faces):
        face, name = sampler.photograph(), f"{index + 1 + (index > FIRST_GAP):04d}"
        lines.append(f"{name}.jpg {tokens_of(face, rng, index)}\n")
        face.draw(100).save(root / "aligned" / f"{name}_aligned.jpg", quality=92)
        face.draw(72).save(root / "original" / f"{name}.jpg", quality=92)
        placed.append(PlacedFace(f"aligned/{name}_aligned.jpg", -1, face))
    (root / LIST).write_text("".join(lines), encoding="utf-8")
    return DemoFiles(placed, listed=faces)


def tokens_of(face: DemoFace, rng: np.random.Generator, index: int, coded: Collection[int] = CODED) -> str:
    """What a list says of a face; every ninth token stands twice, and every thirteenth face has a descriptor."""
    units = [unit for unit in coded if unit in DEMO_ACTION_UNITS and face.action_unit(unit)]
    tokens = [_token(unit, rng) for unit in rng.permutation(units).tolist()]
    if tokens and index % TWICE_EVERY == 0:
        tokens.append(tokens[-1])
    if tokens and index % DESCRIPTOR_EVERY == 0:
        tokens.append("AD19")
    if not tokens:
        return NOTHING
    return "+".join(tokens) + (" " if len(tokens) == 1 and tokens[0].isdigit() else "")


def _token(unit: int, rng: np.random.Generator) -> str:
    letters = LETTERS.get(unit, ())
    return f"{rng.choice(letters)}{unit}" if letters and rng.random() < SIDED_SHARE else str(unit)
