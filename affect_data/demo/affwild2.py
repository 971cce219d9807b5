"""Writes demo faces in the official layouts of Aff-Wild2: per-task files as in ABAW3, and multi-task files."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from affect_data.databases.base import Task
from affect_data.demo.sampler import DemoFace, FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles, PlacedFace

STYLE: Final = Style()
"""What sets its pictures apart."""

FRAMES_PER_TRACK: Final = 50
IMAGE_SIZE: Final = 112
JPEG_QUALITY: Final = 92

ACTION_UNITS: Final = (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)
CODES: Final = {
    "neutral": 0,
    "anger": 1,
    "disgust": 2,
    "fear": 3,
    "happiness": 4,
    "sadness": 5,
    "surprise": 6,
    "contempt": 7,
}
TASKS: Final[tuple[Task, ...]] = ("va", "expression", "au")
HEADERS: Final[Mapping[Task, str]] = {
    "va": "valence,arousal",
    "expression": "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other",
    "au": ",".join(f"AU{number}" for number in ACTION_UNITS),
}
MISSING: Final[Mapping[Task, str]] = {"va": "-5,-5", "expression": "-1", "au": ",".join(["-1"] * len(ACTION_UNITS))}
FOLDERS: Final[Mapping[Task, str]] = {
    "va": "VA_Estimation_Challenge",
    "expression": "EXPR_Classification_Challenge",
    "au": "AU_Detection_Challenge",
}
SPLIT_FOLDERS: Final[Mapping[str, str]] = {"train": "Train_Set", "validation": "Validation_Set"}
TEST_LIST: Final = "Expression_Classification_Challenge_test_set_release.txt"
MULTI_TASK_TEST_LIST: Final = "MTL_Challenge_test_set_release.txt"
MULTI_TASK_HEADER: Final = "image,valence,arousal,expression,aus"
MULTI_TASK_FILES: Final = {
    3: ("Third ABAW Annotations/MTL_Challenge", {"train": "train_set.txt", "validation": "validation_set.txt"}),
    4: ("", {"train": "training_set_annotations.txt", "validation": "validation_set_annotations.txt"}),
}
MULTI_TASK_TRACKS: Final = {"train": ("12-24-1920x1080", "105", "video2_left"), "validation": ("video59", "video45_1")}
ALL_VALIDATION: Final[Mapping[Task, str]] = {"va": "validation", "expression": "validation", "au": "validation"}


@dataclass(frozen=True)
class Track:
    """One person of one video.

    Attributes:
        name: name of the track.
        video: number of the person: tracks with the same number show the same person.
        splits: the split of each task that labels the track.
        lines_beyond: how many more label lines than frames there are.
    """

    name: str
    video: int
    splits: Mapping[Task, str]
    lines_beyond: int = 0


# Every form of name, two people of one video, parts of one video, and a track whose tasks are in different splits.
FIRST_TRACKS: Final = (
    Track("12-24-1920x1080", 0, {"va": "train"}, lines_beyond=1),
    Track("105", 1, {"expression": "train"}),
    Track("video59", 2, {"au": "train"}),
    Track("video59_right", 3, {"expression": "train"}, lines_beyond=1),
    Track("video45_5", 4, ALL_VALIDATION, lines_beyond=1),
    Track("10-60-1280x720", 5, {"va": "train", "expression": "validation"}),
    Track("122-60-1920x1080-1", 6, {"au": "train"}, lines_beyond=-1),
    Track("122-60-1920x1080-2", 6, {"va": "train", "expression": "train"}, lines_beyond=2),
)
TRAIN_TASKS: Final[tuple[tuple[Task, ...], ...]] = (
    ("expression",),
    ("va",),
    ("au",),
    ("va", "expression"),
    ("expression",),
    ("au", "va"),
    ("au",),
)


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root`, with about `faces` faces, and their truth, in the layout of ABAW3.

    Videos have about 50 frames. Most training tracks have labels of one task, most validation tracks of all three. Some frames have no image, some
    lines no label, some files one line more or less than frames. A test track has no labels.
    """
    tracks = _tracks(max(len(FIRST_TRACKS), round(faces / FRAMES_PER_TRACK)))
    people = sampler.subjects(1 + max(track.video for track in tracks))
    placed: list[PlacedFace] = []
    listed = 0
    for track in tracks:
        rng = np.random.default_rng(zlib.crc32(track.name.encode()))
        frames = max(4, round(faces / len(tracks) * rng.uniform(0.8, 1.2)))
        video = sampler.video(frames, people[track.video])
        lines = {task: _lines(video, task, rng)[: frames + track.lines_beyond] for task in track.splits}
        for task, split in track.splits.items():
            labels = lines[task] + lines[task][-1:] * max(0, track.lines_beyond)
            _write_lines(
                root / "Third ABAW Annotations" / FOLDERS[task] / SPLIT_FOLDERS[split] / f"{track.name}.txt",
                [HEADERS[task], *labels],
            )
        listed += frames + (track.lines_beyond if track.splits else 0)
        without_face = _frames_without_face(frames, rng)
        drawn = {number: face for number, face in enumerate(video, start=1) if number not in without_face}
        labelled = {
            number for task in lines for number, line in enumerate(lines[task], start=1) if _has_label(task, line)
        }
        placed += [face for number, face in _draw(root, track.name, drawn).items() if number in labelled]
    _write_test_set(root, sampler)
    return DemoFiles(placed, listed, rounding=0.0005)


