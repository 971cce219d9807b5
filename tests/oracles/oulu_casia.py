"""Oulu-CASIA before the camera for visible light in strong light, read slowly: the last frame of each sequence shows the expression of its folder."""

from pathlib import Path


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a sequence that has frames."""
    found = []
    for folder in sorted((root / "OriginalImg/VL/Strong").glob("P*/*")):
        frames = sorted(folder.glob("*.jpeg"))
        if not frames:
            continue
        image = frames[-1].relative_to(root).as_posix()
        subject, name = folder.parts[-2:]
        row: dict[str, object] = {"image": image, "source_file": image, "source_line": 1, "subject": subject}
        row |= {"track": f"VL/Strong/{subject}/{name.lower()}", "frame": int(frames[-1].stem)}
        found.append(row | {"expression": name.lower()})
    return found
