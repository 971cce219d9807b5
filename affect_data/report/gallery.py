"""Faces in the report: only on request, and only from drawn databases and those that allow it."""

import base64
from typing import Final

import polars as pl

from affect_data.audit.export import kept_in
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.thumbnails import face_picture, image_bytes
from affect_data.errors import DataError
from affect_data.report.html import Markup, Section, escape, paragraph
from affect_data.vocabulary import EXPRESSIONS

FACES_PER_DATABASE: Final = 12
SIZE: Final = 96


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


def _pictures(folder: DatasetFolder, database: str) -> list[str]:
    pictures: list[str] = []
    for split in folder.splits:
        labels = folder.labels(split).with_row_index("row").filter(pl.col("database") == database)
        step = max(1, len(labels) // FACES_PER_DATABASE)
        for row in labels.gather_every(step).iter_rows(named=True):
            if len(pictures) == FACES_PER_DATABASE:
                return pictures
            data = image_bytes(folder, split, row["row"])
            try:
                small = face_picture(data, row["face_box"], SIZE) if data is not None else b""
            except DataError:
                small = b""
            if small:
                caption = EXPRESSIONS[row["expression"]] if row["expression_mask"] else ""
                encoded = base64.b64encode(small).decode()
                image = f'<img alt="{escape(row["uid"])}" src="data:image/jpeg;base64,{encoded}">'
                pictures.append(f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>")
    return pictures
