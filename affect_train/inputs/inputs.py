"""The inputs of a model for a split, batch by batch: pictures, features, windows of features, or a stream of pictures."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from affect_data.errors import DataError
from affect_data.processes import starting_processes
from affect_train.inputs.batch import FaceBatch, Pick, UndecodedPick
from affect_train.inputs.undecodable import TRIES, SkippedRow, SkippedRows

Spares = Callable[[Pick], Iterator[int]]
"""From a pick to rows that may replace it, a function of the pick alone."""


class Inputs(Protocol):
    """The inputs of a model for a split."""

    @property
    def rows(self) -> int | None:
        """How many rows the split has; None if they have not been counted yet."""
        ...

    def in_order(self, batch_size: int, processes: int = 1, rank: int = 0, *, workers: int = 0) -> Iterable[FaceBatch]:
        """This process's batches; all processes together see every row, once or in several windows.

        Every process has as many: one that has a batch less gets another one without `rows`, whose outputs are not kept. With weights that are
        divided over processes (FSDP) each forward pass takes part of the weights from all others, which would wait for a missing pass for ever.

        Args:
            batch_size: items of a batch.
            processes: how many share the batches.
            rank: of this process.
            workers: loader processes.
        """
        ...


class IndexedInputs(TorchDataset[FaceBatch], ABC):
    """Inputs whose items (rows, or windows of rows) can be read in any order; `Pick.row` is the number of an item.

    Attributes:
        skipped: notes the items that cannot be decoded and are left out; None: such an item is an error.
    """

    skipped: SkippedRows | None = None

    @abstractmethod
    def __len__(self) -> int:
        """How many items there are."""

    @abstractmethod
    def __getitems__(self, picks: Sequence[Pick]) -> FaceBatch | DataError:
        """The picked items; an error is returned, because one that a loader process raises reaches the user as a traceback."""

    @property
    def rows(self) -> int:
        """How many rows the split has."""
        return len(self)

    def batches(self, order: Iterable[list[Pick]], workers: int = 0, spares: Spares | None = None) -> "FaceLoader":
        """The batches of an order, which is iterated anew for every pass; `spares` are needed if items may be left out."""
        return FaceLoader(self, order, workers, spares)

    def in_order(
        self, batch_size: int, processes: int = 1, rank: int = 0, *, workers: int = 0
    ) -> "FaceLoader | EqualPasses":
        """This process's batches of all items, in the order of their numbers; processes take turns, and have as many batches."""
        order = RowsInOrder(len(self), batch_size, processes, rank)
        own = self.batches(order, workers)
        return EqualPasses(own, self) if order.lacks else own

    def showing(self, rows: NDArray[np.int64]) -> "IndexedInputs":
        """Inputs of the same split with at least the given rows, under their own numbers."""
        return ChosenItems(self, rows)


class ChosenItems(IndexedInputs):
    """Some items of other inputs.

    Args:
        inputs: of a split.
        items: int64, the numbers of the chosen items.
    """

    def __init__(self, inputs: IndexedInputs, items: NDArray[np.int64]) -> None:
        self._inputs = inputs
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    @property
    def rows(self) -> int:
        """How many rows the split has."""
        return self._inputs.rows

    def __getitems__(self, picks: Sequence[Pick]) -> FaceBatch | DataError:
        """The picked items, numbered among the chosen ones."""
        return self._inputs.__getitems__([pick._replace(row=int(self._items[pick.row])) for pick in picks])


class KeptProcesses(IndexedInputs):
    """Other inputs that are read in order more than once, as those of a split that a run is judged by: their loader processes live on in between.

    Args:
        inputs: of a split.
    """

    def __init__(self, inputs: IndexedInputs) -> None:
        self.inputs = inputs
        self._loaders: dict[tuple[int, ...], FaceLoader | EqualPasses] = {}

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def rows(self) -> int:
        """How many rows the split has."""
        return self.inputs.rows

    def __getitems__(self, picks: Sequence[Pick]) -> FaceBatch | DataError:
        """The picked items."""
        return self.inputs.__getitems__(picks)

    def showing(self, rows: NDArray[np.int64]) -> IndexedInputs:
        """Inputs of the same split with at least the given rows, under their own numbers."""
        return self.inputs.showing(rows)

    def in_order(
        self, batch_size: int, processes: int = 1, rank: int = 0, *, workers: int = 0
    ) -> "FaceLoader | EqualPasses":
        """This process's batches of all items, as `IndexedInputs` gives them."""
        asked = (batch_size, processes, rank, workers)
        if asked not in self._loaders:
            self._loaders[asked] = self.inputs.in_order(batch_size, processes, rank, workers=workers)
        return self._loaders[asked]


