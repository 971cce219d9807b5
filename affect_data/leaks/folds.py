"""Folds for cross-validation: disjoint by person, video and group of copies, with similar labels; or those of the literature.

Folds are a column group ``folds.<name>`` with one column of that name: the fold of each row, or -1.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from affect_data.databases.registry import DATABASES
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.folds import FOLDS, FoldProvenance
from affect_data.dataset.merged import databases_of
from affect_data.dataset.writing import add_group
from affect_data.errors import DataError, UnknownNameError, UsageError
from affect_data.leaks.connected import connected_components, edges_of_keys
from affect_data.leaks.leaks import Readers, source_family
from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS

NO_FOLD: Final = -1
MOST_FOLDS: Final = 100

LITERATURE_FOLDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {name: database.literature_folds for name, database in DATABASES.items() if database.literature_folds}
)
"""Subjects by part of the published cross-validations; fold ``i`` is the i-th part. Papers differ in which fold tests which part."""

VA_LIMITS: Final = (-1 / 3, 1 / 3)
"""Valence and arousal are stratified in the nine cells between these limits."""

Folds = npt.NDArray[np.int8]
Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def inseparable_rows(labels: pl.DataFrame, copies: Rows | None = None, readers: Readers = DATABASES) -> Rows:
    """The unit of each row: rows that share a subject, a track, a picture or copies, directly or through others, must stay together.

    Args:
        labels: with `database`, `subject`, `track`, `image_digest`.
        copies: int64 [rows], a number that a row shares only with its copies, from `affect_data.audit.pictures.copies`.
        readers: reader classes by name; those of own data are not in the registry.

    Returns:
        int64 [rows], the first row of each row's unit.
    """
    families = {name: source_family(name, readers) for name in labels["database"].unique()}
    family = pl.col("database").replace_strict(families, return_dtype=pl.String)
    keys = []
    for name in ("subject", "track", "image_digest"):
        scope = pl.struct(family.alias("family"), name) if name != "image_digest" else pl.col(name)
        keyed = pl.when(pl.col(name) != "").then(scope.rank("dense").cast(pl.Int64)).otherwise(-1)
        keys.append(labels.select(keyed.alias("key"))["key"].to_numpy())
    if copies is not None:
        keys.append(copies)
    edges = [edges_of_keys(key) for key in keys]
    first, second = (np.concatenate([edge[end] for edge in edges]) for end in (0, 1))
    return connected_components(len(labels), first, second)


def strata(labels: pl.DataFrame) -> Floats:
    """The labels that folds are balanced in, float [rows, strata]: 1 where a row has the label.

    The columns are: every row, each expression, each present action unit, each cell of the valence-arousal plane, each database. Columns that no row
    has are left out.
    """
    expression = labels["expression"].to_numpy()
    cell = np.full(len(labels), -1)
    va = labels["va_mask"].to_numpy()
    valence, arousal = (np.digitize(labels[name].to_numpy(), VA_LIMITS) for name in ("valence", "arousal"))
    cell[va] = (3 * valence + arousal)[va]
    database = labels["database"].rank("dense").to_numpy()
    columns = np.column_stack(
        [
            np.ones(len(labels)),
            expression[:, None] == np.arange(len(EXPRESSIONS)),
            labels["au"].to_numpy() == 1,
            cell[:, None] == np.arange(9),
            database[:, None] == np.arange(1, database.max(initial=0) + 1),
        ]
    )
    assert len(ACTION_UNITS) == labels.schema["au"].shape[0]  # type: ignore[attr-defined]
    return columns[:, columns.any(axis=0)].astype(np.float64)


def assign_folds(units: Rows, labels: Floats, count: int, seed: int = 0) -> Folds:
    """A fold for every row: rows of one unit stay together, and every fold has about the same share of every label.

    Units are assigned one by one, those with the largest share of a label first, each to the fold that it brings closest to an even share. The same
    arguments give the same folds.

    Args:
        units: int64 [rows], the unit of each row, from `inseparable_rows`.
        labels: float [rows, strata], from `strata`.
        count: number of folds.
        seed: decides among equal folds.

    Returns:
        int8 [rows], 0 to ``count - 1``.

    Raises:
        UsageError: the number of folds is not in 2..100.
        DataError: there are fewer units than folds.
    """
    if not 2 <= count <= MOST_FOLDS:
        raise UsageError(f"{count} folds: choose a number from 2 to {MOST_FOLDS}")
    _, unit = np.unique(units, return_inverse=True)
    size = int(unit.max(initial=-1)) + 1
    if size < count:
        raise DataError(f"{count} folds of {size} group(s) of subjects, tracks and copies: choose fewer folds")
    held = np.stack([np.bincount(unit, weights=column, minlength=size) for column in labels.T], axis=1)
    shares = held / held.sum(axis=0) * count
    order = np.random.default_rng(seed).permutation(size)
    order = order[np.argsort(-shares[order].max(axis=1), kind="stable")]
    filled = np.zeros((count, labels.shape[1]))
    fold_of = np.zeros(size, np.int8)
    for number in order:
        # The sum of squares over all folds grows by 2 filled * share + share squared; only the first part depends on the fold.
        chosen = int(np.argmin(filled @ shares[number]))
        fold_of[number] = chosen
        filled[chosen] += shares[number]
    return fold_of[unit]


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
    strangers = sorted(set(labels.filter(own)["subject"]) - set(fold))
    if strangers:
        raise DataError(
            f"{database}: subject(s) {', '.join(map(repr, strangers[:10]))} are in none of the published folds"
        )
    found = labels["subject"].replace_strict(fold, default=NO_FOLD, return_dtype=pl.Int8).to_numpy()
    return np.where(own.to_numpy(), found, NO_FOLD).astype(np.int8)


def write_folds(
    folder: DatasetFolder,
    name: str,
    count: int,
    *,
    seed: int = 0,
    copies: Rows | None = None,
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
    labels = _labels(folder)
    units = inseparable_rows(labels, copies, databases_of(folder))
    used = labels["split"].is_in(list(splits)).to_numpy()
    # People who also appear in a split that is kept apart must not be trained on.
    apart = np.isin(units, units[~used])
    used &= ~apart
    folds = np.full(len(labels), NO_FOLD, np.int8)
    folds[used] = assign_folds(units[used], strata(labels.filter(pl.Series(used))), count, seed)
    kept_apart = int((apart & labels["split"].is_in(list(splits)).to_numpy()).sum())
    provenance = FoldProvenance(
        method="greedy, stratified",
        folds=count,
        seed=seed,
        splits=splits,
        disjoint_by=("subject", "track", "picture", *(("copies",) if copies is not None else ())),
        kept_apart=kept_apart,
        **_written(folder, folds),
    )
    return _write(folder, labels, name, folds, provenance)


def write_literature_folds(folder: DatasetFolder, database: str) -> DatasetFolder:
    """The dataset with the published folds of a database as ``folds.<database>``; raises what `literature_folds` raises."""
    labels = _labels(folder)
    folds = literature_folds(labels, database)
    provenance = FoldProvenance(
        method="literature", database=database, parts=tuple(LITERATURE_FOLDS[database]), **_written(folder, folds)
    )
    return _write(folder, labels, database, folds, provenance)


def _labels(folder: DatasetFolder) -> pl.DataFrame:
    parts = [folder.labels(split).with_columns(pl.lit(split).alias("split")) for split in folder.splits]
    return pl.concat(parts)


def _written(folder: DatasetFolder, folds: Folds) -> dict[str, Any]:
    rows = {str(int(fold)): int((folds == fold).sum()) for fold in np.unique(folds)}
    return {"rows": rows, "made_from": FOLDS.made_from(folder)}


def _write(
    folder: DatasetFolder, labels: pl.DataFrame, name: str, folds: Folds, provenance: FoldProvenance
) -> DatasetFolder:
    from datasets import Features, Value

    column = FOLDS.group(name)
    tables = [
        (split, pa.table({column: pa.array(folds[(labels["split"] == split).to_numpy()])})) for split in folder.splits
    ]
    described = provenance.model_dump(mode="json", exclude_none=True)
    return add_group(folder, column, tables, Features({column: Value("int8")}), described)
