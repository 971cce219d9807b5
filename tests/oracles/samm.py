"""SAMM's workbook, read slowly: fourteen rows above the clips; action units with a side before and an intensity behind the number."""

import re
from pathlib import Path

import openpyxl

SIDES = {"L": "left", "R": "right"}


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a clip that has frames."""
    book = "SAMM_Micro_FACS_Codes_v2.xlsx"
    lines = list(openpyxl.load_workbook(root / book)["MICRO_ONLY"].values)
    named = {int(number) for line in lines[14:] for number in re.findall(r"\d+", str(line[8]))}
    found = []
    for number, cells in enumerate(lines[14:], start=15):
        subject, name, _, onset, apex, offset, _, _, codes, emotion, objective, _ = cells
        if not (root / f"SAMM/{subject}/{name}").is_dir():
            continue
        frames = [f"SAMM/{subject}/{name}/{subject}_{n:05d}.jpg" for n in range(int(str(onset)), int(str(offset)) + 1)]
        row: dict[str, object] = {"source_file": book, "source_line": number, "subject": subject, "label_scope": "clip"}
        row |= {"track": f"{subject}/{name}", "clip_frames": frames, "image": frames[len(frames) // 2]}
        row |= {"score_onset_frame": onset, "score_offset_frame": offset, "score_objective_class": objective}
        row |= {"score_apex_frame": apex} if int(str(onset)) <= int(str(apex)) <= int(str(offset)) else {}
        row = {key: float(str(value)) if key.startswith("score_") else value for key, value in row.items()}
        found.append(
            row | {f"au_{unit}": 0 for unit in named} | {"expression": str(emotion).lower()} | said(str(codes))
        )
    return found


def said(codes: str) -> dict[str, object]:
    """The action units of a string; one of several is none."""
    units: dict[str, object] = {}
    for term in codes.split("+"):
        for side, number, level in re.findall(r"([LR]?)(\d+)([A-E]?)", term):
            units[f"au_{number}"] = None if "or" in term else 1
            if side and "or" not in term:
                units[f"side_{number}"] = SIDES[side]
            if level and "or" not in term:
                units[f"au_intensity_{number}"] = "ABCDE".index(level) + 1
    return units
