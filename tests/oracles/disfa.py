"""DISFA, read slowly: a file for each person and action unit, a line for each frame from 1; present from intensity 2 on."""

from collections import defaultdict
from pathlib import Path

ACTION_UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a frame that any file lists."""
    frames: defaultdict[tuple[str, int], dict[str, object]] = defaultdict(dict)
    for folder in sorted((root / "ActionUnit_Labels").iterdir()):
        for unit in ACTION_UNITS:
            path = folder / f"{folder.name}_au{unit}.txt"
            if not path.is_file():
                continue
            for line, text in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
                frame, intensity = map(int, text.split(","))
                row = frames[folder.name, frame]
                row.setdefault("source_file", path.relative_to(root).as_posix())
                row.setdefault("source_line", line)
                row |= {f"au_intensity_{unit}": intensity, f"au_{unit}": int(intensity >= 2)}
    return [
        {"image": image, "subject": subject, "track": subject, "frame": frame, **row}
        for (subject, frame), row in frames.items()
        if (root / (image := f"Images/{subject}/{frame:05d}.jpg")).is_file()
    ]
