"""How each database labels in its own way: transformations between what the shared network says and what a database writes down."""

import math
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from affect_data.errors import UnknownNameError, UsageError
from affect_train.network.output import AffectOutput
from affect_train.tasks import AXES, TaskSet

PREFIX: Final = "habits."
"""How the names of these parameters begin in a model."""

FIRST_OTHER: Final = 0.1
"""The probability, before the first step, that a database writes down another class than the network's."""

FLOOR: Final = 1e-3
"""The probability that a transformed distribution over bins keeps for all bins alike, so that no bin is impossible."""


class DatabaseHabits(nn.Module):
    """The habits of D databases, each beside one database per head whose labels the network itself learns to give.

    Expressions have a confusion matrix, valence and arousal each a gain and an offset, action units each a shift of the logit, which is a shift of
    the threshold. A database that the network follows, and one without labels, has none of them (identity, 1, 0, 0), and never gets any.

    Sources: Tanno et al., *Learning from noisy labels by regularized estimation of annotator confusion* (CVPR 2019), for the matrices, with another
    way of fixing what the matrices leave open; the rest is ours.

    Args:
        tasks: the heads.
        described: ``databases`` names the D databases; ``free`` holds by task, 0 or 1, where a database has habits of its own: au [D][A],
            expression [D], va [D].
    """

    confusion_free: Tensor
    scale_free: Tensor
    shift_free: Tensor

    def __init__(self, tasks: TaskSet, described: Mapping[str, Any]) -> None:
        super().__init__()
        self.databases: list[str] = list(described["databases"])
        self.tasks, count, free = tasks, len(self.databases), described["free"]
        if "expression" in free:
            classes = len(tasks.expressions)
            self.confusion = nn.Parameter(torch.zeros(count, classes, classes))
            self._first = math.log((1 - FIRST_OTHER) / FIRST_OTHER * (classes - 1))
            self._add_free("confusion_free", free["expression"])
        if "va" in free:
            self.log_gain, self.offset = (nn.Parameter(torch.zeros(count, len(AXES))) for _ in range(2))
            self._add_free("scale_free", free["va"])
        if "au" in free:
            self.shift = nn.Parameter(torch.zeros(count, len(tasks.action_units)))
            self._add_free("shift_free", free["au"])

    def _add_free(self, name: str, values: list[Any]) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.float32))

    def log_confusion(self) -> Tensor:
        """The logarithm of the probability that database d writes down class j where the network means i, float32 [D, C, C]."""
        classes = self.confusion.shape[1]
        own = torch.eye(classes, dtype=torch.bool, device=self.confusion.device)
        learned = (self.confusion.float() + self._first * own).log_softmax(dim=2)
        identity = torch.where(own, 0.0, -torch.inf)
        return torch.where(self.confusion_free[:, None, None] > 0, learned, identity)

    def scales(self) -> tuple[Tensor, Tensor]:
        """Gain and offset of valence and arousal, each float32 [D, 2]."""
        free = self.scale_free[:, None]
        return (self.log_gain.float() * free).exp(), self.offset.float() * free

    def shifts(self) -> Tensor:
        """What is added to the logit of each action unit, float32 [D, A]."""
        return self.shift.float() * self.shift_free

    def rebinned(self, centres: Tensor) -> Tensor:
        """Where the mass of each bin goes, float32 [D, 2, B, B]: to the two bins beside its transformed centre, so that the mean stays exact.

        Args:
            centres: float [B], of the bins.
        """
        gain, offset = self.scales()
        places = (gain[..., None] * centres + offset[..., None]).clamp(float(centres[0]), float(centres[-1]))
        apart = (places[..., None] - centres).abs() / (centres[1] - centres[0])
        return (1 - apart).clamp(min=0)

    def forward(self, output: AffectOutput, databases: Tensor) -> AffectOutput:
        """The output as the databases would label each face; where a database has no habits, the logits stay the same to the bit.

        Args:
            output: of the network for N faces.
            databases: int64 [N], numbers of databases.
        """
        found = dict(output.items())
        if "confusion" in self._parameters and output.expression_logits is not None:
            own = output.expression_logits.float()
            seen = (own.log_softmax(dim=1)[:, :, None] + self.log_confusion()[databases]).logsumexp(dim=1)
            found["expression_logits"] = torch.where(self.confusion_free[databases][:, None] > 0, seen, own)
        if "shift" in self._parameters and output.au_logits is not None:
            found["au_logits"] = output.au_logits + self.shifts()[databases]
        if "offset" in self._parameters and output.valence_logits is not None and output.arousal_logits is not None:
            moved = self.rebinned(self.tasks.bin_centres().to(databases.device))
            for axis, logits in enumerate((output.valence_logits, output.arousal_logits)):
                seen = torch.einsum("nb,nbc->nc", logits.float().softmax(dim=1), moved[databases, axis])
                seen = (1 - FLOOR) * seen + FLOOR / seen.shape[1]
                has_habits = self.scale_free[databases][:, None] > 0
                found[f"{AXES[axis]}_logits"] = torch.where(has_habits, seen.log(), logits.float())
        return AffectOutput(**found)

    def number_of(self, name: str, where: str) -> int:
        """The number of a database whose habits are known.

        Args:
            name: of the database.
            where: the model, for messages.

        Raises:
            UnknownNameError: the model has not seen this database.
        """
        if name not in self.databases:
            raise UnknownNameError(f"database that '{where}' has learned from", name, self.databases)
        return self.databases.index(name)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The habits by database, as numbers by the names of classes, axes and action units; what a database does not have is left out."""
        found: dict[str, dict[str, Any]] = {name: {} for name in self.databases}
        for number, said in enumerate(found.values()):
            if "confusion" in self._parameters and self.confusion_free[number]:
                rows = self.log_confusion()[number].exp().tolist()
                classes = self.tasks.expressions
                said["confusion"] = {
                    name: dict(zip(classes, row, strict=True)) for name, row in zip(classes, rows, strict=True)
                }
            if "offset" in self._parameters and self.scale_free[number]:
                gain, offset = (values[number].tolist() for values in self.scales())
                said |= {"gain": dict(zip(AXES, gain, strict=True)), "offset": dict(zip(AXES, offset, strict=True))}
            if "shift" in self._parameters and self.shift_free[number].any():
                named = zip(
                    self.tasks.action_units, self.shifts()[number].tolist(), self.shift_free[number], strict=True
                )
                said["logit_shift"] = {f"AU{unit}": shift for unit, shift, free in named if free}
        return found


def habits_of(tasks: TaskSet, described: Mapping[str, Any] | None) -> DatabaseHabits | None:
    """The habits that a configuration describes; None where it describes none."""
    return None if described is None else DatabaseHabits(tasks, described)


def label_as(model: nn.Module, name: str, where: str) -> None:
    """Lets a model label every face as one of the databases would, in every way of using it.

    Args:
        model: in memory; its files stay as they are.
        name: of the database.
        where: the model, for messages.

    Raises:
        UsageError: the model has learned no habits.
        UnknownNameError: it has not seen this database.
    """
    habits = getattr(model, "habits", None)
    if not isinstance(habits, DatabaseHabits):
        raise UsageError(
            f"--as: '{where}' has learned no habits of databases; train it with `model.habits: {{}}`, or leave --as out"
        )
    model.labels_as = habits.number_of(name, where)  # type: ignore[assignment]
