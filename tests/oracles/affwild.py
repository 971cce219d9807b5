"""Aff-Wild, read slowly: line n of two files is frame n; beyond the end of the shorter one there is no label."""

from pathlib import Path


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a frame that was extracted."""
    found = []
    for path in sorted((root / "annotations/train/valence").glob("*.txt")):
        video, other = path.stem, root / "annotations/train/arousal" / path.name
        valences, arousals = (
            [float(line) for line in file.read_text(encoding="utf-8-sig").splitlines()] for file in (path, other)
        )
        for frame in range(1, max(len(valences), len(arousals)) + 1):
            row: dict[str, object] = {"image": f"frames/{video}/{frame:05d}.jpg", "track": video, "subject": video}
            label = "valence" if frame <= len(valences) else "arousal"
            row |= {"source_file": f"annotations/train/{label}/{video}.txt", "source_line": frame, "frame": frame}
            if frame <= min(len(valences), len(arousals)):
                row |= {"valence": valences[frame - 1], "arousal": arousals[frame - 1]}
            if (root / str(row["image"])).is_file():
                found.append(row)
    return found
