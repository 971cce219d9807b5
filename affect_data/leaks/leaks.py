"""The leak guard: people, videos and copies of pictures that are in two splits.

If rows of one person are in train and in validation, every figure of the validation split is too good, whatever tasks these rows are labelled for. So
the guard looks at all tasks together, and at all databases of a source family together.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from affect_data.databases.base import Database
from affect_data.databases.families import shared_picture
from affect_data.databases.registry import DATABASES
from affect_data.dataset.folder import AUDIT, AUDIT_PICTURES, DatasetFolder
from affect_data.dataset.merged import databases_of
from affect_data.errors import DataError

LEAK_COLUMNS: Final[dict[str, pl.DataType]] = {
    "kind": pl.String(),
    "source_family": pl.String(),
    "key": pl.String(),
    "splits": pl.List(pl.String()),
    "rows": pl.UInt32(),
}

Policy = Literal["strict", "follow_task", "official"]
Answer = Literal["refuse", "report"]

PICTURE_NAME: Final = "picture name"
COPIES: Final = ("picture", PICTURE_NAME, "group")
"""Kinds of leaks that are copies of pictures: equal bytes (`picture`), a name under which several databases have the same picture, and groups that an
audit found (`group`)."""

ANY_FAMILY: Final = "any"
LEAKS_SHOWN: Final = 20

BUILD_REMEDY: Final = (
    "Give databases of one source family the same split of subjects, leave one of them out, or choose `splits: {policy: follow_task}` "
    "to keep the official splits of each task and have leaks reported only."
)
TRAINING_REMEDY: Final = (
    "Build the dataset with splits that part nobody (`splits: {policy: strict}`). To train all the same, with figures that are too good, say "
    "`training: {leaks: report}` for people and videos, `training: {copies: report}` for pictures."
)

Readers = Mapping[str, type[Database]]


class _Counted(NamedTuple):
    """Keys of rows: texts, none of them empty, and how many rows have each; a text may come more than once."""

    values: pa.Array
    rows: npt.NDArray[np.integer]


_Keys = dict[tuple[str, str], _Counted]


class LeakError(DataError):
    """Subjects, tracks or copies of pictures that are in two splits."""

    def __init__(self, leaks: pl.DataFrame, remedy: str = BUILD_REMEDY) -> None:
        self.leaks = leaks
        shown = "".join(
            f"\n  {kind} {key!r} of {family}: {rows:,} rows in {' and '.join(splits)}"
            for kind, family, key, splits, rows in leaks.head(LEAKS_SHOWN).iter_rows()
        )
        more = f"\n  ... and {len(leaks) - LEAKS_SHOWN:,} more" if len(leaks) > LEAKS_SHOWN else ""
        super().__init__(f"{len(leaks):,} leak(s) between splits:{shown}{more}\n{remedy}")


@dataclass(frozen=True)
class Part:
    """Rows that must not share a person, a video or a picture with another part.

    Attributes:
        name: in messages.
        split: that the rows are in.
        rows: bool [rows of the split], the rows of the part; None: all of the split.
    """

    name: str
    split: str
    rows: npt.NDArray[np.bool_] | None = None


def source_family(database: str, readers: Readers = DATABASES) -> str:
    """The family of a database; databases that share pictures or people have the same family.

    Args:
        database: its name.
        readers: reader classes by name; those of own data are not in the registry.
    """
    return readers[database].source_family if database in readers else database


def find_leaks(labels: pl.DataFrame, copies: pl.Series | None = None, readers: Readers = DATABASES) -> pl.DataFrame:
    """Subjects, tracks and groups of copies that are in more than one split.

    Args:
        labels: rows of all splits, with `database` (by name), `split`, `subject`, `track`, and `uid` if pictures are to be compared by name.
        copies: for every row a name that it shares only with its copies; null if it has none.
        readers: as for `source_family`.

    Returns:
        `kind` ("subject", "track", "picture name", "group"), `source_family`, `key`, `splits`, `rows`; sorted.
    """
    families = {name: source_family(name, readers) for name in labels["database"].unique()}
    rows = labels.select(
        pl.col("database").replace_strict(families, return_dtype=pl.String).alias("source_family"),
        pl.col("split", "subject", "track").cast(pl.String),
        pl.col("uid") if "uid" in labels.columns else pl.lit("").alias("uid"),
        copies.cast(pl.String).alias("group") if copies is not None else pl.lit(None, pl.String).alias("group"),
    )
    parts: dict[str, _Keys] = {}
    for (split,), own in rows.partition_by("split", as_dict=True).items():
        keys = parts.setdefault(str(split), {("group", ANY_FAMILY): _counted(_arrow(own["group"]))})
        for (family,), named in own.partition_by("source_family", as_dict=True).items():
            keys |= {(kind, str(family)): _counted(_arrow(named[kind])) for kind in ("subject", "track")}
            keys |= _shared_pictures(str(family), named["uid"])
    return _leaks_of(parts)


def guard(
    labels: pl.DataFrame, policy: Policy, copies: pl.Series | None = None, readers: Readers = DATABASES
) -> pl.DataFrame:
    """Refuses leaks in rows that are about to become a dataset.

    Args:
        labels: as for `find_leaks`.
        policy: of the recipe; under ``follow_task`` leaks are intended, and only returned.
        copies: as for `find_leaks`.
        readers: as for `source_family`.

    Returns:
        The leaks that the policy accepts; empty under the other policies.

    Raises:
        LeakError: there are leaks, and the policy does not accept them.
    """
    leaks = find_leaks(labels, copies, readers)
    if len(leaks) and policy != "follow_task":
        raise LeakError(leaks)
    return leaks


def guard_parts(
    parts: Sequence[pl.DataFrame], policy: Policy, readers: Readers = DATABASES
) -> tuple[dict[str, Any], ...]:
    """The accepted leaks, as dictionaries, of the rows of several databases that are about to become one dataset.

    Raises:
        LeakError: there are leaks, and the policy does not accept them.
    """
    columns = ("database", "subject", "track", "split", "uid")
    if not parts:
        return ()
    rows = pl.concat(part.select(pl.col(columns).cast(pl.String)) for part in parts)
    return tuple(guard(rows, policy, readers=readers).to_dicts())


def dataset_leaks(folder: DatasetFolder, parts: Sequence[Part] = ()) -> pl.DataFrame:
    """Subjects, tracks, pictures of equal bytes and groups of copies (found by an audit) that are in more than one part of a dataset.

    Only label columns are read, and no threads of polars are started, so that processes may be forked afterwards.

    Args:
        folder: the dataset.
        parts: the parts that are compared; by default the splits.

    Returns:
        As from `find_leaks`, and also the kind "picture", whose key is the sha256 of the bytes.
    """
    parts = parts or [Part(split, split) for split in folder.splits]
    found = stored_copies(folder)
    keys = {part.name: _keys_of(folder, part, found.get(part.split, {})) for part in parts}
    for name, pictures in _shared_digests(folder, parts).items():
        keys[name]["picture", ANY_FAMILY] = pictures
    return _leaks_of(keys)


def guard_dataset(
    folder: DatasetFolder, *, leaks: Answer = "refuse", copies: Answer = "report", parts: Sequence[Part] = ()
) -> pl.DataFrame:
    """Refuses leaks in a built dataset, for example before training.

    Args:
        folder: the dataset.
        leaks: whether subjects and tracks in two parts are refused.
        copies: whether pictures in two parts are refused; official splits hold some.
        parts: as for `dataset_leaks`.

    Returns:
        The accepted leaks, as from `dataset_leaks`.

    Raises:
        LeakError: there are leaks that are not accepted.
    """
    found = dataset_leaks(folder, parts)
    refused = [row for row in found.iter_rows() if (copies if row[0] in COPIES else leaks) == "refuse"]
    if refused:
        raise LeakError(pl.DataFrame(refused, schema=LEAK_COLUMNS, orient="row"), TRAINING_REMEDY)
    return found


def stored_copies(folder: DatasetFolder) -> dict[str, dict[str, str]]:
    """The group of each copy that the dataset's audit has found, by split and uid; empty if there are none."""
    path = folder.path / AUDIT
    if not path.is_file():
        return {}
    about = pq.read_metadata(path).metadata or {}
    if about.get(AUDIT_PICTURES.encode(), b"").decode() != folder.manifest.fingerprints.pictures:
        return {}
    found = pq.read_table(path, columns=["uid", "split", "evidence"], filters=[("check", "=", "duplicates")])
    copies: dict[str, dict[str, str]] = {}
    for uid, split, evidence in zip(*(column.to_pylist() for column in found.columns), strict=True):
        copies.setdefault(split, {})[uid] = json.loads(evidence)["group"]
    return copies


