"""Writes the pictures of docs/faces.md: ``python benchmarks/faces_pictures.py [FOLDER]`` (docs/images by default). All faces are drawn.

A function a picture; each is named in `PICTURES` with its file.
"""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from affect_data.demo.canvas import Colour
from affect_data.demo.sampler import FaceSampler
from affect_data.faces.detection import DetectedFace
from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.faces.policies import POLICIES

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
WALL: Colour = (186, 196, 204)
INK, BOX, POINT = (40, 44, 52), (30, 110, 190), (214, 84, 24)
SURE = 0.6

WIDTH, HEIGHT = 960, 360
PEOPLE = (("happiness", -24.0, 480, -20, -40), ("sadness", 17.0, 500, 520, -40), ("surprise", 3.0, 420, 275, -10))
"""Expression, turn in degrees, side of the drawn square, and its left and top, for each person; the last stands in front."""

CELL, GAP, LEFT = 168, 14, 130


def photograph() -> Image.Image:
    """Three drawn people before a wall, of different sizes, two with a tilted head."""
    sampler, picture = FaceSampler(7), Image.new("RGB", (WIDTH, HEIGHT), WALL)
    for expression, turn, side, left, top in PEOPLE:
        face = sampler.photograph(expression=expression)
        view = dataclasses.replace(
            face.view, rotation=turn, shift=(0.0, 0.0), scale=0.6, background=(WALL,), gradient=0.0, noise=0.0, blur=0.0
        )
        view = dataclasses.replace(view, brightness=1.0, tint=(1.0, 1.0, 1.0))
        drawn = dataclasses.replace(face, view=view).draw(side)
        # Only the person, so that neighbours do not hide each other behind their wall.
        person = Image.fromarray(np.abs(np.asarray(drawn).astype(int) - WALL).sum(axis=2) > 0)
        picture.paste(drawn, (left, top), person)
    return picture


def found_faces(picture: Image.Image) -> list[DetectedFace]:
    """The faces of the photograph from left to right, as the default detector finds them.

    Raises:
        SystemExit: the detector is not installed, or does not find every person.
    """
    if because := LibFaceDetection.missing():
        raise SystemExit(because)
    faces = [face for face in LibFaceDetection().detect(np.asarray(picture)) if face.score >= SURE]
    if len(faces) != len(PEOPLE):
        raise SystemExit(f"{len(faces)} faces are found of {len(PEOPLE)} that were drawn")
    return sorted(faces, key=lambda face: face.centre)


def crops() -> Image.Image:
    """A photograph with its found faces, and below it every face cut out by every policy."""
    picture = photograph()
    faces, pixels = found_faces(picture), np.asarray(picture)
    sheet = Image.new("RGB", (WIDTH, HEIGHT + 50 + len(faces) * (CELL + GAP)), (255, 255, 255))
    sheet.paste(marked(picture, faces), (0, 0))
    pen = ImageDraw.Draw(sheet)
    step = (WIDTH - LEFT) // len(POLICIES)
    for column, policy in enumerate(POLICIES.values()):
        centre = LEFT + column * step + step // 2
        pen.text((centre, HEIGHT + 26), policy.name, fill=INK, anchor="mm", font_size=20)
        for row, face in enumerate(faces):
            top = HEIGHT + 50 + row * (CELL + GAP)
            crop = Image.fromarray(policy.cut(pixels, face))
            scale = CELL / max(crop.size)
            shown = crop.resize((round(crop.width * scale), round(crop.height * scale)), Image.Resampling.LANCZOS)
            sheet.paste(shown, (centre - shown.width // 2, top + (CELL - shown.height) // 2))
    for row in range(len(faces)):
        middle = HEIGHT + 50 + row * (CELL + GAP) + CELL // 2
        pen.text((LEFT // 2, middle), f"face {row + 1}", fill=INK, anchor="mm", font_size=20)
    return sheet


def marked(picture: Image.Image, faces: Sequence[DetectedFace]) -> Image.Image:
    """The picture with the box, the five points and the number of each face."""
    shown = picture.copy()
    pen = ImageDraw.Draw(shown)
    for number, face in enumerate(faces, start=1):
        pen.rectangle(face.box, outline=BOX, width=3)
        label, place = f"face {number}", (face.box[0] + 6, face.box[1] - 6)
        left, top, right, bottom = pen.textbbox(place, label, anchor="lb", font_size=20)
        pen.rectangle((left - 6, top - 5, right + 6, bottom + 5), fill=BOX)
        pen.text(place, label, fill=(255, 255, 255), anchor="lb", font_size=20)
        for x, y in face.points if face.points is not None else ():
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=POINT)
    return shown


PICTURES: dict[str, Callable[[], Image.Image]] = {"faces-crops.jpg": crops}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        picture().save(folder / name, quality=88, optimize=True)
        print(folder / name)


if __name__ == "__main__":
    main()
