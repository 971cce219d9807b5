"""Faces in the report: only on request, and only from drawn databases and those that allow it."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from affect_data.audit.export import kept_in
from affect_data.audit.registry import AUDITS
from affect_data.audit.words import sentence
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.thumbnails import face_picture, image_bytes
from affect_data.errors import DataError
from affect_data.report.charts import dot_in_plane
from affect_data.report.html import Markup, Section, escape, paragraph
from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS

FACES_PER_DATABASE: Final = 12
FACES_PER_CHECK: Final = 6
SIZE: Final = 112

_COLUMNS: Final = (
    *("uid", "database", "face_box", "expression", "expression_mask", "au", "au_mask", "valence", "arousal", "va_mask"),
)


def faces(folder: DatasetFolder) -> Section:
    """The section: some faces of each database that may be shown, evenly over its rows, and the names of those that may not."""
    parts: list[Markup] = []
    refused = kept_in(folder)
    if refused:
        parts.append(paragraph(f"Not shown, as their licence does not let faces leave: {', '.join(refused)}."))
    for name in folder.manifest.databases:
        if name in refused:
            continue
        pictures = _pictures(folder, name)
        if pictures:
            parts.append(Markup(f'<h3>{escape(name)}</h3><div class="faces">{"".join(pictures)}</div>'))
    return Section("faces", "Faces", tuple(parts))


def worst_faces(folder: DatasetFolder, found: pl.DataFrame) -> list[Markup]:
    """For each check the faces that it scores highest, of databases that may be shown, with what is doubted in a sentence.

    Args:
        folder: the dataset.
        found: findings of its audit, highest score of a check first.
    """
    refused = list(kept_in(folder))
    shown = [
        _labels(folder, split).filter(~pl.col("database").cast(pl.String).is_in(refused)) for split in folder.splits
    ]
    first = found.unique(["check", "split", "uid"], keep="first", maintain_order=True)
    picked = first.join(pl.concat(shown), on=["split", "uid"], maintain_order="left")
    parts = []
    for check in picked["check"].unique(maintain_order=True):
        rows = picked.filter(pl.col("check") == check).head(FACES_PER_CHECK)
        cards = [card for row in rows.iter_rows(named=True) if (card := _card(folder, row, _doubt(row)))]
        if cards:
            title = AUDITS[check].title if check in AUDITS else check
            parts.append(Markup(f'<h3>Worst: {escape(title)}</h3><div class="doubts">{"".join(cards)}</div>'))
    if refused and not found.is_empty():
        parts.append(paragraph(f"Faces of {', '.join(refused)} are left out: their licence keeps them in.", quiet=True))
    return parts


def _labels(folder: DatasetFolder, split: str) -> pl.DataFrame:
    return folder.labels(split).select(_COLUMNS).with_row_index("row").with_columns(pl.lit(split).alias("split"))


def _doubt(row: Mapping[str, Any]) -> str:
    check = row["check"]
    return sentence(check, AUDITS[check].title if check in AUDITS else check, row["score"], json.loads(row["evidence"]))


def _pictures(folder: DatasetFolder, database: str) -> list[str]:
    pictures: list[str] = []
    for split in folder.splits:
        labels = _labels(folder, split).filter(pl.col("database") == database)
        step = max(1, len(labels) // FACES_PER_DATABASE)
        for row in labels.gather_every(step).iter_rows(named=True):
            if len(pictures) == FACES_PER_DATABASE:
                return pictures
            pictures += [card] if (card := _card(folder, row)) else []
    return pictures


def _card(folder: DatasetFolder, row: Mapping[str, Any], doubt: str = "") -> str:
    """A face with what is doubted about it and its labels below; empty if it has no picture."""
    data = image_bytes(folder, row["split"], row["row"])
    try:
        small = face_picture(data, row["face_box"], SIZE) if data is not None else b""
    except DataError:
        small = b""
    if not small:
        return ""
    image = f'<img alt="{escape(row["uid"])}" src="data:image/jpeg;base64,{base64.b64encode(small).decode()}">'
    said = f"<p>{escape(doubt)}</p>" if doubt else ""
    return f"<figure>{image}<figcaption>{said}{_caption(row)}</figcaption></figure>"


def _caption(row: Mapping[str, Any]) -> str:
    """The labels of a face: its expression, its present action units, valence and arousal; what is not labelled is left out."""
    lines = [f"<b>{escape(EXPRESSIONS[row['expression']])}</b>"] if row["expression_mask"] else []
    if any(row["au_mask"]):
        present = [str(number) for number, value in zip(ACTION_UNITS, row["au"], strict=True) if value == 1]
        lines.append(f"AU {' '.join(present)}" if present else "no AU present")
    if row["va_mask"]:
        valence, arousal = row["valence"], row["arousal"]
        numbers = f"valence {valence:+.2f}<br>arousal {arousal:+.2f}"
        lines.append(f'<span class="va">{dot_in_plane(valence, arousal).text}<span>{numbers}</span></span>')
    return "<br>".join(lines)
