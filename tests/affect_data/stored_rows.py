"""Rows of the schema with any labels that a layout has places for, and their way to storage and back."""

import hashlib
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from hypothesis import strategies as st
from labelled_rows import label_table

from affect_data.dataset.layout import COMPOUND, VOTES, Layout, origins_of
from affect_data.dataset.schema import LABEL_COLUMNS
from affect_data.dataset.view import LabelView, side_by_side
from affect_data.vocabulary import ACTION_UNIT_SLOTS, ACTION_UNITS, COMPOUND_EXPRESSIONS, EXPRESSIONS

NAMES = [column.name for column in LABEL_COLUMNS]
NAN = float("nan")

_FLOATS = st.floats(-1.0, 1.0, width=32)
_TEXTS = st.sampled_from(["", "a", "b", "ä/ö.txt", "a/b"])
_WHOLE_BOXES = st.lists(st.integers(1, 1000).map(float), min_size=4, max_size=4)
_EXACT_BOXES = st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=4)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Any layout of up to three databases."""
    units = draw(st.sets(st.sampled_from(ACTION_UNITS), max_size=5))
    intensities = draw(st.sets(st.sampled_from(ACTION_UNITS), max_size=3))
    return Layout(
        databases=tuple(sorted(draw(st.sets(st.sampled_from(["affectnet", "affwild2", "disfa"]), min_size=1)))),
        action_units=tuple(sorted(units)),
        intensities=tuple(sorted(intensities)),
        whole_intensities=draw(st.booleans()),
        boxes=draw(st.sampled_from(["none", "whole", "exact"])),
        side=tuple(name for name in (VOTES, COMPOUND) if draw(st.booleans())),
        clips=draw(st.booleans()),
    )


@st.composite
def rows_of(draw: st.DrawFn, layout: Layout, database: int) -> dict[str, Any]:
    """A row of one database with labels that the layout has places for; masks and fills are those of the schema."""
    au, intensity = np.full(len(ACTION_UNITS), -1), np.full(len(ACTION_UNITS), NAN)
    for unit in layout.action_units:
        au[ACTION_UNIT_SLOTS[unit]] = draw(st.sampled_from([-1, 0, 1]))
    steps = st.integers(0, 5).map(float) if layout.whole_intensities else st.floats(0.0, 5.0, width=32)
    for unit in layout.intensities:
        intensity[ACTION_UNIT_SLOTS[unit]] = draw(st.one_of(st.just(NAN), steps))
    expression = draw(st.integers(-1, len(EXPRESSIONS) - 1))
    compound = draw(st.integers(-1, len(COMPOUND_EXPRESSIONS) - 1)) if COMPOUND in layout.side else -1
    shares = st.lists(st.floats(0.0, 1.0, width=32), min_size=len(EXPRESSIONS), max_size=len(EXPRESSIONS))
    no_votes = [NAN] * len(EXPRESSIONS)
    va = draw(st.one_of(st.none(), st.tuples(_FLOATS, _FLOATS)))
    no_box = [NAN] * 4
    boxes = {"none": st.just(no_box), "whole": _WHOLE_BOXES, "exact": _EXACT_BOXES}[layout.boxes]
    return {
        "uid": f"{layout.databases[database]}:{draw(st.text(max_size=8))}",
        "database": database,
        **{name: draw(_TEXTS) for name in ("release", "subject", "track", "source_file")},
        "frame": draw(st.integers(-1, 2**31 - 1)),
        "face": draw(st.integers(-1, 2**15 - 1)),
        "source_line": draw(st.integers(1, 2**31 - 1)),
        "label_scope": draw(st.integers(0, 1)) if layout.clips else 0,
        "au": au.tolist(),
        "au_mask": (au >= 0).tolist(),
        "au_intensity": intensity.tolist(),
        "au_intensity_mask": (~np.isnan(intensity)).tolist(),
        "expression": expression,
        "expression_mask": expression >= 0,
        "expression_votes": draw(st.one_of(st.just(no_votes), shares)) if VOTES in layout.side else no_votes,
        "compound_expression": compound,
        "compound_expression_mask": compound >= 0,
        "valence": NAN if va is None else va[0],
        "arousal": NAN if va is None else va[1],
        "va_mask": va is not None,
        "face_box": draw(st.one_of(st.just(no_box), boxes)),
        "image_digest": draw(st.binary(min_size=32, max_size=32)).hex(),
    }


@st.composite
def frames(draw: st.DrawFn) -> tuple[Layout, pl.DataFrame]:
    """A layout and rows of its databases, mixed."""
    layout = draw(layouts())
    codes = draw(st.lists(st.integers(0, len(layout.databases) - 1), max_size=6))
    return layout, label_table([draw(rows_of(layout, code)) for code in codes])


def plain_rows(count: int, database: int = 0) -> pl.DataFrame:
    """Rows without any label."""
    row = {
        "database": database,
        **dict.fromkeys(("release", "subject", "track"), ""),
        "frame": -1,
        "face": -1,
        "source_file": "a.txt",
        "au": [-1] * len(ACTION_UNITS),
        "au_mask": [False] * len(ACTION_UNITS),
        "au_intensity": [NAN] * len(ACTION_UNITS),
        "au_intensity_mask": [False] * len(ACTION_UNITS),
        "expression": -1,
        "expression_mask": False,
        "expression_votes": [NAN] * len(EXPRESSIONS),
        "compound_expression": -1,
        "compound_expression_mask": False,
        "valence": NAN,
        "arousal": NAN,
        "va_mask": False,
        "face_box": [NAN] * 4,
    }
    return label_table(
        [
            {**row, "uid": f"x:{n}", "source_line": n + 1, "image_digest": hashlib.sha256(str(n).encode()).hexdigest()}
            for n in range(count)
        ]
    )


def stored_with_view(layout: Layout, rows: pl.DataFrame) -> tuple[pa.Table, LabelView]:
    """The stored columns of rows, side groups included, and the view that reads them."""
    origins, parts = {}, []
    for code, database in enumerate(layout.databases):
        part, texts = origins_of(rows.with_row_index("row").filter(pl.col("database") == code))
        origins[database] = texts.to_arrow()
        parts.append(part)
    numbered = pl.concat(parts).sort("row")
    stored = side_by_side([layout.stored(numbered, group) for group in layout.groups])
    return stored, LabelView(layout, origins)
