"""Writes everything to be published to a hidden folder beside the dataset; what a killed command wrote is used again."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from affect_data.bounds import read_json
from affect_data.build.databases import Progress
from affect_data.corrections.decisions import Decision
from affect_data.databases.base import Tier
from affect_data.dataset.folder import DatasetFolder
from affect_data.files import with_a_name, write_text
from affect_data.hub.audit_flags import published_findings, write_findings
from affect_data.hub.corrections import CORRECTIONS, built_decisions, corrected_rows, write_corrections
from affect_data.hub.derived import (
    DerivedGroup,
    derived_groups,
    parts_of,
    write_group,
)
from affect_data.hub.policy import Terms, terms_of
from affect_data.hub.published import (
    AUDIT,
    CARD,
    CROISSANT,
    DEFAULT,
    LOCK,
    PUBLISHED,
    RECIPE,
    STATISTICS,
    Config,
    FileFacts,
    Published,
    Source,
)
from affect_data.hub.published_lock import published_lock
from affect_data.hub.tables import SplitRows, picture_tables
from affect_data.statistics.statistics import statistics
from affect_data.yaml12 import write_yaml

KEYS: Final = ".keys.json"
"""In the staging folder: what each finished table was made from."""


@dataclass(frozen=True)
class Staged:
    """What is ready to be published.

    Attributes:
        folder: holds every file except the card and ``croissant.json``.
        published: its ``affectkit.json``.
        lock, statistics: the content of these files.
    """

    folder: Path
    published: Published
    lock: Mapping[str, Any]
    statistics: Mapping[str, Any]


@dataclass
class _Tables:
    """Writes tables only once, even if the command is killed and started again."""

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)
    facts: dict[str, FileFacts] = field(default_factory=dict)

    def write(self, path: str, key: str, write: Callable[[Path], object]) -> None:
        """Writes a table, unless it exists with the same key."""
        place = self.folder / path
        hashed = hashlib.sha256(f"{pa.__version__} {key}".encode()).hexdigest()
        if self.keys.get(path) != hashed or not place.is_file():
            write(place)
            self.keys[path] = hashed
            write_text(self.folder / KEYS, json.dumps(self.keys, sort_keys=True))
        self.facts[path] = facts_of(place, pq.read_metadata(place).num_rows)


def staging_folder(folder: DatasetFolder, repository: str, tier: Tier) -> Path:
    """The hidden folder, beside the dataset, in which it is staged for a repository."""
    path = with_a_name(folder.path)
    return path.parent / f".{path.name}.publishing" / f"{repository.replace('/', '--')}.{tier}"


def stage(
    folder: DatasetFolder,
    repository: str,
    tier: Tier,
    features: Sequence[str] = (),
    decisions: Sequence[Path] = (),
    progress: Progress = lambda *_: None,
) -> Staged:
    """Writes everything that a tier publishes, except the card and ``croissant.json``.

    Args:
        folder: the dataset.
        repository: its name on the Hub.
        tier: to publish.
        features: names of the stored features to publish as well.
        decisions: files that the data recipe names, so that its corrections can be published as well.
        progress: told about every table.

    Raises:
        DataError: the dataset cannot be read, or the disk is full; the next run uses what was written.
        UnknownNameError: there are no such features.
        UsageError: decisions that the build applied are not in the files.
    """
    built = built_decisions(folder, decisions)
    target = staging_folder(folder, repository, tier)
    target.mkdir(parents=True, exist_ok=True)
    tables = _Tables(target)
    with suppress(FileNotFoundError, ValueError):
        tables.keys = read_json(target / KEYS)
    lock, counts = published_lock(folder), _plain(statistics(folder).to_json())
    configs = {DEFAULT: _write_pictures(folder, tables, progress)} if tier is Tier.FULL else {}
    groups, left_out = derived_groups(folder, features) if tier is not Tier.RECIPE else ([], {})
    if tier is not Tier.RECIPE:
        configs |= {group.config: _write_group(folder, group, tables, progress) for group in groups}
        judged, because = _write_judgements(folder, tier, tables, built, lock["decisions"]["applied"])
        configs, left_out = configs | judged, left_out | because
    documents = {LOCK: _json(lock), STATISTICS: _json(counts), RECIPE: write_yaml(_without_defaults(lock["recipe"]))}
    for name, text in documents.items():
        write_text(target / name, text)
        tables.facts[name] = facts_of(target / name)
    published = Published(
        affectkit_version=version("affectkit"),
        name=repository,
        tier=tier,
        fingerprints=lock["fingerprints"],
        rows=folder.manifest.rows,
        sources={name: source_of(name, own) for name, own in terms_of(folder).items()},
        configs=configs,
        provenance={group.group: folder.manifest.provenance[group.group] for group in groups},
        left_out=left_out,
        files=dict(sorted(tables.facts.items())),
    )
    write_text(target / PUBLISHED, published.text())
    _remove_foreign(target, {*published.files, PUBLISHED, CARD, CROISSANT, KEYS})
    return Staged(target, published, lock, counts)


def facts_of(path: Path, rows: int | None = None) -> FileFacts:
    """Size and sha256 of a file."""
    with path.open("rb") as file:
        return FileFacts(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest(), rows=rows)


def columns_of(path: Path) -> dict[str, str]:
    """Arrow types of the columns of a table by name."""
    return {column.name: str(column.type) for column in pq.read_schema(path)}


def remove_staging(staged: Staged) -> None:
    """Removes a staging folder, and its parent if that is empty."""
    shutil.rmtree(staged.folder, ignore_errors=True)
    with suppress(OSError):
        staged.folder.parent.rmdir()


def _write_pictures(folder: DatasetFolder, tables: _Tables, progress: Progress) -> Config:
    planned, readers = picture_tables(folder), {split: SplitRows(folder, split) for split in folder.splits}
    splits: dict[str, list[str]] = {}
    for done, table in enumerate(planned, start=1):
        tables.write(table.path, table.key, partial(readers[table.split].write, table))
        splits.setdefault(table.split, []).append(table.path)
        progress("writing tables", done, len(planned))
    return Config(splits=splits, columns=columns_of(tables.folder / planned[0].path))


def _write_group(folder: DatasetFolder, group: DerivedGroup, tables: _Tables, progress: Progress) -> Config:
    splits: dict[str, list[str]] = {}
    for done, split in enumerate(group.splits, start=1):
        prints = folder.manifest.groups[split][group.group], folder.manifest.fingerprints.pictures
        for number, part in enumerate(parts_of(folder.rows(split))):
            path = f"{group.config}/{split}/{number:05d}.parquet"
            key = f"{prints} {folder.manifest.fingerprints.people} {part}"
            tables.write(path, key, partial(write_group, folder, group, split, part))
            splits.setdefault(split, []).append(path)
        progress(f"writing {group.config}", done, len(group.splits))
    table = splits[group.splits[0]][0]
    features = folder.load(group.splits[0], [group.group]).features
    half = tuple(name for name, feature in features.items() if "float16" in str(feature))
    return Config(group=group.group, splits=splits, columns=columns_of(tables.folder / table), half=half)


def _write_judgements(
    folder: DatasetFolder, tier: Tier, tables: _Tables, built: Sequence[Decision], applied: int
) -> tuple[dict[str, Config], dict[str, str]]:
    """Writes the findings of audits and the corrections of reviews; returns their configurations, and what is left out, with the reason."""
    found, because = _write_findings(folder, tier, tables)
    left_out = {"audit": because} if because else {}
    if applied and not built:
        left_out["decisions of the recipe"] = (
            f"{applied:,}; the dataset keeps no file of them, --decisions FILE names it"
        )
    return ({AUDIT: found} if found else {}) | _write_corrections(folder, tables, built), left_out


def _write_findings(folder: DatasetFolder, tier: Tier, tables: _Tables) -> tuple[Config | None, str]:
    found, because = published_findings(folder, with_evidence=tier is Tier.FULL)
    if found is None:
        return None, because
    splits: dict[str, list[str]] = {}
    for split in folder.splits:
        path = f"{AUDIT}/{split}/00000.parquet"
        key = f"{folder.fingerprint} {split} {found.hash_rows().sum() if len(found) else 0}"
        tables.write(path, key, partial(write_findings, found, split))
        splits[split] = [path]
    return Config(splits=splits, columns=columns_of(tables.folder / splits[folder.splits[0]][0])), ""


def _write_corrections(folder: DatasetFolder, tables: _Tables, built: Sequence[Decision]) -> dict[str, Config]:
    corrected = corrected_rows(folder, built)
    splits: dict[str, list[str]] = {}
    for split in corrected["split"].unique().sort():
        path = f"{CORRECTIONS}/{split}/00000.parquet"
        key = f"{folder.fingerprint} {split} {corrected.hash_rows().sum()}"
        tables.write(path, key, partial(write_corrections, corrected, split))
        splits[split] = [path]
    if not splits:
        return {}
    columns = columns_of(tables.folder / next(iter(splits.values()))[0])
    return {CORRECTIONS: Config(splits=splits, columns=columns)}


def source_of(name: str, terms: Terms) -> Source:
    """What users of something published must know of a database."""
    return Source(
        title=terms.title or name,
        homepage=terms.homepage,
        citation=terms.citation,
        clause=terms.clause,
        publishes=terms.publishes,
        url=terms.url,
        reading=terms.reading,
        drawn=terms.drawn,
    )


def _without_defaults(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without options that are not set."""
    databases = {
        name: {key: value for key, value in options.items() if value not in (None, [])}
        for name, options in recipe.get("databases", {}).items()
    }
    own = {key: value for key, value in recipe.items() if value is not None}
    return {**own, "databases": databases}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(json.dumps(values))
    return loaded


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


def _remove_foreign(folder: Path, planned: set[str]) -> None:
    """Removes files of the folder that are not part of this publishing."""
    for path in _files(folder):
        if path.relative_to(folder).as_posix() not in planned:
            path.unlink()


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in list(folder.rglob("*")) if path.is_file())
