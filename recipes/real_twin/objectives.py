"""The losses of an arm on a batch, one number for each seed and setting."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from arms import Arm
from heads import OUTPUTS, bins_of, expectation
from torch import Tensor
from worlds import RELATIONS, WRONG_RELATIONS, Rows

TEMPERATURE = 1.5
CCC_EPSILON = 0.02
NEUTRAL, UNRELATED = 0, 7
"""Places of neutral, which shows no action unit, and of contempt, which the table does not know."""


@dataclass(frozen=True)
class Batch:
    """B faces of each of S seeds.

    Attributes:
        features: float32 [S, B, D].
        expression: int64 [S, B].
        clean: bool [S, B].
        va: float32 [S, B, 2].
        au: float32 [S, B, A].
        learned: bool [S, B, 3], which labels the arm looks at.
        soft: float32 [T, S, B, O], logits of its teachers; None without.
    """

    features: Tensor
    expression: Tensor
    clean: Tensor
    va: Tensor
    au: Tensor
    learned: Tensor
    soft: Tensor | None = None

    @classmethod
    def of(cls, rows: Rows, learned: Tensor, chosen: Tensor, soft: Tensor | None = None) -> "Batch":
        """The rows that are chosen for each seed, int64 [S, B]."""
        seeds = torch.arange(len(chosen))[:, None]
        names = ("features", "expression", "clean", "va", "au")
        found = [getattr(rows, name)[seeds, chosen] for name in names]
        return cls(*found, learned[seeds, chosen], None if soft is None else soft[:, seeds, chosen])

    def taught(self, arm: Arm) -> Tensor:
        """Whether a teacher speaks, bool [S, B, 3]."""
        if self.soft is None:
            return torch.zeros_like(self.learned)
        return self.learned if arm.soft == "own" else torch.ones_like(self.learned)


@dataclass(frozen=True)
class Known:
    """What an arm knows of all its labels beforehand: log priors of expressions [S, 1, 1, 8], and absent / present of AUs [S, 1, 1, A]."""

    log_prior: Tensor
    odds: Tensor

    @classmethod
    def of(cls, rows: Rows, learned: Tensor) -> "Known":
        """Counted over the labels that the arm looks at, one more of each class."""
        counts = F.one_hot(rows.expression, 8).float().mul(learned[..., :1]).sum(dim=1) + 1
        present = (rows.au * learned[..., 2:]).sum(dim=1) + 1
        absent = ((1 - rows.au) * learned[..., 2:]).sum(dim=1) + 1
        return cls((counts / counts.sum(dim=1, keepdim=True)).log()[:, None, None], (absent / present)[:, None, None])


def expression_rows(logits: Tensor, batch: Batch, arm: Arm, known: Known) -> Tensor:
    """The cross-entropy of each face's expression, float [S, G, B], whether the arm looks at it or not."""
    shown = logits[..., OUTPUTS["expression"]] + arm.adjust * known.log_prior
    labels = batch.expression[:, None, :, None].expand(*shown.shape[:3], 1)
    return -shown.log_softmax(dim=-1).gather(3, labels).squeeze(3)


def total(logits: Tensor, batch: Batch, arm: Arm, known: Known, weights: Tensor | None = None) -> Tensor:
    """The loss of every seed and setting, float [S, G].

    Args:
        logits: float [S, G, B, O].
        batch: of the same faces.
        arm: what it learns from.
        known: of its labels.
        weights: float [S, G, B], factors of the expression losses; None: 1.
    """
    parts = []
    if "expression" in arm.tasks:
        parts.append(_expression(logits, batch, arm, known, weights))
    if "va" in arm.tasks:
        parts.append(_valence_arousal(logits, batch, arm))
    if "au" in arm.tasks:
        parts.append(_action_units(logits, batch, arm, known))
    if arm.relations is not None:
        parts.append(_co_annotation(logits, batch, arm))
    return torch.stack(parts).sum(dim=0)


def _shares(batch: Batch, arm: Arm, task: int) -> tuple[Tensor, Tensor, Tensor]:
    """The factors of label and teacher for each face, float [S, 1, B], and how many faces have either, float [S, 1]."""
    learned, taught = batch.learned[..., task], batch.taught(arm)[..., task]
    hard = torch.where(learned, torch.where(taught, arm.hard_weight, 1.0), 0.0)
    soft = torch.where(taught, torch.where(learned, 1 - arm.hard_weight, 1.0), 0.0)
    count = (learned | taught).sum(dim=1).clamp(min=1)
    return hard[:, None], soft[:, None], count[:, None].float()


