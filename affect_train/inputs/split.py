"""One split, ready for a model: the model's inputs and the labels."""

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
        """The name of the split."""
        ...

    @property
    def labels(self) -> LabelArrays | None:
        """The labels for the heads; None if they are known only once the inputs have passed."""
        ...

    @property
    def inputs(self) -> Inputs:
        """The model's inputs."""
        ...

    def passed(self) -> "tuple[Dataset, LabelArrays]":
        """The rows and their labels, once the inputs have passed.

        Raises:
            ModelMismatchError: no row has a label for any of the heads (of a stream, this is known only now).
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
        """The rows and their labels, which are known from the beginning."""
        return self.dataset, self.labels

    def batches(self, order: Iterable[list[Pick]], workers: int = 0, spares: Spares | None = None) -> "LabelledBatches":
        """The batches of an order with their labels; `spares` are needed if items may be left out."""
        return LabelledBatches(self.inputs.batches(order, workers, spares), self.labels)


class LabelledBatches:
    """Batches in an order; the training process adds their labels.

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
        """Does nothing: there is no reading ahead to end."""
