"""BP4D+, read slowly: a header that names action units, pictures of one number less than their frame; 9 is not coded."""

import csv
from collections import defaultdict
from pathlib import Path


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a coded frame that has a picture."""
    frames: defaultdict[tuple[str, int], dict[str, object]] = defaultdict(dict)
    for path in sorted((root / "AUCoding/AU_OCC").glob("*.csv")):
        units, *lines = cells_of(path)
        for number, cells in enumerate(lines, start=2):
            codes = {f"au_{unit}": int(code) for unit, code in zip(units[1:], cells[1:], strict=True) if code != "9"}
            frames[path.stem, int(cells[0])] |= codes | place(root, path, number)
    for folder in sorted((root / "AUCoding/AU_INT").iterdir()):
        for path in sorted(folder.glob("*.csv")):
            for number, (frame, level) in enumerate(cells_of(path), start=1):
                row = frames[path.stem.rpartition("_")[0], int(frame)]
                row |= place(root, path, number) if "source_file" not in row else {}
                row |= {f"au_intensity_{int(folder.name[2:])}": int(level)} if level != "9" else {}
    found = []
    for (track, frame), row in frames.items():
        subject, task = track.split("_")
        image = f"2D+3D/{subject}/{task}/{frame - 1:0{4 if subject[0] == 'M' else 3}d}.jpg"
        if (root / image).is_file() and row.keys() - {"source_file", "source_line"}:
            found.append({"image": image, "subject": subject, "track": track, "frame": frame, **row})
    return found


def cells_of(path: Path) -> list[list[str]]:
    """The cells of every line."""
    with path.open(encoding="utf-8-sig", newline="") as source:
        return list(csv.reader(source))


def place(root: Path, path: Path, line: int) -> dict[str, object]:
    """Where a row comes from."""
    return {"source_file": path.relative_to(root).as_posix(), "source_line": line}
