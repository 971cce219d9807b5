"""OMG-Emotion, read slowly: a list for each split, arousal before valence, seven classes by number, one row an utterance."""

import csv
from pathlib import Path

EXPRESSIONS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
LISTS = {"train": "omg_TrainVideos", "validation": "omg_ValidationVideos", "test": "omg_TestVideos_WithLabels"}


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary an utterance that has frames."""
    found = []
    for split, name in LISTS.items():
        with (root / f"{name}.csv").open(encoding="utf-8-sig", newline="") as source:
            for line, cells in enumerate(csv.reader(source), start=1):
                _, start, end, video, utterance, arousal, valence, code = cells
                folder = root / "frames" / split / video / utterance.removesuffix(".mp4")
                if line == 1 or not utterance or not folder.is_dir():
                    continue
                frames = [path.relative_to(root).as_posix() for path in sorted(folder.glob("*.jpg"))]
                row: dict[str, object] = {
                    "image": frames[len(frames) // 2],
                    "clip_frames": frames,
                    "label_scope": "clip",
                }
                row |= {"source_file": f"{name}.csv", "source_line": line, "split": split}
                row |= {"subject": video, "track": f"{video}/{utterance}"}
                row |= {"valence": float(valence), "arousal": float(arousal)}
                row |= {"score_utterance_start": float(start), "score_utterance_end": float(end)}
                found.append(row | ({"expression": EXPRESSIONS[int(code)]} if code else {}))
    return found
