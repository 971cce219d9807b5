"""RAF-CE, read slowly: three lists of the same pictures, with the number of a class, that of a part, and action units."""

import re
from pathlib import Path

CODED = (1, 2, 4, 5, 6, 7, 9, 10, 12, *range(14, 31), 32, 33, 34, 35, 39, 43)
SIDES = {"L": "left", "R": "right", "T": "top", "B": "bottom", "LR": "both"}
PARTS = ["train", "test", "validation"]
NAMES = [
    "happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised", "sadly disgusted",
    "fearfully angry", "fearfully surprised", "fearfully disgusted", "angrily surprised", "angrily disgusted",
    "disgustedly surprised", "happily fearful", "happily sad",
]  # fmt: skip


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a face whose picture is there."""
    texts = [(root / f"RAFCE_{name}.txt").read_text(encoding="utf-8-sig") for name in ("partition", "AUlabel")]
    parts, units = (dict(line.split() for line in text.splitlines()) for text in texts)
    found = []
    for number, line in enumerate((root / "RAFCE_emolabel.txt").read_text(encoding="utf-8-sig").splitlines(), start=1):
        name, code = line.split()
        image = f"aligned/{name[:4]}_aligned.jpg"
        if not (root / image).is_file():
            continue
        row: dict[str, object] = {f"au_{unit}": 0 for unit in CODED}
        row |= {"image": image, "source_file": "RAFCE_emolabel.txt", "source_line": number}
        row |= {"compound_expression": NAMES[int(code)], "split": PARTS[int(parts[name])]}
        letters: dict[int, list[str]] = {}
        for token in [] if units[name] == "null" else units[name].split("+"):
            unit = int("".join(re.findall(r"\d+", token)))
            if unit in CODED and not token.startswith("AD"):
                letters.setdefault(unit, []).append("".join(re.findall("[A-Za-z]", token)).upper())
        for unit, seen in letters.items():
            row[f"au_{unit}"] = 1
            side = "" if "" in seen else "".join(sorted(set("".join(seen))))
            row |= {f"side_{unit}": SIDES[side]} if side in SIDES else {}
        found.append(row)
    return found
