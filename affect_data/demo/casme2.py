"""Writes CASME II's official layout with demo faces: a workbook, and the frames of each clip."""

from pathlib import Path
from typing import Final

from affect_data.databases.casme2 import FOLDERS, Casme2
from affect_data.demo.micro_expressions import APEX, FIRST_FRAME, LAST_FRAME, NO_FOLDER, draw_clips, write_clip_frames
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace
from affect_data.demo.workbook import write_workbook

STYLE: Final = Style(
    rotation=1.5, turn=0.15, gradient=0.03, clutter=0.0, tint=(1.02, 1.0, 0.95), brightness_spread=0.02
)
"""What sets its pictures apart."""

HEADER: Final = (
    "Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units", "Estimated Emotion", "Objective Classes",
)  # fmt: skip
PEOPLE: Final = range(1, 27)
NO_APEX: Final = 5
"""The position of a clip whose apex nobody could tell."""


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of one face for each clip: that of its middle frame, the apex.

    Official quirks: columns without a title, a single action unit as a number, an apex of ``/``; a frame after the offset, and a lost clip.
    """
    people = PEOPLE[: max(3, min(len(PEOPLE), faces // 5))]
    clips = draw_clips(sampler, faces, people, Casme2.expressions, Casme2.action_units, levels=False)
    rows: list[tuple[str | int | None, ...]] = [HEADER]
    placed = []
    for position, clip in enumerate(clips):
        name = f"EP{clip.name}_01f"
        if position != NO_FOLDER:
            folder = root / FOLDERS["cropped"] / f"sub{clip.subject:02d}" / name
            apex = write_clip_frames(folder, clip.face, "reg_img{number}.jpg")
            placed.append(PlacedFace(apex.relative_to(root).as_posix(), -1, clip.face))
        codes: str | int = int(clip.codes) if clip.codes.isdigit() else clip.codes
        apex_frame = "/" if position == NO_APEX else APEX
        rows.append(
            (
                f"{clip.subject:02d}",
                name,
                None,
                FIRST_FRAME,
                apex_frame,
                LAST_FRAME,
                None,
                codes,
                clip.face.expression,
                position % 7 + 1,
            )
        )
    write_workbook(root / "CASME2-coding-20190701.xlsx", rows)
    return DemoFiles(placed, listed=len(clips))
