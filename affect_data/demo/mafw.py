"""Writes MAFW's official layout with demo faces: clips of a few frames each, lists of five folds, and a workbook."""

from pathlib import Path
from typing import Final

from affect_data.databases.mafw import FOLDS, WORKBOOK, Mafw
from affect_data.demo.frames import frame_numbers, photograph_of, write_frames
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace
from affect_data.demo.workbook import write_workbook

STYLE: Final = Style(tint=(1.0, 0.97, 1.03), turn=0.5, brightness=0.92, gradient=0.3, noise=6.0)
"""What sets its pictures apart."""

SIZE: Final = 40
SHORTEST, LENGTHS = 3, 3
"""Clips have 3 to 5 frames."""
FIRST_FRAME: Final = 8
"""Frames have the numbers 8 to 13, so that a list by name would put 10 before 9."""
FIRST_CLIP: Final = 19
NO_FOLDER, NO_FRAME, DIFFERENT, WITH_A_GAP = 3, 4, 5, 6
"""Positions of a clip that is not in the archive, one without frames, one with another class in the workbook, and one with a gap in its frames."""
OWN_EVERY: Final = 7
"""Every so many clips have a class of MAFW's own."""
OWN: Final = tuple(name for name in Mafw.native_expressions if name not in Mafw.expressions)


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of one face for each clip: that of its middle frame, where the expression is strongest.

    Official quirks: classes that are no expressions of the vocabulary, gaps in the numbers of the clips. As in a copy that broke off, a clip is
    not in the archive, another has no frames, and the workbook gives one another class than the list.
    """
    clips: list[tuple[str, str]] = []
    placed = []
    for position in range(faces):
        face = photograph_of(sampler, Mafw.expressions)
        own = position % OWN_EVERY == 0
        clip = f"{FIRST_CLIP + 2 * position:05d}"
        clips.append((clip, OWN[position // OWN_EVERY % len(OWN)] if own else face.expression))
        if position == NO_FOLDER:
            continue
        folder = root / "data" / "frames" / clip
        folder.mkdir(parents=True)
        if position != NO_FRAME:
            count = SHORTEST + position % LENGTHS
            names = [f"{number}.jpg" for number in frame_numbers(count, FIRST_FRAME, with_gap=position == WITH_A_GAP)]
            middle = write_frames(folder, face, names, SIZE)
            placed.append(PlacedFace(middle.relative_to(root).as_posix(), -1, face))
    for fold in range(FOLDS):
        folder = root / "Train & Test Set" / "single" / "no_caption" / f"set_{fold + 1}"
        folder.mkdir(parents=True)
        for part in ("train", "test"):
            own_clips = [line for number, line in enumerate(clips) if (number % FOLDS == fold) == (part == "test")]
            text = "".join(f"{clip}.mp4 {name}\n" for clip, name in own_clips)
            (folder / f"{part}.txt").write_text(text, encoding="utf-8")
    _write_workbook(root / "labels", clips)
    return DemoFiles(placed, listed=faces)


def _write_workbook(folder: Path, clips: list[tuple[str, str]]) -> None:
    """The workbook of classes, which differs from the lists in one clip."""
    names = Mafw.native_expressions
    rows: list[list[str | int | None]] = []
    for position, (clip, name) in enumerate(clips):
        code = names.index(name) + 1
        if position == DIFFERENT:
            code = code % len(names) + 1
        rows.append([f"{clip}.mp4", *(int(code == number) for number in range(1, len(names) + 1)), code])
    folder.mkdir()
    write_workbook(folder / WORKBOOK, [["clip", *names, "single_label"], *rows])
