"""Reads parquet and Arrow files, which may hold the pictures themselves; such a picture is called ``<file>/<row>``."""

import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from affect_data.bounds import ANNOTATION_BYTES, LINES, PICTURE_BYTES, BoundError, read_file
from affect_data.databases.refusal import literal
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.table.tables import IMAGE, MOST_ENTRIES, Table, Wanted, column_names, without_empty

ADDRESS: Final = re.compile(r"(.+\.(?:parquet|arrow))/(\d+)", re.IGNORECASE)
Rows = npt.NDArray[np.bool_]

NO_CLASS: Final = -1
"""The Hub's own sign for no label in a column of classes."""


def read_arrow(root: DatabaseRoot, path: str, wanted: Wanted) -> Table | None:
    """A parquet or Arrow file as texts; None, and a defect, if it cannot be read.

    Classes become their names, truth values 0 and 1, and the entries of lists columns ``name[i]``. A column of pictures becomes `IMAGE`, and the
    names that they had a column ``name.path``.
    """
    root.confined.check(path)
    root.annotation_files.add(path)
    with _explained(root, path):
        file = _opened(root.path / path)
        LINES.check(path, file.rows)
        names = column_names(root, path, file.schema.names)
        if names is None:
            return None
        kept = [name for name in file.schema.names if wanted(name)]
        ANNOTATION_BYTES.check(path, file.bytes_of([name for name in kept if not _is_picture(file, name)]))
        classes = _class_names(file.schema)
        columns = [column for name in kept for column in _texts(root, path, file, name, classes.get(name))]
        lines = pl.int_range(1, file.rows + 1, dtype=pl.Int32, eager=True).alias("source_line")
        rows = pl.DataFrame([lines, *columns]).with_columns(pl.lit(path).alias("source_file"))
        return Table(without_empty(root.drop_excluded(rows)), tuple(names))
    return None


def picture_opener(path: Path, column: str) -> Callable[[str], bytes]:
    """A function from an image to its bytes, as found: a file below `path`, or what a row of a parquet or Arrow file holds.

    Args:
        path: the root.
        column: of pictures.
    """

    def open_image(image: str) -> bytes:
        address = ADDRESS.fullmatch(image)
        if address is None:
            return read_file(path / image, PICTURE_BYTES, image)
        file, row = path / address[1], int(address[2])
        status = file.stat()
        held = _held_picture(file, column, row, status.st_mtime_ns)
        if held is None:
            raise FileNotFoundError(image)
        PICTURE_BYTES.check(image, len(held))
        return held

    return open_image


# ---------------------------------------------------------------- files


