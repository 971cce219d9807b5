"""Writes EmotioNet's official layouts with demo faces: workbook, csv export, text lists of the challenge."""

import csv
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from PIL import Image

from affect_data.databases.emotionet.reader import CODED, CODED_BY_ALGORITHM
from affect_data.demo.sampler import DEMO_ACTION_UNITS, DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace
from affect_data.demo.workbook import write_workbook

STYLE: Final = Style(rotation=9.0, turn=0.5, gradient=0.3, tint_spread=0.04, brightness_spread=0.16)
"""What sets its pictures apart."""

Form = Literal["xlsx", "csv", "challenge"]

SHEET: Final = "EmotioNet_FACS_aws_2020_24600"
TEXT_FOLDER: Final = "emotioNet_challenge_files_server_challenge_1.2_aws"
HEADER: Final = ("URL", "URL orig", *(f"'AU {number}'" for number in range(1, 61)))
SERVER: Final = "https://s3.us-east-2.amazonaws.com/emotionet/Images"

FIRST_FOLDER: Final = {"xlsx": 1, "csv": 1, "challenge": 101}
IMAGES_IN_FOLDER: Final = 40
LINES_IN_TEXT_LIST: Final = 100
SMALLEST_FACE, LARGEST_FACE = 80, 96
HEAD_TURNS: Final = range(51, 57)
"""Columns for the turns and tilts of the head, which are annotated although they are no action units of the face."""

UNKNOWN: Final = 999
UNKNOWN_SHARE: Final = 0.03
"""Share of the coded action units that the annotators could not see."""
DEAD_EVERY: Final = 20
"""One URL in so many is dead: it is listed but has no image."""
ALL_UNKNOWN: Final = 7
"""Position in the list of the image without any known action unit."""


class Line(NamedTuple):
    """One line of a list: an image and its codes."""

    url: str
    original: str
    units: tuple[int, ...]  # 60 codes


def write(root: Path, sampler: FaceSampler, faces: int, form: Form = "xlsx") -> DemoFiles:
    """The files written under `root` and the truth of their faces: a list in one of its three forms, and the images behind its URLs.

    Official quirks: quotation marks in the header and at the end of the URLs, 999 in all columns that are not coded and in some that are, an image
    without a known action unit, dead URLs, gaps in the numbers of the images. Action units 18, 28 and 43, which no demo face shows, are unknown.

    Args:
        root: folder of the database; text lists may join the sheet of another call.
        sampler: of the faces.
        faces: how many lines.
        form: ``challenge`` writes text lists as if an algorithm had annotated them; it makes no error here.
    """
    rng = np.random.default_rng(zlib.crc32(repr(sampler.photograph().view).encode()))
    placed: list[PlacedFace] = []
    lines: list[Line] = []
    number = 0
    for index in range(faces):
        folder = f"N_{FIRST_FOLDER[form] + index // IMAGES_IN_FOLDER:010d}"
        number = int(rng.integers(1, 4)) + (number if index % IMAGES_IN_FOLDER else 0)
        name = f"{folder}/{folder}_{number:05d}.jpg"
        face = sampler.photograph()
        coded = CODED_BY_ALGORITHM if form == "challenge" else CODED["2020"]
        units = _units(face, coded, rng, is_unknown=index == ALL_UNKNOWN)
        lines.append(Line(f"{SERVER}/{name}", f"http://photos.example/{index}/a,b.jpg", units))
        if index % DEAD_EVERY == DEAD_EVERY - 1:
            continue
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _photograph(face, rng).save(path, quality=92)
        if index != ALL_UNKNOWN:
            placed.append(PlacedFace(f"images/{name}", -1, face))
    _write_lines(root, lines, form)
    return DemoFiles(placed, listed=len(lines))


def _units(face: DemoFace, coded: tuple[int, ...], rng: np.random.Generator, *, is_unknown: bool) -> tuple[int, ...]:
    """The codes of all 60 columns."""
    units = [UNKNOWN] * 60
    for number in coded:
        if number in DEMO_ACTION_UNITS and not is_unknown and rng.random() >= UNKNOWN_SHARE:
            units[number - 1] = face.action_unit(number)
    if len(coded) > len(CODED_BY_ALGORITHM):
        for number in HEAD_TURNS:
            units[number - 1] = int(rng.random() < 0.1)
    return tuple(units)


def _photograph(face: DemoFace, rng: np.random.Generator) -> Image.Image:
    """A picture somewhat larger than the face, with the face somewhere in it."""
    size = int(rng.integers(SMALLEST_FACE, LARGEST_FACE + 1))
    width, height = (size + int(margin) for margin in rng.integers(0, 24, 2))
    grain = rng.integers(40, 216, (4, 4, 3), dtype=np.uint8)
    picture = Image.fromarray(grain).resize((width, height), Image.Resampling.BILINEAR)
    picture.paste(face.draw(size), (int(rng.integers(0, width - size + 1)), int(rng.integers(0, height - size + 1))))
    return picture


def _write_lines(root: Path, lines: list[Line], form: Form) -> None:
    if form == "challenge":
        folder = root / TEXT_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(lines), LINES_IN_TEXT_LIST):
            chunk = lines[start : start + LINES_IN_TEXT_LIST]
            text = "".join("\t".join((line.url, line.original, *map(str, line.units))) + "\n" for line in chunk)
            (folder / f"dataFile_{1 + start // LINES_IN_TEXT_LIST:04d}.txt").write_text(text, encoding="utf-8")
        return
    rows: list[Sequence[str | int]] = [HEADER]
    rows += [(f"{line.url}'", f"{line.original}'", *line.units) for line in lines]
    if form == "xlsx":
        write_workbook(root / f"{SHEET}.xlsx", rows)
    else:
        with (root / f"{SHEET}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
