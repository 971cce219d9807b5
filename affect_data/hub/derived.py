"""Tables of what was made from a dataset, to be published without it: each row names its face by uid and by a key of its picture.

Owners of the databases build the dataset and attach the tables again; the key shows whether the picture and the face box are still the same.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.kinds.registry import KINDS
from affect_data.hub.tables import ROWS_PER_GROUP_OF_NUMBERS, plain, write_parquet

UID: Final = "uid"
PICTURE_KEY: Final = "picture_key"
ROWS_PER_FILE: Final = 500_000


@dataclass(frozen=True)
class DerivedGroup:
    """A column group to publish.

    Attributes:
        group: its name in the dataset.
        config: its name in the repository.
        splits: that have it.
    """

    group: str
    config: str
    splits: tuple[str, ...]


def derived_groups(folder: DatasetFolder, features: Sequence[str] = ()) -> tuple[list[DerivedGroup], dict[str, str]]:
    """The column groups that may be published, and those that are left out with the reason, by name.

    Args:
        folder: the dataset.
        features: names of the features to publish. No others are published, because a face can be recognised by its features.
    """
    found: list[DerivedGroup] = []
    left_out: dict[str, str] = {}
    for kind in KINDS:
        for name in kind.names(folder) if kind.provenance is not None else ():
            group = kind.group(name)
            if kind.kept_in:
                left_out[group] = kind.kept_in
            elif kind is FEATURES and name not in features:
                left_out[group] = f"not asked for: --features {name}"
            elif kind.is_stale(folder, name):
                left_out[group] = f"stale: `{kind.remedy(name, folder)}` makes it again"
            else:
                splits = tuple(split for split in folder.splits if group in folder.groups(split))
                found.append(DerivedGroup(group, group.replace(".", "-"), splits))
    for name in features:
        FEATURES.check_known(folder, name)
    return found, left_out


def write_group(folder: DatasetFolder, group: DerivedGroup, split: str, part: tuple[int, int], path: Path) -> None:
    """Writes rows of a column group, from ``part[0]`` to before ``part[1]``, with their uid and picture key."""
    from datasets import Features, Value

    first, stop = part
    loaded = folder.load(split, [group.group])
    table, described = plain(loaded.data.table.slice(first, stop - first), loaded.features)
    keys = picture_keys(folder, split, part)
    for place, name in enumerate((UID, PICTURE_KEY)):
        table = table.add_column(place, name, keys.column(name))
    everything = Features({UID: Value("string"), PICTURE_KEY: Value("string"), **described})
    write_parquet(path, iter([table]), everything, ROWS_PER_GROUP_OF_NUMBERS)


def picture_keys(folder: DatasetFolder, split: str, part: tuple[int, int] | None = None) -> pa.Table:
    """`uid` and `picture_key` of rows of a split: 32 hexadecimal digits of sha256 over the picture's digest and the face box.

    Args:
        folder: the dataset.
        split: of it.
        part: the first row, and the row after the last; all where it is None.
    """
    names = (UID, "image_digest", "face_box")
    first, stop = part or (0, folder.rows(split))
    rows = folder.view.frame(folder.stored_labels(split, names).slice(first, stop - first), names)
    boxes = rows["face_box"].to_numpy()
    keys = [
        hashlib.sha256(digest.encode() + box.tobytes()).hexdigest()[:32]
        for digest, box in zip(rows["image_digest"], boxes, strict=True)
    ]
    return pa.table({UID: rows[UID].to_arrow().cast(pa.string()), PICTURE_KEY: pa.array(keys, pa.string())})


def all_picture_keys(folder: DatasetFolder) -> pl.DataFrame:
    """`split`, `database`, `uid` and `picture_key` of all rows."""
    parts = []
    for split in folder.splits:
        keys = pl.from_arrow(picture_keys(folder, split))
        assert isinstance(keys, pl.DataFrame)
        databases = folder.labels(split, ("database",))["database"].cast(pl.String)
        parts.append(keys.select(pl.lit(split).alias("split"), databases, UID, PICTURE_KEY))
    return pl.concat(parts)


def parts_of(rows: int) -> Iterator[tuple[int, int]]:
    """First row and the row after the last of every file of a table."""
    for first in range(0, max(rows, 1), ROWS_PER_FILE):
        yield first, min(rows, first + ROWS_PER_FILE)
