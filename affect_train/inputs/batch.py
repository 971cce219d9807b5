"""A batch: faces that a loader decoded, with their labels and teachers' outputs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from affect_train.clips import pictures_of
from affect_train.inputs.augment import DrawnChanges
from affect_train.inputs.sending import sent_together

DRAWN: Final = "drawn/"
"""Name of the changes among what is sent."""


def _tensors_of(values: "SoftTargets | AffectBatch") -> dict[str, Tensor]:
    found = {item.name: getattr(values, item.name) for item in fields(values)}
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}


@dataclass(frozen=True)
class SoftTargets:
    """A teacher's logits for the rows of a batch, in the order of the student's heads.

    Attributes:
        au: float32 [N, A]; 0 in columns that `au_mask` leaves out; None if teacher or student has no AU head.
        au_mask: bool [A], the student's AUs that the teacher has.
        expression: float32 [N, C]; 0 in columns that `expression_mask` leaves out; None if teacher or student has no such head.
        valence: float32 [N, B] over the student's bins, or None.
        arousal: float32 [N, B], or None.
        expression_mask: bool [C], the student's classes that the teacher has; None if it has them all.
    """

    au: Tensor | None = None
    au_mask: Tensor | None = None
    expression: Tensor | None = None
    valence: Tensor | None = None
    arousal: Tensor | None = None
    expression_mask: Tensor | None = None


class MixedClasses(NamedTuple):
    """The second class of each row of a batch whose pictures are laid over each other in pairs.

    Attributes:
        expression: int64 [N], the partner's class; -1 where masked.
        share: of the row itself, in [0, 1]; the rest is the partner's.
    """

    expression: Tensor
    share: float


@dataclass(frozen=True)
class AffectBatch:
    """N faces, their labels in the order of the model's heads, and a mask for every label.

    Attributes:
        inputs: of the model, as in `FaceBatch`.
        uids: N unique row names.
        rows: int64 [N], row numbers in the split.
        au: float32 [N, A], 0 or 1; 0 where masked.
        au_mask: bool [N, A].
        expression: int64 [N], the head's class; -1 where masked.
        expression_mask: bool [N].
        valence: float32 [N] in [-1, 1]; 0 where masked.
        arousal: float32 [N] in [-1, 1]; 0 where masked.
        va_mask: bool [N].
        soft: teacher outputs by the name of their column group.
        places: int64 [N], the place of each frame in its window; None if rows are in no window.
        counts: int64 [N], as in `FaceBatch`.
        drawn: as in `FaceBatch`.
        mixed: of pictures that are mixed in pairs; None: they are not.
        databases: int64 [N], the number of each row's database; None where no habits of databases are learned.
    """

    inputs: Tensor
    uids: list[str]
    rows: Tensor
    au: Tensor
    au_mask: Tensor
    expression: Tensor
    expression_mask: Tensor
    valence: Tensor
    arousal: Tensor
    va_mask: Tensor
    soft: Mapping[str, SoftTargets] = field(default_factory=dict)
    places: Tensor | None = None
    counts: Tensor | None = None
    drawn: DrawnChanges | None = None
    mixed: MixedClasses | None = None
    databases: Tensor | None = None

    def __len__(self) -> int:
        return len(self.uids)

    def to(self, device: torch.device | str) -> "AffectBatch":
        """The same batch on `device`, with the changes of its pictures made there; all but the pictures goes in one piece."""
        if self.inputs.device == torch.device(device):
            return self._changed()
        parts = {"": _tensors_of(self)} | {f"{name}/": _tensors_of(targets) for name, targets in self.soft.items()}
        flat = {f"{of}{name}": value for of, values in parts.items() for name, value in values.items()}
        inputs = flat.pop("inputs").to(device, non_blocking=True)
        if self.drawn is not None:
            flat[DRAWN] = self.drawn.values
        there: dict[str, Any] = sent_together(flat, device)
        drawn = None if self.drawn is None else self.drawn._replace(values=there.pop(DRAWN))
        soft = {
            name: replace(targets, **{part: there.pop(f"{name}/{part}") for part in parts[f"{name}/"]})
            for name, targets in self.soft.items()
        }
        return replace(self, inputs=inputs, drawn=drawn, soft=soft, **there)._changed()

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor of the batch."""
        yield from _tensors_of(self).values()
        for targets in self.soft.values():
            yield from _tensors_of(targets).values()

    def _changed(self) -> "AffectBatch":
        return self if self.drawn is None else replace(self, inputs=self.drawn.applied(self.inputs), drawn=None)


