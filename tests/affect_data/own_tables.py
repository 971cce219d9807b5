"""A table of own data, in every kind of file."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from affect_data.databases.base import Scan
from affect_data.demo.workbook import write_workbook

ROWS: list[dict[str, Any]] = [
    {"file": "a.png", "person": "ann", "emotion": 0, "v": 1, "a": 9, "AU01_c": 0, "AU12_r": 2, "part": "tr"},
    {"file": "b.png", "person": "ann", "emotion": 1, "v": 5, "a": 3, "AU01_c": 1, "AU12_r": 0, "part": "tr"},
    {"file": "c.png", "person": "bob", "emotion": 9, "v": None, "a": None, "AU01_c": 1, "AU12_r": 5, "part": "dev"},
    {"file": "d.png", "person": "eve", "emotion": 3, "v": 9, "a": 1, "AU01_c": None, "AU12_r": None, "part": "test"},
]
"""What the table says; one emotion is declared as no label."""

COLUMNS: dict[str, Any] = {
    "image": {"column": "file", "folder": "pictures"},
    "subject": "person",
    "split": {"column": "part", "names": {"tr": "train"}},
    "expression": {"column": "emotion", "names": ["happy", "Sadness", "neutral", "angry"]},
    "valence": "v",
    "arousal": "a",
    "valence_arousal_range": [1, 9],
    "action_units": {"1": "AU01_c", "12": {"intensity": "AU12_r", "threshold": 2}},
    "missing": {"emotion": 9},
}

Scanned = Callable[..., Scan]


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows as the kind of file that the name ends in."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".xlsx":
        write_workbook(path, [names, *([row.get(name) for name in names] for row in rows)])
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, names, delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)


def write_own(root: Path) -> Path:
    """Writes the pictures and the table as csv; returns the folder."""
    (root / "pictures").mkdir(parents=True)
    for number, row in enumerate(ROWS):
        Image.new("RGB", (16, 16), (number * 40, 9, 200)).save(root / "pictures" / row["file"])
    write_table(root / "labels.csv", ROWS)
    return root
