"""The publishable part of a lock: enough to prove a rebuilt dataset, and nothing that identifies a single face.

Anybody who has a picture can compare it with a digest of few faces. So every published digest covers at least `FEWEST_FACES`.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import pyarrow as pa

from affect_data.build.existing import lock_at
from affect_data.corrections.versions import read_changes
from affect_data.dataset.folder import ORIGINS, DatasetFolder, group_files
from affect_data.dataset.hashing import combined_hash
from affect_data.dataset.kinds.registry import KINDS
from affect_data.dataset.layout import PEOPLE
from affect_data.dataset.schema import LABELS

FEWEST_FACES: Final = 5
SMALL_FILES: Final = "*"
"""Key of the common digest of those annotation files of a database that describe fewer than `FEWEST_FACES` faces each."""


def published_lock(folder: DatasetFolder) -> dict[str, Any]:
    """The publishable part of a dataset's lock.

    Returns:
        `affectkit_version`, `recipe`, `fingerprints`, `rows`, `databases` (releases, reader versions, counts, digests of annotation files), `content`
        (as `Content`), `decisions` (how many the build applied, and how many labels a review changed since), `shards` (for each: split, index,
        database, first row, rows, fingerprints by group), and `files` (sha256 of the files that a build writes).

    Raises:
        DataError: the dataset has no readable lock.
    """
    lock = lock_at(folder.path)
    shards = shards_of(folder)
    return {
        "affectkit_version": lock.get("affectkit_version", ""),
        "schema_version": folder.manifest.schema_version,
        "recipe": lock.get("recipe", {}),
        "fingerprint": folder.fingerprint,
        "fingerprints": folder.manifest.fingerprints.model_dump(),
        "rows": folder.manifest.rows,
        "databases": _databases(folder, lock),
        "content": _content(lock),
        "decisions": {
            "applied": int((lock.get("decisions") or {}).get("applied", 0)),
            "reviewed": len(read_changes(folder)),
        },
        "shards": shards,
        "files": _files(folder, shards),
    }


def built_groups(folder: DatasetFolder, split: str) -> tuple[str, ...]:
    """The column groups of a split that the build writes, alphabetical: pictures, labels, side groups and scores."""
    made = [kind for kind in KINDS if kind.provenance is not None]
    return tuple(group for group in folder.groups(split) if not any(kind.owns(group) for kind in made))


def shards_of(folder: DatasetFolder) -> list[dict[str, Any]]:
    """The shards of a dataset, in order; with fingerprints only if a shard holds at least `FEWEST_FACES` rows."""
    found = []
    for split in folder.splits:
        first = 0
        for index, codes in enumerate(_database_codes(folder, split)):
            known = folder.manifest.shards[split]
            names = [folder.manifest.databases[code] for code in sorted(set(codes.to_pylist()))]
            groups = [*built_groups(folder, split), PEOPLE] if len(codes) >= FEWEST_FACES else []
            found.append(
                {
                    "split": split,
                    "index": index,
                    "database": "+".join(names),
                    "first_row": first,
                    "rows": len(codes),
                    "fingerprints": {group: known[group][index] for group in groups if group in known},
                }
            )
            first += len(codes)
    return found


def _database_codes(folder: DatasetFolder, split: str) -> list[pa.ChunkedArray]:
    """The column ``database`` of every file of labels."""
    place = folder.group_folder(split, LABELS)
    files = [place / name for name in group_files(place)]
    return [pa.ipc.open_stream(pa.memory_map(str(file))).read_all().column("database") for file in files]


def _databases(folder: DatasetFolder, lock: Mapping[str, Any]) -> dict[str, Any]:
    columns = ("database", "source_file")
    rows = pl.concat([folder.labels(split, columns) for split in folder.splits])
    found = {}
    for name, report in lock.get("databases", {}).items():
        faces = dict(rows.filter(pl.col("database") == name)["source_file"].value_counts().iter_rows())
        files = _large_files(report.get("annotation_files", {}), faces, int(report.get("rows", 0)))
        found[name] = {**report, "annotation_files": files}
    return found


def _large_files(digests: Mapping[str, str], faces: Mapping[str, int], rows: int) -> dict[str, str]:
    """The digests of annotation files of at least `FEWEST_FACES` faces, and one digest over all others.

    Args:
        digests: sha256 by path.
        faces: rows by path, of the files that rows name.
        rows: of the database. A file that no row names is taken to have these rows divided by the number of files in its folder.
    """
    beside: dict[str, int] = {}
    for path in digests:
        beside[path.rpartition("/")[0]] = beside.get(path.rpartition("/")[0], 0) + 1
    listed: dict[str, str] = {}
    small: list[str] = []
    for path, digest in digests.items():
        known = faces.get(path, rows / beside[path.rpartition("/")[0]])
        if path.endswith("/*") or known >= FEWEST_FACES:
            listed[path] = digest
        else:
            small.append(f"{path} {digest}")
    if len(small) >= FEWEST_FACES:
        listed[SMALL_FILES] = combined_hash(small)
    return listed


def _content(lock: Mapping[str, Any]) -> dict[str, Any]:
    content = lock.get("content") or {}
    rows = content.get("rows", {})
    failed = {name: sum(report.get("failures", {}).values()) for name, report in lock.get("databases", {}).items()}

    def large(hashes: Mapping[str, Mapping[str, str]] | None) -> dict[str, dict[str, str]]:
        return {
            split: {name: own[name] for name in own if rows.get(split, {}).get(name, 0) >= FEWEST_FACES}
            for split, own in (hashes or {}).items()
        }

    failures = content.get("failures", {})
    return {
        "rows": rows,
        "labels": large(content.get("labels")),
        "pictures": large(content.get("pictures")),
        "failures": {name: failures[name] for name in failures if failed.get(name, 0) >= FEWEST_FACES},
        "drawn": content.get("drawn", {}),
    }


def _files(folder: DatasetFolder, shards: list[dict[str, Any]]) -> dict[str, str]:
    """sha256 of the files that a build writes, by path, except for shards of too few rows."""
    few = {(shard["split"], shard["index"]) for shard in shards if shard["rows"] < FEWEST_FACES}
    paths = [
        folder.path / ORIGINS / name / file
        for name in folder.manifest.origins
        for file in group_files(folder.path / ORIGINS / name)
        if folder.manifest.databases and _rows_of(shards, name) >= FEWEST_FACES
    ]
    for split in folder.splits:
        for group in built_groups(folder, split):
            place = folder.group_folder(split, group)
            paths += [place / file for index, file in enumerate(group_files(place)) if (split, index) not in few]
    found = {}
    for path in sorted(paths):
        with path.open("rb") as file:
            found[path.relative_to(folder.path).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _rows_of(shards: list[dict[str, Any]], database: str) -> int:
    return sum(shard["rows"] for shard in shards if shard["database"] == database)
