"""How long `affect-data view` takes to answer a filter, and to show another part of the grid, on generated labels.

    python benchmarks/viewing.py                       # 1,000,000 rows
    python benchmarks/viewing.py --browser             # also scrolls in a headless Chromium
    python benchmarks/viewing.py --smoke               # tiny; shows that it runs, measures nothing

Every line is a view that is asked for the first time by an engine that has answered others before: the rows in their order, and the counts beside
every choice. "next rows" is a part of the grid, 120 faces with their labels, from the middle of the view. With ``--browser``, the page is served, and
frames are counted while it is scrolled by wheel and dragged to places all over the list; no face is at hand, so that pictures cost nothing.
"""

import argparse
import statistics
import time
from typing import Final

import numpy as np
import polars as pl
from common import machine

from affect_data.viewing.engine import Engine
from affect_data.viewing.filters import view_of
from affect_data.viewing.glance import at_a_glance
from affect_data.viewing.table import LabelTable, as_names, plane_cells
from affect_data.vocabulary import EXPRESSIONS

ROWS: Final = 1_000_000
SMOKE_ROWS: Final = 5_000
REPEATS: Final = 5
SLICE: Final = 120

DATABASES: Final = ("affectnet", "affwild2", "bp4d", "disfa", "expw", "ferplus")
UNITS: Final = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26)
CHECKS: Final = ("leakage", "label_errors", "duplicates", "expression_va", "au_expression")

VIEWS: Final = {
    "everything": "",
    "one database": "database=affwild2",
    "an expression": "expression=fear&expression=anger",
    "two action units": "au=12&au=-4",
    "a rectangle of the VA plane": "va=-1,0,-0.2,1",
    "label errors, worst first": "finding=label_errors&sort=-finding.label_errors",
    "everything, furthest from the teacher first": "sort=-soft.teacher.expression",
    "text of the uid": "text=00123",
    "seven filters, ordered by track": (
        "database=affwild2&database=affectnet&split=train&task=va&au=~7&expression=neutral&va=-0.5,-0.5,1,1&finding=none&sort=track"
    ),
}


def generated(rows: int) -> LabelTable:
    """Labels in the proportions of the large databases: videos of 2,000 frames, masks by database, findings on every twentieth row."""
    rng = np.random.default_rng(0)
    database = rng.choice(len(DATABASES), rows, p=[0.2, 0.5, 0.08, 0.08, 0.06, 0.08]).astype(np.int8)
    video = np.arange(rows) // 2000
    names = pl.Series(np.array(DATABASES)[database])
    has = {
        task: np.isin(database, codes)
        for task, codes in {"va": (0, 1), "au": (1, 2, 3), "expression": (0, 1, 4, 5)}.items()
    }
    va = np.where(has["va"], rng.normal(0.1, 0.35, (2, rows)).clip(-1, 1), np.nan).astype(np.float32)
    found = rng.random(rows) < 0.05
    which = rng.integers(0, len(CHECKS), rows)
    score = rng.random(rows).astype(np.float32)

    def sometimes(mask: "np.ndarray[tuple[int], np.dtype[np.bool_]]", values: pl.Series) -> pl.Series:
        return pl.DataFrame([values.alias("v"), pl.Series("m", mask)]).select(pl.when("m").then("v")).to_series()

    columns = {
        "uid": pl.select(
            pl.format(
                "{}:video_{}/{}#0",
                names,
                pl.lit(pl.Series(video)),
                pl.lit(pl.Series(np.arange(rows)).cast(pl.String).str.zfill(8)),
            )
        ).to_series(),
        "release": as_names(pl.Series(["v1"] * rows)),
        "subject": as_names(names + "/" + pl.Series(video // 3).cast(pl.String)),
        "track": as_names(names + "/" + pl.Series(video).cast(pl.String)),
        "frame": np.arange(rows, dtype=np.int32) % 2000,
        "face": np.zeros(rows, np.int16),
        "origin": np.zeros(rows, np.int32),
        "split": np.where(np.arange(rows) < rows * 0.9, 0, 1).astype(np.int8),
        "database": database,
        "expression": np.where(has["expression"], rng.integers(0, len(EXPRESSIONS), rows), -1).astype(np.int8),
        "compound": np.full(rows, -1, np.int8),
        "valence": pl.Series(va[0], nan_to_null=True),
        "arousal": pl.Series(va[1], nan_to_null=True),
        "plane": plane_cells(va[0], va[1]),
        **{f"au{n}": np.where(has["au"], rng.random(rows) < 0.2, -1).astype(np.int8) for n in UNITS},
        "copies": sometimes(rng.random(rows) < 0.02, pl.Series(rng.integers(0, rows // 100, rows).astype(np.int32))),
        "severity": sometimes(found, pl.Series(rng.integers(0, 3, rows).astype(np.int8))),
        "score": sometimes(found, pl.Series(score)),
        **{f"finding.{name}": sometimes(found & (which == i), pl.Series(score)) for i, name in enumerate(CHECKS)},
        "soft.teacher.expression": sometimes(has["expression"], pl.Series(rng.random(rows).astype(np.float32))),
        "confidence.teacher": rng.random(rows).astype(np.float32),
    }
    return LabelTable(
        pl.DataFrame(columns), ("train", "validation"), (0, int(np.ceil(rows * 0.9))), DATABASES, UNITS, (), CHECKS, {"teacher": ("expression",)}
    )  # fmt: skip


def milliseconds(table: LabelTable, query: str) -> tuple[float, float, int]:
    """Medians of the time to the rows with all counts, and to another part of the grid; the number of rows."""
    filters, parts = [], []
    view = view_of([(key, value) for pair in query.split("&") for key, _, value in [pair.partition("=")] if key])
    for _ in range(REPEATS):
        engine = Engine(table)
        start = time.perf_counter()
        rows = engine.rows(view)
        engine.counts(view)
        filters.append(1000 * (time.perf_counter() - start))
        start = time.perf_counter()
        at_a_glance(table, engine.rows(view)[len(rows) // 2 :][:SLICE])
        parts.append(1000 * (time.perf_counter() - start))
    return statistics.median(filters), statistics.median(parts), len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    rows = SMOKE_ROWS if options.smoke else options.rows
    start = time.perf_counter()
    table = generated(rows)
    print(
        f"{rows:,} rows, {table.frame.estimated_size() / 1e6:,.0f} MB, made in {time.perf_counter() - start:.1f} s; {machine()}\n"
    )
    print("| view | rows | filter and counts, ms | next rows, ms |\n|---|---|---|---|")
    for name, query in VIEWS.items():
        filtered, part, found = milliseconds(table, query)
        print(f"| {name} | {found:,} | {filtered:.0f} | {part:.1f} |", flush=True)


if __name__ == "__main__":
    main()
