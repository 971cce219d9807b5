"""What a model predicts: which action units, which expressions, and whether valence and arousal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from affect_data.vocabulary import ACTION_UNIT_SLOTS, EXPRESSION_SETS, EXPRESSIONS, expression_named, slot_of

if TYPE_CHECKING:
    from torch import Tensor

VALENCE_AROUSAL_RANGE = (-1.0, 1.0)
AXES: Final = ("valence", "arousal")
DEFAULT_THRESHOLD: Final = 0.5
"""The probability from which an action unit is present, where none was tuned."""


@dataclass(frozen=True)
class TaskSet:
    """The heads of a model, by the names of the vocabulary.

    Attributes:
        action_units: FACS numbers in head order; empty where there is no action-unit head.
        expressions: class names in head order; empty where there is no expression head.
        valence_arousal_bins: bins for each axis over [-1, 1]; 0 where there is no valence-arousal head.

    Raises:
        ValueError: an action unit or class is unknown or named twice, a head has a single class or bin, or there is no head at all.
    """

    action_units: tuple[int, ...] = ()
    expressions: tuple[str, ...] = ()
    valence_arousal_bins: int = 0

    def __post_init__(self) -> None:
        for number in self.action_units:
            slot_of(number)
        for name in self.expressions:
            if name not in EXPRESSIONS:
                raise ValueError(f"{name!r} is no expression; the vocabulary has {', '.join(EXPRESSIONS)}")
        for kind, names in (("action unit", self.action_units), ("expression", self.expressions)):
            twice = sorted({str(name) for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{kind} {', '.join(twice)} is named twice")
        if len(self.expressions) == 1 or self.valence_arousal_bins == 1 or self.valence_arousal_bins < 0:
            raise ValueError("an expression head needs two classes at least, a valence-arousal head two bins at least")
        if not self.names:
            raise ValueError("there is no task: name action units, expressions or valence-arousal bins")

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks that have a head, among ``"au"``, ``"expression"`` and ``"va"``, in this order."""
        sizes = {"au": len(self.action_units), "expression": len(self.expressions), "va": self.valence_arousal_bins}
        return tuple(name for name, size in sizes.items() if size)

    def au_slots(self) -> tuple[int, ...]:
        """For every action unit of the head, its slot in the dataset's column ``au``."""
        return tuple(ACTION_UNIT_SLOTS[number] for number in self.action_units)

    def expression_lookup(self) -> "Tensor":
        """From the dataset's class id to the head's, int64 [len(EXPRESSIONS) + 1]; -1 where the head lacks the class.

        The last entry is -1, so that indexing with the dataset's missing id -1 gives -1 too.
        """
        # Imported here: recipes name tasks, and reading a recipe should not wait for torch to load.
        import torch

        positions = {name: position for position, name in enumerate(self.expressions)}
        return torch.tensor([*(positions.get(name, -1) for name in EXPRESSIONS), -1], dtype=torch.int64)

    def bin_centres(self) -> "Tensor":
        """The centre of every bin over [-1, 1], float32 [bins], ascending."""
        import torch

        low, high = VALENCE_AROUSAL_RANGE
        width = (high - low) / self.valence_arousal_bins
        return low + width * (torch.arange(self.valence_arousal_bins, dtype=torch.float32) + 0.5)

    def bins(self, values: "Tensor") -> "Tensor":
        """The bin that holds each value in [-1, 1], int64 of the same shape; 1 belongs to the last bin."""
        low, high = VALENCE_AROUSAL_RANGE
        position = (values.double() - low) * (self.valence_arousal_bins / (high - low))
        return position.floor().long().clamp(0, self.valence_arousal_bins - 1)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values that JSON and YAML can hold."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TaskSet":
        """The task set that `to_dict` described."""
        return cls(tuple(values["action_units"]), tuple(values["expressions"]), int(values["valence_arousal_bins"]))


def expression_set(classes: str | Sequence[str]) -> tuple[str, ...]:
    """The vocabulary's class names for a set of `EXPRESSION_SETS`, or for a list of names in any known spelling.

    Raises:
        ValueError: no such set, or no such class.
    """
    if not isinstance(classes, str):
        return tuple(expression_named(name) for name in classes)
    if classes not in EXPRESSION_SETS:
        raise ValueError(
            f"{classes!r} is no expression set; known: {', '.join(sorted(EXPRESSION_SETS))}, or a list of class names"
        )
    return EXPRESSION_SETS[classes]
