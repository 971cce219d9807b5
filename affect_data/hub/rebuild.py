"""Builds a published dataset again from the same databases, proves it against its lock, and attaches published column groups again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from affect_data.build.build import build
from affect_data.build.databases import Progress
from affect_data.build.existing import OutputTakenError, existing_dataset
from affect_data.build.recipe import DataRecipe, recipe_from
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.registry import KINDS
from affect_data.dataset.writing import add_group
from affect_data.errors import DatabaseNotFoundError, DataError
from affect_data.files import move_folder, with_a_name
from affect_data.hub.audit_flags import attach_findings
from affect_data.hub.corrections import CORRECTIONS, apply_published
from affect_data.hub.derived import PICTURE_KEY, UID, picture_keys
from affect_data.hub.differences import Difference, DifferencesError, find_differences
from affect_data.hub.published import AUDIT, LOCK, RECIPE, Config, Published
from affect_data.hub.published_lock import published_lock
from affect_data.hub.repository import Repository
from affect_data.yaml12 import NotYamlError, read_yaml

if TYPE_CHECKING:
    from datasets import Features

HIDDEN: Final = ".{}.rebuilding"


@dataclass(frozen=True)
class RebuildReport:
    """What a rebuild did.

    Attributes:
        dataset: the rebuilt one.
        differences: from the published one; if empty, the bytes are proven to be the same.
        without: databases that were left out because their folders are missing.
        attached: column groups, and ``audit``, that were attached again.
        lost: of these, what no longer fits, with the reason.
        corrected: rows whose labels were corrected as they were published.
    """

    dataset: DatasetFolder
    differences: tuple[Difference, ...]
    without: tuple[str, ...]
    attached: tuple[str, ...]
    lost: dict[str, str]
    corrected: int = 0

    def to_json(self) -> dict[str, Any]:
        """The same as plain lists and dictionaries."""
        return {
            "dataset": str(self.dataset.path),
            "fingerprint": self.dataset.fingerprint,
            "proven": not self.differences,
            "differences": [vars(difference) for difference in self.differences],
            "without": list(self.without),
            "attached": list(self.attached),
            "corrected": self.corrected,
            "lost": self.lost,
        }


def published_recipe(repository: Repository, workers: int = 1) -> DataRecipe:
    """The data recipe of a published dataset.

    Raises:
        DataError: it is not YAML.
        RecipeError: it is not valid.
    """
    try:
        values = read_yaml(repository.read(RECIPE).decode(errors="replace")).values
    except NotYamlError as error:
        raise DataError(f"{repository.name}: {RECIPE} is no YAML ({error}); publish the dataset again") from None
    where = f"{RECIPE} of {repository.name}"
    return recipe_from(values, where).model_copy(update={"workers": workers})


def rebuild(
    repository: Repository,
    recipe: DataRecipe,
    roots: Mapping[str, Path],
    out: Path,
    *,
    allow_differences: bool = False,
    follow_links: bool = False,
    progress: Progress = lambda *_: None,
) -> RebuildReport:
    """Builds the dataset of a repository and proves that it is the same.

    Args:
        repository: where it was published.
        recipe: from `published_recipe`.
        roots: folder by database name.
        out: dataset folder to make.
        allow_differences: whether to accept a dataset that differs, and to leave out databases whose folders are missing.
        follow_links: whether symbolic links may lead out of the databases' folders.
        progress: told about every step.

    Raises:
        DifferencesError: the rebuilt dataset differs; says which files, shards and rows differ.
        DatabaseNotFoundError: the folder of a database is missing.
        OutputTakenError: `out` holds something else.
        DataError: `affect_data.build.build.build` fails.
    """
    out = with_a_name(out)
    lock = repository.json(LOCK)
    hidden = out.parent / HIDDEN.format(out.name)
    there = existing_dataset(out)
    if there is not None:
        return _already(repository, there)
    recipe, without = _without_missing(recipe, roots) if allow_differences else (recipe, ())
    # Losses of a copy are found below, in the comparison with the published lock.
    build(recipe, roots, hidden, overwrite=True, follow_links=follow_links, accept_incomplete=True, progress=progress)
    # The published labels are corrected ones.
    corrected, unfit = apply_published(repository, open_dataset(hidden))
    folder = open_dataset(hidden)
    found = find_differences(lock, published_lock(folder))
    if found and not allow_differences:
        raise DifferencesError(repository.name, found, str(hidden))
    attached, lost = _attach_all(repository, folder, lock)
    if unfit:
        lost[CORRECTIONS] = f"{unfit:,} of {corrected + unfit:,} rows have another picture or label, or are not there"
    if out.exists():
        # It is empty: `existing_dataset` made sure of that.
        out.rmdir()
    move_folder(hidden, out)
    return RebuildReport(open_dataset(out), tuple(found), without, attached, lost, corrected)


def attach_groups(repository: Repository, folder: DatasetFolder) -> tuple[tuple[str, ...], dict[str, str]]:
    """Attaches every published column group whose rows all fit; returns their names, and why others do not fit."""
    published = repository.published
    attached, lost = [], {}
    for config in published.configs.values():
        if not config.group or all(config.group in folder.groups(split) for split in config.splits):
            continue
        because = _attach(repository, folder, config, published)
        folder = open_dataset(folder.path)
        if because:
            lost[config.group] = because
        else:
            attached.append(config.group)
    return tuple(attached), lost


def _attach_all(
    repository: Repository, folder: DatasetFolder, lock: Mapping[str, Any]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Attaches column groups and findings of audits; returns what was attached, and what does not fit, with the reason."""
    attached, lost = attach_groups(repository, folder)
    fitting, because = attach_findings(repository, open_dataset(folder.path), lock)
    return (*attached, *([AUDIT] if fitting else [])), lost | ({AUDIT: because} if because else {})


