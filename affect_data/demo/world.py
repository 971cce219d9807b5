"""Writes the demo databases: the official layouts, each with only the labels which that database has, and the whole truth apart."""

import importlib
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import polars as pl

from affect_data.databases.base import DRAWN_MARKER
from affect_data.demo.sampler import DEMO_ACTION_UNITS, FaceSampler
from affect_data.demo.sheet import contact_sheet
from affect_data.demo.style import Style
from affect_data.demo.truth import PlacedFace
from affect_data.engine import map_shards
from affect_data.errors import DataError

TRUTH: Final = "truth.parquet"
SHEET: Final = "faces.png"
FACES: Final = 9000

SHARES: Final[Mapping[str, float]] = MappingProxyType(
    {"affwild2": 0.34, "affectnet": 0.16, "disfa": 0.14, "expw": 0.13, "afew_va": 0.13, "ferplus": 0.10}
)
"""How the faces are divided among the databases."""

STYLES: Final[Mapping[str, Style]] = MappingProxyType(
    {
        "affwild2": Style(),
        "affectnet": Style(rotation=8.0, tint_spread=0.05, brightness_spread=0.15),
        "disfa": Style(
            rotation=2.0, turn=0.2, gradient=0.05, clutter=0.0, tint=(0.97, 1.0, 1.04), brightness_spread=0.03
        ),
        "expw": Style(rotation=9.0, gradient=0.3, noise=8.0, brightness_spread=0.18),
        "afew_va": Style(tint=(1.06, 1.0, 0.92), brightness=0.9, gradient=0.3),
        "ferplus": Style(rotation=7.0, noise=9.0, blur=0.004),
    }
)
"""What sets the pictures of each database apart."""


def write_demo(
    out: Path,
    seed: int = 0,
    faces: int = FACES,
    workers: int = 1,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> pl.DataFrame:
    """Writes ``out/<database>/`` for every database of `SHARES`, ``out/truth.parquet``, and a picture of some faces, ``out/faces.png``.

    Args:
        out: folder that is new or empty.
        seed: decides every face.
        faces: about how many faces in all.
        workers: processes that draw.
        progress: told about every finished database.

    Returns:
        The truth: `database, image, face, subject, expression, valence, arousal`, and `au_<n>`, `strength_<n>` for the drawn action units.

    Raises:
        DataError: the folder is not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise DataError(f"'{out}' is not empty; name a new folder for the demo databases")
    out.mkdir(parents=True, exist_ok=True)
    jobs = [(out, name, seed, max(24, round(faces * share))) for name, share in SHARES.items()]
    parts = []
    for done, part in enumerate(map_shards(_write_database, jobs, workers), start=1):
        parts.append(part)
        progress("drawing faces", done, len(jobs))
    truth = pl.concat(parts).sort("database", "image", "face")
    truth.write_parquet(out / TRUTH)
    contact_sheet(seed).save(out / SHEET)
    return truth


def _write_database(job: tuple[Path, str, int, int]) -> pl.DataFrame:
    out, name, seed, faces = job
    generator = importlib.import_module(f"affect_data.demo.{name}")
    sampler = FaceSampler(seed * 1009 + zlib.crc32(name.encode()) % 1009, STYLES[name])
    root = out / name
    root.mkdir()
    placed: list[PlacedFace] = generator.write(root, sampler, faces)
    (root / DRAWN_MARKER).write_text(f"Faces drawn by `affect-data demo --seed {seed}`; nobody's.\n", encoding="utf-8")
    return truth_table(name, placed)


def truth_table(database: str, placed: list[PlacedFace]) -> pl.DataFrame:
    """The truth of a database's faces, one row each, with the columns that `write_demo` describes."""
    columns: dict[str, list[object]] = {
        "database": [database] * len(placed),
        "image": [face.image for face in placed],
        "face": [face.face for face in placed],
        "subject": [face.truth.subject for face in placed],
        "expression": [face.truth.expression for face in placed],
        "valence": [face.truth.valence for face in placed],
        "arousal": [face.truth.arousal for face in placed],
        **{f"au_{n}": [face.truth.action_unit(n) for face in placed] for n in DEMO_ACTION_UNITS},
        **{f"strength_{n}": [face.truth.strengths[i] for face in placed] for i, n in enumerate(DEMO_ACTION_UNITS)},
    }
    return pl.DataFrame(columns)