class Pick(NamedTuple):
    """One row of a batch that is still to be read.

    Attributes:
        row: number of the row in the split.
        epoch: 0-based.
        occurrence: distinguishes the views of a row that comes more than once in an epoch.
        pool: number of the pool that the row was drawn from.
    """

    row: int
    epoch: int = 0
    occurrence: int = 0
    pool: int = 0


class UndecodedPick(NamedTuple):
    """A pick whose picture cannot be decoded.

    Attributes:
        position: of the pick in the batch, where the picture is missing.
        pick: the pick.
        uid: unique name of the row.
        because: why the picture cannot be decoded.
    """

    position: int
    pick: Pick
    uid: str
    because: str


class FaceBatch(NamedTuple):
    """A model's inputs for N faces, without labels.

    Attributes:
        rows: int64 [N], row numbers in the split.
        uids: N row names; a row that is in two windows comes twice.
        inputs: RGB pictures, uint8 [N, 3, S, S], in channels-last memory as decoders write them; or features, float32 [N, D].
        pools: int64 [N], the number of the pool that each row was drawn from; None if rows were not drawn.
        places: int64 [N], the place of each frame in its window, whose frames follow one another; None if rows are in no window.
        undecoded: picks whose pictures cannot be decoded. `FaceLoader` replaces them, so that none reaches a model.
        counts: int64 [N], how many inputs each row has, those of a clip next to each other and M in all, which stands for N in `inputs` and `places`;
            None: one each.
        drawn: changes of the pictures that are still to be made, which `to` does on the device; None: none.
    """

    rows: Tensor
    uids: list[str]
    inputs: Tensor
    pools: Tensor | None = None
    places: Tensor | None = None
    undecoded: Sequence[UndecodedPick] = ()
    counts: Tensor | None = None
    drawn: DrawnChanges | None = None

    def to(self, device: torch.device | str) -> "FaceBatch":
        """The same batch, with what a model reads on `device`, and the changes of its pictures made there."""
        places, counts = (
            None if values is None else values.to(device, non_blocking=True) for values in (self.places, self.counts)
        )
        inputs = self.inputs.to(device, non_blocking=True)
        if self.drawn is not None:
            values = self.drawn.values.to(device, non_blocking=True)
            inputs = self.drawn._replace(values=values).applied(inputs)
        return self._replace(inputs=inputs, places=places, counts=counts, drawn=None)

    def select(self, chosen: Tensor) -> "FaceBatch":
        """The faces at some positions, int64 [M]."""
        own = chosen if self.counts is None else pictures_of(self.counts, chosen.to(self.counts.device))
        pools, places, inputs, counts = (
            None if values is None else values[which.to(values.device)]
            for values, which in ((self.pools, chosen), (self.places, own), (self.inputs, own), (self.counts, chosen))
        )
        assert inputs is not None
        uids = [self.uids[position] for position in chosen.tolist()]
        drawn = None if self.drawn is None else self.drawn._replace(values=self.drawn.values[own])
        return FaceBatch(self.rows[chosen], uids, inputs, pools, places, counts=counts, drawn=drawn)

    def with_row(self, position: int, other: "FaceBatch") -> "FaceBatch":
        """The same batch with the one row of another in the place of one of its own."""
        before, after = (self.select(torch.arange(*ends)) for ends in ((position,), (position + 1, len(self.uids))))
        parts = (before, other, after)
        counts = [
            torch.ones(len(part.uids), dtype=torch.int64) if part.counts is None else part.counts for part in parts
        ]
        values = [part.drawn.values for part in parts if part.drawn is not None]
        return self._replace(
            rows=torch.cat([part.rows for part in parts]),
            uids=[*before.uids, *other.uids, *after.uids],
            inputs=torch.cat([part.inputs for part in parts]),
            counts=torch.cat(counts),
            drawn=None if self.drawn is None else self.drawn._replace(values=torch.cat(values)),
        )


def drawn_from(picks: Sequence[Pick]) -> Tensor:
    """The number of each pick's pool, int64 [N]."""
    return torch.tensor([pick.pool for pick in picks])
