"""Turns a dataset folder of format 1 into one of format 2: labels are stored anew, pictures and other column groups keep their files.

Format 1 stored the columns of the schema as they are: a slot for each action unit of the vocabulary, every text in every row, votes and compound
expressions in every dataset, and one fingerprint for all. The new dataset is written to a hidden folder beside the old one, where unchanged files are
hard links, and replaces it when complete. A kill leaves the old dataset; the next start begins again or finishes what is left.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from affect_data.bounds import read_json
from affect_data.databases.base import SPLITS
from affect_data.databases.registry import DATABASES
from affect_data.dataset.folder import (
    AUDIT,
    AUDIT_FINGERPRINT,
    AUDIT_PICTURES,
    FORMAT,
    FORMAT_VERSION,
    LABEL_NAMES,
    LOCK,
    MANIFEST,
    ORIGINS,
    DatasetFolder,
    Fingerprints,
    Manifest,
    group_files,
    open_dataset,
)
from affect_data.dataset.hashing import combined_hash, content_hash, dataset_fingerprint
from affect_data.dataset.kinds.base import Dependency
from affect_data.dataset.kinds.registry import KINDS
from affect_data.dataset.layout import (
    ORIGIN_COLUMNS,
    PEOPLE,
    PEOPLE_COLUMNS,
    Layout,
    origin_features,
    shown_hash,
    units_named_in,
)
from affect_data.dataset.schema import IMAGES, LABELS
from affect_data.dataset.writing import (
    LABELS_PER_BATCH,
    labels_fingerprint,
    seal_group,
    shard_name,
    write_manifest,
    write_shard,
)
from affect_data.errors import DataError, NotADatasetError
from affect_data.files import (
    exclusive,
    has_leftovers,
    link_file,
    recover_folder,
    restore_folder,
    with_a_name,
    write_json,
    written_folder,
)
from affect_data.vocabulary import FRAME_SCOPE, LABEL_SCOPES

UPGRADED_FROM: Final = 1
VERSIONS: Final = "versions"
BEFORE: Final = "before.json"

Shards = dict[str, list[str]]
"""Fingerprints of shards by column group."""


@dataclass(frozen=True)
class _Old:
    """A dataset of format 1.

    Attributes:
        path: its folder.
        manifest: what ``dataset.json`` says.
        layout: of the dataset that it becomes.
        origins: origin by release, subject, track and file, for each database.
    """

    path: Path
    manifest: Mapping[str, Any]
    layout: Layout
    origins: Mapping[str, pl.DataFrame]

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, train first."""
        return tuple(split for split in SPLITS if split in self.manifest["rows"])


def upgrade(path: Path | str) -> DatasetFolder:
    """The dataset at a path, upgraded to the present format if necessary.

    Raises:
        NotADatasetError: there is no dataset, or its format is unknown.
        DataError: another process writes to it.
    """
    path = with_a_name(Path(path))
    restore_folder(path)
    if _version(path) == FORMAT_VERSION and not has_leftovers(path):
        return open_dataset(path)
    # Another upgrade may be writing beside the dataset; only the holder of the lock may touch that.
    with exclusive(path, new=False):
        recover_folder(path)
        if _version(path) == UPGRADED_FROM:
            old = _opened(path, _manifest(path))
            with written_folder(path) as new:
                _fill(old, new)
    return open_dataset(path)


def _version(path: Path) -> int:
    """The format of a dataset.

    Raises:
        NotADatasetError: there is no dataset, or its format is unknown.
    """
    version = _manifest(path).get("format_version")
    if version not in (UPGRADED_FROM, FORMAT_VERSION):
        because = f"it has format {version}, and formats {UPGRADED_FROM} to {FORMAT_VERSION} are known"
        raise NotADatasetError(path, because, "Update affectkit")
    return int(version)


