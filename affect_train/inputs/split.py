"""One split, ready for a model: what the model is shown of it, and its labels."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from affect_train.inputs.batch import AffectBatch, Pick
from affect_train.inputs.inputs import FaceLoader, IndexedInputs, Inputs, Spares
from affect_train.inputs.labels import LabelArrays

if TYPE_CHECKING:
    from datasets import Dataset


class Split(Protocol):
    """A split of any source."""

    @property
    def name(self) -> str:
        """Of the split."""
        ...

    @property
    def labels(self) -> LabelArrays | None:
        """For the heads; None where they are known only when the inputs have passed."""
        ...

    @property
    def inputs(self) -> Inputs:
        """What the model is shown."""
        ...

    def passed(self) -> "tuple[Dataset, LabelArrays]":
        """The rows and their labels, once the inputs have passed.

        Raises:
            ModelMismatchError: no row has a label for any of the heads, which was not known before.
        """
        ...


@dataclass(frozen=True)
class LoadedSplit:
    """A split whose rows can be read in any order.

    Attributes:
        name: of the split.
        dataset: labels and images, joined.
        labels: for the heads.
        inputs: decoded faces, the features that are stored for them, or windows of these.
    """

    name: str
    dataset: "Dataset"
    labels: LabelArrays
    inputs: IndexedInputs

    def passed(self) -> "tuple[Dataset, LabelArrays]":
        """The rows and their labels, which are there from the beginning."""
        return self.dataset, self.labels

    def batches(self, order: Iterable[list[Pick]], workers: int = 0, spares: Spares | None = None) -> "LabelledBatches":
        """The batches of an order with their labels; `spares` where items may be left out."""
        return LabelledBatches(self.inputs.batches(order, workers, spares), self.labels)


class LabelledBatches:
    """Batches in an order, with their labels, which the training process adds.

    Args:
        loader: of the batches.
        labels: of the split.
    """

    def __init__(self, loader: FaceLoader, labels: LabelArrays) -> None:
        self._loader = loader
        self._labels = labels

    def __iter__(self) -> Iterator[AffectBatch]:
        return map(self._labels.batch, self._loader)

    def close(self) -> None:
        """Nothing is read ahead that would have to be ended."""
