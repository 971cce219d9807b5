"""Which rows the batches of a stream hold, without a model."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Image, Value

from affect_data.errors import DataError, UsageError
from affect_train.inputs.augment import Augmentation
from affect_train.inputs.batch import AffectBatch
from affect_train.inputs.foreign.reading import SourceError
from affect_train.inputs.foreign.stream_batches import StreamLoader, ahead, shuffled
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.source import open_source
from affect_train.inputs.undecodable import SkippedRows
from affect_train.recipe.dataset import DatasetOptions
from affect_train.tasks import TaskSet

TASKS = TaskSet(expressions=("happiness", "sadness"))
FILES = (5, 7, 4, 2)
"""Rows of each file: 18 in all."""

Loaders = Callable[..., StreamLoader]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, world: SimpleNamespace) -> Path:
    folder, number = tmp_path_factory.mktemp("stream"), 0
    features = Features({"image": Image(), "label": ClassLabel(names=["sad", "happy"]), "name": Value("string")})
    for file, rows in enumerate(FILES):
        numbers = range(number, number + rows)
        made = {
            "image": [{"bytes": world.face_bytes(row), "path": None} for row in numbers],
            "label": [row % 2 for row in numbers],
            "name": [f"face {row}" for row in numbers],
        }
        Dataset.from_dict(made, features=features).to_parquet(folder / f"train-{file:05d}-of-{len(FILES):05d}.parquet")
        number += rows
    return folder


@pytest.fixture
def loader(folder: Path) -> Loaders:
    def build(batch_size: int, steps: int, processes: int = 1, rank: int = 0, **options: Any) -> StreamLoader:
        augmentation = options.pop("augmentation", None)
        columns = {"expression": "label", "uid": "name"}
        source = DatasetOptions.model_validate({"path": str(folder), "columns": columns, "streaming": True, **options})
        return StreamLoader(
            open_source(source).stream("train"), source, TASKS, batch_size=batch_size, steps=steps, seed=3,
            preprocessing=Preprocessing(8), augmentation=augmentation, processes=processes, rank=rank,
        )  # fmt: skip

    return build


def uids(batches: list[AffectBatch]) -> list[list[str]]:
    return [batch.uids for batch in batches]


def epoch(loader: StreamLoader, number: int, start: int = 0) -> list[list[str]]:
    loader.set_position(number, start)
    return uids(list(loader))


def flat(batches: list[list[str]]) -> list[str]:
    return [uid for batch in batches for uid in batch]


EVERYONE = sorted(f"face {row}" for row in range(sum(FILES)))


def test_passes_follow_one_another_within_batches_and_epochs(loader: Loaders) -> None:
    # 18 rows: epochs of 2 batches of 4, so that a pass ends within a batch
    stream = loader(4, 2, shuffle_buffer=6)
    seen = flat([batch for number in range(9) for batch in epoch(stream, number)])
    passes = [seen[start : start + 18] for start in (0, 18, 36, 54)]
    assert [sorted(rows) for rows in passes] == [EVERYONE] * 4
    assert len({tuple(rows) for rows in passes}) == 4


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_that_share_rows_have_the_batches_of_one(loader: Loaders, processes: int) -> None:
    whole = epoch(loader(6, 7), 1)
    parts = [epoch(loader(6, 7, processes, rank), 1) for rank in range(processes)]
    assert [flat(list(batch)) for batch in zip(*parts, strict=True)] == whole


def test_processes_that_share_files_read_their_own_alone(loader: Loaders) -> None:
    # files 0 and 2 have nine rows, files 1 and 3 too: three batches of 6 are a pass of both
    parts = [epoch(loader(6, 3, 2, rank, share_by="files"), 0) for rank in (0, 1)]
    assert sorted(flat(parts[0]) + flat(parts[1])) == EVERYONE
    own = [set(range(5)) | set(range(12, 16)), set(range(5, 12)) | {16, 17}]
    assert [{int(uid.split()[1]) for uid in flat(part)} for part in parts] == own
    for rank in (0, 1):
        beyond = epoch(loader(6, 3, 2, rank, share_by="files"), 2, 1)
        assert beyond == epoch_by_epoch(loader(6, 3, 2, rank, share_by="files"), 3)[2][1:]


def epoch_by_epoch(stream: StreamLoader, count: int) -> list[list[list[str]]]:
    return [epoch(stream, number) for number in range(count)]


def test_any_position_is_found_again(loader: Loaders) -> None:
    stream = loader(5, 3, shuffle_buffer=4)
    whole = epoch_by_epoch(stream, 8)
    for number, start in ((0, 1), (1, 0), (3, 2), (7, 1), (2, 2)):
        assert epoch(loader(5, 3, shuffle_buffer=4), number, start) == whole[number][start:]
        assert epoch(stream, number, start) == whole[number][start:]


def test_labels_and_pixels_belong_to_the_rows_and_augmentation_to_the_pass(
    loader: Loaders, world: SimpleNamespace
) -> None:
    stream = loader(18, 2)
    first, second = list(stream)
    for batch in (first, second):
        for place, uid in enumerate(batch.uids):
            number = int(uid.split()[1])
            # the column's own class 1 is happy, the head's class 0
            assert batch.expression[place] == 1 - number % 2
            expected = Preprocessing(8)(world.face_bytes(number))
            assert np.array_equal(batch.inputs[place].permute(1, 2, 0).numpy(), expected)
            file = next(file for file in range(4) if number < sum(FILES[: file + 1]))
            assert batch.rows[place] == file * 2**32 + number - sum(FILES[:file])
    noisy = loader(18, 2, augmentation=Augmentation(noise=0.2))
    views = [
        dict(zip(batch.uids, batch.inputs, strict=True))
        for batch in (*noisy, *loader(18, 2, augmentation=Augmentation(noise=0.2)))
    ]
    for uid in views[0]:
        assert (views[0][uid] == views[2][uid]).all()
        assert not (views[0][uid] == views[1][uid]).all()


def test_a_buffer_of_one_keeps_the_order_and_a_large_one_shuffles_all() -> None:
    assert list(shuffled(iter(range(50)), 1, np.random.default_rng(0))) == list(range(50))
    mixed = list(shuffled(iter(range(50)), 100, np.random.default_rng(0)))
    assert sorted(mixed) == list(range(50))
    assert mixed != list(range(50))
    # a row comes at most a buffer before its place
    near = list(shuffled(iter(range(1000)), 10, np.random.default_rng(0)))
    assert all(row - place < 10 for place, row in enumerate(near))
    assert list(shuffled(iter(()), 10, np.random.default_rng(0))) == []


def test_batches_and_files_that_cannot_be_shared_are_refused(loader: Loaders) -> None:
    with pytest.raises(
        UsageError, match=r"batches.size is 5, which 2 processes cannot share evenly; make it a multiple of 2"
    ):
        loader(5, 1, 2)
    with pytest.raises(UsageError, match=r"dataset.share_by: 5 processes cannot share 4 file\(s\); use 'rows'"):
        loader(10, 1, 5, share_by="files")


def test_a_wrong_value_stops_the_stream_with_its_file_and_row(folder: Path, tmp_path: Path) -> None:
    for number, file in enumerate(sorted(folder.glob("*.parquet"))[:2]):
        rows = Dataset.from_parquet(str(file), cache_dir=str(tmp_path / "cache"))
        valence = [2.0 if name == "face 7" else 0.5 for name in rows["name"]]
        rows = rows.add_column("v", valence).add_column("w", [0.0] * len(rows))
        rows.to_parquet(tmp_path / f"data/train-{number:05d}-of-00002.parquet")
    columns = {"expression": "label", "valence": "v", "arousal": "w"}
    source = DatasetOptions.model_validate({"path": str(tmp_path / "data"), "columns": columns, "streaming": True})
    stream = open_source(source).stream("train")
    with pytest.raises(DataError, match=r"column 'v', split train, file 1, row 2: found 2.0; expected a number from"):
        list(stream.tables(1))


def test_a_stream_without_rows_is_an_error(tmp_path: Path, folder: Path) -> None:
    rows = Dataset.from_parquet(str(next(folder.glob("*.parquet"))), cache_dir=str(tmp_path / "cache"))
    rows.select([]).to_parquet(tmp_path / "empty/train.parquet")
    source = DatasetOptions(path=str(tmp_path / "empty"), streaming=True, columns={"expression": "label"})
    made = StreamLoader(
        open_source(source).stream("train"),
        source,
        TASKS,
        batch_size=4,
        steps=1,
        seed=0,
        preprocessing=Preprocessing(8),
    )
    with pytest.raises((SourceError, DataError), match=r"no row"):
        list(made)


@pytest.fixture
def damaged(tmp_path: Path, world: SimpleNamespace) -> DatasetOptions:
    """A stream of 18 rows in three files, of which row 7 is no picture."""
    features = Features({"image": Image(), "label": ClassLabel(names=["sad", "happy"]), "name": Value("string")})
    for file in range(3):
        numbers = range(6 * file, 6 * file + 6)
        made = {
            "image": [{"bytes": b"broken" if row == 7 else world.face_bytes(row), "path": None} for row in numbers],
            "label": [row % 2 for row in numbers],
            "name": [f"face {row}" for row in numbers],
        }
        Dataset.from_dict(made, features=features).to_parquet(tmp_path / f"train-{file:05d}-of-00003.parquet")
    columns = {"expression": "label", "uid": "name"}
    return DatasetOptions.model_validate(
        {"path": str(tmp_path), "columns": columns, "streaming": True, "shuffle_buffer": 6}
    )


def skipping(source: DatasetOptions, skipped: SkippedRows | None, processes: int = 1, rank: int = 0) -> StreamLoader:
    return StreamLoader(
        open_source(source).stream("train"), source, TASKS, batch_size=6, steps=3, seed=3, preprocessing=Preprocessing(8),
        augmentation=Augmentation(flip=True), processes=processes, rank=rank, skipped=skipped,
    )  # fmt: skip


def test_another_row_of_the_batch_stands_in_for_one_that_cannot_be_decoded(damaged: DatasetOptions) -> None:
    with pytest.raises(DataError, match=r"row 'face 7': the image cannot be decoded.*batches.undecodable: skip"):
        list(skipping(damaged, None))
    skipped = SkippedRows()
    stream = skipping(damaged, skipped)
    first = list(stream)
    assert [len(batch.uids) for batch in first] == [6, 6, 6]
    shown = [uid for batch in first for uid in batch.uids]
    assert sorted({*shown, "face 7"}) == EVERYONE
    assert "face 7" not in shown
    assert [(row.epoch, row.uid) for row, _ in skipped.take_new()] == [(0, "face 7")]
    twice = next(batch for batch in first if len(set(batch.uids)) == 5)
    assert twice.expression.tolist() == [int(int(uid.split()[1]) % 2 == 0) for uid in twice.uids]
    stream.set_position(1)
    later = list(stream)
    assert [row.epoch for row, _ in skipped.take_new()] == [1]
    # Found again after a stop, and the same on two processes.
    again = skipping(damaged, SkippedRows())
    again.set_position(1, 1)
    assert [batch.uids for batch in again] == [batch.uids for batch in later[1:]]
    parts = [list(skipping(damaged, SkippedRows(), 2, rank)) for rank in (0, 1)]
    for whole, one, other in zip(first, *parts, strict=True):
        assert whole.uids == [*one.uids, *other.uids]
        assert torch.equal(whole.inputs, torch.cat([one.inputs, other.inputs]))


def test_an_iterator_that_is_left_is_closed_without_waiting_for_its_thread() -> None:
    """The garbage collector may close it while another thread starts, and then the wait would never end."""
    read = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        read.wait(20)
        yield 1

    iterator = ahead(items(), 2)
    assert next(iterator) == 0
    began = time.monotonic()
    iterator.close()
    assert time.monotonic() - began < 5
    read.set()
