"""A published repository proven against what it says of itself: from metadata, or value by value."""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from affect_data.build.databases import Progress
from affect_data.databases.base import Tier
from affect_data.dataset.folder import MANIFEST
from affect_data.errors import AffectError, DataError
from affect_data.hub.card import card_metadata, card_section, head_of, section_of
from affect_data.hub.codes import Finding, Verification
from affect_data.hub.croissant import croissant
from affect_data.hub.derived import UID
from affect_data.hub.leaks import find_leaks
from affect_data.hub.published import CARD, CROISSANT, DEFAULT, LOCK, PUBLISHED, STATISTICS, Config
from affect_data.hub.repository import HubRepository, Repository, open_repository
from affect_data.hub.tables import ROWS_PER_GROUP
from affect_data.hub.verify_dataset import verify_dataset
from affect_data.hub.verify_sources import Sources

TABLE: Final = ".parquet"
PICTURE_COLUMNS: Final = ("image", "frames")


def verify(
    address: str,
    *,
    deep: bool = False,
    sources: Sources | None = None,
    workers: int = 1,
    progress: Progress = lambda *_: None,
) -> Verification:
    """What is wrong with a dataset folder, a repository of the Hub, or a folder that was downloaded from one.

    Args:
        address: a folder, or ``hf://user/name``.
        deep: whether to read all values, too.
        sources: databases to compare a dataset folder with; None for none.
        workers: pictures of a dataset folder that are read at a time.
        progress: told about every step.

    Raises:
        UsageError: it is neither a folder nor a name.
        DataError: affectkit neither built nor published it.
    """
    if is_dataset(address):
        return verify_dataset(Path(address), deep=deep, sources=sources, workers=workers, progress=progress)
    return verify_repository(open_repository(address), deep=deep)


def is_dataset(address: str) -> bool:
    """Whether an address is a dataset folder rather than something published."""
    path = Path(address)
    return path.is_dir() and ((path / MANIFEST).is_file() or not (path / PUBLISHED).is_file())


def verify_repository(repository: Repository, *, deep: bool = False) -> Verification:
    """What is wrong with a published repository.

    Args:
        repository: that is looked at.
        deep: whether to read all files, too.

    Raises:
        DataError: affectkit did not publish it.
    """
    published = repository.published
    found = [*_files(repository, deep=deep), *_visibility(repository)]
    sound = {path for path in published.files if path in repository.files()}
    for name, config in published.configs.items():
        found += _config(repository, name, config, sound)
    found += _documents(repository)
    if deep and not found:
        found += [*_leaks(repository), *_rows(repository)]
    return Verification(repository.name, "repository", deep, published.rows, len(repository.files()), sorted(found))


def _files(repository: Repository, *, deep: bool) -> Iterator[Finding]:
    published, there = repository.published, repository.files()
    for path, facts in published.files.items():
        if path not in there:
            yield Finding("R101", path, "it is not there")
        elif there[path].bytes != facts.bytes:
            yield Finding("R102", path, f"{there[path].bytes:,} bytes, stated are {facts.bytes:,}")
        # Digests of tables are known to the Hub; documents are small.
        elif (deep or there[path].sha256 or not path.endswith(TABLE)) and repository.digest(path) != facts.sha256:
            yield Finding("R102", path, "its sha256 is not the one that is stated")
    yield from (Finding("R101", path, "it is not there") for path in (CARD, CROISSANT) if path not in there)
    folders = {
        path.rpartition("/")[0]
        for config in published.configs.values()
        for own in config.splits.values()
        for path in own
    }
    for path in there:
        if path.endswith(TABLE) and path not in published.files and path.rpartition("/")[0] in folders:
            yield Finding("R103", path, "it lies among the tables of a split")


def _visibility(repository: Repository) -> Iterator[Finding]:
    published = repository.published
    if not isinstance(repository, HubRepository) or repository.private:
        return
    order = tuple(Tier)
    for name, source in published.sources.items():
        if not source.drawn and order.index(source.publishes) < order.index(published.tier):
            yield Finding("R114", name, f"{source.clause}; published is tier {published.tier}")


def _config(repository: Repository, name: str, config: Config, sound: set[str]) -> Iterator[Finding]:
    published = repository.published
    for split, paths in config.splits.items():
        rows = 0
        for path in (path for path in paths if path in sound):
            try:
                table = repository.read_with(path, _footer)
            except AffectError as error:
                yield Finding("R104", path, str(error).splitlines()[0])
                continue
            rows += table.num_rows
            stated = published.files[path].rows
            if table.num_rows != stated:
                yield Finding("R105", path, f"{table.num_rows:,} rows, stated are {stated:,}")
            yield from _footer_findings(path, table, config, published.tier)
        if (name == DEFAULT or config.group) and rows != published.rows.get(split):
            yield Finding("R106", f"{name}/{split}", f"{rows:,} rows, the dataset has {published.rows.get(split, 0):,}")


def _footer(file: IO[bytes]) -> pq.FileMetaData:
    try:
        return pq.ParquetFile(file).metadata
    except pa.ArrowException as error:
        raise DataError(f"it is no Parquet file: {str(error).splitlines()[0]}") from None


