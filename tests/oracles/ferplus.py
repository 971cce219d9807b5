"""FER+ in folders, read slowly: ten columns of votes a picture; single votes do not count, and more than half must agree."""

import csv
from pathlib import Path

EXPRESSIONS = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]
PARTS = {"FER2013Train": "train", "FER2013Valid": "validation"}


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a picture."""
    found = []
    for folder, split in PARTS.items():
        path = f"{folder}/label.csv"
        with (root / path).open(encoding="utf-8-sig", newline="") as source:
            for number, (name, _, *cells) in enumerate(csv.reader(source), start=1):
                row: dict[str, object] = {"image": f"{folder}/{name}", "source_file": path, "source_line": number}
                votes = [int(cell) for cell in cells]
                row |= {f"votes_{word}": votes[place] / sum(votes) for place, word in enumerate(EXPRESSIONS)}
                counted = [count if count > 1 else 0 for count in votes]
                most = counted.index(max(counted))
                if most < len(EXPRESSIONS) and counted[most] * 2 > sum(counted):
                    row["expression"] = EXPRESSIONS[most]
                if (root / folder / name).is_file():
                    found.append({**row, "split": split})
    return found
