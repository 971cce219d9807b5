"""What the photographs of one database have in common, and the views drawn from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affect_data.demo.canvas import Colour
from affect_data.demo.faces import View


@dataclass(frozen=True, slots=True)
class Style:
    """The domain of a database: light, camera, background, and how freely people move.

    The defaults are ordinary snapshots; laboratory pictures vary less, photographs from the web more.
    """

    rotation: float = 6.0  # standard deviation, degrees
    turn: float = 0.4  # standard deviation of turning and half that of nodding; 1 is about 20 degrees
    shift: float = 0.02  # standard deviation, of the picture's side
    scale: float = 0.04  # standard deviation, relative
    brightness: float = 1.0
    brightness_spread: float = 0.1
    gradient: float = 0.2  # standard deviation of the light's difference between two borders, relative
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    tint_spread: float = 0.02
    background: tuple[Colour, ...] = ((178, 190, 204), (206, 196, 180), (150, 166, 160), (120, 128, 146))
    clutter: float = 18.0  # how much the background's patches differ, in grey levels; 0 is a plain wall
    blur: float = 0.002  # largest standard deviation, of the picture's side
    noise: float = 5.0  # standard deviation, in grey levels

    def moved(self, shift: float) -> Style:
        """The style `shift` times as far from ordinary snapshots: 1 gives this style, 0 the ordinary one."""
        if shift == 1.0:
            return self
        ordinary = Style()
        moved: dict[str, Any] = {
            name: _between(getattr(ordinary, name), getattr(self, name), shift) for name in _SPREADS
        }
        red, green, blue = (max(0.5, 1.0 + shift * (channel - 1.0)) for channel in self.tint)
        return replace(self, **moved, tint=(red, green, blue), brightness=_between(1.0, self.brightness, shift))

    def harder(self, nuisance: float) -> Style:
        """The style with everything that hides an expression (pose, light, blur, noise) multiplied by `nuisance`."""
        if nuisance == 1.0:
            return self
        harder: dict[str, Any] = {name: getattr(self, name) * nuisance for name in _SPREADS}
        return replace(self, **harder)


_SPREADS = (
    "rotation",
    "turn",
    "shift",
    "scale",
    "brightness_spread",
    "gradient",
    "tint_spread",
    "clutter",
    "blur",
    "noise",
)


def _between(ordinary: float, own: float, shift: float) -> float:
    return max(0.0, ordinary + shift * (own - ordinary))


def draw_view(style: Style, rng: np.random.Generator) -> View:
    """A random view: pose, light and background of one photograph."""
    shift_x, shift_y = rng.normal(0.0, style.shift, 2).clip(-0.06, 0.06)
    red, green, blue = np.array(style.tint) * rng.normal(1.0, style.tint_spread, 3)
    return View(
        rotation=float(rng.normal(0.0, style.rotation)),
        shift=(float(shift_x), float(shift_y)),
        scale=float(np.clip(rng.normal(1.0, style.scale), 0.85, 1.1)),
        turn=float(np.clip(rng.normal(0.0, style.turn), -1.2, 1.2)),
        nod=float(np.clip(rng.normal(0.0, style.turn / 2), -0.8, 0.8)),
        brightness=float(np.clip(rng.normal(style.brightness, style.brightness_spread), 0.5, 1.5)),
        gradient=float(rng.normal(0.0, style.gradient)),
        gradient_angle=float(rng.uniform(0.0, math.pi)),
        tint=(float(red), float(green), float(blue)),
        background=_draw_background(style, rng),
        blur=float(rng.uniform(0.0, style.blur)),
        noise=style.noise,
        grain=int(rng.integers(2**32)),
    )


def drift_view(view: View, frames: int, style: Style, rng: np.random.Generator) -> list[View]:
    """A view for each frame, close to that of the frame before; the background stays, the noise is new in every frame."""
    rotation, turn, nod, across, down = smooth_noise(rng, frames, 5).T
    grains = rng.integers(2**32, size=frames)
    return [
        replace(
            view,
            rotation=view.rotation + 0.5 * style.rotation * float(rotation[frame]),
            turn=float(np.clip(view.turn + 0.5 * style.turn * turn[frame], -1.2, 1.2)),
            nod=float(np.clip(view.nod + 0.25 * style.turn * nod[frame], -0.8, 0.8)),
            shift=(
                view.shift[0] + 0.3 * style.shift * float(across[frame]),
                view.shift[1] + 0.3 * style.shift * float(down[frame]),
            ),
            grain=int(grains[frame]),
        )
        for frame in range(frames)
    ]


def smooth_noise(rng: np.random.Generator, frames: int, columns: int) -> NDArray[np.float64]:
    """Noise of about unit variance that changes slowly with time, float64 [frames, columns]: an autoregressive process."""
    memory = 0.95
    shocks = rng.standard_normal((frames, columns))
    noise = np.empty((frames, columns))
    state = rng.standard_normal(columns)
    for frame in range(frames):
        state = memory * state + math.sqrt(1 - memory**2) * shocks[frame]
        noise[frame] = state
    return noise


def _draw_background(style: Style, rng: np.random.Generator) -> tuple[Colour, ...]:
    base = np.array(style.background[rng.integers(len(style.background))])
    if style.clutter <= 0:
        return (_colour(base),)
    patches = base + rng.normal(0.0, style.clutter, (16, 1)) + rng.normal(0.0, style.clutter / 3, (16, 3))
    return tuple(_colour(patch) for patch in patches)


def _colour(values: NDArray[np.float64]) -> Colour:
    red, green, blue = (int(value) for value in values.clip(0, 255))
    return red, green, blue
