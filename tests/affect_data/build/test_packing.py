"""Packing in blocks and threads: the bytes do not depend on them, and damaged pictures are counted."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from affect_data.build import packing
from affect_data.build.build import build
from affect_data.build.harmonise import harmonise
from affect_data.build.jobs import ShardJob, ShardRecord
from affect_data.build.recipe import SplitOptions, recipe_from
from affect_data.build.shards import pack_shard, shared_out
from affect_data.build.sources import PictureBuffer
from affect_data.databases.expw import ExpW
from affect_data.databases.root import DatabaseRoot
from affect_data.dataset import writing
from affect_data.dataset.layout import Layout
from affect_data.dataset.schema import IMAGES, PICTURE
from affect_data.dataset.writing import ROWS_PER_BATCH, shard_file, write_shard

Make = Callable[..., Path]


def job_of(root: Path, staging: Path) -> ShardJob:
    database = ExpW()
    rows = harmonise(database.read(DatabaseRoot(root)), database, "2018", SplitOptions()).labels.drop("split")
    return ShardJob("train", 0, 1, rows, Layout.of([ExpW], [rows]), {"expw": root}, {"expw": database.options}, staging)


def cut_jpeg(seed: int) -> bytes:
    """A JPEG that ends properly and lacks its second half: Pillow decodes it."""
    sink = io.BytesIO()
    Image.effect_noise((64, 64), 20 + seed).convert("RGB").save(sink, "JPEG")
    return sink.getvalue()[: len(sink.getvalue()) // 2] + b"\xff\xd9"


@pytest.mark.parametrize("rows_a_block", [1, 3, 7, 1000])
def test_neither_blocks_nor_threads_change_a_byte(
    make_expw: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_a_block: int
) -> None:
    root = make_expw(tmp_path / "expw", faces=24)
    for number in (0, 9, 23):
        (root / f"image/origin/p{number:03d}.png").write_bytes(b"no picture")
    job = job_of(root, tmp_path / "whole")
    # Three faces of one photograph, of which the box of one lies outside.
    boxes = [[2.0, 1.0, 13.0, 12.0]] * 24
    boxes[6] = [50.0, 50.0, 60.0, 60.0]
    images = [*job.rows["image"][:5], *[job.rows["image"][4]] * 3, *job.rows["image"][8:]]
    rows = job.rows.with_columns(
        pl.Series("image", images), pl.Series("face_box", boxes, dtype=pl.Array(pl.Float32, 4))
    )
    job = replace(job, rows=rows)
    whole = pack_shard(job)
    assert [failure["position"] for failure in whole.failures] == [0, 6, 9, 23]
    monkeypatch.setattr(packing, "_ROWS_AT_LEAST", rows_a_block)
    parts = replace(job, staging=tmp_path / "parts")
    assert pack_shard(parts, threads=3) == whole
    for group in job.groups:
        assert parts.path(group).read_bytes() == job.path(group).read_bytes()


@pytest.mark.parametrize("pieces", [1, 137, 1000, 2345])
def test_arrays_of_any_length_give_the_file_that_the_whole_table_gives(tmp_path: Path, pieces: int) -> None:
    rows = [{"bytes": bytes([row % 251]) * (row % 97), "path": f"p{row}"} for row in range(2345)]
    described = Layout(databases=("expw",)).features(IMAGES)
    with shard_file(tmp_path / "parts", described) as file:
        for start in range(0, len(rows), pieces):
            file.append(pa.array(rows[start : start + pieces], PICTURE))
    # A batch that is no slice of another array ends with its own values.
    batches = [pa.array(rows[start : start + ROWS_PER_BATCH], PICTURE) for start in range(0, len(rows), ROWS_PER_BATCH)]
    write_shard(tmp_path / "whole", pa.table({"image": pa.chunked_array(batches)}), described)
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_batch_is_shorter_if_one_array_cannot_hold_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "LARGEST_BATCH", 600)
    described = Layout(databases=("expw",)).features(IMAGES)
    rows = [{"bytes": bytes([row]) * 200, "path": f"p{row}"} for row in range(6)]
    with shard_file(tmp_path / "file", described) as file:
        for row in rows:
            file.append(pa.array([row], PICTURE))
    with pa.memory_map(str(tmp_path / "file")) as source:
        read = pa.ipc.open_stream(source).read_all()
        assert [len(chunk) for chunk in read["image"].chunks] == [2, 2, 2]
        assert read["image"].to_pylist() == rows


def test_a_buffer_gives_back_what_was_kept_and_nothing_else() -> None:
    buffer = PictureBuffer(room=2)
    for data, kept in ((b"abc", True), (b"lost", False), (b"", True), (b"defgh", True)):
        buffer.room(len(data))[:] = data
        if kept:
            buffer.keep(len(data), data.decode())
    buffer.copy(buffer.view(0, 3), "again")
    assert buffer.pictures(PICTURE).to_pylist() == [
        {"bytes": data, "path": path} for data, path in ((b"abc", "abc"), (b"", ""), (b"defgh", "defgh"), (b"abc", "again"))
    ]  # fmt: skip


def test_pictures_of_which_a_part_is_lost_are_written_and_counted(
    make_expw: Make, tmp_path: Path, affect_data: Callable[..., object]
) -> None:
    root = make_expw(tmp_path / "expw", faces=6)
    for number in (1, 4):
        (root / f"image/origin/p{number:03d}.png").write_bytes(cut_jpeg(number))
    recipe = recipe_from({"databases": {"expw": {}}}, "data.yaml")
    report = build(recipe, {"expw": root}, tmp_path / "merged")
    assert (report.databases["expw"].rows, report.databases["expw"].damaged) == (6, 2)
    assert build(recipe, {"expw": root}, tmp_path / "merged").databases["expw"].damaged == 2
    (tmp_path / "data.yaml").write_text("databases: {expw: {}}\n")
    done = affect_data("build", tmp_path / "data.yaml", tmp_path / "merged", "--root", f"expw={root}")
    assert "pictures of which a part is lost" in done.stdout  # type: ignore[attr-defined]


def test_a_record_that_is_too_long_to_be_read_only_costs_packing(
    make_expw: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(make_expw(tmp_path / "expw", faces=3), tmp_path / "staging")
    pack_shard(job)
    monkeypatch.setenv("AFFECT_MAX_JSON_BYTES", "100")
    assert ShardRecord.read(job.record_path()) is None
    assert not pack_shard(job).reused


@pytest.mark.parametrize(
    ("workers", "shards", "shared"),
    [(1, 9, (1, 1)), (2, 9, (1, 2)), (3, 9, (1, 3)), (4, 9, (2, 2)), (8, 2, (2, 4)), (8, 1, (1, 8)), (16, 99, (8, 2))],
)
def test_workers_are_shared_out_among_processes_and_threads(workers: int, shards: int, shared: tuple[int, int]) -> None:
    assert shared_out(workers, shards) == shared
