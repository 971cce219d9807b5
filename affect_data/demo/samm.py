"""Writes SAMM's official layout with demo faces: a workbook with a preamble, and the frames of each clip."""

from pathlib import Path
from typing import Final

from affect_data.databases.samm import MICRO, WORKBOOK, Samm
from affect_data.demo.micro_expressions import APEX, FIRST_FRAME, LAST_FRAME, NO_FOLDER, draw_clips, write_clip_frames
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace
from affect_data.demo.workbook import write_workbook

STYLE: Final = Style(
    rotation=1.5, turn=0.15, gradient=0.02, clutter=0.0, tint=(0.98, 0.99, 1.0), brightness_spread=0.02
)
"""What sets its pictures apart."""

PREAMBLE: Final = 13
HEADER: Final = (
    "Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame",
    "Duration", "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes",
)  # fmt: skip
PEOPLE: Final = (6, 7, *range(9, 27), 28, *range(30, 38))
WRONG_APEX: Final = 5
"""The position of a clip whose apex is after its offset, as two of the official workbook are."""


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of one face for each clip: that of its middle frame, the apex.

    Official quirks: a preamble, a single action unit as a number, letters of intensity, an apex after the offset; a frame after the offset, and a
    clip that is not there.
    """
    people = PEOPLE[: max(3, min(len(PEOPLE), faces // 5))]
    clips = draw_clips(sampler, faces, people, Samm.expressions, Samm.action_units, levels=True)
    rows: list[tuple[str | int | None, ...]] = [
        ("SAMM Micro-Movements (drawn)",),
        *[(f"legend {n}",) for n in range(PREAMBLE - 1)],
        HEADER,
    ]
    placed = []
    for position, clip in enumerate(clips):
        subject = f"{clip.subject:03d}"
        name = f"{subject}_{clip.name}_1"
        if position != NO_FOLDER:
            apex = write_clip_frames(root / "SAMM" / subject / name, clip.face, subject + "_{number:05d}.jpg")
            placed.append(PlacedFace(apex.relative_to(root).as_posix(), -1, clip.face))
        codes: str | int = int(clip.codes) if clip.codes.isdigit() else clip.codes
        apex_frame = LAST_FRAME + 9 if position == WRONG_APEX else APEX
        frames = (FIRST_FRAME, apex_frame, LAST_FRAME, LAST_FRAME - FIRST_FRAME + 1)
        rows.append(
            (subject, name, "H", *frames, MICRO, codes, clip.face.expression.capitalize(), position % 7 + 1, None)
        )
    write_workbook(root / WORKBOOK, rows, "MICRO_ONLY")
    return DemoFiles(placed, listed=len(clips))
