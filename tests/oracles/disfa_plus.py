"""DISFA+, read slowly: a file for each action unit of a trial, which names pictures; present from an intensity of 2 on."""

from pathlib import Path


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a labelled picture that is there."""
    found: dict[str, dict[str, object]] = {}
    for trial in sorted((root / "Labels").glob("SN*/*")):
        person = trial.parent.name
        for path in sorted(trial.glob("AU*.txt"), key=lambda file: int(file.stem[2:])):
            for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
                if line.startswith("#"):
                    continue
                name, level = line.split()
                image = f"Images/{person}/{trial.name}/{name}"
                if image not in found:
                    found[image] = {"image": image, "subject": person, "track": f"{person}/{trial.name}"}
                    found[image] |= {"source_file": path.relative_to(root).as_posix(), "source_line": number}
                    found[image] |= {"frame": int(name.split(".")[0])}
                unit = int(path.stem[2:])
                found[image] |= {f"au_intensity_{unit}": int(level), f"au_{unit}": int(int(level) >= 2)}
    return [row for row in found.values() if (root / str(row["image"])).is_file()]
