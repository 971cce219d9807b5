"""What is true of the faces, and which labels a seed sees of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from faces import CLASSES, Faces
from numpy.typing import NDArray
from torch import Tensor

from affect_data.vocabulary import EXPRESSION_ACTION_UNITS

CIRCUMPLEX: Final = {
    "neutral": (0.0, 0.0),
    "anger": (-0.6, 0.7),
    "disgust": (-0.7, 0.35),
    "fear": (-0.5, 0.8),
    "happiness": (0.8, 0.4),
    "sadness": (-0.7, -0.4),
    "surprise": (0.2, 0.8),
    "contempt": (-0.5, 0.2),
}
"""Valence and arousal of each expression: a choice of ours on Russell's circumplex."""

UNITS: Final = tuple(sorted({unit for name in CLASSES for unit in EXPRESSION_ACTION_UNITS.get(name, {})}))
"""The action units of the relation table of Du et al. (2014)."""

RELATIONS: Final = torch.tensor(
    [[EXPRESSION_ACTION_UNITS.get(name, {}).get(unit, 0.0) for unit in UNITS] for name in CLASSES]
)
"""The table itself, float32 [8, A]; neutral and contempt have no action units."""

WRONG_RELATIONS: Final = RELATIONS[[0, 4, 6, 5, 3, 2, 1, 7]]
"""The table with the rows of the six basic expressions exchanged: each has the action units of another."""

PARTS: Final = (0.5, 0.3, 0.2)
"""Of an action unit's variance: by the votes through the relation table, by the features beside them, by noise that nothing explains."""

DEVELOPMENT: Final = 1500
TASKS: Final = ("expression", "va", "au")


class World(NamedTuple):
    """How many labels there are and how wrong they are.

    Attributes:
        faces: of each of the three pools.
        votes: what a label is: ``one`` drawn vote, or ``all`` of them (the majority, the mean).
        corrupted: the share of the pools' expressions that is replaced by another one; those of the development faces stay.
    """

    faces: int
    votes: str
    corrupted: float = 0.0

    @property
    def flipped(self) -> float:
        """The share of action unit labels that is wrong."""
        return 0.15 if self.votes == "one" else 0.05


@dataclass(frozen=True)
class Truth:
    """Of N faces: votes [N, 8], valence and arousal [N, 2], and action units [N, A], bool."""

    votes: NDArray[np.float32]
    va: NDArray[np.float32]
    au: NDArray[np.bool_]

    @classmethod
    def of(cls, faces: Faces) -> "Truth":
        """The votes themselves, their mean on the circumplex, and action units that the votes determine in part; the same at every call."""
        random = np.random.default_rng(2026)
        va = faces.votes @ np.array([CIRCUMPLEX[name] for name in CLASSES], dtype=np.float32)
        implied = _standard(faces.votes @ RELATIONS.numpy())
        directions = random.normal(size=(faces.features.shape[1], len(UNITS)))
        beside = _standard(faces.features @ directions)
        # Only what the votes do not say counts as the features' own part.
        beside = _standard(beside - implied * (beside * implied).mean(axis=0))
        noise = random.normal(size=beside.shape)
        latent = sum(np.sqrt(part) * values for part, values in zip(PARTS, (implied, beside, noise), strict=True))
        rates = np.linspace(0.08, 0.35, len(UNITS))
        return cls(faces.votes, va, latent > np.quantile(latent, 1 - rates, axis=0).diagonal())


@dataclass(frozen=True)
class Rows:
    """M faces of each of S seeds, with the labels that a seed sees of them, for all tasks; who may look at which is the arms' matter.

    Attributes:
        features: float32 [S, M, D].
        expression: int64 [S, M].
        clean: bool [S, M], whether the expression was not replaced.
        va: float32 [S, M, 2].
        au: float32 [S, M, A].
        own: bool [S, M, 3], the task that a face's pool is labelled for, in the order of `TASKS`; all of them on the development faces.
    """

    features: Tensor
    expression: Tensor
    clean: Tensor
    va: Tensor
    au: Tensor
    own: Tensor

    def at(self, seeds: slice) -> "Rows":
        """Those of some seeds."""
        return Rows(**{name: values[seeds] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Drawn:
    """What S seeds see of one world: pools one after the other, [S, 3 n], and the development faces [S, d]."""

    seeds: tuple[int, ...]
    pools: Rows
    development: Rows


def draw(faces: Faces, truth: Truth, world: World, seeds: Sequence[int], development: int = DEVELOPMENT) -> Drawn:
    """Three disjoint pools and development faces for each seed, with similar shares of every expression, and the labels of all of them."""
    drawn = [_draw_one(faces, truth, world, seed, development) for seed in seeds]
    parts = [Rows(*(torch.stack(values) for values in zip(*part, strict=True))) for part in zip(*drawn, strict=True)]
    return Drawn(tuple(seeds), *parts)


def _draw_one(
    faces: Faces, truth: Truth, world: World, seed: int, development: int
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    random = np.random.default_rng([seed, world.faces])
    candidates = random.permutation(np.flatnonzero(~faces.test))
    # Dealt out by class, so that every pool has its share of each.
    dealt = candidates[np.argsort(truth.votes[candidates].argmax(axis=1), kind="stable")]
    size = 3 * world.faces + development
    if len(dealt) < size:
        raise ValueError(
            f"{len(dealt):,} faces to learn from are too few for three pools of {world.faces:,} and {development:,}"
        )
    chosen = dealt[np.linspace(0, len(dealt) - 1, size).round().astype(np.int64)]
    sizes = (world.faces, world.faces, world.faces, development)
    places = np.concatenate([(np.arange(count) + random.random()) / count for count in sizes])
    part = np.repeat(np.arange(4), sizes)[np.argsort(places, kind="stable")]
    pools = np.concatenate([chosen[part == number] for number in range(3)])
    rest = chosen[part == 3]
    own = np.repeat(np.eye(3, dtype=bool), world.faces, axis=0)
    return (
        _labels(faces, truth, world, pools, own, random),
        _labels(faces, truth, world._replace(corrupted=0.0), rest, np.ones((development, 3), dtype=bool), random),
    )


def _labels(
    faces: Faces,
    truth: Truth,
    world: World,
    rows: NDArray[np.int64],
    own: NDArray[np.bool_],
    random: np.random.Generator,
) -> tuple[Tensor, ...]:
    votes = truth.votes[rows]
    if world.votes == "one":
        seen, felt = (_one_vote(votes, random) for _ in range(2))
        va = np.array([CIRCUMPLEX[name] for name in CLASSES], dtype=np.float32)[felt]
    else:
        seen, va = votes.argmax(axis=1), truth.va[rows]
    clean = random.random(len(rows)) >= world.corrupted
    other = (seen + random.integers(1, len(CLASSES), len(rows))) % len(CLASSES)
    au = truth.au[rows] ^ (random.random((len(rows), len(UNITS))) < world.flipped)
    arrays = faces.features[rows], np.where(clean, seen, other), clean, va, au.astype(np.float32), own
    return tuple(torch.from_numpy(np.ascontiguousarray(values)) for values in arrays)


def _one_vote(votes: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.int64]:
    """A class for each row, drawn by its shares of votes, int64 [N]."""
    ends = votes.cumsum(axis=1)
    return (random.random((len(votes), 1)) * ends[:, -1:] > ends).sum(axis=1)


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9)
