"""VEATIC, read slowly: line n of two files is frame n - 1, and the second column is the value."""

from pathlib import Path


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a frame that was extracted."""
    found = []
    for path in sorted((root / "rating_averaged").glob("*_valence.csv")):
        video = path.name.split("_")[0]
        valences, arousals = (
            [float(line.split(",")[1]) for line in file.read_text(encoding="utf-8-sig").splitlines()]
            for file in (path, path.with_name(f"{video}_arousal.csv"))
        )
        for frame in range(max(len(valences), len(arousals))):
            row: dict[str, object] = {"image": f"frames/{video}/{frame}.jpg", "track": video, "frame": frame}
            label = "valence" if frame < len(valences) else "arousal"
            row |= {"source_file": f"rating_averaged/{video}_{label}.csv", "source_line": frame + 1}
            if frame < min(len(valences), len(arousals)):
                row |= {"valence": valences[frame], "arousal": arousals[frame]}
            if (root / str(row["image"])).is_file():
                found.append(row)
    return found
