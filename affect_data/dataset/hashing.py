"""Hashes of content: the same values give the same hash, however they are chunked."""

import hashlib
import json

import numpy as np
import pyarrow as pa

from affect_data.dataset.schema import LABELS, SCHEMA_VERSION


def content_hash(table: pa.Table, seed: str = "") -> str:
    """sha256 of the values of a table, column by column; independent of how it is chunked.

    Raises:
        TypeError: a column is of a type that label and soft-label groups do not have.
    """
    digest = hashlib.sha256(seed.encode())
    for name in table.column_names:
        digest.update(f"\0{name}:{table.schema.field(name).type}\0".encode())
        column = table.column(name)
        # Numbers follow one another whatever the chunks; the lengths of texts come before all of their bytes.
        for array in (
            column.chunks if _is_numeric(column.type) else [pa.concat_arrays(column.chunks)] if len(table) else []
        ):
            for buffer in _value_buffers(array):
                digest.update(buffer)
    return digest.hexdigest()


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_primitive(kind) or (pa.types.is_fixed_size_list(kind) and pa.types.is_primitive(kind.value_type))
    )


def dataset_fingerprint(groups: dict[str, dict[str, str]]) -> str:
    """Hash of all labels and image digests, from the fingerprints of the column groups by split."""
    joined = json.dumps({split: groups[split][LABELS] for split in groups}, sort_keys=True)
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
