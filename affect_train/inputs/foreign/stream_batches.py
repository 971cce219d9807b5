"""Batches of streamed rows: for training shuffled by (seed, pass), the same again after a stop; for evaluation in order."""

from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import torch

from affect_data.errors import UsageError
from affect_data.faces.detection import Pixels
from affect_train.errors import NoLabelsError
from affect_train.inputs.augment import Augmentation, augmentation_key
from affect_train.inputs.batch import AffectBatch, FaceBatch
from affect_train.inputs.foreign.reading import SourceError
from affect_train.inputs.foreign.row_stream import RowStream, StreamedRow
from affect_train.inputs.inputs import without_rows
from affect_train.inputs.labels import LabelArrays, check_labels
from affect_train.inputs.loading import Decoders
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.undecodable import SkippedRow, SkippedRows
from affect_train.recipe.dataset import DatasetOptions
from affect_train.tasks import TaskSet

if TYPE_CHECKING:
    from datasets import Dataset

Item = TypeVar("Item")

AHEAD = 2
"""How many batches are read and decoded in advance."""


class _Shown(NamedTuple):
    """A row at its place in a batch: the pass that it comes from, and which view of it this is."""

    number: int
    row: StreamedRow
    occurrence: int = 0


class _Decoded(NamedTuple):
    """A batch, and the rows that others replaced, each with the reason."""

    batch: AffectBatch
    left_out: Sequence[tuple[str, str]]


