"""SEWA as AVEC gave it out, read slowly: a line for each tenth of a second, the name of the recording in single quotes."""

from pathlib import Path

SPLITS = {"Train": "train", "Devel": "validation", "Test": "test"}


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a label whose frame was extracted."""
    found = []
    for path in sorted((root / "labels").glob("*.csv")):
        for line, text in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
            if text.startswith("name"):
                continue
            name, time, arousal, valence, liking = text.split(";")
            assert name == f"'{path.stem}'"
            image = f"frames/{path.stem}/{round(float(time) * 10):05d}.jpg"
            if (root / image).is_file():
                row: dict[str, object] = {"image": image, "source_file": f"labels/{path.name}", "source_line": line}
                row |= {"subject": path.stem, "track": path.stem, "frame": round(float(time) * 10)}
                row |= {"timestamp": float(time), "split": SPLITS[path.stem.split("_")[0]]}
                row |= {"arousal": float(arousal), "valence": float(valence), "score_liking": float(liking)}
                found.append(row)
    return found
