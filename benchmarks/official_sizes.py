"""Writes the annotation files of Aff-Wild2, AffectNet and DISFA in their official layouts and at their official sizes, with empty files for pictures.

    python benchmarks/official_sizes.py FOLDER

At scale 1 these are 4.2 million label lines, which become 1.7 million rows. Labels are drawn at random, with what the official files have: tracks
of one, two and three tasks, `-5` and `-1` where nothing is annotated, frames without a crop, landmarks, NULL boxes, and listed pictures that are
missing.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

AFFWILD2_TRACKS: Final = 290
AFFWILD2_FRAMES: Final = 4_800
AFFECTNET_FACES: Final = 420_000
DISFA_FRAMES: Final = 4_845

UNITS: Final = (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)
DISFA_UNITS: Final = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
DISFA_SUBJECTS: Final = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    16,
    17,
    18,
    21,
    23,
    24,
    25,
    26,
    27,
    28,
    29,
    30,
    31,
    32,
)
TASKS: Final = ("va", "expression", "au")
TASK_FOLDERS: Final = {
    "va": "VA_Estimation_Challenge",
    "expression": "EXPR_Classification_Challenge",
    "au": "AU_Detection_Challenge",
}
HEADERS: Final = {
    "va": "valence,arousal",
    "expression": "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other",
    "au": ",".join(f"AU{unit}" for unit in UNITS),
}
TASKS_OF_TRACKS: Final[tuple[tuple[str, ...], ...]] = (
    ("va",), ("expression",), ("au",), ("va", "expression"), ("va", "au"), ("va", "expression", "au"), ("au",), ("va",), ("expression",),
    ("va", "au"),
)  # fmt: skip
"""Of training tracks, in turn; every seventh track is a validation track with all tasks that it has."""
LIST_HEADER: Final = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)


def write_all(folder: Path, scale: float = 1.0) -> dict[str, Path]:
    """The root of each database, written below a folder.

    Args:
        folder: to write to.
        scale: the share of the official sizes.
    """
    roots = {name: folder / name for name in ("affectnet", "affwild2", "disfa")}
    write_affwild2(roots["affwild2"], max(21, round(AFFWILD2_TRACKS * scale)), AFFWILD2_FRAMES)
    write_affectnet(roots["affectnet"], max(200, round(AFFECTNET_FACES * scale)))
    write_disfa(roots["disfa"], DISFA_SUBJECTS[: max(2, round(len(DISFA_SUBJECTS) * scale))])
    return roots


def write_affwild2(root: Path, tracks: int, frames: int) -> None:
    """Per-task files and crops of `tracks` tracks of about `frames` frames."""
    for number in range(tracks):
        rng = np.random.default_rng([1, number])
        count = int(frames * rng.uniform(0.5, 1.5))
        name = f"video{number}" if number % 3 else f"{number}-30-1920x1080"
        split = "Validation_Set" if number % 7 == 6 else "Train_Set"
        for task in TASKS_OF_TRACKS[number % len(TASKS_OF_TRACKS)]:
            path = root / "Third ABAW Annotations" / TASK_FOLDERS[task] / split / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join((HEADERS[task], *_lines(task, count, rng))) + "\n")
        # Stretches of frames without a face, as trackers leave them.
        has_face = np.repeat(rng.random(-(-count // 16)) < 0.94, 16)[:count]
        has_face[0] = True
        _touch(root / "cropped_aligned" / name, [f"{frame:05d}.jpg" for frame in np.flatnonzero(has_face) + 1])


def _lines(task: str, count: int, rng: np.random.Generator) -> list[str]:
    none = rng.random(count) < 0.04
    if task == "va":
        values = np.round(np.clip(np.cumsum(rng.normal(0, 0.02, (count, 2)), axis=0), -1, 1), 3)
        return ["-5,-5" if gone else f"{v:g},{a:g}" for gone, (v, a) in zip(none, values.tolist(), strict=True)]
    if task == "expression":
        return np.where(none, -1, rng.integers(0, 8, count)).astype(str).tolist()  # type: ignore[no-any-return]
    values = np.where(none[:, None], -1, rng.integers(0, 2, (count, len(UNITS))))
    return [",".join(map(str, line)) for line in values.tolist()]


def write_affectnet(root: Path, faces: int) -> None:
    """The csv lists with landmarks, and images in 1,000 folders; a twentieth of the faces is in the validation list."""
    rng = np.random.default_rng(2)
    landmarks = [";".join(f"{value:.2f}" for value in rng.uniform(0, 1000, 136)) for _ in range(200)]
    names: dict[int, list[str]] = {}
    first = round(faces * 0.95)
    for path, start, stop in (("training.csv", 0, first), ("validation.csv", first, faces)):
        target = root / "Manually_Annotated_file_lists" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w") as file:
            if start == 0:
                file.write(LIST_HEADER + "\n")
            for face in range(start, stop):
                folder, name = face % 1000 + 1, f"{rng.bytes(24).hex()}.jpg"
                code, gone = int(rng.integers(0, 11)), face % 997 == 996
                valence, arousal = ("-2", "-2") if code > 8 else (f"{value:.6g}" for value in rng.uniform(-1, 1, 2))
                x, y, width, height = rng.integers(1, 900, 4).tolist()
                box = f"{x},{y},{width},{height}" if face % 50 else "NULL,NULL,-1,-1"
                file.write(f"{folder}/{name},{box},{landmarks[face % 200]},{code},{valence},{arousal}\n")
                if not gone:
                    names.setdefault(folder, []).append(name)
    for folder, found in names.items():
        _touch(root / "Manually_Annotated" / "Manually_Annotated_Images" / str(folder), found)


def write_disfa(root: Path, subjects: Sequence[int]) -> None:
    """Twelve label files and the extracted frames of every subject."""
    for number in subjects:
        rng, subject = np.random.default_rng([3, number]), f"SN{number:03d}"
        folder = root / "ActionUnit_Labels" / subject
        folder.mkdir(parents=True)
        for unit in DISFA_UNITS:
            levels = np.where(rng.random(DISFA_FRAMES) < 0.8, 0, rng.integers(0, 6, DISFA_FRAMES)).tolist()
            lines = (f"{frame},{level}\n" for frame, level in enumerate(levels, start=1))
            (folder / f"{subject}_au{unit}.txt").write_text("".join(lines))
        _touch(root / "Images" / subject, [f"{frame:05d}.jpg" for frame in range(1, DISFA_FRAMES + 1)])


def _touch(folder: Path, names: Sequence[str]) -> None:
    """Empty files; links to the first of them, because a million files of their own take long."""
    folder.mkdir(parents=True)
    for start in range(0, len(names), 50_000):
        first = folder / names[start]
        first.touch()
        for name in names[start + 1 : start + 50_000]:
            os.link(first, folder / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the official sizes")
    arguments = parser.parse_args()
    for name, root in write_all(arguments.folder, arguments.scale).items():
        print(f"{name}: {root}")


if __name__ == "__main__":
    main()
