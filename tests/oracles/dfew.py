"""DFEW's first fold, read slowly: two lists of clips with classes from 1, and a workbook with the votes of ten annotators."""

import csv
from pathlib import Path

import openpyxl

EXPRESSIONS = ["happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"]
HEADER = ["1happy", "2sad", "3neutral", "4angry", "5surprise", "6disgust", "7fear", "order"]


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a listed clip that has frames."""
    lines = list(openpyxl.load_workbook(root / "Annotation/annotation.xlsx").worksheets[0].values)
    places = [list(lines[0]).index(name) for name in HEADER]
    cells = [[int(str(line[place])) for place in places] for line in lines[1:]]
    votes = {clip: counts for *counts, clip in cells}
    found = []
    for split in ("train", "test"):
        path = f"EmoLabel_DataSplit/{split}(single-labeled)/set_1.csv"
        with (root / path).open(encoding="utf-8-sig", newline="") as source:
            for number, (name, code) in enumerate(csv.reader(source), start=1):
                if number == 1 or not (folder := root / f"Clip/clip_224x224/{int(name):05d}").is_dir():
                    continue
                frames = sorted(folder.iterdir(), key=lambda frame: int(frame.stem))
                if not frames:
                    continue
                shown = [frame.relative_to(root).as_posix() for frame in frames]
                row: dict[str, object] = {"image": shown[len(shown) // 2], "clip_frames": shown, "label_scope": "clip"}
                row |= {"source_file": path, "source_line": number, "track": folder.name, "split": split}
                counts = votes[int(name)]
                row |= {f"votes_{word}": counts[place] / sum(counts) for place, word in enumerate(EXPRESSIONS)}
                if counts[int(code) - 1] == max(counts):
                    row["expression"] = EXPRESSIONS[int(code) - 1]
                found.append(row)
    return found
