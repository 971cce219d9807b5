"""MAFW's first fold, read slowly: two lists of clips with the names of their classes, and a workbook that says the class again."""

import re
from pathlib import Path

import openpyxl

NAMES = [
    "anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise", "contempt", "anxiety", "helplessness",
    "disappointment",
]  # fmt: skip


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a listed clip that has frames."""
    lines = list(openpyxl.load_workbook(root / "labels/single-set.xlsx").worksheets[0].values)
    said = {str(line[0]).removesuffix(".mp4"): NAMES[int(str(line[-1])) - 1] for line in lines[1:]}
    found = []
    for split in ("train", "test"):
        path = f"Train & Test Set/single/no_caption/set_1/{split}.txt"
        for number, line in enumerate((root / path).read_text(encoding="utf-8-sig").splitlines(), start=1):
            clip, name = line.replace(".mp4", "").split()
            frames = sorted(
                root.glob(f"data/frames/{clip}/*"), key=lambda frame: int(re.findall(r"\d+", frame.stem)[-1])
            )
            if not frames:
                continue
            shown = [frame.relative_to(root).as_posix() for frame in frames]
            row: dict[str, object] = {"image": shown[len(shown) // 2], "clip_frames": shown, "label_scope": "clip"}
            row |= {
                "source_file": path,
                "source_line": number,
                "track": clip,
                "split": split,
                "native_expression": name,
            }
            if NAMES.index(name) < 8 and said.get(clip, name) == name:
                row["expression"] = name
            found.append(row)
    return found
