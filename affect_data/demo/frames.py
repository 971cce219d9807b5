"""Draws clips as folders of frames, for databases whose labels hold for whole clips."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from affect_data.demo.sampler import DemoFace, FaceSampler

WEAKEST: Final = 0.4
"""The share of the expression's full strength at the ends of a clip."""


def photograph_of(sampler: FaceSampler, expressions: Collection[str]) -> DemoFace:
    """A face with one of the expressions that a database labels."""
    while True:
        face = sampler.photograph()
        if face.expression in expressions:
            return face


def frame_numbers(count: int, first: int, *, with_gap: bool = False) -> list[int]:
    """The numbers of a clip's frames; with a gap, one is left out after the middle frame."""
    return [first + frame + (with_gap and frame > count // 2) for frame in range(count)]


def write_frames(folder: Path, face: DemoFace, names: Sequence[str], size: int) -> Path:
    """The middle frame of a clip; writes its frames, in which the expression rises to that of the face and falls.

    Args:
        folder: of the clip, which exists.
        face: at the height of the expression, which the middle frame shows.
        names: of the frames in order, at least two.
        size: of the frames, in pixels.
    """
    middle = len(names) // 2
    for frame, name in enumerate(names):
        level = 1 - (1 - WEAKEST) * abs(frame - middle) / middle
        shown = replace(face, strengths=tuple(strength * level for strength in face.strengths))
        shown.draw(size).save(folder / name, quality=92)
    return folder / names[middle]