def _already(repository: Repository, there: DatasetFolder) -> RebuildReport:
    """The report on a dataset that was there already, with groups attached that it lacks."""
    lock = repository.json(LOCK)
    found = find_differences(lock, published_lock(there))
    if found:
        raise OutputTakenError(there.path, f"holds another dataset ({found[0]})", "Choose another folder")
    attached, lost = _attach_all(repository, there, lock)
    return RebuildReport(open_dataset(there.path), (), (), attached, lost)


def _without_missing(recipe: DataRecipe, roots: Mapping[str, Path]) -> tuple[DataRecipe, tuple[str, ...]]:
    """The recipe without databases whose folders are missing, and the names of these."""
    missing = []
    for name in recipe.databases:
        try:
            if not recipe.root_of(name, roots).is_dir():
                missing.append(name)
        except DatabaseNotFoundError:
            missing.append(name)
    kept = {name: options for name, options in recipe.databases.items() if name not in missing}
    if not kept:
        raise DataError(f"none of the databases is there: {', '.join(missing)}. Name their folders by --root NAME=PATH")
    return recipe.model_copy(update={"databases": kept}), tuple(missing)


def _attach(repository: Repository, folder: DatasetFolder, config: Config, published: Published) -> str:
    """Attaches one column group; returns why it does not fit, empty if it does."""
    kind = next((kind for kind in KINDS if kind.provenance is not None and kind.owns(config.group)), None)
    if kind is None:
        return "this version of affectkit knows no such groups"
    provenance = dict(published.provenance[config.group])
    made_from = dict(provenance.get("made_from", {}))
    changed = [name for name in kind.changed(folder, made_from) if name != "pictures"]
    if changed:
        return f"made from other {' and '.join(changed)}"
    if set(config.splits) - set(folder.splits):
        return f"the dataset has no {', '.join(sorted(set(config.splits) - set(folder.splits)))} rows"
    tables, described = [], None
    for split, paths in config.splits.items():
        parts = [repository.read_with(path, _table) for path in paths]
        table, unmatched = _in_order(pa.concat_tables(parts), picture_keys(folder, split))
        if unmatched:
            return f"{unmatched:,} of {folder.rows(split):,} {split} rows have another picture, or were not part of it"
        table, described = _narrowed(table, config)
        tables.append((split, table))
    assert described is not None
    # Every row was found by its picture and box, so what was made from these fits even if the dataset has fewer rows.
    provenance["made_from"] = made_from | kind.made_from(folder)
    add_group(folder, config.group, tables, described, provenance)
    return ""


def _table(file: IO[bytes]) -> pa.Table:
    return pq.read_table(file)


def _in_order(published: pa.Table, keys: pa.Table) -> tuple[pa.Table, int]:
    """The published rows in the order of the dataset, and how many rows of the dataset have no published row with the same picture."""
    places = {
        pair: place
        for place, pair in enumerate(zip(published[UID].to_pylist(), published[PICTURE_KEY].to_pylist(), strict=True))
    }
    order = [places.get(pair) for pair in zip(keys[UID].to_pylist(), keys[PICTURE_KEY].to_pylist(), strict=True)]
    unmatched = order.count(None)
    if unmatched:
        return published, unmatched
    return published.take(pa.array(order, pa.int64())).drop_columns([UID, PICTURE_KEY]).combine_chunks(), 0


def _narrowed(table: pa.Table, config: Config) -> "tuple[pa.Table, Features]":
    """A table with the half floats that the dataset had before publishing, and its features."""
    from datasets import Features, List, Value

    def half(feature: object) -> object:
        return List(half(feature.feature), length=feature.length) if isinstance(feature, List) else Value("float16")

    described = Features.from_arrow_schema(table.schema)
    own = Features(
        {
            name: half(feature) if name in config.half else feature
            for name, feature in described.items()
            if name in table.column_names
        }
    )
    return table.cast(own.arrow_schema), own
