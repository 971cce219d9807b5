"""Hashes of content: the same values give the same hash, however they are chunked."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from affect_data.dataset.schema import ROWS_AT_ONCE, SCHEMA_VERSION


def content_hash(table: pa.Table, seed: str = "") -> str:
    """sha256 of the values of a table, column by column; independent of how it is chunked.

    Raises:
        TypeError: a column is of a type that no column group has.
    """
    digest = hashlib.sha256(seed.encode())
    for name in table.column_names:
        _add_column(digest, name, table.column(name))
    return digest.hexdigest()


def frame_hash(frame: pl.DataFrame, seed: str = "") -> str:
    """The `content_hash` of a frame, of which only one column at a time is turned into Arrow, and of numbers only a part of it."""
    digest = hashlib.sha256(seed.encode())
    for name in frame.columns:
        column = frame.select(name)
        kind = column.head(0).to_arrow().schema.field(name).type
        if _is_numeric(kind):
            digest.update(_header(name, kind))
            for part in column.iter_slices(ROWS_AT_ONCE):
                for chunk in part.to_arrow().column(name).chunks:
                    digest.update(_values(chunk))
        else:
            _add_column(digest, name, column.to_arrow().column(name))
    return digest.hexdigest()


def _header(name: str, kind: pa.DataType) -> bytes:
    return f"\0{name}:{kind}\0".encode()


def _add_column(digest: "hashlib._Hash", name: str, column: pa.ChunkedArray) -> None:
    digest.update(_header(name, column.type))
    if pa.types.is_struct(column.type):
        children = [pa.chunked_array(parts, field.type) for field, *parts in _children(column)]
        digest.update(content_hash(pa.table(children, names=[field.name for field in column.type])).encode())
        return
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lengths = np.concatenate([np.empty(0, np.int32), *(part.value_lengths().to_numpy() for part in column.chunks)])
        digest.update(np.ascontiguousarray(lengths, dtype=np.int64).tobytes())
        values = pa.chunked_array([part.flatten() for part in column.chunks], column.type.value_type)
        digest.update(content_hash(pa.table({name: values})).encode())
        return
    if _is_numeric(column.type):
        for chunk in column.chunks:
            digest.update(_values(chunk))
        return
    # All lengths before all bytes, so that the hash does not depend on chunks.
    parts = [_lengths_and_bytes(chunk) for chunk in column.chunks]
    for buffer in (*(sizes for sizes, _ in parts), *(content for _, content in parts)):
        digest.update(buffer)


def _children(column: pa.ChunkedArray) -> Iterable[list[Any]]:
    """For each field of a struct: itself, and its values in each chunk."""
    parts = [chunk.flatten() for chunk in column.chunks]
    return ([field, *(part[place] for part in parts)] for place, field in enumerate(column.type))


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_primitive(kind) or (pa.types.is_fixed_size_list(kind) and pa.types.is_primitive(kind.value_type))
    )


def combined_hash(hashes: Iterable[str], seed: str = "") -> str:
    """sha256 over hashes in their order, so that content hashed in parts need not be read as a whole."""
    return hashlib.sha256("\n".join((seed, *hashes)).encode()).hexdigest()


def dataset_fingerprint(parts: Mapping[str, Mapping[str, str]]) -> str:
    """16 hexadecimal digits over hashes by split and name."""
    joined = json.dumps({split: dict(names) for split, names in parts.items()}, sort_keys=True)
    return hashlib.sha256(f"{SCHEMA_VERSION};{joined}".encode()).hexdigest()[:16]


def _values(array: pa.Array) -> memoryview:
    """The values of an array of numbers without nulls, as bytes that do not depend on Arrow's offsets and paddings."""
    if pa.types.is_fixed_size_list(array.type):
        array = array.flatten()
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    return np.ascontiguousarray(array.to_numpy(zero_copy_only=False)).view(np.uint8).data


def _lengths_and_bytes(array: pa.Array) -> tuple[memoryview, memoryview]:
    """The lengths of the texts or files of an array without nulls, and their bytes in a row."""
    kind = array.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        array = array.cast(pa.large_binary())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        array = array.cast(pa.large_string())
    else:
        raise TypeError(f"no content hash for Arrow type {kind}")
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    data = array.buffers()[2]
    content = memoryview(data)[offsets[0] : offsets[-1]] if data is not None and len(array) else memoryview(b"")
    return np.diff(offsets).view(np.uint8).data, content
