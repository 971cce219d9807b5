"""AFEW-VA, read slowly: a json file a clip, valence and arousal in tenths, landmarks in pixels of a frame of 720 by 576."""

import json
from pathlib import Path

from PIL import Image


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a frame."""
    found = []
    for path in sorted(root.glob("[0-9][0-9]/[0-9][0-9][0-9]/*.json")):
        text = path.read_text(encoding="utf-8-sig")
        clip, labels = path.parent.relative_to(root).as_posix(), json.loads(text)
        with Image.open(path.parent / "00000.png") as picture:
            width, height = picture.size
        points = [point for frame in labels["frames"].values() for point in frame["landmarks"]]
        fits = all(x <= width and y <= height for x, y in points)
        for frame, label in labels["frames"].items():
            row: dict[str, object] = {
                "image": f"{clip}/{frame}.png",
                "source_file": path.relative_to(root).as_posix(),
                "source_line": text[: text.index(f'"{frame}": {{')].count("\n") + 1,
                "track": path.stem,
                "frame": int(frame),
                "valence": label["valence"] / 10,
                "arousal": label["arousal"] / 10,
            }
            if labels["actor"]:
                row["subject"] = labels["actor"]
            if fits:
                across, down = zip(*label["landmarks"], strict=True)
                row["face_box"] = [min(across), min(down), max(across), max(down)]
            found.append(row)
    return found
