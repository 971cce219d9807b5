"""Draws the lower face: lips, teeth, chin and the folds around them (action units 10, 12, 14, 15, 17, 20 and 23 to 26)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from affect_data.demo.canvas import SIDES, Canvas, Colour, Muscles, Points, curve, mix
from affect_data.demo.head import chin_height
from affect_data.demo.identity import DARK, Identity

MOUTH_HEIGHT = 0.53
CAVITY: Colour = (74, 20, 28)
TEETH: Colour = (250, 246, 236)
TONGUE: Colour = (190, 84, 88)

_ACROSS = np.linspace(-1.0, 1.0, 17)
_SQUARED = _ACROSS**2
_ROUND = np.sqrt(1.0 - _SQUARED)  # an oval opening
_SLOT = 1.0 - _SQUARED**2  # a flat opening between stretched lips
_BOW = 1.0 - 0.28 * np.exp(-((_ACROSS / 0.2) ** 2))  # the dip in the middle of the upper lip


@dataclass(frozen=True)
class Mouth:
    """The four edges of a pair of lips, each as points from the left corner to the right one."""

    upper_lip: Points
    upper_opening: Points
    lower_opening: Points
    lower_lip: Points

    @property
    def opening(self) -> float:
        """The distance between the lips in the middle."""
        middle = len(_ACROSS) // 2
        return float(self.lower_opening[middle, 1] - self.upper_opening[middle, 1])

    def corner(self, side: int) -> tuple[float, float]:
        """The point where the lips meet on one side."""
        x, y = self.upper_opening[0 if side < 0 else -1]
        return float(x), float(y)


def shape_mouth(identity: Identity, muscles: Muscles) -> Mouth:
    """The lips as the action units move them."""
    smile, stretch, tight, press = muscles(12), muscles(20), muscles(23), muscles(24)
    parted, jaw, chin, raised = muscles(25), muscles(26), muscles(17), muscles(10)
    # The jaw can drop behind closed lips, and pressed lips hide most of the opening.
    shown = min(1.0, parted / 0.25) * (1 - 0.85 * press)
    opening = 0.11 * parted * (1 - 0.85 * press) + 0.3 * jaw * shown

    middle = MOUTH_HEIGHT * identity.mouth_height + 0.04 * smile - 0.06 * chin - 0.07 * raised + 0.07 * jaw
    xs, line = np.empty_like(_ACROSS), np.empty_like(_ACROSS)
    for side in SIDES:
        reach = 1 + 0.27 * muscles(12, side) + 0.38 * stretch - 0.36 * tight - 0.02 * press
        reach += 0.12 * muscles(14, side) - 0.06 * chin - 0.24 * jaw * shown
        drop = -0.19 * muscles(12, side) + 0.19 * muscles(15) + 0.05 * stretch + 0.07 * chin + 0.06 * raised
        half = _ACROSS * side >= 0
        xs[half] = 0.29 * identity.mouth_width * reach * _ACROSS[half]
        line[half] = middle + drop * np.abs(_ACROSS[half]) ** 1.7

    profile = _ROUND * jaw * shown + _SLOT * (1 - jaw * shown)
    thin = max(0.0, 1 - 0.35 * stretch - 0.55 * tight - 0.85 * press - 0.25 * smile) * identity.lip_thickness
    upper_opening = line - 0.2 * opening * profile
    lower_opening = line + 0.8 * opening * profile
    lift = 0.055 * raised * (1 - _SQUARED**3)  # squares the upper lip
    upper_lip = upper_opening - 0.07 * thin * (1 - _SQUARED) ** 0.7 * _BOW - lift
    lower_lip = lower_opening + 0.09 * thin * (1 + 0.35 * chin) * _ROUND
    edges = (np.stack([xs, ys], axis=1) for ys in (upper_lip, upper_opening, lower_opening, lower_lip))
    return Mouth(*edges)


def draw_lower_face(canvas: Canvas, identity: Identity, muscles: Muscles) -> None:
    """Mouth and chin with all their folds."""
    canvas.move_to_depth(1.0)
    mouth = shape_mouth(identity, muscles)
    for side in SIDES:
        _draw_cheek_folds(canvas, identity, muscles, mouth, side)
    _draw_lips(canvas, identity, muscles, mouth)
    _draw_lip_wrinkles(canvas, identity, muscles, mouth)
    _draw_chin(canvas, identity, muscles, mouth)


def _draw_lips(canvas: Canvas, identity: Identity, muscles: Muscles, mouth: Mouth) -> None:
    colour = mix(identity.lips, identity.skin, 0.3 * muscles(23))
    if mouth.opening > 0.015:
        canvas.polygon(np.concatenate([mouth.upper_opening, mouth.lower_opening[::-1]]), CAVITY)
        _draw_teeth(canvas, muscles, mouth)
    canvas.polygon(np.concatenate([mouth.upper_lip, mouth.upper_opening[::-1]]), mix(colour, DARK, 0.14))
    canvas.polygon(np.concatenate([mouth.lower_opening, mouth.lower_lip[::-1]]), colour)
    if mouth.opening <= 0.015:
        canvas.line(mouth.upper_opening, mix(colour, DARK, 0.8), 0.034 + 0.03 * muscles(24))


def _draw_teeth(canvas: Canvas, muscles: Muscles, mouth: Mouth) -> None:
    """The upper teeth under the upper lip, more of them in a smile; the lower teeth if the lips are stretched."""
    smile, stretch = muscles(12), muscles(20)
    gap = mouth.lower_opening - mouth.upper_opening
    if muscles(26) > 0.25 and mouth.opening > 0.2:
        x, y = mouth.lower_opening[len(_ACROSS) // 2]
        canvas.ellipse((x, y - 0.055), 0.13, 0.05, TONGUE)
    share = min(0.85, min(0.07 + 0.1 * smile, mouth.opening * (0.45 + 0.4 * smile)) / mouth.opening)
    row = slice(2, -2)
    canvas.polygon(np.concatenate([mouth.upper_opening[row], (mouth.upper_opening + share * gap)[row][::-1]]), TEETH)
    if stretch > 0.15:
        share = min(0.36, 0.07 * stretch / mouth.opening)
        canvas.polygon(
            np.concatenate([mouth.lower_opening[row], (mouth.lower_opening - share * gap)[row][::-1]]), TEETH
        )


def _draw_cheek_folds(canvas: Canvas, identity: Identity, muscles: Muscles, mouth: Mouth, side: int) -> None:
    """The fold from the nose to the corner of the mouth (10 and 12), the dimple (14) and the folds below the corner (15, 20)."""
    smile, raised, dimple = muscles(12, side), muscles(10), muscles(14, side)
    x, y = mouth.corner(side)
    x = abs(x)
    depth = max(0.85 * smile, raised, 0.4 * muscles(9))
    if depth > 0.02:
        bend = (side * (x * 0.62 + 0.2 + 0.02 * smile), 0.33 - 0.03 * raised)
        end = (side * (x + 0.11), y - 0.05 + 0.1 * raised)
        crease = mix(identity.skin, identity.crease, 0.1 + 0.75 * depth)
        canvas.line(curve((side * 0.17, 0.16 - 0.05 * raised), bend, end), crease, 0.03 + 0.012 * raised)
    if dimple > 0.02:
        crease = mix(identity.skin, identity.crease, 0.2 + 0.8 * dimple)
        canvas.line(
            curve((side * (x + 0.05), y - 0.11), (side * (x + 0.1), y), (side * (x + 0.05), y + 0.1)), crease, 0.045
        )
        canvas.ellipse((side * (x + 0.02), y), 0.03, 0.03, mix(identity.skin, DARK, 0.8 * dimple))
    if muscles(15) > 0.02:
        crease = mix(identity.skin, identity.crease, 0.85 * muscles(15))
        canvas.line(
            curve((side * x, y + 0.03), (side * (x + 0.05), y + 0.09), (side * (x + 0.04), y + 0.17)), crease, 0.034
        )
    if muscles(20) > 0.02:
        crease = mix(identity.skin, identity.crease, 0.75 * muscles(20))
        for gap in (0.06, 0.12):
            canvas.line(
                curve((side * (x + gap), y - 0.07), (side * (x + gap + 0.02), y), (side * (x + gap), y + 0.07)),
                crease,
                0.022,
            )


def _draw_lip_wrinkles(canvas: Canvas, identity: Identity, muscles: Muscles, mouth: Mouth) -> None:
    """Short upright lines around tightened lips (23), bulges above and below pressed ones (24)."""
    tight, press = muscles(23), muscles(24)
    top, bottom = mouth.upper_lip[8, 1], mouth.lower_lip[8, 1]
    reach = abs(mouth.corner(1)[0])
    if tight > 0.02:
        crease = mix(identity.skin, identity.crease, 0.8 * tight)
        for x in np.linspace(-0.8, 0.8, 5) * reach:
            canvas.line([(x, top - 0.09), (x * 0.9, top - 0.015)], crease, 0.022)
            canvas.line([(x, bottom + 0.08), (x * 0.9, bottom + 0.015)], crease, 0.022)
    if press > 0.02:
        crease = mix(identity.skin, identity.crease, 0.7 * press)
        for edge, away in ((top, -1), (bottom, 1)):
            bulge = ((-0.7 * reach, edge + away * 0.045), (0.0, edge + away * 0.1), (0.7 * reach, edge + away * 0.045))
            canvas.line(curve(*bulge), crease, 0.026)
        for side in SIDES:
            x, y = mouth.corner(side)
            canvas.line([(x + side * 0.03, y - 0.07), (x + side * 0.03, y + 0.07)], crease, 0.036)


def _draw_chin(canvas: Canvas, identity: Identity, muscles: Muscles, mouth: Mouth) -> None:
    """The groove under the lower lip, and the arched, pitted boss of a raised chin (17)."""
    chin = muscles(17)
    bottom = float(mouth.lower_lip[8, 1])
    y = min(bottom + 0.09, chin_height(muscles) - 0.08)
    canvas.line(curve((-0.1, y), (0.0, y + 0.015), (0.1, y)), identity.shade, 0.03)
    if chin > 0.02:
        crease = mix(identity.skin, identity.crease, 0.15 + 0.85 * chin)
        canvas.line(curve((-0.22, y + 0.1), (0.0, y - 0.02), (0.22, y + 0.1)), crease, 0.036)
        for x, down in ((-0.08, 0.12), (0.0, 0.085), (0.08, 0.12), (-0.035, 0.17), (0.04, 0.165)):
            canvas.ellipse((x, y + down), 0.022, 0.018, mix(identity.skin, identity.crease, 0.8 * chin))
