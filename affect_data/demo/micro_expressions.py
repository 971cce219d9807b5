"""What the generators of databases of micro-expressions have in common: clips in which an expression rises and falls, and strings of FACS codes."""

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from affect_data.demo.frames import write_frames
from affect_data.demo.sampler import DEMO_ACTION_UNITS, DemoFace, FaceSampler

SIZE: Final = 40
FIRST_FRAME: Final = 9
"""So that a list by name would put frame 10 before frame 9."""
APEX, LAST_FRAME = FIRST_FRAME + 1, FIRST_FRAME + 2
SIDED: Final = (1, 2, 4, 6, 7, 9, 10, 12, 14, 20)
SIDED_SHARE: Final = 0.2
OPEN_EVERY: Final = 11
"""So often does a string leave something open."""
NO_FOLDER: Final = 3
"""The position of a clip that is not in the archive."""


@dataclass(frozen=True)
class MicroExpression:
    """A clip: its person, its name, its face at the apex, and the string of its codes."""

    subject: int
    name: str
    face: DemoFace
    codes: str


def draw_clips(
    sampler: FaceSampler,
    count: int,
    people: Sequence[int],
    expressions: Collection[str],
    units: Collection[int],
    *,
    levels: bool,
) -> list[MicroExpression]:
    """Clips of some people, each of one of the expressions and with an action unit; `levels` gives codes their letters of intensity."""
    rng = np.random.default_rng(zlib.crc32(repr(sampler.photograph().view).encode()))
    known = [unit for unit in units if unit in DEMO_ACTION_UNITS]
    clips = []
    for index in range(count):
        person = people[index % len(people)]
        while True:
            face = sampler.photograph(f"person{person}")
            shown = [unit for unit in known if face.action_unit(unit)]
            if face.expression in expressions and shown:
                break
        codes = [_code(face, unit, rng, levels=levels) for unit in shown]
        if index % OPEN_EVERY == OPEN_EVERY - 1:
            codes[0] = f"({codes[0]} or {next(unit for unit in known if unit not in shown)})"
        clips.append(MicroExpression(person, f"{index + 1:03d}", face, "+".join(codes)))
    return clips


def write_clip_frames(folder: Path, face: DemoFace, name: str) -> Path:
    """The frame of the apex; writes the frames of a clip, and one more.

    Args:
        folder: of the clip.
        face: at the apex.
        name: of a frame, from ``{number}``.
    """
    folder.mkdir(parents=True)
    apex = write_frames(
        folder, face, [name.format(number=number) for number in range(FIRST_FRAME, LAST_FRAME + 1)], SIZE
    )
    face.draw(SIZE).save(folder / name.format(number=LAST_FRAME + 1), quality=92)
    return apex


def _code(face: DemoFace, unit: int, rng: np.random.Generator, *, levels: bool) -> str:
    side = str(rng.choice(("L", "R"))) if unit in SIDED and rng.random() < SIDED_SHARE else ""
    level = "ABCDE"[face.intensity(unit) - 1] if levels and rng.random() < SIDED_SHARE else ""
    return f"{side}{unit}{level}"
