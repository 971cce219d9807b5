"""The person of a demo face: proportions, colours and hair, which no expression changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from affect_data.demo.canvas import Colour, mix

SKINS: tuple[Colour, ...] = (
    (242, 212, 190), (238, 200, 170), (232, 190, 150), (221, 170, 128),
    (198, 142, 100), (168, 114, 76), (138, 92, 62), (114, 77, 54),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (28, 24, 26), (52, 36, 28), (84, 56, 36), (122, 82, 48), (150, 78, 40), (206, 166, 96), (158, 156, 154),
)  # fmt: skip
EYES: tuple[Colour, ...] = ((74, 46, 26), (96, 64, 34), (70, 108, 70), (62, 112, 156), (96, 120, 132))
CLOTHES: tuple[Colour, ...] = (
    (60, 84, 120), (140, 60, 66), (76, 112, 88), (210, 196, 168), (70, 70, 78), (190, 140, 60), (120, 90, 140),
)  # fmt: skip
HAIRCUTS = ("short", "side", "long", "bob", "bun", "curls", "bald")
DARK: Colour = (44, 24, 22)


@dataclass(frozen=True, slots=True)
class Identity:
    """What stays the same in every picture of a person; lengths are factors of a standard face's."""

    skin: Colour
    hair: Colour
    eyes: Colour
    clothes: Colour
    haircut: str
    head_width: float
    jaw: float  # 0 pointed to 1 square
    eye_distance: float
    eye_size: float
    brow_height: float
    brow_thickness: float
    nose_length: float
    nose_width: float
    mouth_width: float
    mouth_height: float
    lip_thickness: float
    lipstick: float  # 0 none to 1
    beard: float  # 0 none to 1
    glasses: bool

    @property
    def crease(self) -> Colour:
        """The colour of a deep wrinkle in this skin."""
        return mix(self.skin, (26, 10, 10), 0.74)

    @property
    def shade(self) -> Colour:
        """The colour of this skin in a soft shadow."""
        return mix(self.skin, DARK, 0.2)

    @property
    def brows(self) -> Colour:
        """The colour of the brows: the hair's, dark enough to be seen on the skin."""
        return mix(self.hair, DARK, 0.5)

    @property
    def lips(self) -> Colour:
        """The colour of the lips."""
        natural = mix(self.skin, (150, 40, 50), 0.44)
        return mix(natural, (186, 30, 60), 0.7 * self.lipstick)


def draw_identity(rng: np.random.Generator) -> Identity:
    """A person drawn at random: skin, hair, eyes and clothes from palettes, proportions normal around 1."""

    def colour(palette: tuple[Colour, ...], hue: float = 2.0) -> Colour:
        base = palette[rng.integers(len(palette))]
        shine = rng.normal(1.0, 0.04)
        red, green, blue = (int(np.clip(value * shine + rng.normal(0, hue), 0, 255)) for value in base)
        return red, green, blue

    def factor(spread: float) -> float:
        return float(np.clip(rng.normal(1.0, spread), 1 - 2 * spread, 1 + 2 * spread))

    skin = colour(SKINS)
    light = sum(skin) > 470
    # Dark skin goes with dark hair here, so that brows always stand out from the forehead.
    hair = colour(HAIRS if light else HAIRS[:3])
    haircut = HAIRCUTS[rng.choice(len(HAIRCUTS), p=(0.24, 0.2, 0.17, 0.14, 0.09, 0.11, 0.05))]
    short = haircut in ("short", "side", "bald")
    return Identity(
        skin=skin,
        hair=hair,
        eyes=colour(EYES if light else EYES[:2]),
        clothes=colour(CLOTHES, 12),
        haircut=haircut,
        head_width=factor(0.05),
        jaw=float(rng.beta(2, 2)),
        eye_distance=factor(0.05),
        eye_size=factor(0.06),
        brow_height=factor(0.1),
        brow_thickness=factor(0.2),
        nose_length=factor(0.09),
        nose_width=factor(0.12),
        mouth_width=factor(0.06),
        mouth_height=factor(0.03),
        lip_thickness=factor(0.15),
        lipstick=0.0 if short else float(rng.random() < 0.5),
        beard=float(rng.uniform(0.25, 0.8)) if short and rng.random() < 0.3 else 0.0,
        glasses=bool(rng.random() < 0.12),
    )
