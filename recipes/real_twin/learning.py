"""Training: many seeds and settings at once, each with its own best moment for every task."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from arms import Arm, Twin
from heads import HIDDEN, OUTPUTS, Parameters, dropped, expectation, generator_of, logits_of, new_parameters
from numpy.typing import NDArray
from objectives import Batch, Known, concordance_of, expression_rows, total
from torch import Tensor
from weighing import RowWeights
from worlds import TASKS, Drawn, Rows

LOOKS = 20
"""How often in a training the development faces are looked at."""


@dataclass(frozen=True)
class Trained:
    """S seeds in G settings.

    Attributes:
        best: the weights at the best moment of each task.
        losses: float [S, G, 3], of the development faces at these moments, over those of a constant answer.
        last: the weights at the end.
        weigher: what weighed the rows; None where nothing did.
    """

    best: list[Parameters]
    losses: Tensor
    last: Parameters
    weigher: RowWeights | None

    def logits(self, features: Tensor) -> Tensor:
        """Every task from its best moment, float [S, G, B, O]."""
        with torch.no_grad():
            found = {task: logits_of(parameters, features) for task, parameters in zip(TASKS, self.best, strict=True)}
        of = {"expression": "expression", "valence": "va", "arousal": "va", "au": "au"}
        return torch.cat([found[of[name]][..., part] for name, part in OUTPUTS.items()], dim=-1)


class Training:
    """One arm on S seeds in G settings of its weight decay.

    Args:
        twin: its numbers.
        arm: what it learns from.
        drawn: what the seeds see.
        decays: weight decays, one for each setting.
        soft: float [T, S, M, O], logits of the teachers on the faces of the pools; None without.
    """

    def __init__(self, twin: Twin, arm: Arm, drawn: Drawn, decays: Sequence[float], soft: Tensor | None = None) -> None:
        self.twin, self.arm, self.rows, self.development = twin, arm, drawn.pools, drawn.development
        self.soft = soft
        self.learned = _learned(arm, drawn.pools)
        self.known = Known.of(drawn.pools, self.learned)
        self.steps = round(twin.steps * arm.steps)
        self.orders = np.stack([self._order(place, seed) for place, seed in enumerate(drawn.seeds)], axis=1)
        self.generators = [generator_of(seed, arm.start, 1) for seed in drawn.seeds]
        width = drawn.pools.features.shape[2]
        self.parameters = new_parameters(width, [[seed, arm.start, 0] for seed in drawn.seeds], len(decays))
        self.decays = torch.tensor(decays)
        self.optimizer = torch.optim.Adam(self.parameters, lr=twin.learning_rate)
        self.weigher = RowWeights.of(arm, drawn.seeds, len(decays))
        self.scale = _constant_losses(self.development)

    def run(self) -> Trained:
        """Trains to the end."""
        seeds, settings = len(self.generators), len(self.decays)
        lowest = torch.full((seeds, settings, len(TASKS)), torch.inf)
        best = [[one.detach().clone() for one in self.parameters] for _ in TASKS]
        for step in range(self.steps):
            rate = self.twin.learning_rate * 0.5 * (1 + np.cos(np.pi * step / self.steps))
            self._step(step, float(rate))
            if (step + 1) % max(1, self.steps // LOOKS) == 0 or step + 1 == self.steps:
                losses = self._development_losses()
                for task in range(len(TASKS)):
                    better = losses[..., task] < lowest[..., task]
                    _keep(best[task], self.parameters, better)
                lowest = torch.minimum(lowest, losses)
        return Trained(best, lowest, [one.detach() for one in self.parameters], self.weigher)

    def _order(self, place: int, seed: int) -> NDArray[np.int64]:
        """The rows of every step of one seed, int64 [steps, B]: the same number from each pool that the arm learns from."""
        random = np.random.default_rng([seed, self.arm.start, 2])
        found = []
        faces = self.rows.own.shape[1] // len(TASKS)
        for task, name in enumerate(TASKS):
            if self.arm.labels == "own" and self.soft is None and name not in self.arm.tasks:
                continue
            rows = np.arange(task * faces, (task + 1) * faces)
            if self.arm.fold is not None:
                rows = rows[rows % 5 != self.arm.fold]
            found.append(self._drawn(random, rows, place, by_class=self.arm.balanced and name == "expression"))
        return np.concatenate(found, axis=1)

    def _drawn(
        self, random: np.random.Generator, rows: NDArray[np.int64], place: int, *, by_class: bool
    ) -> NDArray[np.int64]:
        size = self.steps * self.twin.batch
        if by_class:
            labels = self.rows.expression[place].numpy()[rows]
            chances = 1.0 / np.bincount(labels, minlength=8)[labels]
            return random.choice(rows, size=size, p=chances / chances.sum()).reshape(self.steps, -1)
        epochs = -(-size // len(rows))
        return np.concatenate([random.permutation(rows) for _ in range(epochs)])[:size].reshape(self.steps, -1)

    def _batch(self, step: int) -> Batch:
        return Batch.of(self.rows, self.learned, torch.from_numpy(self.orders[step]), self.soft)

    def _step(self, step: int, rate: float) -> None:
        batch = self._batch(step)
        kept = dropped(self.generators, batch.features.shape[1], self.twin.dropout)
        weights = None
        if self.weigher is not None and step >= self.arm.weigh_after * self.steps:
            meta = self._batch(self._other_step(step))
            weights = self.weigher.step(self, batch, meta, kept, rate)
        loss = total(logits_of(self.parameters, batch.features, kept), batch, self.arm, self.known, weights)
        self.optimizer.zero_grad()
        # Each seed and setting has weights of its own, so the sum has the gradients of all of them.
        loss.sum().backward()
        self.optimizer.param_groups[0]["lr"] = rate
        with torch.no_grad():
            shrink = 1 - rate * self.decays
            self.parameters[0].mul_(shrink.repeat_interleave(HIDDEN))
            self.parameters[2].mul_(shrink[:, None, None])
        self.optimizer.step()

    def _other_step(self, step: int) -> int:
        """Another step, whose faces judge the trial of this one."""
        return (step * 7 + self.steps // 2 + 1) % self.steps

    def _development_losses(self) -> Tensor:
        """Over those of a constant answer, float [S, G, 3]."""
        faces = self.development
        with torch.no_grad():
            logits = logits_of(self.parameters, faces.features)
            every = Batch(faces.features, faces.expression, faces.clean, faces.va, faces.au, faces.own)
            expression = expression_rows(logits, every, self.arm, self.known).mean(dim=2)
            mask = torch.ones(len(faces.va), 1, faces.va.shape[1])
            axes = [
                1 - concordance_of(expectation(logits[..., OUTPUTS[name]]), faces.va[:, None, :, axis], mask)
                for axis, name in enumerate(("valence", "arousal"))
            ]
            shown = logits[..., OUTPUTS["au"]]
            targets = faces.au[:, None].expand_as(shown)
            factor = self.known.odds if self.arm.positive_weight else None
            units = torch.nn.functional.binary_cross_entropy_with_logits(
                shown, targets, reduction="none", pos_weight=factor
            ).mean(dim=(2, 3))
        return torch.stack([expression, torch.stack(axes).mean(dim=0), units], dim=2) / self.scale


def _learned(arm: Arm, rows: Rows) -> Tensor:
    """Which labels an arm looks at, bool [S, M, 3]."""
    wanted = torch.tensor([task in arm.tasks for task in TASKS])
    return (torch.ones_like(rows.own) if arm.labels == "all" else rows.own) & wanted


def _constant_losses(faces: Rows) -> Tensor:
    """What a constant answer loses on the development faces, float [S, 1, 3]."""
    shares = torch.nn.functional.one_hot(faces.expression, 8).float().mean(dim=1)
    rates = faces.au.mean(dim=1)
    units = (torch.special.entr(rates) + torch.special.entr(1 - rates)).mean(dim=1)
    return torch.stack([torch.special.entr(shares).sum(dim=1), torch.ones(len(rates)), units], dim=1)[:, None]


def _keep(kept: Parameters, now: Parameters, better: Tensor) -> None:
    """Takes over the weights of those seeds and settings, bool [S, G], that have become better."""
    wide = better.repeat_interleave(HIDDEN, dim=1)[:, None]
    for one, value, mask in zip(kept, now, (wide, wide, better[..., None, None], better[..., None, None]), strict=True):
        one.copy_(torch.where(mask, value.detach(), one))
