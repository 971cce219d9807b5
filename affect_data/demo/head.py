"""Draws everything around eyes and mouth: neck, clothes, hair, ears, the head itself and the nose."""

from __future__ import annotations

import numpy as np

from affect_data.demo.canvas import SIDES, Canvas, Muscles, Points, curve, ellipse, mix
from affect_data.demo.identity import DARK, Identity

HEAD_WIDTH = 0.8
_ANGLES = np.linspace(-np.pi / 2, np.pi / 2, 15)


def chin_height(muscles: Muscles) -> float:
    """The y coordinate of the chin: lower as the jaw drops (26), higher as the chin is pushed up (17)."""
    return 0.98 + 0.22 * muscles(26) - 0.05 * muscles(17)


def head_outline(identity: Identity, muscles: Muscles) -> Points:
    """The outline of the head without hair: a half ellipse above the eyes, a tapering jaw below."""
    chin = chin_height(muscles)
    width = HEAD_WIDTH * identity.head_width
    below = np.sin(_ANGLES).clip(0.0)
    half_width = width * np.cos(_ANGLES) ** (0.92 - 0.2 * identity.jaw)
    half_width *= 1.0 - (0.22 - 0.12 * identity.jaw) * below**2
    height = np.where(_ANGLES < 0, 1.02, chin) * np.sin(_ANGLES)
    right = np.stack([half_width, height], axis=1)
    return np.concatenate([right, right[::-1] * (-1.0, 1.0)])


def draw_behind(canvas: Canvas, identity: Identity) -> None:
    """Clothes, neck and the hair that falls behind the head."""
    canvas.move_to_depth(-0.5)
    canvas.polygon([(-1.9, 2.2), (-1.55, 1.42), (-0.5, 1.18), (0.5, 1.18), (1.55, 1.42), (1.9, 2.2)], identity.clothes)
    if identity.haircut == "long":
        canvas.polygon(_drape(identity, 1.05, 1.55), identity.hair)
    elif identity.haircut == "bob":
        canvas.polygon(_drape(identity, 1.12, 0.72), identity.hair)
    elif identity.haircut == "bun":
        canvas.ellipse((0.0, -1.14), 0.34, 0.28, identity.hair)
    neck = 0.42 * identity.head_width
    canvas.polygon([(-neck, 0.4), (neck, 0.4), (neck * 1.1, 1.25), (0.0, 1.5), (-neck * 1.1, 1.25)], identity.shade)


def draw_head(canvas: Canvas, identity: Identity, muscles: Muscles) -> None:
    """Ears and the head with its beard, if any."""
    canvas.move_to_depth(-0.15)
    for side in SIDES:
        ear = (side * (HEAD_WIDTH * identity.head_width + 0.02), 0.0)
        canvas.ellipse(ear, 0.12, 0.2, mix(identity.skin, identity.shade, 0.6))
        canvas.ellipse(ear, 0.06, 0.12, identity.shade)
    canvas.move_to_depth(0.0)
    outline = head_outline(identity, muscles)
    canvas.polygon(outline, mix(identity.skin, identity.shade, 0.55))
    canvas.polygon(outline * (0.93, 0.97) - (0.012, 0.02), identity.skin)
    if identity.beard > 0:
        stubble = mix(identity.skin, identity.brows, 0.4 * identity.beard)
        jaw = outline[outline[:, 1] > 0.06]
        cheeks = [(-0.6, 0.42), (-0.36, 0.42), (-0.2, 0.32), (0.2, 0.32), (0.36, 0.42), (0.6, 0.42)]
        canvas.polygon(np.concatenate([jaw, np.array(cheeks)]), stubble)
    canvas.move_to_depth(0.5)
    for side in SIDES:
        blush = (side * 0.44, 0.24 - 0.1 * muscles(6) - 0.05 * muscles(12, side))
        size = 0.15 + 0.05 * muscles(6)
        canvas.ellipse(blush, size * 1.1, size * 0.8, mix(identity.skin, (226, 96, 88), 0.07 + 0.1 * muscles(6)))