class StreamLoader:
    """This process's part of endless shuffled passes over a split, in batches of equal size; it is also the order of these batches.

    Every pass shuffles the files, and draws each row from a buffer of rows that were read; both depend on (seed, pass) alone. Epochs are counted in
    steps: a pass may end within an epoch, and the next pass begins at once.

    Args:
        stream: the split.
        options: how it is shuffled and shared.
        tasks: the heads.
        batch_size: rows of a global batch.
        steps: batches of an epoch.
        seed: of the order and of the augmentation.
        preprocessing: how a face becomes the model's input.
        augmentation: None shows every face as it is.
        threads: how many decode.
        processes: how many share the rows.
        rank: of this process.
        skipped: notes the rows that cannot be decoded, which other rows of the batch replace; None: such a row is an error.
        changes_later: draw what is to happen to a picture, but leave that to the device of the model.

    Raises:
        UsageError: the processes cannot share a batch, or the files, evenly.
    """

    def __init__(
        self,
        stream: RowStream,
        options: DatasetOptions,
        tasks: TaskSet,
        *,
        batch_size: int,
        steps: int,
        seed: int,
        preprocessing: Preprocessing,
        augmentation: Augmentation | None = None,
        threads: int = 1,
        processes: int = 1,
        rank: int = 0,
        skipped: SkippedRows | None = None,
        changes_later: bool = False,
    ) -> None:
        if batch_size % processes:
            raise UsageError(
                f"batches.size is {batch_size}, which {processes} processes cannot share evenly; make it a multiple of {processes}"
            )
        if options.share_by == "files" and stream.files < processes:
            raise UsageError(
                f"dataset.share_by: {processes} processes cannot share {stream.files} file(s); use 'rows', or write the dataset in more files"
            )
        self.stream = stream
        self.steps = steps
        self._options = options
        self._tasks = tasks
        self._batch_size = batch_size
        self._seed = seed
        self._preprocessing = preprocessing
        self._augmentation = augmentation or Augmentation()
        self._changes_later = changes_later
        self._decoders = Decoders(threads)
        self._processes = processes
        self._rank = rank
        self._skipped = skipped
        self._wanted = (0, 0)
        self._batches: Iterator[_Decoded] = iter(())
        self._next = -1

    def set_position(self, epoch: int, start: int = 0) -> None:
        """Makes the next iteration start in an epoch at the batch `start`."""
        self._wanted = (epoch, start)

    def close(self) -> None:
        """Ends the thread that reads ahead; the next iteration starts a new one."""
        if isinstance(self._batches, Generator):
            self._batches.close()
        self._next = -1

    def __len__(self) -> int:
        return self.steps - self._wanted[1]

    def __iter__(self) -> Iterator[AffectBatch]:
        epoch, start = self._wanted
        batch = epoch * self.steps + start
        if self._next != batch:
            self.close()
            self._batches, self._next = ahead(self._from(batch), AHEAD), batch
        for _ in range(start, self.steps):
            self._next += 1
            read = next(self._batches)
            # Noted here and not where batches are read ahead, so that only rows of batches that a step sees count.
            for uid, because in read.left_out:
                assert self._skipped is not None
                self._skipped.add(SkippedRow(epoch, uid, because))
            yield read.batch

    def _from(self, batch: int) -> Iterator["_Decoded"]:
        """This process's batches from a global batch on, without end."""
        own = self._batch_size // self._processes
        if self._options.share_by == "files":
            rows = self._endless(range(self._rank, self.stream.files, self._processes), batch * own)
            while True:
                yield self._batch(list(islice(rows, own)), range(own))
        rows = self._endless(range(self.stream.files), batch * self._batch_size)
        while True:
            yield self._batch(list(islice(rows, self._batch_size)), range(self._rank * own, (self._rank + 1) * own))

    def _endless(self, files: Sequence[int], skipped: int) -> Iterator[tuple[int, StreamedRow]]:
        """Passes over some files without end, as pairs of pass and row; the first `skipped` rows are read but not decoded."""
        number = 0
        while True:
            rows = 0
            for row in self._pass(files, number):
                rows += 1
                if rows > skipped:
                    yield number, row
            if not rows:
                raise SourceError(self.stream.name, f"split {self.stream.split} has no rows", "Name another split")
            # All passes have the same number of rows, so passes that are skipped as a whole need not be read.
            passes, skipped = divmod(max(skipped - rows, 0), rows)
            number += 1 + passes

    def _pass(self, files: Sequence[int], number: int) -> Iterator[StreamedRow]:
        rng = np.random.default_rng([self._seed, number])
        return shuffled(
            self._read([files[place] for place in rng.permutation(len(files))], number),
            self._options.shuffle_buffer,
            rng,
        )

    def _read(self, files: Sequence[int], number: int) -> Iterator[StreamedRow]:
        """The rows of some files, one file after the other.

        Raises:
            NoLabelsError: a whole pass over all files had no label of a task.
        """
        labelled = Counter[str](dict.fromkeys(self._tasks.names, 0))
        for file in files:
            for table in self.stream.tables(file):
                for row in self.stream.rows(table, self._tasks):
                    if not row.place and not number:
                        labelled.update({task: len(rows) for task, rows in row.labels.pools(self._tasks).items()})
                    yield row
        if not number and len(files) == self.stream.files:
            without = [task for task, count in labelled.items() if not count]
            if without:
                raise NoLabelsError(self.stream.name, self.stream.split, without)

    def _batch(self, drawn: Sequence[tuple[int, StreamedRow]], own: range) -> "_Decoded":
        """The batch at this process's places."""
        shown = [_Shown(*drawn[place]) for place in own]
        size = self._preprocessing.image_size
        pixels = np.empty((len(own), size, size, 3), dtype=np.uint8)
        undecoded = self._decode([one.row for one in shown], pixels)
        for position in sorted(undecoded):
            others = (
                _Shown(*drawn[(own[position] + step) % len(drawn)], own[position] + 1) for step in range(1, len(drawn))
            )
            shown[position] = self._other(
                others, pixels[position : position + 1], shown[position].row.uid, undecoded[position]
            )
        left_out = [(drawn[own[position]][1].uid, undecoded[position]) for position in sorted(undecoded)]
        rows = [one.row for one in shown]
        keys = [augmentation_key(self._seed, one.number, one.occurrence, one.row.uid) for one in shown]
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        images, changes = self._augmentation.shown(images, keys, later=self._changes_later)
        faces = FaceBatch(torch.arange(len(rows)), [row.uid for row in rows], images, drawn=changes)
        numbers = torch.tensor([row.number for row in rows], dtype=torch.int64)
        return _Decoded(replace(gathered(rows).batch(faces), rows=numbers), left_out)

    def _decode(self, rows: Sequence[StreamedRow], pixels: Pixels) -> dict[int, str]:
        skips = self._skipped is not None
        return self.stream.decode(rows, self._preprocessing, self._decoders, pixels, skips=skips)

    def _other(self, others: Iterator["_Shown"], pixels: Pixels, uid: str, because: str) -> "_Shown":
        """The first of other rows that can be decoded; its face is written to `pixels`."""
        for other in others:
            if not self._decode([other.row], pixels):
                return other
        raise self.stream.error(uid, f"{because}; no row of its batch can be decoded in its place")