def write_mtl(root: Path, sampler: FaceSampler, faces: int, edition: Literal[3, 4] = 4) -> DemoFiles:
    """The files written under `root`, with about `faces` faces, and their truth, in the layout of s-Aff-Wild2.

    There is a file for each split, with the labels of a frame in all three tasks on each line. Frames are sparse; a line has labels of up to three
    tasks. Edition 3 repeats some frames and has its files in ``MTL_Challenge``.
    """
    folder, names = MULTI_TASK_FILES[edition]
    placed: list[PlacedFace] = []
    listed = 0
    for split, tracks in MULTI_TASK_TRACKS.items():
        lines = [MULTI_TASK_HEADER]
        for track in tracks:
            video = sampler.video(max(8, faces // 5))
            own, drawn = _write_multi_task_track(root, track, video, missing=0.4 if split == "train" else 0.1)
            lines += own + (own[-2:] if edition == 3 else [])
            placed += drawn
        _write_lines(root / folder / names[split], lines)
        listed += len(lines) - 1
    _write_lines(root / MULTI_TASK_TEST_LIST, [MULTI_TASK_HEADER, *(f"video45_9/{n:05d}.jpg," for n in (1, 8, 17, 21))])
    return DemoFiles(placed, listed, rounding=0.0005)


def _write_multi_task_track(
    root: Path, track: str, video: list[DemoFace], missing: float
) -> tuple[list[str], list[PlacedFace]]:
    """The lines and labelled faces of a track with sparse frames; the second frame has no image."""
    rng = np.random.default_rng(zlib.crc32(track.encode()))
    numbers = np.cumsum(rng.integers(1, 10, len(video))).tolist()
    labels = [
        dict(zip(TASKS, line, strict=True))
        for line in zip(*(_lines(video, task, rng, missing) for task in TASKS), strict=True)
    ]
    lines = [
        f"{track}/{number:05d}.jpg,{','.join(line.values())}" for number, line in zip(numbers, labels, strict=True)
    ]
    labelled = {n for n, line in zip(numbers, labels, strict=True) if any(_has_label(*each) for each in line.items())}
    drawn = _draw(root, track, {n: face for n, face in zip(numbers, video, strict=True) if n != numbers[1]})
    return lines, [face for number, face in drawn.items() if number in labelled]


def _tracks(count: int) -> list[Track]:
    """Tracks, about one in four of them for validation."""
    tracks = list(FIRST_TRACKS)
    for index in range(len(FIRST_TRACKS), count):
        name = (f"{index + 20}-30-1280x720", str(index + 98), f"video{index + 52}")[index % 3]
        tasks, split = TRAIN_TASKS[index % len(TRAIN_TASKS)], "train"
        if index % 4 == 0:
            tasks, split = TASKS if index % 5 else ("va", "au"), "validation"
        splits: Mapping[Task, str] = dict.fromkeys(tasks, split)
        tracks.append(Track(name, index, splits, lines_beyond=index % 2))
    return tracks


def _lines(video: list[DemoFace], task: Task, rng: np.random.Generator, missing: float = 0.04) -> list[str]:
    """The label line of each frame, some without a label; in every track, one line labels only a part of the task."""
    lines = [_line(face, task) for face in video]
    part = int(rng.integers(len(video) // 2))
    if task == "au":
        lines[part] = f"{lines[part].rpartition(',')[0]},-1"
    if task == "va":
        lines[part] = "-5," + lines[part].partition(",")[2]
    return [MISSING[task] if rng.random() < missing else line for line in lines]


def _line(face: DemoFace, task: Task) -> str:
    if task == "va":
        return f"{face.valence:.3f},{face.arousal:.3f}"
    if task == "expression":
        return str(CODES[face.expression])
    return ",".join(str(face.action_unit(number)) for number in ACTION_UNITS)


def _has_label(task: Task, line: str) -> bool:
    fields = line.split(",")
    return "-5" not in fields if task == "va" else fields.count("-1") < len(fields)


def _frames_without_face(frames: int, rng: np.random.Generator) -> set[int]:
    """The frames in which no face was detected: in most tracks a gap, in some none."""
    start, length = int(rng.integers(2, frames)), int(rng.integers(0, max(2, frames // 8)))
    return set(range(start, min(frames, start + length)))


def _draw(root: Path, track: str, faces: Mapping[int, DemoFace]) -> dict[int, PlacedFace]:
    """The faces as written in the folder of their track, by frame number."""
    folder = Path("cropped_aligned") / track
    (root / folder).mkdir(parents=True, exist_ok=True)
    placed = {}
    for number, face in faces.items():
        image = folder / f"{number:05d}.jpg"
        face.draw(IMAGE_SIZE).save(root / image, quality=JPEG_QUALITY)
        placed[number] = PlacedFace(image.as_posix(), -1, face)
    return placed


def _write_test_set(root: Path, sampler: FaceSampler) -> None:
    _write_lines(root / TEST_LIST, ["61-24-1920x1080", "video80_left"])
    _draw(root, "61-24-1920x1080", dict(enumerate(sampler.video(4), start=1)))


def _write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
