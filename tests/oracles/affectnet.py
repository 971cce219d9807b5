"""AffectNet's csv lists, read slowly: eleven classes of which eight are expressions; -2 stands for no valence and arousal."""

import csv
from pathlib import Path

EXPRESSIONS = ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]
NAMES = ["Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger", "Contempt", "None", "Uncertain", "No-Face"]


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a face, with what the lists say of it."""
    found: list[dict[str, object]] = []
    for split, name in (("train", "training"), ("validation", "validation")):
        path = f"Manually_Annotated_file_lists/{name}.csv"
        with (root / path).open(encoding="utf-8-sig", newline="") as source:
            for number, fields in enumerate(csv.reader(source), start=1):
                if fields[0].lstrip("#") == "subDirectory_filePath":
                    continue
                picture, x, y, width, height, _, code, valence, arousal = fields
                image = f"Manually_Annotated/Manually_Annotated_Images/{picture}"
                has_va = float(valence) != -2
                if code == "10" or (code == "9" and not has_va) or not (root / image).is_file():
                    continue
                row: dict[str, object] = {"image": image, "source_file": path, "source_line": number, "split": split}
                row["native_expression"] = NAMES[int(code)]
                if int(code) < 8:
                    row["expression"] = EXPRESSIONS[int(code)]
                if has_va:
                    row |= {"valence": float(valence), "arousal": float(arousal)}
                if x != "NULL":
                    left, top = float(x), float(y)
                    row["face_box"] = [left, top, left + float(width), top + float(height)]
                found.append(row)
    return found
