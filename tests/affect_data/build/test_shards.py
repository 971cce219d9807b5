"""Shards of pictures: bytes as found, what is quarantined, and when a finished shard is used again."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from affect_data.build.harmonise import harmonise
from affect_data.build.jobs import ShardJob
from affect_data.build.recipe import SplitOptions
from affect_data.build.shards import pack_shard, seen_now
from affect_data.databases.expw import ExpW
from affect_data.databases.root import DatabaseRoot
from affect_data.dataset.layout import PEOPLE, Layout
from affect_data.dataset.schema import IMAGES, LABELS
from affect_data.errors import SchemaError


@pytest.fixture
def job(tmp_path: Path, make_expw: Callable[..., Path]) -> ShardJob:
    """Six faces of a small ExpW as one shard."""
    root = make_expw(tmp_path / "expw", faces=6)
    database = ExpW()
    rows = harmonise(database.read(DatabaseRoot(root)), database, "2018", SplitOptions()).labels.drop("split")
    layout = Layout.of([ExpW], [rows])
    return ShardJob("train", 0, 1, rows, layout, {"expw": root}, {"expw": database.options}, tmp_path / "staging")


def picture(job: ShardJob, index: int) -> Path:
    return job.roots["expw"] / job.rows["image"][index]


def written(job: ShardJob, group: str) -> pa.Table:
    with pa.memory_map(str(job.path(group))) as source:
        return pa.ipc.open_stream(source).read_all()


# ---------------------------------------------------------------- packing


def test_the_bytes_in_the_shard_are_those_of_the_files(job: ShardJob) -> None:
    record = pack_shard(job)
    assert (record.rows, record.failures, record.reused) == (6, [], False)
    images = written(job, IMAGES)["image"].to_pylist()
    files = [picture(job, index).read_bytes() for index in range(6)]
    assert [image["bytes"] for image in images] == files
    assert [image["path"] for image in images] == [f"expw/image/origin/p{index:03d}.png" for index in range(6)]
    digests = [bytes(digest) for digest in written(job, LABELS)["image_digest"].to_pylist()]
    assert digests == [hashlib.sha256(data).digest() for data in files]


def test_a_truncated_an_empty_and_a_vanished_picture_are_quarantined_and_the_others_packed(job: ShardJob) -> None:
    whole = picture(job, 1).read_bytes()
    picture(job, 1).write_bytes(whole[: len(whole) // 2])
    picture(job, 3).unlink()
    picture(job, 4).write_bytes(b"")
    record = pack_shard(job)
    assert record.rows == 3
    assert [(f["image"][-8:], f["source_line"], f["reason"]) for f in record.failures] == [
        ("p001.png", 2, "image cannot be decoded"),
        ("p003.png", 4, "image file missing"),
        ("p004.png", 5, "image cannot be decoded"),
    ]
    assert [f["detail"] for f in record.failures][1:] == ["", "the file is empty"]
    assert all(f["source_file"] == "label/label.lst" and f["database"] == "expw" for f in record.failures)
    assert [uid[-8:] for uid in written(job, LABELS)["uid"].to_pylist()] == [
        "000.png#0"[-8:],
        "002.png#0"[-8:],
        "005.png#0"[-8:],
    ]
    assert len(written(job, IMAGES)) == 3


def test_a_folder_in_place_of_a_picture_is_quarantined(job: ShardJob) -> None:
    picture(job, 2).unlink()
    picture(job, 2).mkdir()
    record = pack_shard(job)
    assert record.rows == 5
    assert [f["reason"] for f in record.failures] == ["image file missing"]


def test_a_shard_of_which_no_picture_decodes_is_empty_and_no_error(job: ShardJob) -> None:
    for index in range(6):
        picture(job, index).write_bytes(b"x")
    record = pack_shard(job)
    assert (record.rows, len(record.failures)) == (0, 6)
    assert len(written(job, LABELS)) == len(written(job, IMAGES)) == 0


def test_faces_of_one_photograph_have_the_same_bytes_and_digest(job: ShardJob) -> None:
    rows = job.rows.with_columns(
        image=pl.lit("image/origin/p000.png"), uid=pl.format("expw:x#{}", pl.int_range(pl.len()))
    )
    pack_shard(replace(job, rows=rows))
    assert len(set(map(bytes, written(job, LABELS)["image_digest"].to_pylist()))) == 1
    assert {image["bytes"] for image in written(job, IMAGES)["image"].to_pylist()} == {picture(job, 0).read_bytes()}


def test_a_picture_file_over_the_limit_is_quarantined_and_names_the_variable(
    job: ShardJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = picture(job, 2).stat().st_size
    with picture(job, 2).open("ab") as file:
        file.truncate(size + 4096)
    monkeypatch.setenv("AFFECT_MAX_PICTURE_BYTES", str(size + 1024))
    record = pack_shard(job)
    assert (record.rows, [(failure["image"], failure["reason"]) for failure in record.failures]) == (
        5, [(job.rows["image"][2], "image cannot be decoded")],
    )  # fmt: skip
    assert record.failures[0]["detail"] == (
        f"{size + 4096:,} bytes; at most {size + 1024:,} are read: set the environment variable AFFECT_MAX_PICTURE_BYTES to accept it"
    )
    assert pack_shard(job).reused
    monkeypatch.delenv("AFFECT_MAX_PICTURE_BYTES")
    assert pack_shard(job).rows == 6


def test_a_row_that_breaks_a_rule_is_never_written(job: ShardJob) -> None:
    broken = replace(job, rows=job.rows.with_columns(pl.lit(12, pl.Int64).alias("expression")))
    with pytest.raises(SchemaError, match="expression_is_a_class_or_masked"):
        pack_shard(broken)
    assert not broken.path(LABELS).exists()
    assert not broken.record_path().exists()


# ---------------------------------------------------------------- using a shard again


def test_a_finished_shard_is_used_again_and_not_written_again(job: ShardJob) -> None:
    first = pack_shard(job)
    before = {group: job.path(group).stat().st_mtime_ns for group in (IMAGES, LABELS)}
    again = pack_shard(job)
    assert again == replace(first, reused=True)
    assert {group: job.path(group).stat().st_mtime_ns for group in (IMAGES, LABELS)} == before


def test_the_place_of_the_folders_is_no_part_of_the_content(job: ShardJob, tmp_path: Path) -> None:
    moved = job.roots["expw"].rename(tmp_path / "elsewhere")
    elsewhere = replace(job, roots={"expw": moved}, staging=tmp_path / "other")
    assert elsewhere.key() == job.key()
    record, path = pack_shard(elsewhere), elsewhere.path(IMAGES)
    moved.rename(job.roots["expw"])
    assert pack_shard(job) == record
    assert job.path(IMAGES).read_bytes() == path.read_bytes()


def recolour(job: ShardJob) -> ShardJob:
    Image.new("RGB", (16, 16), (9, 9, 9)).save(picture(job, 2))
    return job


def relabel(job: ShardJob) -> ShardJob:
    return replace(job, rows=job.rows.with_columns(expression=pl.col("expression").reverse()))


def lose_picture(job: ShardJob) -> ShardJob:
    picture(job, 5).unlink()
    return job


def lose_shard(job: ShardJob) -> ShardJob:
    job.path(IMAGES).unlink()
    return job


def spoil_record(job: ShardJob) -> ShardJob:
    job.record_path().write_text('{"split": "train"')
    return job


def foreign_record(job: ShardJob) -> ShardJob:
    job.record_path().write_text(json.dumps({"rows": 6}))
    return job


@pytest.mark.parametrize("change", [recolour, relabel, lose_picture, lose_shard, spoil_record, foreign_record])
def test_a_shard_is_written_again_when_anything_in_it_changed(
    job: ShardJob, change: Callable[[ShardJob], ShardJob]
) -> None:
    pack_shard(job)
    changed = change(job)
    record = pack_shard(changed)
    assert not record.reused
    fresh = replace(changed, staging=job.staging / "fresh")
    assert pack_shard(fresh) == record
    for group in (IMAGES, LABELS):
        assert changed.path(group).read_bytes() == fresh.path(group).read_bytes()


def test_the_digest_of_the_pictures_is_that_of_the_record_and_sees_a_change(job: ShardJob) -> None:
    record = pack_shard(job)
    assert seen_now(job).digest == record.pictures
    before = seen_now(job).digests
    assert seen_now(recolour(job)).digests != before


def test_a_new_version_of_a_reader_makes_other_shards(job: ShardJob, monkeypatch: pytest.MonkeyPatch) -> None:
    before = job.key()
    monkeypatch.setattr(ExpW, "reader_version", ExpW.reader_version + 1)
    assert job.key() != before


def move_box(job: ShardJob) -> ShardJob:
    boxes = [[1.0, 1.0, 9.0, 9.0], *job.rows["face_box"].to_list()[1:]]
    return replace(job, rows=job.rows.with_columns(pl.Series("face_box", boxes, dtype=pl.Array(pl.Float32, 4))))


def rename_track(job: ShardJob) -> ShardJob:
    return replace(job, rows=job.rows.with_columns(track=pl.lit("another")))


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        (relabel, {LABELS}),
        (recolour, {LABELS, IMAGES}),
        (move_box, {LABELS, IMAGES}),
        (rename_track, {PEOPLE}),
    ],
)
def test_each_fingerprint_changes_with_what_it_is_of(
    job: ShardJob, change: Callable[[ShardJob], ShardJob], differing: set[str]
) -> None:
    before = pack_shard(job).fingerprints
    after = pack_shard(change(job)).fingerprints
    assert {name for name in before if before[name] != after[name]} == differing


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        ((0.0, 0.0, 1.0, 1.0), True),
        ((-5.0, -5.0, 1.0, 1.0), True),
        ((500.0, 500.0, 900.0, 900.0), False),
        ((5.0, 5.0, 5.0, 9.0), False),
    ],
)
def test_a_face_box_that_has_no_part_of_its_picture_is_a_failure_of_the_build(
    job: ShardJob, box: tuple[float, ...], kept: bool
) -> None:
    with Image.open(picture(job, 0)) as opened:
        width, height = opened.size
    boxes = [list(box), *job.rows["face_box"].to_list()[1:]]
    changed = job.rows.with_columns(pl.Series("face_box", boxes, dtype=pl.Array(pl.Float32, 4)))
    record = pack_shard(replace(job, rows=changed))
    assert record.rows == (6 if kept else 5)
    if not kept:
        (failure,) = record.failures
        assert failure["reason"] == "face box outside its image"
        assert failure["detail"] == f"{' '.join(f'{side:g}' for side in box)} in {width}x{height} pixels"
        assert failure["source_line"] == job.rows["source_line"][0]
