"""Writes FERV39k's official layout with demo faces: clips of a few frames each, by scene and expression."""

from collections import Counter
from pathlib import Path
from typing import Final

from affect_data.databases.ferv39k import CLIPS, LISTS, SETUPS, Ferv39k
from affect_data.demo.frames import frame_numbers, photograph_of, write_frames
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(tint=(1.04, 1.0, 0.95), brightness_spread=0.16, clutter=26.0, blur=0.004)
"""What sets its pictures apart: scenes of many kinds."""

SIZE: Final = 40
SHORTEST, LENGTHS = 3, 3
"""Clips have 3 to 5 frames."""
FIRST_FRAME: Final = 8
"""Frames have the numbers 8 to 13, so that a list by name would put 10 before 9."""
SCENES: Final = ("Action", "Interview", "School", "War")
NO_FOLDER, NO_FRAME, WITH_A_GAP = 3, 4, 6
"""Positions of a clip that is not in the archive, one without frames, and one with a gap in the numbers of its frames."""
TEST_EVERY: Final = 5


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of one face for each clip: that of its middle frame, where the expression is strongest.

    Official quirks: the same number in several folders. As in a copy that broke off, a listed clip is not there, and another has no frames.
    """
    native = {row.unified: row.native for row in Ferv39k.mapping}
    numbers: Counter[str] = Counter()
    lists: dict[str, list[str]] = {part: [] for part in LISTS}
    placed = []
    for position in range(faces):
        face = photograph_of(sampler, Ferv39k.expressions)
        label, scene = native[face.expression], SCENES[position % len(SCENES)]
        place = f"{scene}/{label}"
        numbers[place] += 1
        clip = f"{place}/{numbers[place]:04d}"
        lists["test" if position % TEST_EVERY == 0 else "train"].append(f"{clip} {label}\n")
        if position == NO_FOLDER:
            continue
        folder = root / CLIPS / clip
        folder.mkdir(parents=True)
        if position != NO_FRAME:
            count = SHORTEST + position % LENGTHS
            names = [f"{number}.jpg" for number in frame_numbers(count, FIRST_FRAME, with_gap=position == WITH_A_GAP)]
            middle = write_frames(folder, face, names, SIZE)
            placed.append(PlacedFace(middle.relative_to(root).as_posix(), -1, face))
    setup = root / SETUPS / "All_scenes"
    setup.mkdir(parents=True)
    for part, name in LISTS.items():
        (setup / name).write_text("".join(lists[part]), encoding="utf-8")
    return DemoFiles(placed, listed=faces)
