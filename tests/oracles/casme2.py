"""CASME II's workbook of 2019, read slowly: a clip from its onset to its offset, and action units joined by plus signs."""

import re
from pathlib import Path

import openpyxl

CODED = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 20, 24, 25, 26, 38)
SIDES = {"L": "left", "R": "right"}


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a clip that has frames."""
    book = "CASME2-coding-20190701.xlsx"
    found = []
    for line, cells in enumerate(openpyxl.load_workbook(root / book)["Sheet1"].values, start=1):
        subject, name, _, onset, apex, offset, _, codes, emotion, objective = cells
        folder = root / f"Cropped/sub{subject}/{name}"
        if line == 1 or not folder.is_dir():
            continue
        frames = [f"Cropped/sub{subject}/{name}/reg_img{n}.jpg" for n in range(int(str(onset)), int(str(offset)) + 1)]
        row: dict[str, object] = {"source_file": book, "source_line": line, "subject": f"sub{subject}"}
        row |= {"track": f"sub{subject}/{name}", "clip_frames": frames, "image": frames[len(frames) // 2]}
        row |= {"label_scope": "clip", "expression": emotion, "native_expression": emotion}
        row |= {"score_onset_frame": onset, "score_offset_frame": offset, "score_objective_class": objective}
        row |= {"score_apex_frame": apex} if apex != "/" else {}
        found.append({key: float(v) if key.startswith("score_") else v for key, v in (row | said(str(codes))).items()})
    return found


def said(codes: str) -> dict[str, object]:
    """The action units of a string; one of several is none."""
    units: dict[str, object] = {f"au_{unit}": 0 for unit in CODED}
    for term in codes.split("+"):
        for side, number in re.findall(r"([LR]?)(\d+)", term):
            units[f"au_{number}"] = None if "or" in term else 1
            if side and "or" not in term:
                units[f"side_{number}"] = SIDES[side]
    return units
