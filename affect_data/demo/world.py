"""Writes the demo databases: official layouts, each with only the labels of that database, and the whole truth in a file of its own."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import polars as pl

from affect_data.databases.registry import DATABASES
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import Totals, write_drawn_totals
from affect_data.demo.generators import generator_of
from affect_data.demo.sampler import DEMO_ACTION_UNITS, FaceSampler
from affect_data.demo.sheet import contact_sheet
from affect_data.demo.style import Style
from affect_data.demo.truth import PlacedFace
from affect_data.errors import DataError, UsageError
from affect_data.files import written_folder
from affect_data.processes import map_jobs

TRUTH: Final = "truth.parquet"
SHEET: Final = "faces.png"
FACES: Final = 9000

SHARES: Final[Mapping[str, float]] = MappingProxyType(
    {"affwild2": 0.34, "affectnet": 0.16, "disfa": 0.14, "expw": 0.13, "afew_va": 0.13, "ferplus": 0.10}
)
"""The share of the faces for each database."""


@dataclass(frozen=True)
class World:
    """What a demo world holds, and how hard it is.

    Attributes:
        shares: the databases, each with its share of the faces (any positive numbers).
        label_noise: share of wrong expression labels, by database; 0 for databases that are not named.
        shift: how far the styles of the databases are from ordinary snapshots: 1 as their generators state, 0 all alike.
        nuisance: factor of pose, light, blur and noise.
        imbalance: power of the expressions' frequencies; 0 makes all equally frequent.
    """

    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    label_noise: Mapping[str, float] = field(default_factory=dict)
    shift: float = 1.0
    nuisance: float = 1.0
    imbalance: float = 1.0

    def __post_init__(self) -> None:
        for name in (*self.shares, *self.label_noise):
            generator_of(name)
        unused = sorted(set(self.label_noise) - set(self.shares))
        if unused:
            raise UsageError(f"label noise is set for {', '.join(unused)}, which this world does not hold")
        if not self.shares or min(self.shares.values()) <= 0:
            raise UsageError("a world takes one database at least, each with a share above 0")
        if not all(0 <= share < 1 for share in self.label_noise.values()):
            raise UsageError("label noise is a share of the labels: 0 or more, less than 1")
        if min(self.shift, self.nuisance, self.imbalance) < 0:
            raise UsageError("shift, nuisance and imbalance are 0 or more")

    def style(self, name: str) -> Style:
        """The style of a database in this world."""
        return generator_of(name).STYLE.moved(self.shift).harder(self.nuisance)

    def sampler(self, name: str, seed: int) -> FaceSampler:
        """The sampler that draws the faces of a database."""
        own_seed = seed * 1009 + zlib.crc32(name.encode()) % 1009
        return FaceSampler(own_seed, self.style(name), self.label_noise.get(name, 0.0), self.imbalance)

    def faces_of(self, faces: int) -> dict[str, int]:
        """The number of faces of each database, at least 24."""
        whole = sum(self.shares.values())
        return {name: max(24, round(faces * share / whole)) for name, share in self.shares.items()}


def write_demo(
    out: Path,
    seed: int = 0,
    faces: int = FACES,
    workers: int = 1,
    progress: Callable[[str, int, int], None] = lambda *_: None,
    world: World | None = None,
) -> pl.DataFrame:
    """The truth of all faces. Writes ``out/<database>/`` for every database of a world, ``out/truth.parquet`` and some faces, ``out/faces.png``.

    The folder appears when all of it is written.

    Args:
        out: a new or empty folder.
        seed: decides every face.
        faces: about how many faces in all.
        workers: processes that draw.
        progress: is called after every database.
        world: what is drawn; by default the six databases of `SHARES`.

    Returns:
        The columns `database, image, face, subject, expression, shown, compound, valence, arousal`, and `au_<n>`, `strength_<n>` for the drawn action
        units. ``expression`` is the label, ``shown`` what the face shows; they differ where labels are noisy.

    Raises:
        DataError: the folder is not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise DataError(f"'{out}' is not empty; name a new folder for the demo databases")
    world = world or World()
    with written_folder(out) as partial:
        # Samplers are sent to the processes, because the read-only mappings of a world cannot be pickled.
        jobs = [
            (partial, name, seed, count, world.sampler(name, seed)) for name, count in world.faces_of(faces).items()
        ]
        parts = []
        for done, part in enumerate(map_jobs(_write_database, jobs, workers), start=1):
            parts.append(part)
            progress("drawing faces", done, len(jobs))
        truth = pl.concat(parts).sort("database", "image", "face")
        truth.write_parquet(partial / TRUTH)
        contact_sheet(seed).save(partial / SHEET)
    return truth


def _write_database(job: tuple[Path, str, int, int, FaceSampler]) -> pl.DataFrame:
    out, name, seed, faces, sampler = job
    root = out / name
    root.mkdir()
    placed = generator_of(name).write(root, sampler, faces).faces
    write_drawn_totals(root, f"Faces drawn by `affect-data demo --seed {seed}`; nobody's.", totals_of(name, root))
    return truth_table(name, placed)


def totals_of(name: str, root: Path) -> Totals:
    """The totals of a freshly drawn database, as its reader counts them; parts that are missing on purpose are no losses."""
    scan = DATABASES[name]().read(DatabaseRoot(root))
    return Totals(scan.counts, "", scan.missing_pictures, scan.losses)


def truth_table(database: str, placed: list[PlacedFace]) -> pl.DataFrame:
    """The truth of a database's faces, a row for each, with the columns that `write_demo` describes."""
    columns: dict[str, list[object]] = {
        "database": [database] * len(placed),
        "image": [face.image for face in placed],
        "face": [face.face for face in placed],
        "subject": [face.truth.subject for face in placed],
        "expression": [face.truth.expression for face in placed],
        "shown": [face.truth.shown for face in placed],
        "compound": [face.truth.compound for face in placed],
        "valence": [face.truth.valence for face in placed],
        "arousal": [face.truth.arousal for face in placed],
        **{f"au_{n}": [face.truth.action_unit(n) for face in placed] for n in DEMO_ACTION_UNITS},
        **{f"strength_{n}": [face.truth.strengths[i] for face in placed] for i, n in enumerate(DEMO_ACTION_UNITS)},
    }
    return pl.DataFrame(columns)
