"""Writes DFEW's official layout with demo faces: clips of a few frames each."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from affect_data.databases.dfew import ANNOTATORS, CLIP, FOLDS, Dfew
from affect_data.demo.frames import frame_numbers, photograph_of, write_frames
from affect_data.demo.sampler import DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace
from affect_data.demo.workbook import write_workbook

STYLE: Final = Style(tint=(0.94, 0.98, 1.06), brightness=0.85, gradient=0.35, blur=0.006)
"""What sets its pictures apart: dark rooms of films."""

SIZE: Final = 48
SHORTEST, LENGTHS = 5, 4
"""Clips have 5 to 8 frames."""
FIRST_FRAME: Final = 7
"""Frames have the numbers 7 to 14, so that a list by name would put 10 before 9."""
NO_FOLDER, NO_FRAME, CONTRADICTED, WITH_A_GAP = 3, 4, 5, 6
"""Positions of a clip that is not in the archive, one without frames, one whose class is not the most voted, and one with a gap in its frames."""
UNLISTED: Final = 3
"""How many clips at the end have votes without agreement, and are in no list."""
AGREED: Final = 7
"""The fewest votes for the class of a listed clip."""
COLUMNS: Final = ("1happy", "2sad", "3neutral", "4angry", "5surprise", "6disgust", "7fear", CLIP)


@dataclass(frozen=True)
class _Clip:
    """A clip: its name, its face at the height of the expression, and the votes by expression."""

    number: int
    face: DemoFace
    votes: dict[str, int]


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of one face for each clip: that of its middle frame, where the expression is strongest.

    Official quirks: clips with votes that are in no list, a listed clip that is not in the archive, one without frames, one with a gap in the numbers
    of its frames, and one whose class is not the most voted.
    """
    clips = _clips(sampler, faces)
    folder = root / "Clip" / "clip_224x224"
    folder.mkdir(parents=True)
    placed = []
    for position, clip in enumerate(clips):
        if position != NO_FOLDER:
            middle = _write_frames(folder / f"{clip.number:05d}", clip.face, position)
            placed += [PlacedFace(middle.relative_to(root).as_posix(), -1, clip.face)] if middle else []
    for part in ("train", "test"):
        (root / "EmoLabel_DataSplit" / f"{part}(single-labeled)").mkdir(parents=True)
    for fold in range(1, FOLDS + 1):
        _write_lists(root / "EmoLabel_DataSplit", clips, fold)
    (root / "Annotation").mkdir()
    unlisted = [(len(clips) + 1 + number, [4, 0, 3, 3, 0, 0, 0]) for number in range(UNLISTED)]
    lines = [(clip.number, [clip.votes[name] for name in Dfew.expressions]) for clip in clips] + unlisted
    write_workbook(root / "Annotation" / "annotation.xlsx", [COLUMNS, *([*votes, number] for number, votes in lines)])
    return DemoFiles(placed, listed=len(clips))


def _clips(sampler: FaceSampler, count: int) -> list[_Clip]:
    shown = [photograph_of(sampler, Dfew.expressions) for _ in range(count)]
    rng = np.random.default_rng(zlib.crc32(repr([face.strengths for face in shown[:8]]).encode()))
    clips = []
    for position, face in enumerate(shown):
        votes = _votes(face, rng)
        if position == CONTRADICTED:
            other = next(name for name in Dfew.expressions if name != face.expression)
            votes = dict.fromkeys(votes, 0) | {other: ANNOTATORS}
        clips.append(_Clip(position + 1, face, votes))
    return clips


def _votes(face: DemoFace, rng: np.random.Generator) -> dict[str, int]:
    """Votes on the seven expressions, with at least `AGREED` for the face's own."""
    votes = {name: count for name, count in face.votes(rng, ANNOTATORS).items() if name in Dfew.expressions}
    others = {name: count for name, count in votes.items() if name != face.expression}
    while sum(others.values()) > ANNOTATORS - AGREED:
        others[max(others, key=lambda name: others[name])] -= 1
    return {**others, face.expression: ANNOTATORS - sum(others.values())}


def _write_frames(folder: Path, face: DemoFace, position: int) -> Path | None:
    """The middle frame of a clip, None if it has none."""
    folder.mkdir()
    if position == NO_FRAME:
        return None
    count = SHORTEST + position % LENGTHS
    names = [f"{number}.jpg" for number in frame_numbers(count, FIRST_FRAME, with_gap=position == WITH_A_GAP)]
    return write_frames(folder, face, names, SIZE)


def _write_lists(folder: Path, clips: Sequence[_Clip], fold: int) -> None:
    """The two lists of a fold, which tests on every fifth clip."""
    for part in ("train", "test"):
        own = [clip for clip in clips if (clip.number % FOLDS == fold - 1) == (part == "test")]
        lines = [f"{clip.number},{Dfew.expressions.index(clip.face.expression) + 1}\n" for clip in own]
        text = "video_name,label\n" + "".join(lines)
        (folder / f"{part}(single-labeled)" / f"set_{fold}.csv").write_text(text, encoding="utf-8")
