"""Writes the labels of a database in a dataset as the database's own files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import polars as pl

from affect_data.bounds import read_json
from affect_data.confinement import ConfinedFolder
from affect_data.dataset.folder import LOCK, DatasetFolder, open_dataset
from affect_data.dataset.loading import to_polars
from affect_data.errors import DataError, UnknownNameError, UsageError
from affect_data.exporting.affectnet import AFFECTNET_FORMS
from affect_data.exporting.affwild2 import AFFWILD2_FORMS
from affect_data.exporting.classes import CLASS_FORMS
from affect_data.exporting.ferplus import FERPLUS_FORMS
from affect_data.exporting.forms import NativeFile, NativeForm
from affect_data.exporting.lists import LIST_FORMS
from affect_data.exporting.micro_expressions import MICRO_EXPRESSION_FORMS
from affect_data.exporting.omg import OMG_FORMS
from affect_data.exporting.raf import RAF_FORMS
from affect_data.exporting.rated import RATED_FORMS
from affect_data.exporting.tracks import TRACK_FORMS
from affect_data.files import written_folder

NATIVE_FORMS: Final[Mapping[str, NativeForm]] = MappingProxyType(
    dict(
        sorted(
            {
                **AFFECTNET_FORMS,
                **AFFWILD2_FORMS,
                **CLASS_FORMS,
                **FERPLUS_FORMS,
                **LIST_FORMS,
                **MICRO_EXPRESSION_FORMS,
                **OMG_FORMS,
                **RAF_FORMS,
                **RATED_FORMS,
                **TRACK_FORMS,
            }.items()
        )
    )
)
"""By database; the others are read, but not written."""


@dataclass(frozen=True)
class NativeExport:
    """What was written.

    Attributes:
        database: its name.
        rows: of the database in the dataset.
        files: how many files were written.
        losses: what the files lack.
    """

    database: str
    rows: int
    files: int
    losses: tuple[str, ...]


def export_native(dataset: Path | str, name: str, out: Path) -> NativeExport:
    """Writes a database's labels from a dataset as its own files into a new folder, which is there whole or not at all.

    Corrections and decisions of the dataset are in the files. Pictures are not copied.

    Args:
        dataset: dataset folder.
        name: of the database.
        out: new or empty folder.

    Raises:
        NotADatasetError: there is no dataset.
        UnknownNameError: the dataset does not hold the database.
        UsageError: `out` is not empty, or the files of this database, or of its release, are not written.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UsageError(f"'{out}' is not empty; name a new folder for the native files")
    folder = open_dataset(dataset)
    if name not in folder.manifest.databases:
        raise UnknownNameError(f"database of '{dataset}'", name, folder.manifest.databases)
    if name not in NATIVE_FORMS:
        raise UsageError(f"the native files of {name} are not written; those of {', '.join(NATIVE_FORMS)} are")
    form = NATIVE_FORMS[name]
    rows = to_polars(dataset, side=form.side, wide=True).filter(pl.col("database") == name)
    others = sorted(set(rows["release"]) - set(form.releases)) if form.releases else []
    if others:
        known = ", ".join(form.releases)
        raise UsageError(
            f"the dataset holds release {others[0]} of {name}, whose files are not written; those of {known} are"
        )
    count = len(rows)
    if form.as_read is not None:
        rows = form.as_read(rows, read_json(folder.path / LOCK)["recipe"]["databases"][name])
    if form.counts_lines:
        rows = pl.concat([rows, _lines_without_rows(folder, name)], how="diagonal")
    written = 0
    with written_folder(out) as partial:
        inside = ConfinedFolder(partial)
        for file in form.files(rows):
            _write(inside, partial, file)
            written += 1
    return NativeExport(name, count, written, form.losses)


def _lines_without_rows(folder: DatasetFolder, name: str) -> pl.DataFrame:
    """The places of a database's lines that gave no row."""
    return folder.failures().filter(pl.col("database") == name).select("source_file", "source_line")


def _write(inside: ConfinedFolder, folder: Path, file: NativeFile) -> None:
    inside.check(file.path)
    place = folder / file.path
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        raise DataError(f"two files of the export have the path {file.path}; please report it")
    place.write_bytes(file.content.encode() if isinstance(file.content, str) else file.content)
