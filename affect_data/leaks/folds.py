"""Folds for cross-validation: disjoint by person, video and group of copies, with similar labels; or those of the literature.

Folds are a column group ``folds.<name>`` with one column of that name: the fold of each row, or -1.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from affect_data.databases.registry import DATABASES
from affect_data.dataset.blocks import LabelBlocks
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.folds import FOLDS, FoldProvenance
from affect_data.dataset.merged import databases_of
from affect_data.dataset.writing import add_group
from affect_data.errors import DataError, UnknownNameError, UsageError
from affect_data.leaks.connected import connected_components, edges_of_keys, numbered
from affect_data.leaks.leaks import Readers, source_family
from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS

NO_FOLD: Final = -1
MOST_FOLDS: Final = 100

LITERATURE_FOLDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {name: database.literature_folds for name, database in DATABASES.items() if database.literature_folds}
)
"""Subjects by part of the published cross-validations; fold ``i`` is the i-th part. Papers differ in which fold tests which part."""

STRATA_COLUMNS: Final = ("database", "expression", "au", "va_mask", "valence", "arousal")

VA_LIMITS: Final = (-1 / 3, 1 / 3)
"""Valence and arousal are stratified in the nine cells between these limits."""

_MOST_NAMES: Final = 1 << 32

Folds = npt.NDArray[np.int8]
Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def inseparable_rows(
    labels: pl.DataFrame, copies: npt.NDArray[np.integer] | None = None, readers: Readers = DATABASES
) -> Rows:
    """The unit of each row: rows that share a subject, a track, a picture or copies, directly or through others, must stay together.

    Args:
        labels: with `database`, `subject` and `track` as texts or categories, and `image_digest`: a text, or a number for each picture.
        copies: int64 [rows], a number that a row shares only with its copies, from `affect_data.audit.pictures.copies`.
        readers: reader classes by name; those of own data are not in the registry.

    Returns:
        int64 [rows], the first row of each row's unit.
    """
    families = {name: source_family(name, readers) for name in labels["database"].unique()}
    order = {name: place for place, name in enumerate(sorted(set(families.values())))}
    family = pl.col("database").replace_strict(
        {name: order[own] for name, own in families.items()}, return_dtype=pl.Int64
    )
    unit = np.arange(len(labels), dtype=np.int64)
    for name in ("subject", "track", "image_digest"):
        numbers = labels[name] if labels[name].dtype.is_integer() else labels[name].cast(pl.Categorical).to_physical()
        # People and videos are known by a name within their family, pictures by their bytes anywhere.
        key = numbers.alias("key").cast(pl.Int64)
        if name != "image_digest":
            key = labels.select(
                pl.when(pl.col(name) != "").then(family * _MOST_NAMES + key).otherwise(-1).alias("key")
            )["key"]
        unit = _joined(unit, key.to_numpy())
    return unit if copies is None else _joined(unit, copies)


def _joined(units: Rows, keys: npt.NDArray[np.integer]) -> Rows:
    """Units, int64 [rows], after those whose rows share a key became one; a negative key is none."""
    first, second = (units[end] for end in edges_of_keys(keys))
    apart = first != second
    return connected_components(len(units), first[apart], second[apart])[units]


def strata(labels: pl.DataFrame, databases: Sequence[str]) -> npt.NDArray[np.bool_]:
    """The labels that folds are balanced in, bool [rows, strata]: whether a row has the label.

    The columns are: every row, each expression, each present action unit, each cell of the valence-arousal plane, each database.

    Args:
        labels: with `STRATA_COLUMNS`.
        databases: names of the dataset's databases.
    """
    expression = labels["expression"].to_numpy()
    cell = np.full(len(labels), -1)
    va = labels["va_mask"].to_numpy()
    valence, arousal = (np.digitize(labels[name].to_numpy(), VA_LIMITS) for name in ("valence", "arousal"))
    cell[va] = (3 * valence + arousal)[va]
    assert len(ACTION_UNITS) == labels.schema["au"].shape[0]  # type: ignore[attr-defined]
    return np.column_stack(
        [
            np.ones(len(labels), bool),
            expression[:, None] == np.arange(len(EXPRESSIONS)),
            labels["au"].to_numpy() == 1,
            cell[:, None] == np.arange(9),
            *((labels["database"] == name).to_numpy() for name in databases),
        ]
    )


def balanced_folds(
    dataset: Iterable[pl.DataFrame], databases: Sequence[str], units: Rows, count: int, seed: int = 0
) -> Folds:
    """A fold for every row: rows of one unit stay together, and every fold has about the same share of every label.

    Args:
        dataset: consecutive rows with `row` and `STRATA_COLUMNS`, such as `LabelBlocks.blocks` gives.
        databases: names of the dataset's databases.
        units: int64 [rows], the unit of each row; negative for rows that get no fold.
        count: number of folds.
        seed: decides among equal folds.

    Returns:
        int8 [rows], 0 to ``count - 1``; -1 for rows without a unit.

    Raises:
        UsageError: the number of folds is not in 2..100.
        DataError: there are fewer units than folds.
    """
    used = units >= 0
    names, unit = np.unique(units[used], return_inverse=True)
    place = np.full(len(units), NO_FOLD, np.int64)
    place[used] = unit
    held = np.zeros((len(names), 1 + len(EXPRESSIONS) + len(ACTION_UNITS) + 9 + len(databases)))
    for rows in dataset:
        own = place[rows["row"].to_numpy()]
        labels = strata(rows, databases)[own >= 0]
        order = np.argsort(own[own >= 0], kind="stable")
        first_of, begins = np.unique(own[own >= 0][order], return_index=True)
        if len(begins):
            held[first_of] += np.add.reduceat(labels[order].astype(np.int64), begins, axis=0)
    folds = np.full(len(units), NO_FOLD, np.int8)
    folds[used] = assign_folds(held[:, held.any(axis=0)], count, seed)[unit]
    return folds


def assign_folds(held: Floats, count: int, seed: int = 0) -> Folds:
    """The fold of every unit, int8 [units], 0 to ``count - 1``: every fold has about the same share of every label.

    Units are assigned one by one, those with the largest share of a label first, each to the fold that it brings closest to an even share. The same
    arguments give the same folds.

    Args:
        held: float [units, strata], how many rows with each label a unit has; overwritten.
        count: number of folds.
        seed: decides among equal folds.

    Raises:
        UsageError: the number of folds is not in 2..100.
        DataError: there are fewer units than folds.
    """
    if not 2 <= count <= MOST_FOLDS:
        raise UsageError(f"{count} folds: choose a number from 2 to {MOST_FOLDS}")
    if len(held) < count:
        raise DataError(f"{count} folds of {len(held)} group(s) of subjects, tracks and copies: choose fewer folds")
    held /= held.sum(axis=0)
    shares = held
    shares *= count
    order = np.random.default_rng(seed).permutation(len(shares))
    order = order[np.argsort(-shares.max(axis=1)[order], kind="stable")]
    filled = np.zeros((count, shares.shape[1]))
    fold_of = np.zeros(len(shares), np.int8)
    for number in order:
        # The sum of squares over all folds grows by 2 filled * share + share squared; only the first part depends on the fold.
        chosen = int(np.argmin(filled @ shares[number]))
        fold_of[number] = chosen
        filled[chosen] += shares[number]
    return fold_of


def literature_folds(labels: pl.DataFrame, database: str) -> Folds:
    """The published folds of a database, int8 [rows]; -1 for rows of other databases.

    Raises:
        UnknownNameError: no published folds are known for the database.
        DataError: no row is of the database, or one of its subjects is in none of the folds.
    """
    if database not in LITERATURE_FOLDS:
        raise UnknownNameError("database with literature folds", database, LITERATURE_FOLDS)
    fold = {subject: i for i, part in enumerate(LITERATURE_FOLDS[database].values()) for subject in part}
    own = labels["database"] == database
    if not own.any():
        raise DataError(f"the dataset has no row of {database}, whose published folds were asked for")
    strangers = sorted(set(labels.filter(own)["subject"].cast(pl.String).unique()) - set(fold))
    if strangers:
        raise DataError(
            f"{database}: subject(s) {', '.join(map(repr, strangers[:10]))} are in none of the published folds"
        )
    found = labels["subject"].cast(pl.String).replace_strict(fold, default=NO_FOLD, return_dtype=pl.Int8).to_numpy()
    return np.where(own.to_numpy(), found, NO_FOLD).astype(np.int8)


def write_folds(
    folder: DatasetFolder,
    name: str,
    count: int,
    *,
    seed: int = 0,
    copies: npt.NDArray[np.integer] | None = None,
    splits: tuple[str, ...] = ("train", "validation"),
) -> DatasetFolder:
    """The dataset with stratified folds for the rows of some splits; rows of other splits have fold -1.

    Args:
        folder: the dataset.
        name: the column group becomes ``folds.<name>``.
        count: number of folds.
        seed: decides among equal folds.
        copies: as for `inseparable_rows`.
        splits: whose rows get folds; by default a test split stays apart.

    Raises:
        UsageError: folds cannot have this name, or the number of folds is not in 2..100.
        DataError: there are fewer units than folds.
    """
    FOLDS.check_name(name)
    labels = LabelBlocks(folder)
    picture, _ = numbered(list(labels.digests().T))
    rows = labels.rows("database", "subject", "track").with_columns(pl.Series("image_digest", picture))
    units = inseparable_rows(rows, copies, databases_of(folder))
    wanted = rows["split"].cast(pl.String).is_in(list(splits)).to_numpy()
    # People who also appear in a split that is kept apart must not be trained on.
    apart = np.isin(units, units[~wanted])
    units[apart | ~wanted] = NO_FOLD
    folds = balanced_folds(labels.blocks(*STRATA_COLUMNS), folder.manifest.databases, units, count, seed)
    kept_apart = int((apart & wanted).sum())
    provenance = FoldProvenance(
        method="greedy, stratified",
        folds=count,
        seed=seed,
        splits=splits,
        disjoint_by=("subject", "track", "picture", *(("copies",) if copies is not None else ())),
        kept_apart=kept_apart,
        **_written(folder, folds),
    )
    return _write(folder, name, folds, provenance)


def write_literature_folds(folder: DatasetFolder, database: str) -> DatasetFolder:
    """The dataset with the published folds of a database as ``folds.<database>``; raises what `literature_folds` raises."""
    folds = literature_folds(LabelBlocks(folder).rows("database", "subject"), database)
    provenance = FoldProvenance(
        method="literature", database=database, parts=tuple(LITERATURE_FOLDS[database]), **_written(folder, folds)
    )
    return _write(folder, database, folds, provenance)


def _written(folder: DatasetFolder, folds: Folds) -> dict[str, Any]:
    rows = {str(int(fold)): int((folds == fold).sum()) for fold in np.unique(folds)}
    return {"rows": rows, "made_from": FOLDS.made_from(folder)}


def _write(folder: DatasetFolder, name: str, folds: Folds, provenance: FoldProvenance) -> DatasetFolder:
    from datasets import Features, Value

    column = FOLDS.group(name)
    ends = np.cumsum([folder.rows(split) for split in folder.splits])
    parts = np.split(folds, ends[:-1])
    tables = [(split, pa.table({column: pa.array(part)})) for split, part in zip(folder.splits, parts, strict=True)]
    described = provenance.model_dump(mode="json", exclude_none=True)
    return add_group(folder, column, tables, Features({column: Value("int8")}), described)
