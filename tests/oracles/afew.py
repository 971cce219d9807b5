"""AFEW, read slowly: the class of a clip is the folder of its video, its aligned faces are in a folder with its name."""

import re
from pathlib import Path

NAMES = {
    "Angry": "anger", "Disgust": "disgust", "Fear": "fear", "Happy": "happiness", "Neutral": "neutral",
    "Sad": "sadness", "Surprise": "surprise",
}  # fmt: skip
PARTS = {
    "train": ("Train_AFEW", "AlignedFaces_LBPTOP_Points"), "validation": ("Val_AFEW", "AlignedFaces_LBPTOP_Points_Val")
}  # fmt: skip


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a clip whose faces are there."""
    found = []
    for split, (part, archive) in PARTS.items():
        videos = sorted((root / part).glob("*/*.avi"))
        stems = [video.stem for video in videos]
        for video in videos:
            folder = root / part / archive / "Faces" / video.stem
            frames = sorted(folder.glob("*"), key=lambda frame: int(re.findall(r"\d+", frame.stem)[-1]))
            if not frames or stems.count(video.stem) > 1:
                continue
            shown = [frame.relative_to(root).as_posix() for frame in frames]
            row: dict[str, object] = {"image": shown[len(shown) // 2], "clip_frames": shown, "label_scope": "clip"}
            row |= {"source_file": video.relative_to(root).as_posix(), "source_line": 1, "split": split}
            found.append(row | {"track": f"{split}/{video.stem}", "expression": NAMES[video.parent.name]})
    return found
