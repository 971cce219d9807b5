"""Writes RAF-DB's official layout with demo faces: the basic and the compound part."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from affect_data.databases.raf_db.attributes import ATTRIBUTES, ENDING, FOLDER, LANDMARKS
from affect_data.databases.raf_db.reader import BASIC, COMPOUND
from affect_data.demo.sampler import DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(rotation=4.0, turn=0.5, gradient=0.25, tint_spread=0.04, brightness_spread=0.16, blur=0.003)
"""What sets its pictures apart."""

COMPOUND_SHARE: Final = 0.4
TEST_SHARE: Final = 0.2
DIGITS: Final = {"basic": {"train": 5, "test": 4}, "compound": {"train": 4, "test": 3}}
COMPOUND_WEIGHTS: Final = (697, 266, 129, 163, 86, 738, 150, 560, 176, 841, 148)
"""How often each compound class is drawn, in proportion: about as unequal as in RAF-DB."""
ALIGNED: Final = 100
SMALLEST_FACE, LARGEST_FACE = 64, 80


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces: aligned faces, the photographs that they are cut from, lists, boxes, attributes.

    Official quirks: classes count from 1, the number of digits in picture names differs between splits and parts, a box file is one line with a space
    at its end and no line end. Each split of the compound part starts with one face of every class. The attributes are made up: drawn faces are
    nobody's.
    """
    rng = np.random.default_rng(zlib.crc32(repr(sampler.photograph().view).encode()))
    compound = round(COMPOUND_SHARE * faces)
    placed = _write_part(root, "basic", faces - compound, rng, lambda _: _basic(sampler))
    placed += _write_part(root, "compound", compound, rng, lambda index: _compound(sampler, rng, index))
    return DemoFiles(placed, listed=faces)


def _write_part(
    root: Path, part: str, faces: int, rng: np.random.Generator, draw: Callable[[int], tuple[DemoFace, int]]
) -> list[PlacedFace]:
    """The faces of one part of the database, which is written; `draw` gives the face and class at an index of a split."""
    folder = root / part
    for name in ("EmoLabel", "Image/aligned", "Image/original", "Annotation/boundingbox", FOLDER):
        (folder / name).mkdir(parents=True)
    test = round(TEST_SHARE * faces)
    placed: list[PlacedFace] = []
    lines: list[str] = []
    for split, count in (("train", faces - test), ("test", test)):
        for index in range(count):
            truth, code = draw(index)
            stem = f"{split}_{index + 1:0{DIGITS[part][split]}d}"
            lines.append(f"{stem}.jpg {code}\n")
            aligned = truth.draw(ALIGNED)
            aligned.save(folder / "Image" / "aligned" / f"{stem}_aligned.jpg", quality=92)
            photograph, box = _photograph(aligned, rng)
            photograph.save(folder / "Image" / "original" / f"{stem}.jpg", quality=92)
            (folder / "Annotation" / "boundingbox" / f"{stem}_boundingbox.txt").write_text(
                "".join(f"{side:.6f} " for side in box), encoding="utf-8"
            )
            (folder / FOLDER / f"{stem}{ENDING}").write_text(_attributes(f"{part}/{stem}", box), encoding="utf-8")
            placed.append(PlacedFace(f"{part}/Image/aligned/{stem}_aligned.jpg", -1, truth))
    (folder / "EmoLabel" / "list_patition_label.txt").write_text("".join(lines), encoding="utf-8")
    return placed


def _basic(sampler: FaceSampler) -> tuple[DemoFace, int]:
    """A face with one of the seven basic expressions, and its code."""
    while True:
        face = sampler.photograph()
        if face.expression in BASIC:
            return face, BASIC.index(face.expression) + 1


def _compound(sampler: FaceSampler, rng: np.random.Generator, index: int) -> tuple[DemoFace, int]:
    """A face with a compound expression of RAF-DB, and its code: first every class once, then as often as in the database."""
    while True:
        weights = np.array(COMPOUND_WEIGHTS)
        number = index if index < len(COMPOUND) else int(rng.choice(len(COMPOUND), p=weights / weights.sum()))
        face = sampler.photograph(compound=COMPOUND[number])
        if face.compound in COMPOUND:
            return face, COMPOUND.index(face.compound) + 1


def _photograph(
    aligned: Image.Image, rng: np.random.Generator
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """A photograph with the aligned face, smaller and off the middle, and the face's box: left, top, right, bottom."""
    size = int(rng.integers(SMALLEST_FACE, LARGEST_FACE + 1))
    width, height = (size + int(extra) for extra in rng.integers(8, 40, 2))
    red, green, blue = (int(level) for level in rng.integers(60, 200, 3))
    photograph = Image.new("RGB", (width, height), (red, green, blue))
    left, top = int(rng.integers(0, width - size + 1)), int(rng.integers(0, height - size + 1))
    photograph.paste(aligned.resize((size, size)), (left, top))
    inset = rng.uniform(0.0, 2.0, 4)
    return photograph, (left + inset[0], top + inset[1], left + size - inset[2], top + size - inset[3])


def _attributes(face: str, box: tuple[float, float, float, float]) -> str:
    """The lines of a file of attributes: landmarks within the box, and a number for each of `ATTRIBUTES`."""
    rng = np.random.default_rng(zlib.crc32(face.encode()))
    left, top, right, bottom = box
    across, down = rng.uniform(left, right, LANDMARKS), rng.uniform(top, bottom, LANDMARKS)
    places = "".join(f"{x:.6f}\t{y:.6f}\n" for x, y in zip(across, down, strict=True))
    return places + "".join(f"{rng.integers(len(words))}\n" for words in ATTRIBUTES.values())
