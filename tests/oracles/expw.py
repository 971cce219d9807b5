"""ExpW, read slowly from its readme: a line a face; the code is a position among seven words."""

from pathlib import Path

EXPRESSIONS = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a face, with what the list says of it."""
    found: list[dict[str, object]] = []
    lines = (root / "label/label.lst").read_text(encoding="utf-8-sig").splitlines()
    for number, line in enumerate(lines, start=1):
        photograph, face, top, left, right, bottom, _, code = line.split()
        image = f"image/origin/{photograph}"
        if (root / image).is_file():
            found.append(
                {
                    "image": image,
                    "source_file": "label/label.lst",
                    "source_line": number,
                    "face": int(face),
                    "face_box": [float(left), float(top), float(right), float(bottom)],
                    "expression": EXPRESSIONS[int(code)],
                }
            )
    return found
