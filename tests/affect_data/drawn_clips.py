"""Clips of drawn people whose identity and place in every frame are known."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from affect_data.demo.sampler import DemoFace, FaceSampler
from affect_data.faces.detection import DetectedFace, Pixels

WIDTH, HEIGHT = 320, 180
SEEN = 0.4
"""A face is shown if at least this share of its box is not behind another one."""

Path = Callable[[float], tuple[float, float, float]]
"""From time (0 to 1) to the middle of a face and its side, in pixels; a side of 0: not there."""


@dataclass(frozen=True)
class Shown:
    """A face as it was drawn: who it is, and its box."""

    person: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Frame:
    """A frame and the faces that one can see in it, nearest last."""

    pixels: Pixels
    faces: tuple[Shown, ...]


def clip(
    paths: Sequence[Path],
    frames: int,
    seed: int,
    *,
    background: tuple[int, int, int] = (120, 130, 140),
    scene: str = "",
) -> Iterator[Frame]:
    """The frames of a clip of one person a path; later paths are nearer to the camera."""
    sampler = FaceSampler(seed)
    people = [(f"{scene}{number}", sampler.video(12)) for number in range(len(paths))]
    for number in range(frames):
        time = number / max(1, frames - 1)
        picture = Image.new("RGB", (WIDTH, HEIGHT), background)
        boxes: list[tuple[str, tuple[float, float, float, float]]] = []
        for (person, faces), path in zip(people, paths, strict=True):
            x, y, side = path(time)
            if side:
                _paste(picture, _drawn(faces[number // 2 % len(faces)], round(side)), x, y)
                boxes.append((person, (x - 0.29 * side, y - 0.33 * side, x + 0.29 * side, y + 0.4 * side)))
        yield Frame(np.asarray(picture), tuple(_seen(boxes)))


@lru_cache(maxsize=256)
def _drawn(face: DemoFace, side: int) -> Image.Image:
    return face.draw(side)


def _paste(picture: Image.Image, face: Image.Image, x: float, y: float) -> None:
    mask = Image.new("L", face.size)
    side = face.width
    ImageDraw.Draw(mask).ellipse((0.1 * side, 0.02 * side, 0.9 * side, 0.98 * side), fill=255)
    picture.paste(face, (round(x - side / 2), round(y - side / 2)), mask)


def _seen(boxes: Sequence[tuple[str, tuple[float, float, float, float]]]) -> Iterator[Shown]:
    for number, (person, box) in enumerate(boxes):
        covered = max((_shared(box, other) for _, other in boxes[number + 1 :]), default=0.0)
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        if 1 - covered >= SEEN and 0 <= x < WIDTH and 0 <= y < HEIGHT:
            yield Shown(person, box)


def _shared(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The share of a box that lies in the other."""
    sides = [max(0.0, min(box[axis + 2], other[axis + 2]) - max(box[axis], other[axis])) for axis in (0, 1)]
    return sides[0] * sides[1] / ((box[2] - box[0]) * (box[3] - box[1]))


def overlap(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    inside = _shared(box, other) * area
    return inside / (area + (other[2] - other[0]) * (other[3] - other[1]) - inside)


def line(start: tuple[float, float], end: tuple[float, float], side: float) -> Path:
    """A straight walk at an even pace."""
    return lambda t: (start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1]), side)


def turning_back(start: tuple[float, float], turn: tuple[float, float], side: float) -> Path:
    """A walk to a point and back."""
    return lambda t: (
        start[0] + np.sin(np.pi * t) * (turn[0] - start[0]),
        start[1] + np.sin(np.pi * t) * (turn[1] - start[1]),
        side,
    )


def noisy(frame: Frame, rng: np.random.Generator, noise: float, missed: float, alarms: float) -> list[DetectedFace]:
    """What a poor detector would find: corners moved by `noise` (of the side), faces missed, and boxes where nobody is; in random order."""
    found = []
    for shown in frame.faces:
        if rng.random() >= missed:
            side = shown.box[2] - shown.box[0]
            x0, y0, x1, y1 = (value + rng.normal(0, noise * side) for value in shown.box)
            found.append(DetectedFace((x0, y0, x1, y1), 0.9))
    if rng.random() < alarms:
        x, y, side = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(20, 60)
        found.append(DetectedFace((x, y, x + side, y + 1.2 * side), 0.7))
    return [found[place] for place in rng.permutation(len(found))]
