"""Reads the labels of a build's databases once for all its parts: each database by one process, the others wait for it or read another."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from affect_data.bounds import BoundError, read_json
from affect_data.build.content import Content
from affect_data.build.databases import Progress, ReadDatabase, content_of, digest_files, read_database
from affect_data.build.harmonise import Unified
from affect_data.build.recipe import DataRecipe
from affect_data.build.shared.claims import LOOK, Claim, Watch
from affect_data.build.shared.folder import PartsError, PartsFolder
from affect_data.databases.base import Scan
from affect_data.errors import DataError
from affect_data.files import place_first, write_text
from affect_data.system_errors import reading

FACTS: Final = "facts.json"
TABLES: Final = ("labels", "origins", "masked", "failures", "files")
"""Those of `Unified` and `Scan`; ``files`` are the annotation files, of which some databases have one a picture."""


@dataclass(frozen=True)
class Labels:
    """The labels of all databases of a build.

    Attributes:
        read: the databases by name.
        content: what they hold, without their pictures.
    """

    read: dict[str, ReadDatabase]
    content: Content


def read_together(
    folder: PartsFolder,
    recipe: DataRecipe,
    roots: Mapping[str, Path],
    first: int,
    progress: Progress,
    *,
    follow_links: bool = False,
) -> Labels:
    """The labels of all databases, of which this process reads those that nobody else reads.

    Args:
        folder: of the build.
        recipe: that is built.
        roots: folder by database name.
        first: which database to begin with, so that processes that start at once begin with others.
        progress: told about every database.
        follow_links: whether symbolic links may lead out of the databases' folders.

    Raises:
        AffectError: a database has a problem.
        PartsError: what another process wrote cannot be read.
    """
    names = sorted(recipe.databases)
    left = names[first % len(names) :] + names[: first % len(names)]
    watches: dict[str, Watch] = {}
    while left:
        for name in tuple(left):
            if not folder.labels(name).is_dir() and not _read(folder, recipe, roots, name, follow_links=follow_links):
                _watch(folder.claim(name), name, watches)
                continue
            left.remove(name)
            progress(f"reading labels: {name}", len(names) - len(left), len(names))
        if left:
            time.sleep(LOOK)
    return stored_labels(folder, recipe, roots)


def _read(folder: PartsFolder, recipe: DataRecipe, roots: Mapping[str, Path], name: str, *, follow_links: bool) -> bool:
    """Reads a database if nobody else does; returns whether its labels are there."""
    claim = Claim.take(folder.claim(name))
    if claim is None:
        return False
    with claim:
        # Whoever held the claim before may just have ended.
        if not folder.labels(name).is_dir():
            database = read_database(recipe, name, roots, follow_links=follow_links)
            work = folder.work(claim.token) / name
            _store(work, database)
            place_first(work, folder.labels(name))
            shutil.rmtree(folder.work(claim.token))
    return True


def _watch(claim: Path, name: str, watches: dict[str, Watch]) -> None:
    """Frees a claim whose holder is gone."""
    watch = watches.setdefault(name, Watch(claim))
    if watch.is_left:
        watch.remove()
        del watches[name]


def _store(place: Path, database: ReadDatabase) -> None:
    """Writes a database to a new folder."""
    place.mkdir(parents=True)
    unified = database.unified
    files = pl.DataFrame({"path": database.scan.annotation_files}, schema={"path": pl.String})
    tables = (unified.labels, unified.origins, unified.masked, database.scan.failures, files)
    for name, table in zip(TABLES, tables, strict=True):
        table.write_ipc(place / f"{name}.arrow", compat_level=None)
    content = content_of({database.reader.name: database})
    facts = {
        "release": database.release,
        "annotation_files": database.annotation_files,
        "losses": database.losses,
        "lines": database.scan.lines,
        "content": asdict(content),
    }
    write_text(place / FACTS, json.dumps(facts) + "\n")


def stored_labels(folder: PartsFolder, recipe: DataRecipe, roots: Mapping[str, Path]) -> Labels:
    """The labels that the parts have read; tables stay in their files until they are used.

    Raises:
        PartsError: some are not there, or cannot be read.
    """
    read, contents = {}, []
    for name, reader in recipe.readers().items():
        place = folder.labels(name)
        with reading(place):
            try:
                facts = read_json(place / FACTS)
            except (OSError, ValueError, BoundError):
                raise PartsError(
                    f"the labels of {name} in '{place}' are not whole; remove that folder, and run a part again"
                ) from None
            tables = {table: _mapped(place / f"{table}.arrow") for table in TABLES}
        scan = Scan(pl.DataFrame(), tables["failures"], (), tuple(tables["files"]["path"]), facts["lines"])
        unified = Unified(tables["labels"], tables["origins"], tables["masked"])
        read[name] = ReadDatabase(
            reader, recipe.root_of(name, roots), facts["release"], scan, unified, facts["annotation_files"], tuple(facts["losses"])
        )  # fmt: skip
        contents.append(Content(**facts["content"]))
    return Labels(read, _together(contents))


def _mapped(path: Path) -> pl.DataFrame:
    """A table whose values stay in its file, and in memory only while they are used; polars itself would read all of them."""
    frame = pl.from_arrow(pa.ipc.open_file(pa.memory_map(str(path))).read_all())
    assert isinstance(frame, pl.DataFrame)
    return frame


def _together(contents: Sequence[Content]) -> Content:
    """The content of all databases from that of each, in the order that `Content.of` gives it."""
    rows: dict[str, dict[str, int]] = {}
    labels: dict[str, dict[str, str]] = {}
    for content in contents:
        for split, own in content.rows.items():
            rows.setdefault(split, {}).update(own)
            labels.setdefault(split, {}).update(content.labels[split])
    failures = {name: found for content in contents for name, found in content.failures.items()}
    drawn = {name: found for content in contents for name, found in content.drawn.items()}
    return Content(rows, labels, failures, drawn)


def refuse_changed(read: Mapping[str, ReadDatabase], folder: PartsFolder) -> None:
    """Refuses labels whose files have changed since they were read.

    Raises:
        PartsError: they have.
    """
    for name, database in read.items():
        try:
            with reading(database.root):
                now = digest_files(database.root, database.scan.annotation_files)
        except DataError as error:
            raise PartsError(f"{name}: {_changed(folder)} ({error})") from None
        other = sorted(
            path
            for path in now.keys() | database.annotation_files.keys()
            if now.get(path) != database.annotation_files.get(path)
        )
        if other:
            more = f" and {len(other) - 1:,} more" if len(other) > 1 else ""
            raise PartsError(f"{name}: {other[0]}{more} changed {_changed(folder)}")


def _changed(folder: PartsFolder) -> str:
    return f"after the parts had read it; remove the folder '{folder.path}', and run all parts again"
