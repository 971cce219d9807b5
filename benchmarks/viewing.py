"""How long `affect-data view` takes to answer a filter, and to show another part of the grid, on generated labels.

    python benchmarks/viewing.py                       # 1,000,000 rows
    python benchmarks/viewing.py --browser             # also scrolls in a headless Chromium
    python benchmarks/viewing.py --smoke               # tiny; shows that it runs, measures nothing

Every line is a view that is asked for the first time, of a new engine: the rows in their order, and the counts beside every choice. "next rows" is a
part of the grid, 120 faces with their labels, from the middle of the view. With ``--browser``, a drawn dataset whose rows are repeated until there
are so many is served with its faces. The grid is scrolled by a third of its height in every frame for ten seconds, and then led to 40 places all over
the list: the times between frames, and from a jump until every face in the window has its picture and labels.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from common import REPOSITORY, machine
from starlette.datastructures import QueryParams
from starlette.responses import Response

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.corrections.decisions import DecisionFile
from affect_data.dataset.thumbnail_cache import CACHE
from affect_data.demo.world import write_demo
from affect_data.serving import Asked, LocalServer
from affect_data.viewing.absence import Absence
from affect_data.viewing.desk import Desk
from affect_data.viewing.engine import Engine
from affect_data.viewing.filters import view_of
from affect_data.viewing.glance import at_a_glance
from affect_data.viewing.routes import Page
from affect_data.viewing.table import LabelTable, as_names, label_table, plane_cells
from affect_data.vocabulary import EXPRESSIONS

ROWS: Final = 1_000_000
SMOKE_ROWS: Final = 5_000
REPEATS: Final = 5
SLICE: Final = 120

DATABASES: Final = ("affectnet", "affwild2", "bp4d", "disfa", "expw", "ferplus")
UNITS: Final = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26)
CHECKS: Final = ("leakage", "label_errors", "duplicates", "expression_va", "au_expression")

ABSENCE: Final = Absence(
    {
        "va": {code: {"database": None} for code in (2, 3, 4, 5)} | {1: {"not annotated": 1000, "files": None}},
        "au": {code: {"database": None} for code in (0, 4, 5)},
        "expression": {2: {"database": None}, 3: {"database": None}, 5: {"tie of two": 700, "no majority": 500}},
    }
)

VIEWS: Final = {
    "everything": "",
    "one database": "database=affwild2",
    "an expression": "expression=fear&expression=anger",
    "two action units": "au=12&au=-4",
    "a rectangle of the VA plane": "va=-1,0,-0.2,1",
    "label errors, worst first": "finding=label_errors&sort=-finding.label_errors",
    "everything, furthest from the teacher first": "sort=-soft.teacher.expression",
    "text of the uid": "text=00123",
    "why there is no label": "why=va:database&why=expression:no majority",
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
        "file": as_names(names + "/" + pl.Series(video // 50).cast(pl.String) + ".csv"),
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
        pl.DataFrame(columns), ("train", "validation"), (0, int(np.ceil(rows * 0.9))), DATABASES, UNITS, (), CHECKS, {"teacher": ("expression",)},
        absence=ABSENCE,
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


SCROLL = """
const done = arguments[0], grid = document.getElementById('grid'), times = [];
let last = performance.now(); const end = last + 10_000;
const step = (now) => { times.push(now - last); last = now; grid.scrollTop += grid.clientHeight / 3;
  if (now < end) requestAnimationFrame(step); else done(times.slice(1)); };
requestAnimationFrame(step);
"""

JUMP = """
const [share, done] = arguments, grid = document.getElementById('grid'), begin = performance.now();
grid.scrollTop = share * (grid.scrollHeight - grid.clientHeight);
const look = () => { const cells = [...grid.querySelectorAll('.cell')].filter((cell) => {
    const box = cell.getBoundingClientRect(); return box.bottom > 60 && box.top < innerHeight; });
  const whole = cells.length && cells.every((cell) => cell.querySelector('.thumb')?.style.backgroundImage);
  if (whole) done(performance.now() - begin); else requestAnimationFrame(look); };
setTimeout(look, 20);
"""


def scroll(rows: int) -> None:
    """Prints times of the page in a real browser."""
    sys.path.insert(0, str(REPOSITORY / "tests" / "affect_data"))
    from browsing import chromium

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ[CACHE] = str(folder / "cache")
        write_demo(folder / "world", seed=0, faces=300)
        databases = sorted(path.name for path in (folder / "world").iterdir() if path.is_dir())
        recipe = recipe_from({"databases": {database: {} for database in databases}}, "viewing")
        roots = {database: folder / "world" / database for database in databases}
        dataset = build(recipe, roots, folder / "merged").dataset
        table = label_table(dataset)
        own = table.frame.head(dataset.rows(dataset.splits[0]))
        repeated = replace(table, frame=pl.concat([own] * -(-rows // len(own))), splits=table.splits[:1], starts=(0,))
        page = _RepeatedFaces(Desk(dataset, repeated, DecisionFile(folder / "d.jsonl"), "nobody"), len(own))
        with LocalServer(page.routes(), 0, "viewing") as server, chromium(folder / "profile") as browser:
            browser.set_script_timeout(120)
            browser.get(server.url)
            time.sleep(3)
            frames = browser.execute_async_script(SCROLL)
            jumps = [browser.execute_async_script(JUMP, share) for share in np.random.default_rng(0).random(40)]
    slow = statistics.quantiles(frames, n=100)[98]
    print(f"\n{len(repeated):,} faces in Chromium: {len(frames) / 10:.0f} frames a second, ", end="")
    print(f"99 of 100 within {slow:.0f} ms, the longest {max(frames):.0f} ms")
    print(
        f"all faces of the window after a jump: median {statistics.median(jumps):.0f} ms, the longest {max(jumps):.0f} ms"
    )


class _RepeatedFaces(Page):
    """A page whose rows are those of a smaller dataset, again and again."""

    def __init__(self, desk: Desk, rows: int) -> None:
        super().__init__(desk)
        self._own = rows

    def strip(self, asked: Asked) -> Response:
        rows = ",".join(str(int(row) % self._own) for row in asked.query["rows"].split(","))
        return super().strip(replace(asked, query=QueryParams({"rows": rows})))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--browser", action="store_true")
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
    if options.browser:
        scroll(rows)


if __name__ == "__main__":
    main()
