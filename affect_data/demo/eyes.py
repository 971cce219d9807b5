"""Draws the upper face: brows, forehead, eyes and the skin around them (action units 1, 2, 4, 5, 6 and 7)."""

from __future__ import annotations

import numpy as np

from affect_data.demo.canvas import SIDES, Canvas, Colour, Muscles, Points, curve, mix
from affect_data.demo.identity import DARK, Identity

EYE_HEIGHT = -0.14
WHITE: Colour = (250, 248, 244)

_ACROSS = np.linspace(-1.0, 1.0, 11)
_LID = 1.0 - np.abs(_ACROSS) ** 2.2


def draw_upper_face(canvas: Canvas, identity: Identity, muscles: Muscles) -> None:
    """Both eyes with their brows, the forehead's wrinkles, and glasses if the person wears some."""
    canvas.move_to_depth(1.0)
    _draw_forehead(canvas, identity, muscles)
    for side in SIDES:
        _draw_eye(canvas, identity, muscles, side)
        _draw_cheek(canvas, identity, muscles, side)
        _draw_brow(canvas, identity, muscles, side)
    if identity.glasses:
        _draw_glasses(canvas, identity)


def eye_middle(identity: Identity, side: int) -> float:
    """The x coordinate of an eye."""
    return side * 0.36 * identity.eye_distance


def _draw_eye(canvas: Canvas, identity: Identity, muscles: Muscles, side: int) -> None:
    """White, iris and pupil inside the lids' opening, which 5 widens and 6, 7 and 9 narrow."""
    x, y = eye_middle(identity, side), EYE_HEIGHT
    half = 0.2 * identity.eye_size
    tight = max(muscles(7), 0.35 * muscles(9))
    above = 0.115 * identity.eye_size * max(1 + 0.75 * muscles(5) - 0.5 * tight - 0.12 * muscles(6), 0.3)
    below = 0.085 * identity.eye_size * max(1 + 0.45 * muscles(5) - 0.65 * tight - 0.6 * muscles(6), 0.12)
    xs = x + half * _ACROSS
    upper, lower = y - above * _LID, y + below * _LID
    canvas.polygon(np.concatenate([np.stack([xs, upper], 1), np.stack([xs, lower], 1)[::-1]]), WHITE)
    for radius, colour in ((0.105, mix(identity.eyes, DARK, 0.25)), (0.085, identity.eyes), (0.046, (14, 12, 14))):
        disc = _disc((x, y - 0.008), radius * identity.eye_size)
        disc[:, 1] = np.clip(disc[:, 1], np.interp(disc[:, 0], xs, upper), np.interp(disc[:, 0], xs, lower))
        canvas.polygon(disc, colour)
    if above > 0.07:
        canvas.ellipse((x + 0.035, y - 0.04), 0.02, 0.02, (255, 255, 255))
    canvas.line(np.stack([xs, lower], 1), mix(identity.skin, DARK, 0.4 + 0.25 * tight), 0.022 + 0.014 * tight)
    canvas.line(np.stack([xs, upper], 1), DARK, 0.045)
    # A wide-open lid slides under its own fold; a tightened one shows more of it.
    fold = mix(identity.skin, DARK, 0.34 * (1 - 0.8 * muscles(5)))
    canvas.line(np.stack([xs, upper - 0.055 + 0.02 * muscles(5)], 1)[1:-1], fold, 0.024)
    if muscles(7) > 0.02:
        pouch = mix(identity.skin, identity.crease, 0.75 * muscles(7))
        canvas.line(curve((x - half * 0.8, y + 0.1), (x, y + 0.135), (x + half * 0.8, y + 0.1)), pouch, 0.03)


def _disc(centre: tuple[float, float], radius: float) -> Points:
    angles = np.linspace(0.0, 2 * np.pi, 20, endpoint=False)
    return np.stack([centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)], axis=1)


