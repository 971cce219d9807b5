import pickle
import subprocess
import sys
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from datasets import concatenate_datasets

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.loading import load_dataset
from affect_data.errors import DataError, UsageError
from affect_train.inputs import loading, preprocess
from affect_train.inputs.augment import Augmentation, augmentation_key
from affect_train.inputs.batch import FaceBatch, Pick
from affect_train.inputs.inputs import FaceLoader
from affect_train.inputs.loading import FaceImages
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.sampler import BatchOrder
from affect_train.inputs.stored import StoredFaces
from affect_train.inputs.undecodable import SkippedRows

CROP = Preprocessing(24, margin=0.1)
AUGMENTATION = Augmentation(flip=True, rotation_degrees=10, noise=0.02)


def test_faces_are_cropped_by_their_boxes_and_named(dataset: Path, world: SimpleNamespace) -> None:
    faces = FaceImages(load_dataset(dataset, "validation"), CROP).__getitems__([Pick(3), Pick(20), Pick(3)])
    assert faces.uids == ["expw:clip25/00103#0", "affwild2:clip30/00120#0", "expw:clip25/00103#0"]
    assert faces.rows.tolist() == [3, 20, 3]
    assert faces.inputs.dtype == torch.uint8
    for pixels, number in zip(faces.inputs, (103, 120, 103), strict=True):
        expected = CROP(world.face_bytes(number), world.label_row(number, ())["face_box"])
        assert np.array_equal(pixels.numpy().transpose(1, 2, 0), expected)


def test_a_jpeg_is_decoded_by_the_fast_decoder_straight_from_the_memory_map(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preprocess, "_decode_with_pillow", lambda _: pytest.fail("Pillow was asked"))
    # Even numbers are JPEGs
    FaceImages(load_dataset(dataset, "train"), CROP).__getitems__([Pick(0), Pick(2), Pick(38)])


def test_rows_of_a_dataset_in_many_pieces_are_those_that_the_dataset_gives(dataset: Path) -> None:
    split = load_dataset(dataset, "train")
    # Of concatenated slices: several chunks, offsets inside of them, an empty one.
    parts = [split.select(range(*ends)) for ends in ((0, 7), (7, 7), (7, 19), (19, 40))]
    stored = StoredFaces(concatenate_datasets(parts))
    faces = stored.rows([39, 0, 6, 7, 18, 19, 7])
    expected = [split.with_format("arrow")[row] for row in (39, 0, 6, 7, 18, 19, 7)]
    assert [face.uid for face in faces] == [row["uid"][0].as_py() for row in expected]
    assert [bytes(face.data) for face in faces] == [row["image"][0]["bytes"].as_py() for row in expected]
    boxes = open_dataset(dataset).labels("train", ["face_box"])["face_box"].to_list()
    np.testing.assert_array_equal([face.box for face in faces], [boxes[row] for row in (39, 0, 6, 7, 18, 19, 7)])


NO_BOX = [np.nan] * 4


@pytest.mark.parametrize("box", [NO_BOX, [4.5, 4.0, 36.25, 36.0], [-3.0, 4.0, 36.0, 36.0]])
def test_boxes_are_the_same_however_they_are_stored(world: SimpleNamespace, tmp_path: Path, box: list[float]) -> None:
    def edit(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "face_box": box if row["frame"] % 2 else NO_BOX}

    path = world.write_dataset(tmp_path / "merged", {"train": [(number, ()) for number in range(6)]}, edit=edit)
    images = FaceImages(load_dataset(path, "train"), CROP).__getitems__([Pick(row) for row in range(6)])
    for number, image in enumerate(images.inputs):
        expected = CROP(world.face_bytes(number), box if number % 2 else NO_BOX)
        assert np.array_equal(image.numpy().transpose(1, 2, 0), expected)


def test_threads_decode_the_same_faces(dataset: Path) -> None:
    split, picks = load_dataset(dataset, "train"), [Pick(row) for row in (5, 1, 30, 2, 2)]
    alone, shared = FaceImages(split, CROP), FaceImages(split, CROP, threads=3)
    assert torch.equal(alone.__getitems__(picks).inputs, shared.__getitems__(picks).inputs)
    again = pickle.loads(pickle.dumps(shared))
    assert torch.equal(alone.__getitems__(picks[:1]).inputs, again.__getitems__(picks[:1]).inputs)


