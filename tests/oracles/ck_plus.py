"""CK+, read slowly: the action units of the last frame of each sequence, a line each, and the number of its expression in another file."""

from pathlib import Path

NAMES = ["neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"]
CODED = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 26, 27, 38, 39)


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a peak whose picture is there."""
    found = []
    for facs in sorted(root.glob("FACS/*/*/*_facs.txt")):
        subject, sequence = facs.parts[-3:-1]
        stem = facs.name.removesuffix("_facs.txt")
        image = f"cohn-kanade-images/{subject}/{sequence}/{stem}.png"
        if not (root / image).is_file():
            continue
        row: dict[str, object] = {f"au_{unit}": 0 for unit in CODED} | {f"au_intensity_{unit}": 0.0 for unit in CODED}
        row |= {"image": image, "source_file": facs.relative_to(root).as_posix(), "source_line": 1, "subject": subject}
        row |= {"track": f"{subject}_{sequence}", "frame": int(stem[-8:])}
        for line in facs.read_text(encoding="utf-8-sig").splitlines():
            unit, level = (int(float(field)) for field in line.split())
            if unit in CODED:
                row |= {f"au_{unit}": 1, f"au_intensity_{unit}": float(level) if level else None}
        emotion = root / f"Emotion/{subject}/{sequence}/{stem}_emotion.txt"
        if emotion.is_file():
            row["expression"] = NAMES[int(float(emotion.read_text(encoding="utf-8-sig")))]
        found.append(row)
    return found
