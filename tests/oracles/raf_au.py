"""RAF-AU, read slowly: action units joined by plus signs, with a letter where one is not on the whole face."""

import re
from pathlib import Path

CODED = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 39, 43)
SIDES = {"L": "left", "R": "right", "T": "top", "B": "bottom", "LR": "both"}


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a face."""
    found = []
    for number, line in enumerate((root / "RAFAU_label.txt").read_text(encoding="utf-8-sig").splitlines(), start=1):
        name, text = line.split()
        row: dict[str, object] = {f"au_{unit}": 0 for unit in CODED}
        row |= {"image": f"aligned/{name[:4]}_aligned.jpg", "source_file": "RAFAU_label.txt", "source_line": number}
        letters: dict[int, list[str]] = {}
        for token in [] if text == "null" else text.split("+"):
            unit = int("".join(re.findall(r"\d+", token)))
            if unit in CODED and not token.startswith("AD"):
                letters.setdefault(unit, []).append("".join(re.findall("[A-Za-z]", token)).upper())
        for unit, seen in letters.items():
            row[f"au_{unit}"] = 1
            side = "" if "" in seen else "".join(sorted(set("".join(seen))))
            row |= {f"side_{unit}": SIDES[side]} if side in SIDES else {}
        found.append(row)
    return found
