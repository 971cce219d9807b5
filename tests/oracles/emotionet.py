"""EmotioNet's workbook of 2020, read slowly: sixty columns of which annotators looked for seventeen; 999 and empty are unknown."""

from pathlib import Path

import openpyxl

CODED = (1, 2, 4, 5, 6, 9, 10, 12, 15, 17, 18, 20, 24, 25, 26, 28, 43)


def rows(root: Path) -> list[dict[str, object]]:
    """One dictionary a picture of which an action unit is known."""
    path = next(root.glob("EmotioNet_FACS*.xlsx"))
    lines = list(openpyxl.load_workbook(path)["Sheet1"].values)
    header = [str(cell).strip(" '") for cell in lines[0]]
    found = []
    for number, cells in enumerate(lines[1:], start=2):
        line = dict(zip(header, cells, strict=True))
        name = str(line["URL"]).strip(" '\"").rpartition("/")[2]
        image = f"images/{name.rpartition('_')[0]}/{name}"
        codes = {unit: str(line[f"AU {unit}"]) for unit in CODED}
        known = {f"au_{unit}": int(float(code)) for unit, code in codes.items() if code in ("0", "1", "0.0", "1.0")}
        if known and (root / image).is_file():
            found.append({"image": image, "source_file": path.name, "source_line": number, **known})
    return found
