"""Writes DISFA+'s official layout with demo faces: trials of some people, a file of labels for each action unit."""

from pathlib import Path
from typing import Final

from affect_data.databases.disfa_plus import SUBJECTS, DisfaPlus
from affect_data.demo.sampler import DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style(rotation=2.0, turn=0.2, gradient=0.05, clutter=0.0, tint=(0.96, 1.0, 1.05), brightness_spread=0.03)
"""What sets its pictures apart."""

SIZE: Final = 56
FRAMES_OF_TRIAL: Final = 18
TRIALS: Final = ("A1_AU1_TrailNo_1", "B2_AU12_TrailNo_1", "Y_Happy_TrailNo_1")
WITHOUT_FILE: Final = (1, 15)
"""A trial, and the action unit whose label file it lacks."""
WITHOUT_PICTURE: Final = (2, 3)
COMMENT: Final = "# DISFA+ (drawn)\n# frame      intensity\n"


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces: trials of three people or more.

    Official quirks: two lines of comment, several blanks between name and intensity; a missing label file and a missing picture.
    """
    count = min(max(3, round(faces / FRAMES_OF_TRIAL)), len(SUBJECTS) * len(TRIALS))
    people = SUBJECTS[: max(3, min(len(SUBJECTS), count // 2))]
    placed: list[PlacedFace] = []
    listed = 0
    for index in range(count):
        person, trial = people[index % len(people)], TRIALS[index // len(people)]
        video = sampler.video(max(6, (faces + index) // count), person)
        listed += len(video)
        _write_labels(root / "Labels" / person / trial, video, WITHOUT_FILE[1] if index == WITHOUT_FILE[0] else 0)
        folder = root / "Images" / person / trial
        folder.mkdir(parents=True)
        for number, face in enumerate(video):
            if (index, number) != WITHOUT_PICTURE:
                face.draw(SIZE).save(folder / f"{number:03d}.jpg", quality=92)
                placed.append(PlacedFace(f"Images/{person}/{trial}/{number:03d}.jpg", -1, face))
    return DemoFiles(placed, listed)


def _write_labels(folder: Path, video: list[DemoFace], left_out: int) -> None:
    folder.mkdir(parents=True)
    for unit in DisfaPlus.action_units:
        if unit != left_out:
            lines = [f"{number:03d}.jpg      {face.intensity(unit)}\n" for number, face in enumerate(video)]
            (folder / f"AU{unit}.txt").write_text(COMMENT + "".join(lines), encoding="utf-8")