class StreamedFaces:
    """A split for evaluation: its faces in order, and once they have passed, its labels.

    Args:
        stream: the split.
        tasks: the heads.
        preprocessing: how a face becomes the model's input.
        threads: how many decode.
    """

    def __init__(self, stream: RowStream, tasks: TaskSet, preprocessing: Preprocessing, threads: int = 1) -> None:
        self.stream = stream
        self._tasks = tasks
        self._preprocessing = preprocessing
        self._decoders = Decoders(threads)
        self._tables: list[pa.Table] = []

    @property
    def tasks(self) -> TaskSet:
        """The heads that labels are for."""
        return self._tasks

    @property
    def rows(self) -> int | None:
        """Rows of the split; None where none has passed yet."""
        return sum(map(len, self._tables)) or None

    def in_order(
        self,
        batch_size: int,
        processes: int = 1,
        rank: int = 0,
        *,
        workers: int = 0,  # noqa: ARG002 - one reader decodes in threads
    ) -> Iterator[FaceBatch]:
        """This process's batches; rows are numbered in the order of the stream. Every process reads all rows, and has as many batches."""
        self._tables = []
        rows, first, last = self._rows(), 0, list[StreamedRow]()
        while batch := list(islice(rows, batch_size)):
            if first // batch_size % processes == rank:
                yield self._faces(batch, first)
            first, last = first + len(batch), batch
        if 0 < -(-first // batch_size) % processes <= rank:
            yield without_rows(self._faces(last[:1], 0))
        if not first:
            raise SourceError(self.stream.name, f"split {self.stream.split} has no rows", "Name another split")

    def _faces(self, rows: Sequence[StreamedRow], first: int) -> FaceBatch:
        pixels = decoded(self.stream, rows, self._preprocessing, self._decoders)
        return FaceBatch(torch.arange(first, first + len(rows)), [row.uid for row in rows], pixels)

    def _rows(self) -> Iterator[StreamedRow]:
        for file in range(self.stream.files):
            for table in self.stream.tables(file):
                self._tables.append(table.labels)
                yield from self.stream.rows(table, self._tasks)

    def labels(self) -> tuple["Dataset", LabelArrays]:
        """The labels of the rows that have passed."""
        dataset = self.stream.dataset(pa.concat_tables(self._tables).combine_chunks())
        return dataset, LabelArrays.load(dataset, self._tasks)


@dataclass(frozen=True)
class StreamedSplit:
    """A split for evaluation, whose labels are known once its pictures have passed.

    Attributes:
        name: of the split.
        inputs: the pictures of the split.
    """

    name: str
    inputs: StreamedFaces
    labels: None = None

    def passed(self) -> tuple["Dataset", LabelArrays]:
        """The rows that have passed, and their labels.

        Raises:
            ModelMismatchError: no row has a label of any of the tasks.
        """
        dataset, labels = self.inputs.labels()
        check_labels(labels, self.inputs.tasks, self.inputs.stream.place)
        return dataset, labels


def decoded(
    stream: RowStream, rows: Sequence[StreamedRow], preprocessing: Preprocessing, decoders: Decoders
) -> torch.Tensor:
    """The faces of rows, uint8 [N, 3, S, S]."""
    size = preprocessing.image_size
    pixels = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    stream.decode(rows, preprocessing, decoders, pixels)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def gathered(rows: Sequence[StreamedRow]) -> LabelArrays:
    """The labels of rows that come from different tables."""
    parts = [(row.labels.numpy(), row.place) for row in rows]
    return LabelArrays(
        **{name: np.stack([arrays[name][place] for arrays, place in parts]) for name in parts[0][0]}, soft={}
    )


def shuffled(items: Iterator[Item], buffer: int, rng: np.random.Generator) -> Iterator[Item]:
    """The items in random order: each is drawn from a buffer that is filled up with the next items."""
    held = list(islice(items, buffer))
    for item in items:
        place = int(rng.integers(len(held)))
        yield held[place]
        held[place] = item
    for place in rng.permutation(len(held)):
        yield held[place]


def ahead(items: Iterator[Item], count: int) -> Iterator[Item]:
    """Endless items; a thread gets the next `count` of them in advance."""
    # Not in a `with`, which would wait for the thread: the garbage collector may close this iterator while another thread starts, and then
    # the wait would never end. The thread ends by itself once nothing refers to its pool.
    thread = ThreadPoolExecutor(1)
    waiting = deque(thread.submit(next, items) for _ in range(count))
    try:
        while True:
            item = waiting.popleft().result()
            waiting.append(thread.submit(next, items))
            yield item
    finally:
        for future in waiting:
            future.cancel()