def draw_hair(canvas: Canvas, identity: Identity) -> None:
    """The hair over the forehead, with bands of light in it."""
    if identity.haircut == "bald":
        return
    canvas.move_to_depth(0.1)
    width = HEAD_WIDTH * identity.head_width
    if identity.haircut == "curls":
        for angle in np.linspace(-1.2, 1.2, 9):
            canvas.ellipse((1.0 * width * np.sin(angle), -0.28 - 0.68 * np.cos(angle)), 0.25, 0.24, identity.hair)
        return
    rim = ellipse((0.0, -0.06), width * 1.08, 1.09)
    rim = rim[rim[:, 1] < 0.02]
    rim = rim[np.argsort(rim[:, 0])]
    canvas.polygon(np.concatenate([rim, _hairline(identity.haircut, width)]), identity.hair)
    canvas.line(curve((-0.5, -0.8), (-0.1, -0.99), (0.34, -0.96)), mix(identity.hair, (255, 255, 255), 0.14), 0.05)


def _hairline(haircut: str, width: float) -> Points:
    """The lower edge of the hair, from the right temple to the left one."""
    temple = width * 1.02
    if haircut == "side":
        return np.concatenate([curve((temple, -0.12), (0.66, -0.62), (0.3, -0.82)),
                               curve((0.3, -0.82), (-0.3, -0.6), (-temple, -0.16))])  # fmt: skip
    if haircut == "bob":
        return np.array([(temple, 0.0), (0.64, -0.5), (0.6, -0.7), (-0.6, -0.7), (-0.64, -0.5), (-temple, 0.0)])
    if haircut in ("long", "bun"):
        return np.concatenate([curve((temple, 0.0), (0.56, -0.52), (0.0, -0.84)),
                               curve((0.0, -0.84), (-0.56, -0.52), (-temple, 0.0))])  # fmt: skip
    return np.array([(temple, -0.12), (0.7, -0.5), (0.48, -0.72), (0.0, -0.76), (-0.48, -0.72), (-0.7, -0.5),
                     (-temple, -0.12)])  # fmt: skip


def _drape(identity: Identity, width: float, bottom: float) -> Points:
    """Hair that hangs behind the head down to `bottom`."""
    half = HEAD_WIDTH * identity.head_width * width
    top = ellipse((0.0, -0.05), half * 1.06, 1.08)
    top = top[top[:, 1] <= 0.0]
    top = top[np.argsort(top[:, 0])]
    hem = [(half * 1.1, bottom * 0.6), (half, bottom), (half * 0.5, bottom * 1.02),
           (-half * 0.5, bottom * 1.02), (-half, bottom), (-half * 1.1, bottom * 0.6)]  # fmt: skip
    return np.concatenate([top, np.array(hem)])


def draw_nose(canvas: Canvas, identity: Identity, muscles: Muscles) -> None:
    """The nose: 9 draws it up and wrinkles it; 9 and 10 raise and widen its wings."""
    canvas.move_to_depth(1.4)
    wrinkled = muscles(9)
    tip = 0.24 * identity.nose_length - 0.07 * wrinkled - 0.02 * muscles(10)
    half = 0.12 * identity.nose_width * (1 + 0.3 * wrinkled + 0.12 * muscles(10))
    line = mix(identity.skin, DARK, 0.38)
    canvas.ellipse((0.0, tip - 0.03), half * 0.62, 0.075, mix(identity.skin, (255, 255, 255), 0.16))
    canvas.line(curve((0.07, -0.12), (0.055, 0.03), (half * 0.75, tip - 0.1)), identity.shade, 0.03)
    for side in SIDES:
        wing = curve(
            (side * half * 0.8, tip - 0.11), (side * half * 1.22, tip - 0.03), (side * half * 0.75, tip + 0.03)
        )
        canvas.line(wing, line, 0.035)
        canvas.ellipse((side * half * 0.45, tip + 0.025), 0.042, 0.024, mix(identity.skin, DARK, 0.75))
    if wrinkled > 0.02:
        crease = mix(identity.skin, identity.crease, 0.15 + 0.85 * wrinkled)
        for height in (-0.2, -0.12, -0.04):
            canvas.line(curve((-0.12, height - 0.03), (0.0, height + 0.03), (0.12, height - 0.03)), crease, 0.032)
        for side in SIDES:
            canvas.line(curve((side * 0.13, -0.06), (side * 0.17, 0.02), (side * 0.16, 0.1)), crease, 0.03)
