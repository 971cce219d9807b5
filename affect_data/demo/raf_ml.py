"""Writes RAF-ML's official layout with demo faces: the shares of annotators for six expressions, and two kinds of pictures."""

import zlib
from pathlib import Path
from typing import Final

import numpy as np

from affect_data.databases.raf_ml import LIST, ORDER
from affect_data.demo.frames import photograph_of
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(rotation=5.0, turn=0.5, gradient=0.2, tint_spread=0.04, brightness_spread=0.14, blur=0.002)
"""What sets its pictures apart: it is that of RAF-AU, which has the same pictures."""

ANNOTATORS: Final = 25
BLEND_EVERY: Final = 4
"""Every so many faces show a second expression, to which half of the votes go."""
ABSENT: Final = 4
"""Position of a picture that is listed, but not there."""


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces.

    Official quirks: a blank at the end of every line, six decimals, faces on which no class has the majority. As in a copy that broke off, a
    picture is not there.
    """
    rng = np.random.default_rng(zlib.crc32(repr(sampler.photograph().view).encode()))
    for folder in ("EmoLabel", "Image/aligned", "Image/original"):
        (root / folder).mkdir(parents=True)
    placed, lines = [], []
    for index in range(faces):
        face, name = photograph_of(sampler, ORDER), f"{index + 1:04d}"
        counts = face.votes(rng, ANNOTATORS)
        votes = np.array([counts[expression] for expression in ORDER], dtype=np.int64)
        if index % BLEND_EVERY == 0:
            own = ORDER.index(face.expression)
            votes[(own + 1) % len(ORDER)] += votes[own]
        shares = votes / max(1, votes.sum())
        lines.append(f"{name}.jpg {' '.join(f'{share:.6f}' for share in shares)} \n")
        if index != ABSENT:
            face.draw(64).save(root / "Image" / "aligned" / f"{name}_aligned.jpg", quality=92)
            face.draw(48).save(root / "Image" / "original" / f"{name}.jpg", quality=92)
            placed.append(PlacedFace(f"Image/aligned/{name}_aligned.jpg", -1, face))
    (root / "EmoLabel" / LIST).write_text("".join(lines), encoding="utf-8")
    return DemoFiles(placed, listed=faces)