class RowsInOrder(Sampler[list[Pick]]):
    """Every row once, in order, for evaluation. Batches are the same for any number of processes, which take them in turn.

    Args:
        rows: number of rows.
        batch_size: rows of a batch.
        processes: how many share the batches.
        rank: of this process.

    Attributes:
        lacks: whether this process has a batch less than the first.
    """

    def __init__(self, rows: int, batch_size: int, processes: int = 1, rank: int = 0) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self._starts = range(rank * batch_size, rows, processes * batch_size)
        self.lacks = len(self._starts) < len(range(0, rows, processes * batch_size))

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[list[Pick]]:
        for start in self._starts:
            yield [Pick(row) for row in range(start, min(start + self.batch_size, self.rows))]


class EqualPasses:
    """The batches of a process that has one less than others, and in the place of that one another without `rows`.

    Args:
        own: the batches of the process.
        inputs: of the split, which has an item.
    """

    def __init__(self, own: "FaceLoader", inputs: IndexedInputs) -> None:
        self._own = own
        self._inputs = inputs

    def __iter__(self) -> Iterator[FaceBatch]:
        yield from self._own
        repeated = self._inputs.__getitems__([Pick(0)])
        if isinstance(repeated, DataError):
            raise repeated
        yield without_rows(repeated)


def without_rows(faces: FaceBatch) -> FaceBatch:
    """The same inputs for a pass whose outputs are not kept."""
    return faces._replace(rows=faces.rows[:0], uids=[])


def _as_fetched(fetched: Any) -> Any:  # noqa: ANN401 - what __getitems__ returned, a list by torch's types
    return fetched


class FaceLoader:
    """Batches of inputs in a given order.

    Args:
        inputs: of the split.
        batches: lists of picks; iterated anew for every pass.
        workers: loader processes, started by spawn; 0 decodes in this process.
        spares: gives rows to replace those that are left out.
    """

    def __init__(
        self, inputs: IndexedInputs, batches: Iterable[list[Pick]], workers: int = 0, spares: Spares | None = None
    ) -> None:
        self._inputs = inputs
        self._spares = spares
        self._loader: DataLoader[FaceBatch] = DataLoader(
            inputs,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=_as_fetched,
            multiprocessing_context="spawn" if workers else None,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            # Without its own generator, each pass would draw from the global one, and a resumed run would see other random numbers.
            generator=torch.Generator(),
        )

    def __iter__(self) -> Iterator[FaceBatch]:
        # Loader processes start here. They end with this process, and leave Ctrl-C to it.
        with starting_processes():
            batches = iter(self._loader)
        for fetched in batches:
            if isinstance(fetched, DataError):
                raise fetched
            yield self._filled(fetched) if fetched.undecoded else fetched

    def _filled(self, faces: FaceBatch) -> FaceBatch:
        """The batch, with other rows in place of those that cannot be decoded."""
        uids = list(faces.uids)
        for undecoded in faces.undecoded:
            other, position = self._other(undecoded), undecoded.position
            if faces.counts is not None or other.counts is not None:
                faces = faces.with_row(position, other)
                uids = list(faces.uids)
                continue
            faces.rows[position], faces.inputs[position], uids[position] = other.rows[0], other.inputs[0], other.uids[0]
            if faces.drawn is not None and other.drawn is not None:
                faces.drawn.values[position] = other.drawn.values[0]
        return faces._replace(uids=uids, undecoded=())

    def _other(self, undecoded: UndecodedPick) -> FaceBatch:
        pick, skipped = undecoded.pick, self._inputs.skipped
        assert skipped is not None
        assert self._spares is not None, "rows are left out of batches that have others for their places"
        skipped.add(SkippedRow(pick.epoch, undecoded.uid, undecoded.because))
        for row in islice(self._spares(pick), TRIES):
            other = self._inputs.__getitems__([pick._replace(row=row)])
            if isinstance(other, DataError):
                raise other
            if not other.undecoded:
                return other
        raise DataError(f"row {undecoded.uid}: {undecoded.because}; no row of its pool can be decoded in its place")