def test_an_error_in_a_thread_names_the_first_broken_row(tmp_path: Path, world: SimpleNamespace) -> None:
    rows = {"train": [(number, ()) for number in range(4)]}
    dataset = world.write_dataset(
        tmp_path / "merged", rows, face=lambda number: b"broken" if number % 2 else world.face_bytes(number)
    )
    images = FaceImages(load_dataset(dataset, "train"), CROP, threads=4)
    with pytest.raises(DataError, match=r"row 1 \(expw:clip0/00001#0\)"):
        raise images.__getitems__([Pick(row) for row in range(4)])


def test_augmentation_follows_from_seed_epoch_occurrence_and_uid(dataset: Path) -> None:
    split = load_dataset(dataset, "train")
    plain = FaceImages(split, CROP).__getitems__([Pick(5)])
    augmented = FaceImages(split, CROP, AUGMENTATION, seed=7).__getitems__([Pick(5, epoch=2, occurrence=1)])
    expected = AUGMENTATION(plain.inputs, [augmentation_key(7, 2, 1, plain.uids[0])])
    assert torch.equal(augmented.inputs, expected)
    assert not torch.equal(augmented.inputs, plain.inputs)


def test_changes_that_the_device_makes_are_those_of_the_loader(dataset: Path) -> None:
    split, picks = load_dataset(dataset, "train"), [Pick(5, epoch=2), Pick(5, epoch=2, occurrence=1), Pick(8)]
    here = FaceImages(split, CROP, AUGMENTATION, seed=7).__getitems__(picks)
    later = FaceImages(split, CROP, AUGMENTATION, seed=7, changes_later=True).__getitems__(picks)
    assert torch.equal(later.inputs, FaceImages(split, CROP).__getitems__(picks).inputs)
    assert torch.equal(later.to("cpu").inputs, here.inputs)
    assert FaceImages(split, CROP, Augmentation(), changes_later=True).__getitems__(picks).drawn is None


