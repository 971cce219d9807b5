"""Draws a face from action units: with Pillow at three times the size, scaled down, then with light, blur and grain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from affect_data.demo.canvas import Canvas, Colour, Muscles
from affect_data.demo.eyes import draw_upper_face
from affect_data.demo.head import draw_behind, draw_hair, draw_head, draw_nose
from affect_data.demo.identity import Identity
from affect_data.demo.mouth import draw_lower_face

SUPERSAMPLING = 3
SMALLEST, LARGEST = 16, 1024


@dataclass(frozen=True, slots=True)
class View:
    """How a face was photographed: pose, light, background and camera. None of this is part of the truth."""

    rotation: float = 0.0  # degrees, clockwise
    shift: tuple[float, float] = (0.0, 0.0)  # of the picture's side
    scale: float = 1.0
    turn: float = 0.0  # of the head about the vertical axis: -1 left to 1 right, about 20 degrees
    nod: float = 0.0  # about the horizontal axis: -1 up to 1 down
    brightness: float = 1.0
    gradient: float = 0.0  # relative difference of light between two opposite borders
    gradient_angle: float = 0.0  # radians
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    background: tuple[Colour, ...] = ((178, 190, 204),)  # one colour, or rows of a square patchwork
    blur: float = 0.0  # standard deviation, of the picture's side
    noise: float = 0.0  # standard deviation of the sensor's noise, in grey levels of 255
    grain: int = 0  # seed of that noise


def draw_face(
    identity: Identity,
    strengths: Mapping[int, float],
    view: View,
    size: int = 64,
    *,
    colour: bool = True,
    only_side: int = 0,
) -> Image.Image:
    """A square picture of a face: mode RGB, or L where `colour` is false; same arguments, same bytes.

    Args:
        identity: Whose face.
        strengths: Strength of each acting action unit, 0 to 1, by number.
        view: How it was photographed.
        size: Side in pixels, 16 to 1024.
        colour: False gives a grey picture.
        only_side: -1 or 1 makes action units 12 and 14 act only on that side of the picture.

    Raises:
        ValueError: the size is out of range.
    """
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(f"size is {size} pixels; a face is drawn with {SMALLEST} to {LARGEST}")
    large = size * SUPERSAMPLING
    image = _background(view.background, large)
    centre = (large * (0.5 + view.shift[0]), large * (0.505 + view.shift[1]))
    canvas = Canvas(image, centre, 0.385 * large * view.scale, view.rotation, (0.12 * view.turn, 0.1 * view.nod))
    muscles = Muscles(strengths, only_side)
    draw_behind(canvas, identity)
    draw_head(canvas, identity, muscles)
    draw_upper_face(canvas, identity, muscles)
    draw_lower_face(canvas, identity, muscles)
    draw_nose(canvas, identity, muscles)
    draw_hair(canvas, identity)
    image = image.reduce(SUPERSAMPLING)
    if view.blur > 0:
        image = image.filter(ImageFilter.GaussianBlur(view.blur * size))
    image = _expose(image, view)
    return image if colour else image.convert("L")


def _background(colours: tuple[Colour, ...], side: int) -> Image.Image:
    """A plain colour, or a patchwork out of focus."""
    if len(colours) == 1:
        return Image.new("RGB", (side, side), colours[0])
    rows = round(len(colours) ** 0.5)
    patches = Image.fromarray(np.array(colours, dtype=np.uint8).reshape(rows, rows, 3))
    return patches.resize((side, side), Image.Resampling.BILINEAR)


def _expose(image: Image.Image, view: View) -> Image.Image:
    """The picture under the view's light, with the sensor's noise."""
    pixels = np.asarray(image, dtype=np.float32)
    across, down = _ramps(image.width)
    slope = np.float32(view.gradient)
    light = view.brightness * (1 + slope * (np.cos(view.gradient_angle) * across + np.sin(view.gradient_angle) * down))
    lit = pixels * light.astype(np.float32)[:, :, None] * np.array(view.tint, dtype=np.float32)
    if view.noise > 0:
        lit += np.random.default_rng(view.grain).standard_normal(lit.shape, dtype=np.float32) * np.float32(view.noise)
    return Image.fromarray(np.clip(lit + 0.5, 0, 255).astype(np.uint8))


@lru_cache(maxsize=8)
def _ramps(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coordinates of a picture's pixels from -0.5 to 0.5: across and down."""
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    return ramp[None, :], ramp[:, None]
