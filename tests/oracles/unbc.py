"""UNBC-McMaster, read slowly: a file of action units and a file of the pain score for each frame; not listed is not present."""

from pathlib import Path

ACTION_UNITS = (4, 6, 7, 9, 10, 12, 20, 25, 26, 43)


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a frame with a picture and a file of either kind."""
    labels, found = root / "Frame_Labels", []
    files = {path.relative_to(labels / kind) for kind in ("FACS", "PSPI") for path in (labels / kind).rglob("*.txt")}
    for name in sorted(files):
        stem = name.name.removesuffix("_facs.txt")
        image = f"Images/{name.parent.as_posix()}/{stem}.png"
        if not (root / image).is_file():
            continue
        row: dict[str, object] = {"image": image, "subject": name.parts[0], "track": name.parts[1]}
        row |= {"frame": int(stem.removeprefix(name.parts[1])), "source_line": 1}
        facs, score = labels / "FACS" / name, labels / "PSPI" / name
        row["source_file"] = (facs if facs.is_file() else score).relative_to(root).as_posix()
        if facs.is_file():
            listed = [line.split() for line in facs.read_text(encoding="utf-8-sig").splitlines()]
            levels = {int(float(cells[0])): int(float(cells[1])) for cells in listed if cells}
            for unit in ACTION_UNITS:
                level = levels.get(unit, 0)
                row |= {f"au_intensity_{unit}": level, f"au_{unit}": int(level >= 1)}
        if score.is_file():
            row["score_pspi"] = float(score.read_text(encoding="utf-8-sig"))
        for kind in ("VAS", "OPR", "AFF", "SEN"):
            label = root / "Sequence_Labels" / kind / name.parts[0] / f"{name.parts[1]}.txt"
            row[f"score_{kind.lower()}"] = float(label.read_text(encoding="utf-8-sig"))
        found.append(row)
    return found
