"""Parquet files for all readers: plain types, class names, small row groups and a page index.

A table of pictures holds rows of only one database, and the types of its columns do not depend on other databases. So adding a database adds files
and does not change existing ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from affect_data.dataset.folder import LABEL_NAMES, DatasetFolder
from affect_data.dataset.schema import FRAMES, LABELS
from affect_data.dataset.schema import features as schema_features
from affect_data.dataset.writing import CLIPS_PER_BATCH
from affect_data.files import written_file
from affect_data.hub.published_lock import built_groups, shards_of
from affect_data.system_errors import writing_to

if TYPE_CHECKING:
    from datasets import Features

ROWS_PER_GROUP: Final = 100
"""Rows of a row group in a table with pictures, as the viewer of the Hub needs it."""

ROWS_PER_GROUP_OF_NUMBERS: Final = 50_000


@dataclass(frozen=True)
class PictureTable:
    """A table of pictures and labels to write.

    Attributes:
        path: in the repository.
        split: of the dataset.
        first, rows: the first of its rows in the split, and their number.
        key: changes whenever its bytes may change.
    """

    path: str
    split: str
    first: int
    rows: int
    key: str


def picture_tables(folder: DatasetFolder) -> list[PictureTable]:
    """The tables of pictures and labels of a dataset, one for each shard, in row order."""
    found, numbers = [], dict[tuple[str, str], int]()
    described = str(sorted(str(item) for item in _described(folder).items()))
    known = folder.manifest.shards
    for shard in shards_of(folder):
        split, database = shard["split"], shard["database"]
        number = numbers[split, database] = numbers.get((split, database), -1) + 1
        prints = [known[split][group][shard["index"]] for group in sorted(known[split])]
        # Origins say where rows come from: the people and videos of one database.
        prints += [folder.manifest.origins.get(name, "") for name in database.split("+")]
        path = f"data/{split}/{database}-{number:05d}.parquet"
        found.append(PictureTable(path, split, shard["first_row"], shard["rows"], f"{prints} {described}"))
    return found


class SplitRows:
    """The rows of a split as they are published; opened once, over memory maps, for all of its tables.

    Args:
        folder: the dataset.
        split: of it.
    """

    def __init__(self, folder: DatasetFolder, split: str) -> None:
        self._folder = folder
        self._split = split

    @cached_property
    def _stored(self) -> pa.Table:
        return self._folder.stored_labels(self._split)

    @cached_property
    def _beyond(self) -> dict[str, pa.Table]:
        return {
            group: self._folder.load(self._split, [group]).data.table for group in _beyond(self._folder, self._split)
        }

    @cached_property
    def _features(self) -> "Features":
        return _described(self._folder)

    def write(self, table: PictureTable, path: Path) -> None:
        """Writes a table of pictures and labels: every column of the schema, then the other columns of the dataset."""
        size = CLIPS_PER_BATCH if self._has_clips(table) else ROWS_PER_GROUP
        stop = table.first + table.rows
        parts = (self._slice(first, min(stop, first + size) - first) for first in range(table.first, stop, size))
        write_parquet(path, parts, self._features, size)

    def _has_clips(self, table: PictureTable) -> bool:
        """Whether a row has frames: a hundred clips would be a row group of hundreds of megabytes."""
        if FRAMES not in self._beyond:
            return False
        frames = self._beyond[FRAMES].column(FRAMES).slice(table.first, table.rows)
        return bool((pc.max(pc.list_value_length(frames)).as_py() or 0) > 0)

    def _slice(self, first: int, rows: int) -> pa.Table:
        table = self._folder.view.table(self._stored.slice(first, rows), LABEL_NAMES)
        names = pa.array(self._folder.manifest.databases)
        database = names.take(table.column("database").combine_chunks())
        table = table.set_column(table.column_names.index("database"), "database", database)
        for group, own in self._beyond.items():
            for name in own.column_names:
                taken = name in table.column_names
                column = own.column(name).slice(first, rows)
                table = table.append_column(f"{group}.{name}" if taken else name, column)
        return table


def write_parquet(path: Path, parts: Iterator[pa.Table], described: "Features", rows_per_group: int) -> None:
    """Writes a Parquet file part by part: a page index, content-defined chunks, features that ``datasets`` reads; atomic."""
    schema = described.arrow_schema
    options: dict[str, Any] = {"write_page_index": True, "use_content_defined_chunking": True}
    with writing_to(path), written_file(path) as partial, pq.ParquetWriter(partial, schema, **options) as writer:
        for part in parts:
            writer.write_table(part.select(schema.names).cast(schema), row_group_size=rows_per_group)


def _described(folder: DatasetFolder) -> "Features":
    """The features of the tables of pictures: those of the schema, unchanged, so that another database does not change them."""
    from datasets import Features, Value

    described = dict(schema_features(LABELS, folder.manifest.databases))
    described["database"] = Value("string")
    for group in _beyond(folder, folder.splits[0]):
        for name, feature in folder.manifest.layout.features(group).items():
            described[name if name not in described else f"{group}.{name}"] = feature
    return Features(described)


def _beyond(folder: DatasetFolder, split: str) -> list[str]:
    """The column groups with columns that are not labels of the schema: pictures, scores, side groups of databases."""
    return [group for group in built_groups(folder, split) if not _is_of_schema(folder, group)]


def _is_of_schema(folder: DatasetFolder, group: str) -> bool:
    if group not in folder.manifest.layout.groups:
        return False
    return group == LABELS or all(name in LABEL_NAMES for name in folder.manifest.layout.features(group))


def plain(table: pa.Table, described: "Features") -> tuple[pa.Table, "Features"]:
    """A table with float32 instead of half floats, which many readers of Parquet do not support; the numbers stay the same."""
    from datasets import Features, List, Value

    def widened(feature: object) -> object:
        if isinstance(feature, Value) and feature.dtype == "float16":
            return Value("float32")
        return List(widened(feature.feature), length=feature.length) if isinstance(feature, List) else feature

    wide = Features({name: widened(feature) for name, feature in described.items()})
    return table.cast(wide.arrow_schema), wide
