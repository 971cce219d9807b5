"""Hashes of content: the same values give the same hash, however they are chunked."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from affect_data.dataset.schema import SCHEMA_VERSION


def content_hash(table: pa.Table, seed: str = "") -> str:
    """sha256 of the values of a table, column by column; independent of how it is chunked.

    Raises:
        TypeError: a column is of a type that label and soft-label groups do not have.
    """
    digest = hashlib.sha256(seed.encode())
    for name in table.column_names:
        digest.update(f"\0{name}:{table.schema.field(name).type}\0".encode())
        column = table.column(name)
        if pa.types.is_struct(column.type):
            children = [pa.chunked_array(parts, field.type) for field, *parts in _children(column)]
            digest.update(content_hash(pa.table(children, names=[field.name for field in column.type])).encode())
            continue
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            lengths = np.concatenate(
                [np.empty(0, np.int32), *(part.value_lengths().to_numpy() for part in column.chunks)]
            )
            digest.update(np.ascontiguousarray(lengths, dtype=np.int64).tobytes())
            values = pa.chunked_array([part.flatten() for part in column.chunks], column.type.value_type)
            digest.update(content_hash(pa.table({name: values})).encode())
            continue
        # The bytes of numbers do not depend on chunks. Of texts all lengths are hashed before all bytes, so that takes one chunk.
        for array in (
            column.chunks if _is_numeric(column.type) else [pa.concat_arrays(column.chunks)] if len(table) else []
        ):
            for buffer in _value_buffers(array):
                digest.update(buffer)
    return digest.hexdigest()


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


def _value_buffers(array: pa.Array) -> tuple[bytes | memoryview, ...]:
    """The values of an array without nulls, as bytes that do not depend on Arrow's offsets and paddings."""
    if pa.types.is_fixed_size_list(array.type):
        array = array.flatten()
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if pa.types.is_primitive(array.type):
        return (np.ascontiguousarray(array.to_numpy(zero_copy_only=False)).view(np.uint8).data,)
    if not (
        pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type)
    ):
        raise TypeError(f"no content hash for Arrow type {array.type}")
    text = array.cast(pa.large_string())
    offsets = np.frombuffer(text.buffers()[1], np.int64)[text.offset : text.offset + len(text) + 1]
    data = text.buffers()[2]
    return np.diff(offsets).tobytes(), memoryview(data)[offsets[0] : offsets[-1]] if data is not None else b""
