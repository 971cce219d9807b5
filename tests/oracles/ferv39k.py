"""FERV39k, read slowly: two lists of clips, each a scene, an expression and a number, with the expression again."""

import re
from pathlib import Path

NAMES = {
    "Happy": "happiness", "Sad": "sadness", "Neutral": "neutral", "Angry": "anger", "Surprise": "surprise",
    "Disgust": "disgust", "Fear": "fear",
}  # fmt: skip


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a listed clip that has frames."""
    found = []
    for split in ("train", "test"):
        path = f"4_setups/All_scenes/{split}_All.csv"
        for number, line in enumerate((root / path).read_text(encoding="utf-8-sig").splitlines(), start=1):
            clip, expression = line.split()
            folder = root / "2_ClipsforFaceCrop" / clip
            frames = sorted(folder.glob("*"), key=lambda frame: int(re.findall(r"\d+", frame.stem)[-1]))
            if not frames:
                continue
            shown = [frame.relative_to(root).as_posix() for frame in frames]
            row: dict[str, object] = {"image": shown[len(shown) // 2], "clip_frames": shown, "label_scope": "clip"}
            row |= {"source_file": path, "source_line": number, "track": clip, "split": split}
            found.append(row | {"expression": NAMES[expression]})
    return found
