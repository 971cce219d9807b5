"""RAF-DB, read slowly: a list for each of two parts, classes from 1, and a file of what annotators saw of each person."""

from pathlib import Path

CLASSES = {
    "expression": ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"],
    "compound_expression": [
        "happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised", "sadly disgusted",
        "fearfully angry", "fearfully surprised", "angrily surprised", "angrily disgusted", "disgustedly surprised",
    ],
}  # fmt: skip
ATTRIBUTES = {
    "sex": ("male", "female", "unsure"),
    "ethnicity": ("Caucasian", "African-American", "Asian"),
    "age_band": ("0-3", "4-19", "20-39", "40-69", "70+"),
}


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a face."""
    found = []
    for part, column in (("basic", "expression"), ("compound", "compound_expression")):
        path = f"{part}/EmoLabel/list_patition_label.txt"
        for number, line in enumerate((root / path).read_text(encoding="utf-8-sig").splitlines(), start=1):
            name, code = line.split()
            stem = name.removesuffix(".jpg")
            row: dict[str, object] = {column: CLASSES[column][int(code) - 1], "split": stem.partition("_")[0]}
            row |= {"image": f"{part}/Image/aligned/{stem}_aligned.jpg", "source_file": path, "source_line": number}
            said = (
                (root / f"{part}/Annotation/manual/{stem}_manu_attri.txt").read_text(encoding="utf-8-sig").split("\n")
            )
            for place, (attribute, words) in enumerate(ATTRIBUTES.items(), start=5):
                row[attribute] = words[int(said[place])]
            found.append(row)
    return found
