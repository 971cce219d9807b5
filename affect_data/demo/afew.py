"""Writes AFEW's official layout with demo faces: videos in folders of their class, and folders with the aligned faces of each."""

from pathlib import Path
from typing import Final

from affect_data.databases.afew import FACES, PARTS, Afew
from affect_data.databases.labelled_folders import SEVEN
from affect_data.demo.clip import write_clip
from affect_data.demo.frames import frame_numbers, photograph_of, write_frames
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(tint=(0.95, 0.98, 1.06), brightness=0.82, gradient=0.35, turn=0.5, blur=0.006)
"""What sets its pictures apart: dark rooms of films."""

SIZE: Final = 40
SHORTEST, LENGTHS = 3, 3
"""Clips have 3 to 5 frames."""
FIRST_FRAME: Final = 8
NO_FRAME: Final = 5
"""Position of a clip in which no face was found."""
TWICE: Final = (6, 9)
"""Positions of two clips of one part that have the same name."""
VALIDATION_EVERY: Final = 4
FIRST_NAME, STEP = 46_280, 40


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of one face for each clip: that of its middle frame, where the expression is strongest.

    Official quirks: the same names in both parts, and two of one part; a clip in which no face was found.
    """
    native = {row.unified: row.native for row in SEVEN}
    places = {part: root / names[0][0] for part, names in PARTS.items()}
    for place in places.values():
        for name in native.values():
            (place / name).mkdir(parents=True)
    placed, videos = [], set[Path]()
    for position in range(faces):
        face = photograph_of(sampler, Afew.expressions)
        part = "validation" if position % VALIDATION_EVERY == 0 else "train"
        number = position // VALIDATION_EVERY * VALIDATION_EVERY + (position % VALIDATION_EVERY or 1)
        name = f"{FIRST_NAME + STEP * (TWICE[0] if position in TWICE else number):09d}"
        label = native[face.expression]
        if places[part] / label / f"{name}.avi" in videos:
            label = next(other for other in native.values() if other != label)
        video = places[part] / label / f"{name}.avi"
        write_clip(video, [face.draw(SIZE)])
        videos.add(video)
        folder = places[part] / PARTS[part][1][0] / FACES / name
        folder.mkdir(parents=True, exist_ok=True)
        if position == NO_FRAME:
            continue
        names = [f"{number:03d}.jpg" for number in frame_numbers(SHORTEST + position % LENGTHS, FIRST_FRAME)]
        middle = write_frames(folder, face, names, SIZE)
        placed += [PlacedFace(middle.relative_to(root).as_posix(), -1, face)] if position not in TWICE else []
    return DemoFiles(placed, listed=faces)