class _Parquet:
    """A parquet file of which single columns are read."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        self.schema: pa.Schema = self._file.schema_arrow
        self.rows = int(self._file.metadata.num_rows)
        self._groups = [self._file.metadata.row_group(number) for number in range(self._file.metadata.num_row_groups)]
        self._paths = [self._file.schema.column(place).path for place in range(len(self._file.schema))]
        self.starts = np.cumsum([0, *(group.num_rows for group in self._groups)])

    def bytes_of(self, names: Collection[str]) -> int:
        """How many bytes columns take when they are unpacked."""
        paths = [path for path in self._paths if path.partition(".")[0] in names]
        numbers = range(len(self._groups))
        return sum(self._chunk(number, path).total_uncompressed_size for number in numbers for path in paths)

    def _chunk(self, number: int, path: str) -> pq.ColumnChunkMetaData:
        """What the file says of a column in one row group."""
        # A row is read first: pyarrow ends the process where it is asked about a damaged column, and raises where it reads one.
        next(self._file.iter_batches(batch_size=1, row_groups=[number], columns=[path]), None)
        return self._groups[number].column(self._paths.index(path))

    def column(self, name: str, inner: str = "") -> pa.ChunkedArray:
        """A whole column, or one field of it."""
        return self._file.read(columns=[f"{name}.{inner}" if inner else name])[name]

    def part(self, number: int, name: str) -> pa.ChunkedArray:
        """The rows of a column from ``starts[number]`` to the next start."""
        return self._file.read_row_group(number, columns=[name])[name]

    def holds(self, name: str, inner: str) -> Rows:
        """Which rows have bytes, bool [rows]; they are read only where the file says that some have none."""
        path = f"{name}.{inner}" if inner else name
        found = [np.zeros(0, dtype=bool)]
        for number, group in enumerate(self._groups):
            chunk = self._chunk(number, path)
            counted = chunk.statistics is not None and chunk.statistics.has_null_count
            if counted and chunk.statistics.null_count == 0:
                found.append(np.ones(group.num_rows, dtype=bool))
            else:
                found.append(_has_bytes(self._file.read_row_group(number, columns=[path])[name]))
        return np.concatenate(found)


class _Arrow:
    """An Arrow file or stream over a memory map; as `_Parquet`."""

    def __init__(self, path: Path) -> None:
        source = pa.memory_map(str(path))
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        self._table: pa.Table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source).read_all()
        self.schema: pa.Schema = self._table.schema
        self.rows = int(self._table.num_rows)
        self.starts = np.array([0, self.rows])

    def bytes_of(self, names: Collection[str]) -> int:
        """How many bytes columns take."""
        return sum(self._table[name].nbytes for name in names)

    def column(self, name: str, inner: str = "") -> pa.ChunkedArray:  # noqa: ARG002 - a struct costs nothing here
        """A whole column."""
        return self._table[name]

    def part(self, number: int, name: str) -> pa.ChunkedArray:  # noqa: ARG002 - there is only one part
        """All rows of a column."""
        return self._table[name]

    def holds(self, name: str, inner: str) -> Rows:  # noqa: ARG002 - as for columns
        """Which rows have bytes, bool [rows]."""
        return _has_bytes(self._table[name])


def _opened(path: Path) -> _Parquet | _Arrow:
    return _Parquet(path) if path.suffix.lower() == ".parquet" else _Arrow(path)


@contextmanager
def _explained(root: DatabaseRoot, path: str) -> Iterator[None]:
    """Turns a file that cannot be read into a defect."""
    try:
        yield
    except BoundError as error:
        root.defect(path, 0, error.found, error.expected, error.remedy)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        because = " ".join(str(error).split())[:200]
        root.defect(path, 0, f"no readable table ({because})", "a parquet or Arrow file", "replace it by a whole copy")


@lru_cache(maxsize=2)
def _opened_once(path: Path, modified: int) -> _Parquet | _Arrow:  # noqa: ARG001 - a key of the cache
    return _opened(path)


@lru_cache(maxsize=2)
def _part(path: Path, column: str, number: int, modified: int) -> pa.ChunkedArray:
    return _opened_once(path, modified).part(number, column)


def _held_picture(path: Path, column: str, row: int, modified: int) -> bytes | None:
    """The picture that a row holds; None if there is no such row, or it holds none."""
    starts = _opened_once(path, modified).starts
    number = int(np.searchsorted(starts, row, side="right")) - 1
    if number >= len(starts) - 1:
        return None
    value = _part(path, column, number, modified)[row - int(starts[number])].as_py()
    held = value.get("bytes") if isinstance(value, dict) else value
    return bytes(held) if held is not None else None


# ---------------------------------------------------------------- values


def _holds_pictures(kind: pa.DataType) -> bool:
    is_image = pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}
    return is_image or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def _is_picture(file: _Parquet | _Arrow, name: str) -> bool:
    return _holds_pictures(file.schema.field(name).type)


def _has_bytes(column: pa.ChunkedArray) -> Rows:
    inner = pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column
    found: Rows = pc.and_(pc.is_valid(column), pc.is_valid(inner)).to_numpy()
    return found


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of the classes of each ClassLabel, from what ``datasets`` writes into the schema."""
    try:
        described = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: list(feature["names"]) for name, feature in described.items() if feature.get("_type") == "ClassLabel"
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _texts(
    root: DatabaseRoot, path: str, file: _Parquet | _Arrow, name: str, classes: list[str] | None
) -> list[pl.Series]:
    """A column as texts; none for a kind of values that is no label, such as a nested one."""
    kind = file.schema.field(name).type
    if _holds_pictures(kind):
        is_struct = pa.types.is_struct(kind)
        names_given = (
            pc.struct_field(file.column(name, "path"), "path").to_pylist() if is_struct else [None] * file.rows
        )
        given = pl.Series(f"{name}.path", names_given, dtype=pl.String)
        rows = pl.int_range(file.rows, eager=True).cast(pl.String)
        held = pl.Series("held", file.holds(name, "bytes" if is_struct else ""), dtype=pl.Boolean)
        image = pl.select(pl.when(held).then(pl.lit(f"{path}/") + rows).otherwise(given).alias(IMAGE)).to_series()
        return [given, image]
    column = file.column(name)
    # Texts that are no UTF-8 would stop polars itself.
    column.validate(full=True)
    values = pl.Series(name, pl.from_arrow(column))
    if isinstance(values.dtype, pl.List | pl.Array):
        return _entries(root, path, values)
    if classes is not None and values.dtype.is_integer():
        called = dict(enumerate(classes))
        known = values.is_null() | values.is_in([*called, NO_CLASS])
        wrong = pl.DataFrame(
            {"source_file": path, "source_line": pl.int_range(1, len(values) + 1, eager=True), "code": values}
        )
        root.refuse(
            wrong, ~known, f"{literal(name)} = {{code}}", f"a class from 0 to {len(classes) - 1}, or -1 for none"
        )
        return [values.replace_strict(called, default=None, return_dtype=pl.String)]
    text = _text(values)
    return [text] if text is not None else []


def _entries(root: DatabaseRoot, path: str, values: pl.Series) -> list[pl.Series]:
    """The entries of lists as texts; lists of another length than the first one are defects."""
    lists = values.arr.to_list() if isinstance(values.dtype, pl.Array) else values
    lengths = lists.list.len()
    given = lengths.drop_nulls().to_list()
    width = given[0] if given else 0
    if not 0 < width <= MOST_ENTRIES or _text(lists.list.first()) is None:
        return []
    rows = pl.DataFrame(
        {"source_file": path, "source_line": pl.int_range(1, len(lists) + 1, eager=True), "length": lengths}
    )
    found, expected = f"{literal(values.name)}: a list of {{length}} entries", f"{width}, as in the first row"
    root.refuse(rows, pl.col("length") != width, found, expected)
    entries = [_text(lists.list.get(place, null_on_oob=True)) for place in range(width)]
    return [entry.alias(f"{values.name}[{place}]") for place, entry in enumerate(entries) if entry is not None]


def _text(values: pl.Series) -> pl.Series | None:
    """Single values as texts, null for NaN; None for values of another kind."""
    if values.dtype.is_float():
        return values.fill_nan(None).cast(pl.String)
    if values.dtype == pl.Boolean:
        return values.cast(pl.Int8).cast(pl.String)
    if values.dtype.is_integer() or isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum):
        return values.cast(pl.String)
    return pl.Series(values.name, [None] * len(values), dtype=pl.String) if values.dtype == pl.Null else None
