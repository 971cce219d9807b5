"""BP4D, read slowly: occurrence in the columns that the header numbers, intensity in files of their own; 9 is not coded."""

import csv
from collections import defaultdict
from pathlib import Path

from affect_data.vocabulary import ACTION_UNITS


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a coded frame that has a picture."""
    frames: defaultdict[tuple[str, int], dict[str, object]] = defaultdict(dict)
    for path in sorted((root / "AUCoding/AU_OCC").glob("*.csv")):
        (_, *units), *lines = lines_of(path)
        for line, cells in enumerate(lines, start=2):
            # Columns 1 to 99 are numbered through, but FACS has no action unit 59, and 70 says what is visible.
            coded = {int(unit): int(code) for unit, code in zip(units, cells[1:], strict=True) if code != "9"}
            codes = {f"au_{unit}": code for unit, code in coded.items() if unit in ACTION_UNITS}
            frames[path.stem, int(cells[0])] |= codes | place(root, path, line)
    for folder in sorted((root / "AU Intensity Codes3.0").iterdir()):
        for path in sorted(folder.glob("*.csv")):
            for line, cells in enumerate(lines_of(path), start=1):
                row = frames[path.stem, int(cells[0])]
                row |= place(root, path, line) if "source_file" not in row else {}
                row |= {f"au_intensity_{int(folder.name[2:])}": int(cells[1])} if cells[1] != "9" else {}
    found = []
    for (track, frame), row in frames.items():
        subject, task = track.split("_")
        image = f"Sequences(2D+3D)/{subject}/{task}/{frame:0{3 if subject >= 'M009' else 4}d}.jpg"
        if (root / image).is_file() and row.keys() - {"source_file", "source_line"}:
            found.append({"image": image, "subject": subject, "track": track, "frame": frame, **row})
    return found


def lines_of(path: Path) -> list[list[str]]:
    """The cells of every line."""
    with path.open(encoding="utf-8-sig", newline="") as source:
        return list(csv.reader(source))


def place(root: Path, path: Path, line: int) -> dict[str, object]:
    """Where a line is."""
    return {"source_file": path.relative_to(root).as_posix(), "source_line": line}