def _manifest(path: Path) -> dict[str, Any]:
    try:
        loaded = read_json(path / MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        raise NotADatasetError(path, f"it has no {MANIFEST}", "Name a dataset folder") from None
    except ValueError as error:
        raise NotADatasetError(path, f"{MANIFEST} is not readable ({error})", "Build it again") from None
    if not isinstance(loaded, dict) or loaded.get("format") != FORMAT:
        raise NotADatasetError(path, f"{MANIFEST} is not from affectkit", "Name a dataset folder")
    return loaded


def _opened(path: Path, manifest: Mapping[str, Any]) -> _Old:
    """The old dataset with the layout that its labels need, and all origins in order of appearance."""
    databases = tuple(manifest["databases"])
    units: set[int] = set()
    intensities: set[int] = set()
    origins: dict[str, list[pl.DataFrame]] = {name: [] for name in databases}
    layouts = []
    for split in (split for split in SPLITS if split in manifest["rows"]):
        for rows in _label_files(path / split / LABELS, databases):
            units |= units_named_in(rows["au_mask"])
            intensities |= units_named_in(rows["au_intensity_mask"])
            layouts.append(Layout.of((), [rows]))
            votes = bool(rows["expression_votes"].arr.first().is_not_nan().any())
            compound = bool(rows["compound_expression_mask"].any())
            layouts[-1] = layouts[-1].model_copy(
                update={"side": tuple(name for name, has in (("votes", votes), ("compound", compound)) if has)}
            )
            for (name,), own in rows.group_by("database", maintain_order=True):
                known = [*origins[str(name)], own.select(ORIGIN_COLUMNS)]
                origins[str(name)] = [pl.concat(known).unique(maintain_order=True)]
    declared = Layout.of([DATABASES[name] for name in databases if name in DATABASES], ())
    boxes = {layout.boxes for layout in layouts}
    groups = {group for own in manifest["groups"].values() for group in own}
    layout = Layout(
        databases=tuple(sorted(databases)),
        action_units=tuple(sorted(units | set(declared.action_units))),
        intensities=tuple(sorted(intensities | set(declared.intensities))),
        whole_intensities=all(layout.whole_intensities for layout in layouts),
        boxes="exact" if "exact" in boxes else "whole" if "whole" in boxes else "none",
        side=tuple(
            name
            for name in ("votes", "compound")
            if name in {*declared.side, *(s for one in layouts for s in one.side)}
        ),
        declared=tuple(column for column in declared.declared if column.group in groups),
    )
    tables = {
        name: parts[0] if parts else pl.DataFrame(schema=dict.fromkeys(ORIGIN_COLUMNS, pl.String))
        for name, parts in origins.items()
    }
    return _Old(path, manifest, layout, tables)


def _label_files(folder: Path, databases: Iterable[str]) -> Iterator[pl.DataFrame]:
    """The rows of every file of labels of format 1, in order, ``database`` by name; all of scope frame, because it had no clips."""
    names = dict(enumerate(sorted(databases)))
    for name in group_files(folder):
        frame = pl.from_arrow(pa.ipc.open_stream(pa.memory_map(str(folder / name))).read_all())
        assert isinstance(frame, pl.DataFrame)
        frame = frame.with_columns(label_scope=pl.lit(LABEL_SCOPES.index(FRAME_SCOPE), pl.Int64))
        yield frame.select(LABEL_NAMES).with_columns(pl.col("database").replace_strict(names, return_dtype=pl.String))


def _fill(old: _Old, new: Path) -> None:
    """Writes the whole dataset in the present format to a new folder."""
    rows, groups, shards = old.manifest["rows"], {}, {}
    for split in old.splits:
        known = old.manifest["groups"][split]
        shards[split] = _write_labels(old, old.path / split / LABELS, new / split, split)
        groups[split] = {
            name: combined_hash(hashes, seed=name) for name, hashes in shards[split].items() if name != PEOPLE
        }
        if IMAGES in known:
            _link_images(old.path / split / IMAGES, new / split / IMAGES, groups[split][IMAGES], split)
        else:
            groups[split].pop(IMAGES)
        for name in set(known) - {LABELS, IMAGES}:
            shutil.copytree(old.path / split / name, new / split / name, copy_function=link_file)
            groups[split][name] = known[name]
    manifest = Manifest(
        fingerprints=Fingerprints(pictures=_all(shards, IMAGES), labels="", people=_all(shards, PEOPLE)),
        layout=old.layout,
        origins=_write_origins(old, new),
        rows=rows,
        groups=groups,
        shards=shards,
    )
    manifest.fingerprints = manifest.fingerprints.model_copy(update={"labels": labels_fingerprint(manifest)})
    manifest.provenance = _provenance(old, manifest)
    _write_versions(old, new)
    _copy_rest(old, new, manifest)
    write_manifest(new, manifest)


def _write_labels(old: _Old, folder: Path, target: Path, split: str) -> Shards:
    """Writes the labels of a split with their side groups; returns the fingerprints of all shards, including those of pictures and people."""
    layout = old.layout
    found: Shards = {name: [] for name in (IMAGES, PEOPLE, *layout.groups)}
    names = group_files(folder)
    for name, rows in zip(names, _label_files(folder, layout.databases), strict=True):
        placed = _with_origin(old, rows)
        found[IMAGES].append(shown_hash(rows))
        found[PEOPLE].append(content_hash(rows.select(PEOPLE_COLUMNS).to_arrow()))
        for group in layout.groups:
            stored = layout.stored(placed, group)
            write_shard(target / group / name, stored, layout.features(group), LABELS_PER_BATCH)
            found[group].append(content_hash(stored))
    for group in layout.groups:
        seal_group(target / group, names, layout.features(group), combined_hash(found[group], seed=group), split)
    return found


def _with_origin(old: _Old, rows: pl.DataFrame) -> pl.DataFrame:
    numbered = [
        table.with_row_index("origin").with_columns(pl.lit(name).alias("database"), pl.col("origin").cast(pl.Int32))
        for name, table in old.origins.items()
    ]
    return rows.join(pl.concat(numbered), on=("database", *ORIGIN_COLUMNS), how="left", maintain_order="left")


def _link_images(folder: Path, target: Path, fingerprint: str, split: str) -> None:
    from datasets import Features, Image

    names = group_files(folder)
    target.mkdir(parents=True)
    for name in names:
        link_file(folder / name, target / name)
    seal_group(target, names, Features({"image": Image()}), fingerprint, split)


def _write_origins(old: _Old, new: Path) -> dict[str, str]:
    described, found = origin_features(), {}
    for name, table in old.origins.items():
        stored, shard = table.to_arrow().cast(described.arrow_schema), shard_name(0, 1)
        found[name] = content_hash(stored, seed=name)
        write_shard(new / ORIGINS / name / shard, stored, described, LABELS_PER_BATCH)
        seal_group(new / ORIGINS / name, [shard], described, found[name], ORIGINS)
    return found


def _all(shards: Mapping[str, Shards], name: str) -> str:
    return dataset_fingerprint({split: {name: combined_hash(own[name])} for split, own in shards.items()})


def _provenance(old: _Old, manifest: Manifest) -> dict[str, dict[str, Any]]:
    """The provenance of the groups, with fingerprints of what they were made from. In format 1 labels could change, pictures and people could not."""
    new, found = DatasetFolder(old.path, manifest), {}
    for group, described in old.manifest.get("provenance", {}).items():
        values = dict(described)
        made_for = values.pop("dataset_fingerprint", None)
        kind = next((kind for kind in KINDS if kind.provenance is not None and kind.owns(group)), None)
        if kind is not None:
            values["made_from"] = kind.made_from(new)
            if Dependency.LABELS in kind.depends_on and made_for != old.manifest["fingerprint"]:
                values["made_from"][Dependency.LABELS.value] = str(made_for)
        found[group] = values
    return found


def _write_versions(old: _Old, new: Path) -> None:
    """Writes the previous labels, which decisions replaced, under ``versions``."""
    root = old.path / VERSIONS
    for kept in sorted(root.iterdir()) if root.is_dir() else ():
        if not kept.name.isdigit():
            continue
        target = new / VERSIONS / kept.name
        target.mkdir(parents=True)
        before = read_json(kept / BEFORE)
        shards = {split: _write_labels(old, kept / split / LABELS, target / split, split) for split in before["labels"]}
        own = {split: {group: hashes[group] for group in old.layout.groups} for split, hashes in shards.items()}
        groups = {
            split: {group: combined_hash(hashes, seed=group) for group, hashes in one.items()}
            for split, one in own.items()
        }
        write_json(target / BEFORE, {"groups": groups, "shards": own, "provenance": before["provenance"]})
        for path in kept.iterdir():
            if path.is_file() and path.name != BEFORE:
                link_file(path, target / path.name)


def _copy_rest(old: _Old, new: Path, manifest: Manifest) -> None:
    """Writes the lock, which records the upgrade, the audit, and all other files of the folder."""
    for path in sorted(old.path.iterdir()):
        if path.is_file() and path.name not in (MANIFEST, LOCK, AUDIT, ".lock"):
            link_file(path, new / path.name)
    if (old.path / AUDIT).is_file():
        fits = pl.read_parquet_metadata(old.path / AUDIT).get(AUDIT_FINGERPRINT) == old.manifest["fingerprint"]
        about = {
            AUDIT_FINGERPRINT: manifest.fingerprints.all() if fits else "",
            AUDIT_PICTURES: manifest.fingerprints.pictures,
        }
        pl.read_parquet(old.path / AUDIT).write_parquet(new / AUDIT, metadata=about)
    try:
        lock = read_json(old.path / LOCK)
    except (FileNotFoundError, ValueError) as error:
        raise DataError(f"'{old.path / LOCK}' is not readable ({error}); build the dataset again") from None
    upgraded = {"format_version": UPGRADED_FROM, "fingerprint": old.manifest["fingerprint"]}
    write_json(
        new / LOCK,
        {
            **lock,
            "fingerprint": manifest.fingerprints.all(),
            "fingerprints": manifest.fingerprints.model_dump(),
            "schema_version": manifest.schema_version,
            "upgraded_from": upgraded,
        },
    )
