"""Hashes of content do not depend on chunks, and tell values apart that only differ in where they begin."""

import hashlib

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from affect_data.dataset import hashing
from affect_data.dataset.hashing import content_hash, frame_hash

FILES = [b"ab", b"", b"c", b"\0\xff"]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.string(), pa.large_string()])
def test_the_hash_of_texts_and_files_does_not_depend_on_chunks(kind: pa.DataType) -> None:
    values = FILES if "binary" in str(kind) else ["ab", "", "c", "é"]
    whole = content_hash(pa.table({"x": pa.array(values, kind)}))
    for chunks in ([values[:1], values[1:]], [values[:2], [], values[2:]]):
        assert content_hash(pa.table({"x": pa.chunked_array(chunks, kind)})) == whole
    assert (
        content_hash(
            pa.table(
                {"x": pa.array(["?" if kind in (pa.string(), pa.large_string()) else b"?", *values], kind).slice(1)}
            )
        )
        == whole
    )
    moved = [values[0][:1], values[0][1:], *values[2:]]
    assert content_hash(pa.table({"x": pa.array(moved, kind)})) != whole


def test_the_hash_of_files_is_that_of_their_lengths_and_bytes() -> None:
    expected = hashlib.sha256(b"seed\0x:binary\0" + np.array([2, 0, 1, 2], np.int64).tobytes() + b"".join(FILES))
    assert content_hash(pa.table({"x": pa.array(FILES, pa.binary())}), "seed") == expected.hexdigest()


@pytest.mark.parametrize("at_once", [2, 1 << 17])
def test_a_frame_has_the_hash_of_its_table(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "ROWS_AT_ONCE", at_once)
    frame = pl.DataFrame(
        {
            "text": ["a", "", "ä" * 20],
            "number": pl.Series([1.5, -1.0, 0.0], dtype=pl.Float32),
            "flag": [True, False, True],
            "slots": pl.Series([[1, 2], [3, 4], [5, 6]], dtype=pl.Array(pl.Int8, 2)),
            "list": [["a"], [], ["b", "c"]],
        }
    )
    parts = pl.concat([frame[:1], frame[1:]], rechunk=False)
    for part in (frame, parts, frame.clear()):
        assert frame_hash(part, "seed") == content_hash(part.to_arrow(), "seed")
    assert frame_hash(frame) != frame_hash(frame[::-1])
