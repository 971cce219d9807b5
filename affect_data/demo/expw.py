"""Writes ExpW's official layout with demo faces."""

import zlib
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from affect_data.databases.expw import ExpW
from affect_data.demo.sampler import DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(rotation=9.0, gradient=0.3, noise=8.0, brightness_spread=0.18)
"""What sets its pictures apart."""

QUERY_WORDS: Final = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "afraid",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprised",
    "neutral": "calm",
}
OCCUPATIONS: Final = ("actor", "athlete", "coach", "lawyer", "nurse", "student", "teacher")
FACES_IN_PHOTOGRAPH: Final = (1, 1, 2, 1, 3)
SMALLEST_FACE, LARGEST_FACE = 64, 80
ABSENT_PHOTOGRAPH: Final = 3
"""Position in the list of the photograph that is not in the archive."""
OTHER_QUERY: Final = 0.4
"""Share of photographs that were found by the word for another expression than the one they show."""


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces: photographs of one to three faces, and ``label/label.lst``.

    Official quirks: the query word in a photograph's name is often not its label, boxes exceed the photograph, face numbers have gaps, and one
    photograph of the list is not in the archive.
    """
    folder = root / "image" / "origin"
    folder.mkdir(parents=True)
    (root / "label").mkdir()
    rng = np.random.default_rng(zlib.crc32(repr(sampler.photograph().view).encode()))
    placed: list[PlacedFace] = []
    lines: list[str] = []
    number = 0
    while len(lines) < faces:
        shown = [_photograph(sampler) for _ in range(min(FACES_IN_PHOTOGRAPH[number % 5], faces - len(lines)))]
        picture, boxes = _side_by_side(shown, rng)
        name = f"{_query(shown[0], rng)}_{OCCUPATIONS[int(rng.integers(len(OCCUPATIONS)))]}_{number + 1}.jpg"
        if number != ABSENT_PHOTOGRAPH:
            picture.save(folder / name, quality=92)
        for index, (truth, (left, top, right, bottom)) in enumerate(zip(shown, boxes, strict=True)):
            face = index + 1 if index > 0 and number % 10 == 2 else index
            code = ExpW.expressions.index(truth.expression)
            lines.append(f"{name} {face} {top} {left} {right} {bottom} {rng.lognormal(3.2, 0.9):.4f} {code}")
            if number != ABSENT_PHOTOGRAPH:
                placed.append(PlacedFace(f"image/origin/{name}", face, truth))
        number += 1
    (root / "label" / "label.lst").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return DemoFiles(placed, listed=len(lines))


def _photograph(sampler: FaceSampler) -> DemoFace:
    """A face with one of the seven expressions that the database labels."""
    while True:
        face = sampler.photograph()
        if face.expression in ExpW.expressions:
            return face


def _query(face: DemoFace, rng: np.random.Generator) -> str:
    """The word that a photograph was searched by: often, not always, that of the face's expression."""
    if rng.random() < OTHER_QUERY:
        return QUERY_WORDS[str(rng.choice([name for name in QUERY_WORDS if name != face.expression]))]
    return QUERY_WORDS[face.expression]


def _side_by_side(
    faces: list[DemoFace], rng: np.random.Generator
) -> tuple[Image.Image, list[tuple[int, int, int, int]]]:
    """A photograph of the faces beside each other, and their boxes: left, top, right, bottom.

    Every box reaches a few pixels beyond its face's picture; so boxes at the border exceed the photograph.
    """
    sizes = [int(rng.integers(SMALLEST_FACE, LARGEST_FACE + 1)) for _ in faces]
    gaps = [int(rng.integers(0, 12)) for _ in range(len(faces) + 1)]
    height = max(sizes) + int(rng.integers(0, 24))
    picture = Image.new("RGB", (sum(sizes) + sum(gaps), height), tuple(int(c) for c in rng.integers(60, 200, 3)))
    boxes = []
    left = 0
    for face, size, gap in zip(faces, sizes, gaps[:-1], strict=True):
        left += gap
        top = int(rng.integers(0, height - size + 1))
        picture.paste(face.draw(size), (left, top))
        margin = int(rng.integers(0, 4))
        boxes.append((left - margin, top - margin, left + size + margin, top + size + margin))
        left += size
    return picture, boxes
