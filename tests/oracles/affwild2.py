"""Aff-Wild2 as ABAW3 released it, read slowly: a header, then line n belongs to image n; -5 and -1 are no labels."""

import re
from collections import defaultdict
from pathlib import Path

EXPRESSIONS = ["neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other"]
ACTION_UNITS = (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)
FOLDERS = {"va": "VA_Estimation", "expression": "EXPR_Classification", "au": "AU_Detection"}


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a frame that has a crop and a label of any task."""
    frames: defaultdict[tuple[str, int], dict[str, object]] = defaultdict(dict)
    splits: defaultdict[str, dict[str, object]] = defaultdict(dict)
    for task, folder in FOLDERS.items():
        for part, split in (("Train_Set", "train"), ("Validation_Set", "validation")):
            for path in sorted((root / f"Third ABAW Annotations/{folder}_Challenge/{part}").glob("*.txt")):
                splits[path.stem][f"split_{task}"] = split
                for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines()[1:], start=1):
                    source = {"source_file": path.relative_to(root).as_posix(), "source_line": number + 1}
                    frame = frames[path.stem, number]
                    frame |= labels(task, line) | (source if "source_file" not in frame else {})
    found = []
    for (track, number), frame in frames.items():
        image = f"cropped_aligned/{track}/{number:05d}.jpg"
        if (root / image).is_file() and frame.keys() - {"source_file", "source_line"}:
            person = re.sub(r"^(video\d+)_\d+$|^(\d+-\d+-\d+x\d+) ?-\d+$", r"\1\2", re.sub("_(left|right)$", "", track))
            found.append({"image": image, "track": track, "frame": number, "subject": person, **frame, **splits[track]})
    return found


def labels(task: str, line: str) -> dict[str, object]:
    """The labels on a line."""
    values = [float(field) for field in line.split(",")]
    if task == "va":
        return {} if -5 in values else dict(zip(("valence", "arousal"), values, strict=True))
    if task == "expression":
        return {} if values[0] == -1 else {"expression": EXPRESSIONS[int(values[0])]}
    return {f"au_{unit}": int(code) for unit, code in zip(ACTION_UNITS, values, strict=True) if code != -1}
