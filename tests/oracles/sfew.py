"""SFEW, read slowly: the class of a face is the name of its folder, its clip and frame are in its own name."""

from pathlib import Path

NAMES = {
    "Angry": "anger", "Disgust": "disgust", "Fear": "fear", "Happy": "happiness", "Neutral": "neutral",
    "Sad": "sadness", "Surprise": "surprise",
}  # fmt: skip
PARTS = {"train": "Train/Train_Aligned_Faces", "validation": "Val/Val_Aligned_Faces_new/Val_Aligned_Faces"}


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a face of the labelled parts."""
    found = []
    for split, part in PARTS.items():
        for picture in sorted((root / part).glob("*/*.png")):
            path = picture.relative_to(root).as_posix()
            track, _, frame = picture.stem.rpartition("_")
            row: dict[str, object] = {"image": path, "source_file": path, "source_line": 1, "split": split}
            row |= {"track": track, "frame": int(frame), "expression": NAMES[picture.parent.name]}
            found.append(row)
    return found
