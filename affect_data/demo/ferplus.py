"""Writes the two forms of FER+ with demo faces: folders of pictures, or the CSV files."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from affect_data.databases.ferplus.reader import PARTS, VOTES_HEADER, WHOLE_PICTURE
from affect_data.databases.ferplus.votes import CANDIDATES
from affect_data.demo.sampler import DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(rotation=7.0, noise=9.0, blur=0.004)
"""What sets its pictures apart."""

SIZE: Final = 48
SPECIAL_EVERY: Final = 12
VALIDATION_SHARE: Final = 0.15
FER2013_ORDER: Final = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
NOT_A_FACE: Final = {"not a face": 10}
SPECIAL_VOTES: Final[tuple[dict[str, int], ...]] = (
    {"neutral": 5, "sadness": 5},
    {"surprise": 3, "fear": 3, "anger": 3, "unknown": 1},
    {"neutral": 4, "unknown": 4, "sadness": 2},
    {"unknown": 6, "neutral": 4},
    NOT_A_FACE,
    {"happiness": 4, "neutral": 3, "contempt": 3},
    {"happiness": 9},
)
"""Special votes that occur in the official files: ties, "unknown", "not a face", no majority, and one vote too few."""


@dataclass(frozen=True)
class _Entry:
    """A line of the official files.

    Attributes:
        usage: part of FER2013.
        name: of the picture; empty if there is none.
        votes: of each candidate.
        picture: 48 by 48 pixels, grey.
        truth: the face in the picture; None if there is none.
        first_copy: votes on the first copy of this picture; None if this is the first.
        name_again: whether an earlier line has the same name.
    """

    usage: str
    name: str
    votes: dict[str, int]
    picture: Image.Image
    truth: DemoFace | None
    first_copy: dict[str, int] | None = None
    name_again: bool = False


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces: the train and validation folders, and ``fer2013new.csv`` beside them.

    Official quirks: lines without an image name, a name used twice, ties, votes for "unknown" and "not a face", a line of nine votes, and a copy of a
    picture with votes of its own in ``label.csv`` and those of the first in ``fer2013new.csv``.
    """
    entries = _entries(sampler, faces)
    for usage in ("Training", "PublicTest"):
        folder = root / PARTS[usage]
        folder.mkdir(parents=True)
        part = [entry for entry in entries if entry.usage == usage and entry.name and not entry.name_again]
        for entry in part:
            entry.picture.save(folder / entry.name, compress_level=0)
        lines = [f'{entry.name},"{WHOLE_PICTURE}",{_votes(entry.votes)}\n' for entry in part]
        (folder / "label.csv").write_text("".join(lines), encoding="utf-8")
    _write_votes(root, entries)
    placed = [
        PlacedFace(f"{PARTS[entry.usage]}/{entry.name}", -1, entry.truth)
        for entry in entries
        if entry.name and not entry.name_again and entry.truth is not None
    ]
    return DemoFiles(placed, listed=len(entries))


def write_csv(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces as ``fer2013.csv`` and ``fer2013new.csv``, with the quirks that `write` lists."""
    entries = _entries(sampler, faces)
    root.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{_fer2013_code(entry)},{' '.join(map(str, entry.picture.tobytes()))},{entry.usage}\n" for entry in entries
    ]
    (root / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "".join(lines), encoding="utf-8")
    _write_votes(root, entries)
    placed = [
        PlacedFace(f"fer2013.csv#{row:07d}.png", -1, entry.truth)
        for row, entry in enumerate(entries)
        if entry.name and entry.truth is not None
    ]
    return DemoFiles(placed, listed=len(entries))


def _entries(sampler: FaceSampler, faces: int) -> list[_Entry]:
    """About as many lines as faces are asked for, first those of the train part."""
    shown = [sampler.photograph() for _ in range(faces)]
    rng = np.random.default_rng(zlib.crc32(repr([face.strengths for face in shown[:8]]).encode()))
    validation_from = round(faces * (1 - VALIDATION_SHARE))
    nothing = Image.new("L", (SIZE, SIZE))
    entries: list[_Entry] = []
    for row, face in enumerate(shown):
        usage = "Training" if row < validation_from else "PublicTest"
        votes = dict(face.votes(rng))
        if row % SPECIAL_EVERY == SPECIAL_EVERY - 1:
            votes = SPECIAL_VOTES[row // SPECIAL_EVERY % len(SPECIAL_VOTES)]
        name = f"fer{len(entries):07d}.png"
        if votes == NOT_A_FACE:
            entries.append(_Entry(usage, "", votes, nothing, None))
            entries.append(_Entry(usage, f"fer{len(entries):07d}.png", votes, nothing, None))
        else:
            entries.append(_Entry(usage, name, votes, face.draw(SIZE, colour=False), face))
    first = entries[0]
    copy = replace(
        first, name=f"fer{len(entries):07d}.png", votes=_with_a_vote_moved(first.votes), first_copy=first.votes
    )
    end = sum(entry.usage == "Training" for entry in entries)
    return [*entries[:end], copy, replace(first, name_again=True), *entries[end:]]


def _with_a_vote_moved(votes: dict[str, int]) -> dict[str, int]:
    """Slightly different votes, as from a second round of annotators."""
    most = max(votes, key=lambda name: votes[name])
    return {**votes, most: votes[most] - 1, "unknown": votes.get("unknown", 0) + 1}


def _votes(votes: dict[str, int]) -> str:
    return ",".join(str(votes.get(name, 0)) for name in CANDIDATES)


def _write_votes(root: Path, entries: Sequence[_Entry]) -> None:
    lines = [f"{entry.usage},{entry.name},{_votes(entry.first_copy or entry.votes)}\n" for entry in entries]
    (root / "fer2013new.csv").write_text(",".join(VOTES_HEADER) + "\n" + "".join(lines), encoding="utf-8")


def _fer2013_code(entry: _Entry) -> int:
    """The code of the single label that FER2013 had before FER+; it has no contempt."""
    expression = entry.truth.expression if entry.truth else "neutral"
    return FER2013_ORDER.index(expression if expression in FER2013_ORDER else "neutral")