def _footer_findings(path: str, table: pq.FileMetaData, config: Config, tier: Tier) -> Iterator[Finding]:
    schema = table.schema.to_arrow_schema()
    columns = {field.name: str(field.type) for field in schema}
    if columns != config.columns:
        differ = sorted(set(columns.items()) ^ set(config.columns.items()))
        yield Finding(
            "R107",
            path,
            f"differs in {', '.join(dict.fromkeys(name for name, _ in differ)) or 'the order of its columns'}",
        )
    elif (described := _described(schema)) is not None and list(described) != list(columns):
        yield Finding("R107", path, f"its own description names {', '.join(described)}")
    groups = [table.row_group(number) for number in range(table.num_row_groups)]
    if any(name in columns for name in PICTURE_COLUMNS):
        largest = max((group.num_rows for group in groups), default=0)
        if largest > ROWS_PER_GROUP:
            yield Finding("R108", path, f"a row group of {largest:,} rows")
        if not all(group.column(0).has_offset_index for group in groups):
            yield Finding("R108", path, "no page index")
        if tier is not Tier.FULL:
            yield Finding("R113", path, f"pictures at tier {tier}")


def _described(schema: pa.Schema) -> dict[str, Any] | None:
    """The columns by the description that ``datasets`` reads from a table; None where it has none."""
    from datasets import Features

    if b"huggingface" not in (schema.metadata or {}):
        return None
    return dict(Features.from_arrow_schema(schema))


def _documents(repository: Repository) -> Iterator[Finding]:
    """Whether the documents that are written from others are what these say."""
    published, there = repository.published, repository.files()
    if LOCK not in there or STATISTICS not in there:
        return
    try:
        lock, statistics = repository.json(LOCK), repository.json(STATISTICS)
        section, document = card_section(published, lock, statistics), croissant(published, lock)
    except (DataError, KeyError, TypeError) as error:
        yield Finding("R112", LOCK, f"it cannot be read: {error}")
        return
    for what, locked, stated in (
        ("rows", lock["rows"], published.rows),
        ("fingerprints", lock["fingerprints"], published.fingerprints),
    ):
        if locked != stated:
            yield Finding("R112", what, f"{locked} in the lock, {stated} in {PUBLISHED}")
    if CARD in there:
        yield from _card(repository, section)
    if CROISSANT in there and repository.json(CROISSANT) != document:
        yield Finding("R111", CROISSANT, "it is not what the other files give")


def _card(repository: Repository, section: str) -> Iterator[Finding]:
    card = repository.read(CARD).decode(errors="replace")
    try:
        head = head_of(card)
    except DataError as error:
        yield Finding("R109", CARD, str(error))
        return
    stated = card_metadata(repository.published)
    differ = [
        key
        for key in ("configs", "viewer", "license", "license_name", "license_link")
        if head.get(key) != stated.get(key)
    ]
    if "dataset_info" in head:
        differ.append("dataset_info, which the tables say themselves")
    if differ:
        yield Finding("R109", CARD, f"other {', '.join(differ)}")
    if section_of(card) != section:
        lines = set(section.splitlines()) ^ set((section_of(card) or "").splitlines())
        first = next(
            (line for line in (section_of(card) or "").splitlines() if line in lines), "our part is gone or shorter"
        )
        yield Finding("R110", CARD, f"at '{first[:80]}'")


def _leaks(repository: Repository) -> Iterator[Finding]:
    """What the files hold that must not be published; they are fetched one by one."""
    for path in repository.files():
        if path == ".gitattributes":
            continue
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(repository.read_with(path, lambda file: file.read()))
            for leak in find_leaks(Path(folder), repository.published.tier, repository.published.name):
                yield Finding("R201", path, f"{leak.field}: {leak.kind}: {leak.found}")


def _rows(repository: Repository) -> Iterator[Finding]:
    """Whether configurations name the same faces, each once, and pictures are those of their digests."""
    configs = repository.published.configs
    names: dict[str, pa.Array] = {}
    for name, config in configs.items():
        if name != DEFAULT and not config.group:
            continue
        for split, paths in config.splits.items():
            tables = [repository.read_with(path, _uids) for path in paths]
            uids = pa.chunked_array([chunk for table in tables for chunk in table.chunks], pa.string()).combine_chunks()
            if len(pc.unique(uids)) != len(uids):
                yield Finding("R203", f"{name}/{split}", "a face stands twice")
            first = names.setdefault(split, uids)
            if not first.equals(uids):
                yield Finding("R203", f"{name}/{split}", "other faces, or another order, than in another configuration")
    if DEFAULT in configs:
        for paths in configs[DEFAULT].splits.values():
            for path in paths:
                yield from (
                    Finding("R202", path, f"row {row:,}") for row in repository.read_with(path, _wrong_pictures)
                )


def _uids(file: IO[bytes]) -> pa.ChunkedArray:
    return pq.read_table(file, columns=[UID]).column(UID)


def _wrong_pictures(file: IO[bytes]) -> list[int]:
    wrong, row = [], 0
    for batch in pq.ParquetFile(file).iter_batches(ROWS_PER_GROUP, columns=["image", "image_digest"]):
        digests = batch.column("image_digest").to_pylist()
        for data, digest in zip(batch.column("image").field("bytes").to_pylist(), digests, strict=True):
            if hashlib.sha256(data).hexdigest() != digest:
                wrong.append(row)
            row += 1
    return wrong
