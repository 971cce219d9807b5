"""Datasets made of single rows, so that a test can plant exactly what a check must find."""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from labelled_rows import label_table, write_tables
from PIL import Image

from affect_data.audit.base import Audit, AuditedDataset
from affect_data.dataset.folder import DatasetFolder
from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS, slot_of

Row = dict[str, Any]
MakeDataset = Callable[..., DatasetFolder]


def png(pixels: np.ndarray) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def grey_noise(seed: int, side: int = 36) -> bytes:
    """A picture that no other seed gives, and that is smooth enough to be resized."""
    coarse = np.random.default_rng(seed).integers(0, 256, (16, 16), dtype=np.uint8)
    return png(np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)))


def _label_row(given: Row, number: int, data: bytes, databases: list[str]) -> Row:
    units = given.get("au", {})
    intensities = given.get("au_intensity", {})
    au, intensity = [-1] * len(ACTION_UNITS), [float("nan")] * len(ACTION_UNITS)
    for unit, value in units.items():
        au[slot_of(unit)] = value
    for unit, value in intensities.items():
        intensity[slot_of(unit)] = value
    votes = given.get("votes")
    expression = given.get("expression")
    va = given.get("va")
    database = given.get("database", "affwild2")
    row = {
        "uid": given.get("uid", f"{database}:{number}"),
        "database": databases.index(database),
        "release": "",
        "subject": given.get("subject", ""),
        "track": given.get("track", ""),
        "frame": given.get("frame", -1),
        "face": given.get("face", -1),
        "source_file": "labels.txt",
        "source_line": number + 1,
        "au": au,
        "au_mask": [value >= 0 for value in au],
        "au_intensity": intensity,
        "au_intensity_mask": [value == value for value in intensity],
        "expression": EXPRESSIONS.index(expression) if expression else -1,
        "expression_mask": expression is not None,
        "expression_votes": [votes.get(name, 0.0) for name in EXPRESSIONS]
        if votes
        else [float("nan")] * len(EXPRESSIONS),
        "compound_expression": -1,
        "compound_expression_mask": False,
        "valence": va[0] if va else float("nan"),
        "arousal": va[1] if va else float("nan"),
        "va_mask": va is not None,
        "face_box": given.get("face_box", [float("nan")] * 4),
        "image_digest": hashlib.sha256(data).hexdigest(),
    }
    return {**row, **given.get("raw", {})}


@pytest.fixture
def make_dataset(tmp_path: Path) -> MakeDataset:
    """A function that writes a dataset of given rows by split.

    A row is a dictionary with any of: database, uid, subject, track, frame, face, au {number: 0 or 1}, au_intensity, expression, votes, va, face_box,
    image (bytes), and raw (columns of the schema). Without an image a row gets a picture of its own.
    """

    def make(splits: dict[str, list[Row]], name: str = "dataset") -> DatasetFolder:
        path = tmp_path / name
        databases = sorted({row.get("database", "affwild2") for rows in splits.values() for row in rows})
        tables, pictures, number = {}, {}, 0
        for split, rows in splits.items():
            labels, images = [], []
            for row in rows:
                data = row.get("image") or grey_noise(number)
                labels.append(_label_row(row, number, data, databases))
                images.append({"bytes": data, "path": f"{number}.png"})
                number += 1
            tables[split] = label_table(labels)
            stored = pa.array(images, type=pa.struct({"bytes": pa.binary(), "path": pa.string()}))
            pictures[split] = pa.table({"image": stored})
        return write_tables(path, tables, databases, pictures)

    return make


@pytest.fixture
def find(make_dataset: MakeDataset) -> Callable[[type[Audit], dict[str, list[Row]]], pl.DataFrame]:
    """A function that runs one check over rows by split; evidence becomes dictionaries."""

    def run(audit: type[Audit], splits: dict[str, list[Row]]) -> pl.DataFrame:
        found = audit().find(AuditedDataset(make_dataset(splits)))
        evidence = pl.Series("evidence", [json.loads(text) for text in found["evidence"]], dtype=pl.Object)
        return found.drop("evidence").with_columns(evidence)

    return run