def _divergence(logits: Tensor, teachers: Tensor) -> Tensor:
    """The divergence from the teachers' mean distribution at the temperature, times its square, float [S, G, B]."""
    probabilities = (teachers / TEMPERATURE).softmax(dim=-1).mean(dim=0)[:, None]
    student = (logits / TEMPERATURE).log_softmax(dim=-1)
    return F.kl_div(student, probabilities.expand_as(student), reduction="none").sum(dim=-1) * TEMPERATURE**2


def _expression(logits: Tensor, batch: Batch, arm: Arm, known: Known, weights: Tensor | None) -> Tensor:
    hard, soft, count = _shares(batch, arm, 0)
    rows = expression_rows(logits, batch, arm, known)
    rows = hard * (rows if weights is None else rows * weights)
    if batch.soft is not None:
        part = OUTPUTS["expression"]
        rows = rows + soft * _divergence(logits[..., part], batch.soft[..., part])
    return rows.sum(dim=2) / count


def _valence_arousal(logits: Tensor, batch: Batch, arm: Arm) -> Tensor:
    hard, soft, count = _shares(batch, arm, 1)
    learned = batch.learned[:, None, :, 1].float()
    found = torch.zeros(logits.shape[:2])
    for axis, name in enumerate(("valence", "arousal")):
        part, labels = logits[..., OUTPUTS[name]], batch.va[:, None, :, axis]
        targets = bins_of(labels)[..., None].expand(*part.shape[:3], 1)
        rows = -hard * part.log_softmax(dim=-1).gather(3, targets).squeeze(3)
        if batch.soft is not None:
            rows = rows + soft * _divergence(part, batch.soft[..., OUTPUTS[name]])
        concordance = concordance_of(expectation(part), labels, learned, CCC_EPSILON)
        share = hard.amax(dim=2)
        found = found + (rows.sum(dim=2) + share * (1 - concordance) * learned.sum(dim=2)) / count
    return found


def concordance_of(x: Tensor, y: Tensor, mask: Tensor, epsilon: float = 0.0) -> Tensor:
    """The concordance correlation coefficient over the faces of the mask, float [S, G].

    Args:
        x: float [S, G, B], predictions.
        y: float [S, 1, B], labels.
        mask: float [S, 1, B].
        epsilon: added to the denominator.
    """
    count = mask.sum(dim=2).clamp(min=1)

    def mean(values: Tensor) -> Tensor:
        return (values * mask).sum(dim=2) / count

    mx, my = mean(x), mean(y)
    vx, vy = mean((x - mx[..., None]) ** 2), mean((y - my[..., None]) ** 2)
    covariance = mean((x - mx[..., None]) * (y - my[..., None]))
    return 2 * covariance / (vx + vy + (mx - my) ** 2 + epsilon)


def _action_units(logits: Tensor, batch: Batch, arm: Arm, known: Known) -> Tensor:
    hard, soft, count = _shares(batch, arm, 2)
    part = logits[..., OUTPUTS["au"]]
    targets = batch.au[:, None].expand_as(part)
    factor = known.odds if arm.positive_weight else None
    entries = hard[..., None] * F.binary_cross_entropy_with_logits(part, targets, reduction="none", pos_weight=factor)
    if batch.soft is not None:
        probabilities = batch.soft[..., OUTPUTS["au"]].sigmoid().mean(dim=0)[:, None].expand_as(part)
        entries = entries + soft[..., None] * F.binary_cross_entropy_with_logits(part, probabilities, reduction="none")
    return entries.mean(dim=3).sum(dim=2) / count


def _co_annotation(logits: Tensor, batch: Batch, arm: Arm) -> Tensor:
    """The cross-entropy to the expressions that the labelled action units stand for, over faces with action units."""
    table = RELATIONS if arm.relations == "right" else WRONG_RELATIONS
    related = [place for place in range(len(table)) if place not in (NEUTRAL, UNRELATED)]
    scores = batch.au @ (table[related] / table[related].sum(dim=1, keepdim=True)).T
    every = torch.cat([1 - scores.amax(dim=2, keepdim=True), scores], dim=2)
    targets = (every / arm.relations_temperature).softmax(dim=2)[:, None]
    shown = logits[..., OUTPUTS["expression"]][..., [NEUTRAL, *related]].log_softmax(dim=-1)
    mask = batch.learned[:, None, :, 2].float()
    rows = -(targets * shown).sum(dim=3) * mask
    return arm.relations_weight * rows.sum(dim=2) / mask.sum(dim=2).clamp(min=1)