def test_cached_faces_are_decoded_once_and_equal(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = load_dataset(dataset, "train")
    cached, picks = FaceImages(split, CROP, AUGMENTATION, cache=True), [Pick(1), Pick(2), Pick(1)]
    first = cached.__getitems__(picks)
    assert [cached._cache.holds(row) for row in range(4)] == [False, True, True, False]
    monkeypatch.setattr(Preprocessing, "__call__", lambda *_: pytest.fail("decoded again"))
    assert torch.equal(cached.__getitems__(picks).inputs, first.inputs)
    monkeypatch.undo()
    assert torch.equal(FaceImages(split, CROP, AUGMENTATION).__getitems__(picks).inputs, first.inputs)


def test_a_cache_that_does_not_fit_is_an_error(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "CACHE_LIMIT", 40 * 24 * 24 * 3 - 1)
    with pytest.raises(
        UsageError, match=r"batches.cache: 40 faces of 24 px take 0.0 GiB decoded, the limit is 0 GiB; set it to false"
    ):
        FaceImages(load_dataset(dataset, "train"), CROP, cache=True)


def planned(dataset: Path, workers: int, *, cache: bool = False) -> list[FaceBatch]:
    split = load_dataset(dataset, "train")
    order = BatchOrder({"rows": np.arange(40)}, 16, seed=0)
    loader = FaceLoader(FaceImages(split, CROP, AUGMENTATION, cache=cache), order, workers)
    seen, processes = [], list[set[int | None]]()
    for epoch in (0, 1):
        order.set_position(epoch)
        seen += list(loader)
        processes.append({child.pid for child in active_children()})
    assert processes[0] == processes[1], "loader processes live from one pass to the next"
    assert len(processes[0]) >= workers
    return seen


@pytest.mark.slow
def test_a_loader_process_gives_the_same_batches_as_none(dataset: Path) -> None:
    for alone, shared in zip(planned(dataset, 0), planned(dataset, 1, cache=True), strict=True):
        assert alone.uids == shared.uids
        assert torch.equal(alone.rows, shared.rows)
        assert torch.equal(alone.inputs, shared.inputs)


def test_a_pass_draws_nothing_from_the_global_generator(dataset: Path) -> None:
    before = torch.random.get_rng_state()
    planned(dataset, 0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_broken_image_names_its_row(tmp_path: Path, world: SimpleNamespace) -> None:
    rows = {"train": [(number, ()) for number in range(4)]}
    dataset = world.write_dataset(
        tmp_path / "merged", rows, face=lambda number: b"broken" if number == 2 else world.face_bytes(number)
    )
    loader = FaceLoader(FaceImages(load_dataset(dataset, "train"), CROP), BatchOrder({"rows": np.arange(4)}, 4, seed=0))
    with pytest.raises(
        DataError,
        match=r"row 2 \(affwild2:clip0/00002#0\): the image cannot be decoded.*Build it again, or train .* by `batches.undecodable: skip`",
    ):
        list(loader)


BROKEN = (2, 11)


@pytest.fixture
def damaged(tmp_path: Path, world: SimpleNamespace) -> Path:
    """16 training rows, of which two are no pictures."""
    rows = {"train": [(number, ("va",) if number % 2 else ("au",)) for number in range(16)]}
    return world.write_dataset(
        tmp_path / "damaged", rows, face=lambda number: b"broken" if number in BROKEN else world.face_bytes(number)
    )


def left_out(dataset: Path, processes: int = 1, workers: int = 0, epoch: int = 0) -> tuple[list[Any], SkippedRows]:
    """The batches of all processes, of pools of even and of odd rows, without those that cannot be decoded."""
    skipped, batches = SkippedRows(), []
    skipped.limit = 2
    for rank in range(processes):
        images = FaceImages(load_dataset(dataset, "train"), CROP, AUGMENTATION, skipped=skipped)
        plan = BatchOrder({"even": np.arange(0, 16, 2), "odd": np.arange(1, 16, 2)}, 8, seed=5)
        plan.set_position(epoch)
        batches.append(list(images.batches(plan.shard(processes, rank), workers, plan.spares)))
    return batches, skipped


def test_a_row_that_cannot_be_decoded_leaves_its_place_to_another_of_its_pool(damaged: Path) -> None:
    (batches,), skipped = left_out(damaged)
    planned = BatchOrder({"even": np.arange(0, 16, 2), "odd": np.arange(1, 16, 2)}, 8, seed=5).of_epoch(0)[0]
    shown = np.stack([batch.rows.numpy() for batch in batches])
    broken = np.isin(planned, BROKEN)
    assert broken.sum() == 2
    assert (shown == planned)[~broken].all()
    assert not np.isin(shown, BROKEN).any()
    assert (shown % 2 == planned % 2).all()
    for batch in batches:
        assert [uid.rpartition("/")[2] for uid in batch.uids] == [f"{row:05d}#0" for row in batch.rows.tolist()]
        for position, row in enumerate(batch.rows.tolist()):
            alone = FaceImages(load_dataset(damaged, "train"), CROP, AUGMENTATION)
            assert torch.equal(
                batch.inputs[position], alone.__getitems__([Pick(row, 0, int(batch.pools[position]))]).inputs[0]
            )
    assert len(skipped) == 2
    assert [(row.uid, first) for row, first in skipped.take_new()] == [
        (f"{'expw' if row % 2 else 'affwild2'}:clip{row // 4}/{row:05d}#0", True) for row in planned[broken]
    ]


def test_what_stands_in_is_the_same_with_more_processes_and_loader_processes(damaged: Path) -> None:
    (alone,), _ = left_out(damaged)
    (loaded,), skipped = left_out(damaged, workers=1)
    shared, _ = left_out(damaged, processes=2)
    for one, other, first, second in zip(alone, loaded, *shared, strict=True):
        assert one.uids == other.uids == [*first.uids, *second.uids]
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.inputs, torch.cat([first.inputs, second.inputs]))
    assert len(skipped) == 2
    (later,), _ = left_out(damaged, epoch=1)
    assert [batch.uids for batch in later] != [batch.uids for batch in alone]


def test_more_undecodable_rows_than_the_limit_are_an_error_that_names_them(damaged: Path) -> None:
    skipped = SkippedRows()
    skipped.allow_for(1999)
    assert skipped.limit == 1
    images = FaceImages(load_dataset(damaged, "train"), CROP, skipped=skipped)
    plan = BatchOrder({"rows": np.arange(16)}, 8, seed=0)
    refused = (
        r"2 rows of epoch 0 cannot be decoded, .*leaves out 1 at most: one in 1,000 .*"
        r"\n  row affwild2:clip0/00002#0: the image cannot be .*\n  row expw:clip2/00011#0: the image"
    )
    with pytest.raises(DataError, match=refused):
        list(images.batches(plan, 0, plan.spares))
    skipped.allow_for(2000)
    assert skipped.limit == 2


def test_a_pool_of_undecodable_rows_alone_is_an_error(damaged: Path) -> None:
    images = FaceImages(load_dataset(damaged, "train"), CROP, skipped=SkippedRows())
    plan = BatchOrder({"rows": np.array([2])}, 1, seed=0)
    with pytest.raises(
        DataError, match=r"row affwild2:clip0/00002#0: .*no row of its pool can be decoded in its place"
    ):
        list(images.batches(plan, 0, plan.spares))


def test_what_loader_processes_import_leaves_polars_out() -> None:
    code = "import sys, affect_train.inputs.loading; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
