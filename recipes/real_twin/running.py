"""Runs the arms of a world, what others need first; an arm that is there already is taken as it is."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from arms import Arm, Twin
from faces import Faces
from heads import OUTPUTS, expectation
from learning import Trained, Training
from numpy.typing import NDArray
from objectives import Batch, Known, expression_rows
from scores import METRICS, area, metrics_of, resamples, thresholds_of
from torch import Tensor
from weighing import RowWeights
from worlds import TASKS, Drawn, Rows, Truth, World, draw

from affect_data.files import written_file

FIRST_TUNING_SEED: Final = 1000
MOST_DECAYS: Final = 9
"""A grid is widened up to so many values."""
FACTOR: Final = 10**0.5

Probabilities = dict[str, NDArray[np.float32]]
"""By head: ``expression`` [..., 8] and ``au`` [..., A] as probabilities, ``va`` [..., 2]."""


class Result(NamedTuple):
    """What is kept of an arm in a world, for R seeds.

    Attributes:
        metrics: float64 [R, K + 1, 8]: of the test faces, then of their resamples.
        auroc: float64 [R], of the rows' weights, or of the model's own confidence; NaN where no expression was replaced.
        decay: the chosen weight decay; NaN where nothing was trained.
        tried: the grid, by decay, with the development loss of each.
    """

    metrics: NDArray[np.float64]
    auroc: NDArray[np.float64]
    decay: float
    tried: dict[str, float]


class Runner:
    """The arms of one world.

    Args:
        twin: everything that is set.
        name: of the world.
        faces: all of them.
        out: the folder of the world's results.
        say: prints a line.
    """

    def __init__(self, twin: Twin, name: str, faces: Faces, out: Path, say: Callable[[str], None] = print) -> None:
        self.twin, self.name, self.out, self.say = twin, name, out, say
        case = twin.worlds[name]
        self.world = World(case.faces, case.votes, case.corrupted)
        self.truth = Truth.of(faces)
        seeds = [*range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + twin.tuning_seeds), *range(twin.seeds)]
        self.drawn = draw(faces, self.truth, self.world, seeds)
        self.test = torch.from_numpy(faces.features[faces.test])
        self.tested = Truth(self.truth.votes[faces.test], self.truth.va[faces.test], self.truth.au[faces.test])
        self.times = resamples(len(self.test), twin.resamples)
        self.origin = hashlib.sha256(faces.features.tobytes() + faces.votes.tobytes()).hexdigest()
        out.mkdir(parents=True, exist_ok=True)

    def run(self) -> dict[str, Result]:
        """The results of all arms, by name."""
        found = {}
        for name in self.twin.in_order(self.name):
            started = time.monotonic()
            there = self._stored(name)
            if there is None:
                self._make(name)
                there = self._stored(name)
                assert there is not None
                decay = "" if np.isnan(there.decay) else f", weight decay {there.decay:.3g}"
                self.say(f"{self.name}: {name} in {time.monotonic() - started:.0f} s{decay}")
            found[name] = there
        return found

    def key(self, name: str) -> str:
        """What the results of an arm depend on, as a hash: its own description, those of the arms that it needs, the faces, the numbers."""
        arm = self.twin.arms[name]
        numbers = self.twin.model_dump(exclude={"worlds", "arms", "claims"})
        needed = {other: self.key(other) for other in arm.needs}
        described = [numbers, self.world, arm.model_dump(exclude_defaults=True), needed, self.origin]
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()

    def _path(self, name: str) -> Path:
        return self.out / f"{name}.npz"

    def _arrays(self, name: str, *wanted: str) -> dict[str, Any]:
        with np.load(self._path(name), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in wanted or arrays.files}

    def _stored(self, name: str) -> Result | None:
        if not self._path(name).is_file() or str(self._arrays(name, "key")["key"]) != self.key(name):
            return None
        kept = self._arrays(name, "metrics", "auroc", "decay", "tried")
        return Result(kept["metrics"], kept["auroc"], float(kept["decay"]), json.loads(str(kept["tried"])))

    def _make(self, name: str) -> None:
        arm = self.twin.arms[name]
        decay, tried, pools, auroc = np.nan, {}, np.zeros(0), np.full(self.twin.seeds, np.nan)
        if arm.trains:
            soft = self._soft(arm)
            decay, tried = self._decay(arm, soft)
            trained = Training(self.twin, arm, self.drawn, [decay], soft).run()
            test, development, pools = self._outputs(trained)
            if self.world.corrupted and "expression" in arm.tasks:
                auroc = self._areas(arm, trained)
        else:
            test, development = self._combined(arm)
        metrics = np.stack([self._metrics(seed, test, development) for seed in range(self.twin.seeds)])
        with written_file(self._path(name)) as partial, partial.open("wb") as file:
            described = {f"test_{head}": values for head, values in test.items()}
            described |= {f"development_{head}": values for head, values in development.items()}
            np.savez(
                file,
                key=np.array(self.key(name)),
                metrics=metrics,
                auroc=auroc,
                decay=np.array(decay),
                tried=np.array(json.dumps(tried)),
                pools=pools,
                **described,
            )

    def _decay(self, arm: Arm, soft: Tensor | None) -> tuple[float, dict[str, float]]:
        """The weight decay with the least development loss on the tuning seeds; one more is tried while the best lies at an edge."""
        if arm.like is not None:
            return float(self._arrays(arm.like, "decay")["decay"]), {}
        if not arm.tuned:
            return self.twin.usual_decay, {}
        tuning = slice(0, self.twin.tuning_seeds)
        few = Drawn(self.drawn.seeds[tuning], self.drawn.pools.at(tuning), self.drawn.development.at(tuning))
        few_soft = None if soft is None else soft[:, tuning]
        tasks = [TASKS.index(task) for task in arm.tasks]
        found: dict[float, float] = {}
        wanted = list(self.twin.decays)
        while wanted:
            losses = Training(self.twin, arm, few, wanted, few_soft).run().losses[..., tasks].mean(dim=(0, 2))
            found |= dict(zip(wanted, losses.tolist(), strict=True))
            tried, best = sorted(found), min(found, key=found.__getitem__)
            edges = {tried[0]: tried[0] / FACTOR, tried[-1]: tried[-1] * FACTOR}
            wanted = [edges[best]] if best in edges and len(found) < MOST_DECAYS else []
        return best, {f"{decay:.3g}": found[decay] for decay in tried}

    def _soft(self, arm: Arm) -> Tensor | None:
        """The teachers' logits on the faces of the pools, float [T, S, M, O]."""
        if not arm.teachers:
            return None
        logits = [torch.from_numpy(self._arrays(name, "pools")["pools"]).float() for name in arm.teachers]
        if not arm.out_of_fold:
            return torch.stack(logits)
        fold = torch.arange(logits[0].shape[1]) % len(logits)
        return torch.stack(logits)[fold, :, torch.arange(len(fold))].transpose(0, 1)[None]

    def _outputs(self, trained: Trained) -> tuple[Probabilities, Probabilities, NDArray[np.float16]]:
        """Predictions for test and development faces of the reported seeds, and logits for the pools of all seeds."""
        seeds = len(self.drawn.seeds)
        reported = slice(self.twin.tuning_seeds, None)
        test = trained.logits(self.test.expand(seeds, -1, -1))[reported, 0]
        development = trained.logits(self.drawn.development.features)[reported, 0]
        pools = trained.logits(self.drawn.pools.features)[:, 0]
        return probabilities(test), probabilities(development), pools.numpy().astype(np.float16)

    def _areas(self, arm: Arm, trained: Trained) -> NDArray[np.float64]:
        """How well weights, or without any the model's own confidence, tell replaced expressions from others: float64 [R]."""
        rows = self.drawn.pools
        every = Batch(rows.features, rows.expression, rows.clean, rows.va, rows.au, rows.own)
        weigher = trained.weigher or RowWeights("confidence", self.drawn.seeds, 1)
        with torch.no_grad():
            logits = trained.logits(rows.features)
            weights = weigher.of_losses(expression_rows(logits, every, arm, Known.of(rows, rows.own)), rows.clean)[:, 0]
        labelled = rows.own[..., 0]
        found = [
            area(one[mask].numpy(), clean[mask].numpy())
            for one, mask, clean in zip(weights, labelled, rows.clean, strict=True)
        ]
        return np.array(found[self.twin.tuning_seeds :])

    def _combined(self, arm: Arm) -> tuple[Probabilities, Probabilities]:
        """Mean probabilities of several arms, moved away from the prior if the arm says so; or each head from an arm of its own."""
        parts: list[Probabilities] = []
        for part in ("test", "development"):
            names = [f"{part}_{head}" for head in ("expression", "va", "au")]
            stored = [self._arrays(name, *names) for name in arm.needs]
            if arm.combine:
                made = {
                    head: one[f"{part}_{head}"] for head, one in zip(("expression", "va", "au"), stored, strict=True)
                }
            else:
                made = {
                    head: np.mean([one[f"{part}_{head}"] for one in stored], axis=0)
                    for head in ("expression", "va", "au")
                }
            if arm.shift:
                moved = made["expression"] * np.exp(-arm.shift * self._log_prior())
                made["expression"] = moved / moved.sum(axis=2, keepdims=True)
            parts.append(made)
        return parts[0], parts[1]

    def _log_prior(self) -> NDArray[np.float32]:
        rows: Rows = self.drawn.pools
        found: NDArray[np.float32] = Known.of(rows, rows.own).log_prior[self.twin.tuning_seeds :, 0].numpy()
        return found

    def _metrics(self, seed: int, test: Probabilities, development: Probabilities) -> NDArray[np.float64]:
        labels = self.drawn.development.au[self.twin.tuning_seeds + seed].numpy() > 0.5
        limits = thresholds_of(development["au"][seed], labels)
        found = metrics_of({head: values[seed] for head, values in test.items()}, self.tested, limits, self.times)
        assert found.shape[1] == len(METRICS)
        return found


def probabilities(logits: Tensor) -> Probabilities:
    """Probabilities and expectations from logits [..., O]."""
    axes = [expectation(logits[..., OUTPUTS[name]]) for name in ("valence", "arousal")]
    return {
        "expression": logits[..., OUTPUTS["expression"]].softmax(dim=-1).numpy(),
        "va": torch.stack(axes, dim=-1).numpy(),
        "au": logits[..., OUTPUTS["au"]].sigmoid().numpy(),
    }
