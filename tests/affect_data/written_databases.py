"""The demo files of one database, small and written once, with the truth of their faces and what the reader found."""

from dataclasses import dataclass
from pathlib import Path

from affect_data.databases.base import Database, Scan
from affect_data.databases.registry import DATABASES
from affect_data.databases.root import DatabaseRoot
from affect_data.demo.generators import generator_of
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.truth import DemoFiles, PlacedFace

FACES = 130


@dataclass(frozen=True)
class Written:
    """The demo files of one database, the truth of its faces, and what its reader found."""

    database: Database
    root: Path
    files: DemoFiles
    placed: dict[tuple[str, int], PlacedFace]
    scan: Scan


def write_database(name: str, root: Path) -> Written:
    """The demo files of a database in the folder, for reading only."""
    files = generator_of(name).write(root, FaceSampler(7), FACES)
    database = DATABASES[name]()
    by_place = {(face.image, face.face): face for face in files.faces}
    assert len(by_place) == len(files.faces) > FACES / 2
    return Written(database, root, files, by_place, database.read(DatabaseRoot(root)))