def _draw_cheek(canvas: Canvas, identity: Identity, muscles: Muscles, side: int) -> None:
    """The effect of a raised cheek (6) on the skin: a bulge under the eye and crow's feet beside it."""
    raised = muscles(6)
    if raised < 0.02:
        return
    x, y = eye_middle(identity, side), EYE_HEIGHT
    crease = mix(identity.skin, identity.crease, 0.1 + 0.8 * raised)
    bulge = curve((x - side * 0.2, y + 0.17), (x + side * 0.02, y + 0.235), (x + side * 0.25, y + 0.1))
    canvas.line(bulge, crease, 0.032)
    corner = x + side * 0.23 * identity.eye_size
    feet = [[(corner, y + rise), (corner + side * 0.12, y + 2.6 * rise)] for rise in (-0.045, 0.0, 0.045)]
    canvas.lines(feet, crease, 0.026)


def _draw_brow(canvas: Canvas, identity: Identity, muscles: Muscles, side: int) -> None:
    """One brow: 1 lifts its inner end, 2 its outer half, 4 lowers it and draws it inwards."""
    inner, frown = muscles(1), muscles(4)
    # The frown holds the brow's tail: in fear (1, 2 and 4) the brow rises straight, it does not turn into an angry V.
    outer = muscles(2) * (1 - 0.55 * frown)
    sunk = 0.25 * muscles(9)
    height = EYE_HEIGHT - 0.25 * identity.brow_height
    # If 1 and 4 act together, the frown cannot pull the inner end down: the brow turns oblique, as in sadness and fear.
    pull = frown * max(0.0, 1 - 1.3 * inner)
    start_x = 0.15 - 0.055 * frown
    start_y = height + 0.03 - 0.15 * inner + 0.15 * pull + 0.12 * sunk
    middle_y = height - 0.045 - 0.05 * inner - 0.14 * outer + 0.11 * frown * (1 - 0.5 * outer) + 0.1 * sunk
    end_y = height + 0.03 - 0.15 * outer + 0.04 * frown * (1 - outer)
    spine = curve((side * start_x, start_y), (side * 0.37, middle_y), (side * 0.61, end_y))
    thickness = np.interp(np.linspace(0, 1, 9), (0, 0.15, 0.5, 1), (0.026, 0.044, 0.04, 0.012))
    half = np.stack([np.zeros(9), thickness * identity.brow_thickness * (1 + 0.15 * frown)], axis=1)
    canvas.polygon(np.concatenate([spine - half, (spine + half)[::-1]]), identity.brows)


def _draw_forehead(canvas: Canvas, identity: Identity, muscles: Muscles) -> None:
    """Wrinkles: across the middle for 1, over the outer brows for 2, upright between the brows for 4."""
    inner, outer, frown = muscles(1), muscles(2), muscles(4)
    if inner > 0.02:
        crease = mix(identity.skin, identity.crease, 0.75 * inner)
        for y in (-0.67, -0.59):
            canvas.line(curve((-0.2, y + 0.015), (0.0, y - 0.02), (0.2, y + 0.015)), crease, 0.026)
    if outer > 0.02:
        crease = mix(identity.skin, identity.crease, 0.75 * outer)
        for side in SIDES:
            for y in (-0.69, -0.62):
                arch = curve((side * 0.26, y - 0.01), (side * 0.42, y - 0.02), (side * 0.58, y + 0.06))
                canvas.line(arch, crease, 0.026)
    if frown > 0.02:
        crease = mix(identity.skin, identity.crease, 0.15 + 0.85 * frown)
        for side in SIDES:
            furrow = curve(
                (side * 0.035, EYE_HEIGHT - 0.27), (side * 0.06, EYE_HEIGHT - 0.18), (side * 0.045, EYE_HEIGHT - 0.08)
            )
            canvas.line(furrow, crease, 0.034)


def _draw_glasses(canvas: Canvas, identity: Identity) -> None:
    frame = (40, 38, 44)
    for side in SIDES:
        x = eye_middle(identity, side)
        canvas.line(_closed(_disc((x, EYE_HEIGHT + 0.02), 0.27) * (1.0, 0.9) + (0.0, -0.012)), frame, 0.03)
        canvas.line([(x + side * 0.27, EYE_HEIGHT), (side * 0.8, EYE_HEIGHT - 0.05)], frame, 0.03)
    canvas.line([(-0.1, EYE_HEIGHT), (0.0, EYE_HEIGHT - 0.03), (0.1, EYE_HEIGHT)], frame, 0.03)


def _closed(points: Points) -> Points:
    return np.concatenate([points, points[:1]])
