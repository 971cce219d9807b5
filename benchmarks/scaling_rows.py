"""Datasets of any number of rows for `scaling.py`: labels behave as those of videos and photographs do, and each row has a picture of its own."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from folders import slots, write_dataset
from format import VIDEO, labels_of, plan, stand_ins

from affect_data.databases.registry import DATABASES
from affect_data.dataset.layout import Layout
from affect_data.dataset.schema import IMAGES, arrow_schema
from affect_data.vocabulary import ACTION_UNIT_SLOTS, EXPRESSIONS

SIDE: Final = 32
LASTS: Final = 60
"""Frames between two changes of a label."""

PLACES: Final = {
    "neutral": (0.0, 0.0),
    "anger": (-0.5, 0.6),
    "disgust": (-0.6, 0.4),
    "fear": (-0.4, 0.8),
    "happiness": (0.7, 0.2),
    "sadness": (-0.7, -0.3),
    "surprise": (0.2, 0.8),
}
"""About where annotators put an expression in the plane of valence and arousal."""


def write(path: Path, rows: int, *, pictures: bool) -> None:
    """Writes a dataset of Aff-Wild2, AffectNet and DISFA in the proportions of these databases; a tenth of the shards is for validation.

    Args:
        path: of the new folder.
        rows: how many.
        pictures: whether rows have JPEGs; otherwise stand-ins of eight bytes, with digests of their own.
    """
    merged = [DATABASES[name] for name in ("affectnet", "affwild2", "disfa")]
    layout = Layout(
        databases=("affectnet", "affwild2", "disfa"),
        action_units=tuple(sorted({unit for database in merged for unit in database.action_units})),
        intensities=tuple(sorted({unit for database in merged for unit in database.action_unit_intensities})),
    )
    planned = plan(rows)
    parts = {"train": [part for place, part in enumerate(planned) if place % 10 or len(planned) < 10]}
    parts["validation"] = [part for part in planned if part not in parts["train"]]

    def shards(own: list[tuple[str, int, int]]) -> Iterator[tuple[pl.DataFrame, pa.Array]]:
        for name, start, count in own:
            labels = _lasting(labels_of(name, start, count).drop("face_box"), name, start)
            yield labels, _jpegs(name, start, count) if pictures else stand_ins(count)

    write_dataset(path, layout, {split: (len(own), shards(own)) for split, own in parts.items() if own})


def _lasting(labels: pl.DataFrame, name: str, start: int) -> pl.DataFrame:
    """Rows whose labels last, as those of videos do, and go with each other."""
    count, rng, database = len(labels), np.random.default_rng([7, start, len(name)]), DATABASES[name]
    row = np.arange(start, start + count)
    scene, stretch = (row, row) if name == "affectnet" else (row // VIDEO, row // LASTS)
    scene, stretch = scene - scene[0], stretch - stretch[0]
    codes = rng.integers(0, len(PLACES), scene[-1] + 1)[scene]
    pleasant = np.isin(codes, [place for place, (valence, _) in enumerate(PLACES.values()) if valence >= 0])
    columns: dict[str, np.ndarray] = {}
    if database.action_units:
        occurrence, places = labels["au"].to_numpy().copy(), [ACTION_UNIT_SLOTS[unit] for unit in database.action_units]
        occurrence[:, places] = rng.integers(0, 2, (stretch[-1] + 1, len(places)), dtype=np.int8)[stretch]
        columns["au"] = occurrence
    if database.action_unit_intensities:
        steps, places = (
            labels["au_intensity"].to_numpy().copy(),
            [ACTION_UNIT_SLOTS[u] for u in database.action_unit_intensities],
        )
        steps[:, places] = rng.integers(0, 6, (stretch[-1] + 1, len(places)))[stretch]
        # Presence is coded from intensity 2 on.
        columns["au"][:, places], columns["au_intensity"] = steps[:, places] >= 2, steps
    elif database.action_units:
        # No smile in an unpleasant scene, and no disgust in a pleasant one.
        for unit, absent in ((12, ~pleasant), (4, pleasant)):
            columns["au"][absent, ACTION_UNIT_SLOTS[unit]] = 0
    labels = labels.with_columns([slots(values, key) for key, values in columns.items()])
    if not database.expressions:
        return labels
    centres = np.array(list(PLACES.values()))[codes]
    sway = 0.05 * np.column_stack([np.sin(row / 40), np.cos(row / 40)])
    plane = (centres + sway + rng.normal(0, 0.01, centres.shape)).clip(-1, 1).astype(np.float32)
    known = np.array([EXPRESSIONS.index(each) for each in PLACES])
    return labels.with_columns(
        expression=pl.Series(known[codes]), valence=pl.Series(plane[:, 0]), arousal=pl.Series(plane[:, 1])
    )


def _jpegs(name: str, start: int, count: int) -> pa.Array:
    """A JPEG of its own for every row, smooth enough to be resized."""
    from PIL import Image

    rng = np.random.default_rng([9, start, len(name)])
    files = []
    for _ in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8))
        sink = io.BytesIO()
        coarse.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(sink, "JPEG", quality=80)
        files.append(sink.getvalue())
    names = pa.array(["p.jpg"] * count)
    return pa.StructArray.from_arrays([pa.array(files), names], fields=list(arrow_schema(IMAGES)[0].type))