def _keys_of(folder: DatasetFolder, part: Part, copies: Mapping[str, str]) -> _Keys:
    """The keys of a part's rows by kind and source family, without pictures."""
    readers, stored = databases_of(folder), folder.stored_labels(part.split, ("database", "track", "uid"))
    database, origin = (stored.column(name).to_numpy() for name in ("database", "origin"))
    kept = np.ones(len(database), np.bool_) if part.rows is None else part.rows
    parts: dict[tuple[str, str], list[_Counted]] = {}
    for code in np.unique(database[kept]).tolist():
        own = kept & (database == code)
        name, counts = folder.manifest.databases[code], np.bincount(origin[own])
        family = source_family(name, readers)
        for kind in ("subject", "track"):
            # The texts of each origin once, instead of those of each row.
            texts = folder.view.origins[name].column(kind).combine_chunks().cast(pa.string())[: len(counts)]
            used = (counts > 0) & pc.not_equal(texts, "").to_numpy(zero_copy_only=False)
            parts.setdefault((kind, family), []).append(_Counted(texts.filter(pa.array(used)), counts[used]))
        if shared_picture(family) is not None:
            named = _shared_pictures(family, stored.column("uid").filter(pa.array(own)).to_pylist())
            for key, counted in named.items():
                parts.setdefault(key, []).append(counted)
    keys = {key: _together(counted) for key, counted in parts.items()}
    if copies:
        uids = stored.column("uid").filter(pa.array(kept))
        copied = uids.filter(pc.is_in(uids, value_set=pa.array(copies, uids.type))).to_pylist()
        keys["group", ANY_FAMILY] = _counted(pa.chunked_array([pa.array([copies[uid] for uid in copied], pa.string())]))
    return keys


def _shared_digests(folder: DatasetFolder, parts: Sequence[Part]) -> dict[str, _Counted]:
    """By part the sha256 of the pictures that several parts may have: of those whose first eight bytes several have."""
    names = {part.name: _digests(folder, part) for part in parts}
    each = np.sort(np.concatenate([np.unique(found[:, :8].copy().view(np.uint64)) for found in names.values()]))
    several = np.unique(each[1:][each[1:] == each[:-1]])
    shared = {}
    for name, found in names.items():
        own = found[np.isin(found[:, :8].copy().view(np.uint64)[:, 0], several)]
        texts = pa.array([bytes(digest).hex() for digest in own], pa.string())
        shared[name] = _counted(pa.chunked_array([texts]))
    return shared


def _digests(folder: DatasetFolder, part: Part) -> npt.NDArray[np.uint8]:
    """The sha256 of the picture of each row of a part, uint8 [rows, 32]."""
    column = folder.stored_labels(part.split, ("image_digest",)).column("image_digest")
    chunks = [chunk.flatten().to_numpy().reshape(len(chunk), -1) for chunk in column.chunks]
    whole = np.concatenate([np.empty((0, 32), np.uint8), *chunks])
    return whole if part.rows is None else whole[part.rows]


def _shared_pictures(family: str, uids: Iterable[str]) -> _Keys:
    """The names of pictures that several databases of the family have, by kind and family; empty where names tell nothing."""
    picture = shared_picture(family)
    if picture is None:
        return {}
    names = [found[1] if (found := picture.search(uid)) else "" for uid in uids]
    return {(PICTURE_NAME, family): _counted(pa.chunked_array([pa.array(names, pa.string())]))}


def _counted(column: pa.ChunkedArray) -> _Counted:
    counts = pc.value_counts(column.filter(pc.not_equal(column, "")))
    return _Counted(counts.field("values").cast(pa.string()), counts.field("counts").to_numpy())


def _together(parts: Sequence[_Counted]) -> _Counted:
    return _Counted(pa.concat_arrays([part.values for part in parts]), np.concatenate([part.rows for part in parts]))


def _arrow(column: pl.Series) -> pa.ChunkedArray:
    return pa.chunked_array([column.to_arrow(compat_level=pl.CompatLevel.oldest())])


def _leaks_of(parts: Mapping[str, _Keys]) -> pl.DataFrame:
    """The keys that are in several parts."""
    leaks: list[tuple[str, str, str, list[str], int]] = []
    for kind in ("subject", "track", *COPIES):
        for family in sorted({family for keys in parts.values() for of, family in keys if of == kind}):
            columns = {name: keys[kind, family] for name, keys in parts.items() if (kind, family) in keys}
            leaks += [(kind, family, *leak) for leak in _in_several(columns)]
    return pl.DataFrame(leaks, schema=LEAK_COLUMNS, orient="row")


def _in_several(columns: Mapping[str, _Counted]) -> list[tuple[str, list[str], int]]:
    """The values that several columns share: value, names of the columns, number of rows; sorted."""
    # Only the smaller column becomes a hash table.
    by_size = sorted(columns, key=lambda name: len(columns[name].values))
    shared = [
        columns[large].values.filter(pc.is_in(columns[large].values, value_set=columns[small].values))
        for small, large in combinations(by_size, 2)
    ]
    if not any(len(keys) for keys in shared):
        return []
    suspects = pc.unique(pa.concat_arrays(shared))
    found: dict[str, tuple[list[str], int]] = {}
    for name in sorted(columns):
        kept = pc.is_in(columns[name].values, value_set=suspects)
        numbers = columns[name].rows[kept.to_numpy(zero_copy_only=False)].tolist()
        for value, count in zip(columns[name].values.filter(kept).to_pylist(), numbers, strict=True):
            splits, rows = found.get(value, ([], 0))
            found[value] = (splits if splits[-1:] == [name] else [*splits, name], rows + count)
    return [(key, splits, rows) for key, (splits, rows) in sorted(found.items())]
