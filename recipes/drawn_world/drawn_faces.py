"""Drawn faces as vectors, hundreds of people, and the labels that databases with known habits give them."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from affect_data.vocabulary import EXPRESSION_ACTION_UNITS, EXPRESSION_SETS
from affect_train.inputs.batch import AffectBatch
from affect_train.tasks import TaskSet

EXPRESSIONS: Final = EXPRESSION_SETS["aff_wild2_7"]
RELATED: Final = tuple(sorted({unit for units in EXPRESSION_ACTION_UNITS.values() for unit in units}))
FREE: Final = (14, 18, 28, 43)
"""Action units that no expression has anything to do with."""

UNITS: Final = tuple(sorted({*RELATED, *FREE}))
BINS: Final = 20
TASKS: Final = TaskSet(UNITS, EXPRESSIONS, BINS)
WIDTH: Final = 48
CIRCUMPLEX: Final = {
    "neutral": (0.0, 0.0),
    "anger": (-0.5, 0.5),
    "disgust": (-0.5, 0.3),
    "fear": (-0.4, 0.6),
    "happiness": (0.6, 0.3),
    "sadness": (-0.5, -0.3),
    "surprise": (0.1, 0.6),
}
"""Valence and arousal of each expression: a choice of ours on Russell's circumplex."""

UNSURE: Final = 0.15
"""The deviation of one annotator's valence or arousal from what is shown."""


@dataclass(frozen=True)
class Habits:
    """What a database does in its own way; the numbers are those of `affect_train.network.habits`.

    Attributes:
        logit_shift: of each action unit, [A].
        gain: of valence and arousal.
        offset: of valence and arousal.
        confusion: [C][C], rows add up to 1.
    """

    logit_shift: list[float] = field(default_factory=lambda: [0.0] * len(UNITS))
    gain: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    confusion: list[list[float]] = field(default_factory=lambda: np.eye(len(EXPRESSIONS)).tolist())

    @classmethod
    def drawn(cls, strength: float, random: np.random.Generator) -> "Habits":
        """Habits of a strength; 0: none, 1: as strong as annotators of two databases can well be."""
        classes = len(EXPRESSIONS)
        others = random.dirichlet([0.5] * (classes - 1), classes)
        wrong = strength * random.uniform(0.05, 0.4, classes)
        matrix = np.diag(1 - wrong)
        for row in range(classes):
            matrix[row, np.arange(classes) != row] = wrong[row] * others[row]
        return cls(
            (strength * random.uniform(-1.2, 1.2, len(UNITS))).tolist(),
            tuple(np.exp(strength * random.uniform(-0.4, 0.1, 2)).tolist()),
            tuple((strength * random.uniform(-0.15, 0.15, 2)).tolist()),
            matrix.tolist(),
        )


@dataclass(frozen=True)
class World:
    """The knobs, all of them known numbers.

    Attributes:
        people: in each database.
        faces: of each person.
        wrong: how far the relations between expressions and action units are from the table of Du et al.: each expression has (1 - wrong) of its own
            row and `wrong` of another's.
        hidden: the deviation of what is in action units and expressions but not in the vector of a face.
        annotators: the deviation of an annotator's threshold in logits; a person has one annotator, so that the noise is correlated.
        habits: strength of the databases' habits; the first database has none.
    """

    people: int = 300
    faces: int = 10
    wrong: float = 0.0
    hidden: float = 0.5
    annotators: float = 0.0
    habits: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The knobs by name."""
        return asdict(self)


def relations(wrong: float) -> NDArray[np.float64]:
    """How strongly each expression shows each action unit, [C, A] in 0 to 1: the table's rows, mixed with those of other expressions."""
    table = np.array([[EXPRESSION_ACTION_UNITS.get(name, {}).get(unit, 0.0) for unit in UNITS] for name in EXPRESSIONS])
    shown = [place for place, name in enumerate(EXPRESSIONS) if name != "neutral"]
    other = table.copy()
    other[shown] = table[np.roll(shown, 2)]
    return (1 - wrong) * table + wrong * other


@dataclass(frozen=True)
class Faces:
    """Of N faces: vectors [N, WIDTH], and what is true of them before anybody labels it.

    Attributes:
        vectors: float32 [N, WIDTH].
        person: int64 [N].
        expression: int64 [N].
        au_logits: float [N, A], of a face's action units for an annotator without habits.
        va: float [N, 2], what is shown.
    """

    vectors: NDArray[np.float32]
    person: NDArray[np.int64]
    expression: NDArray[np.int64]
    au_logits: NDArray[np.float64]
    va: NDArray[np.float64]


def draw_faces(world: World, seed: int, part: int) -> Faces:
    """Faces of people of their own.

    Args:
        world: the knobs.
        seed: decides how vectors show what is true, the same for all parts.
        part: another number is other people of the same world.
    """
    shared, random = np.random.default_rng([seed, 999]), np.random.default_rng([seed, part])
    count, classes = world.people * world.faces, len(EXPRESSIONS)
    person = np.repeat(np.arange(world.people), world.faces)
    meant = random.integers(0, classes, count)
    strength = random.uniform(0.4, 1.0, count)
    scores = 4.0 * strength[:, None] * np.eye(classes)[meant] + 0.5 * random.normal(size=(count, classes))
    expression = _one_of(np.exp(scores + world.hidden * random.normal(size=scores.shape)), random)
    shown = relations(world.wrong)[expression] * strength[:, None]
    own = random.normal(size=(count, len(UNITS)))
    free = np.isin(UNITS, FREE)
    seen = np.where(free, 1.5 * own - 1.0, 4.0 * shown + 0.8 * own - 2.5)
    au_logits = seen + world.hidden * random.normal(size=seen.shape)
    circle = np.array([CIRCUMPLEX[name] for name in EXPRESSIONS])
    va = circle[meant] * strength[:, None] + 0.15 * random.normal(size=(count, 2))
    known = np.concatenate([scores / 2, seen / 2, 2 * va], axis=1)
    ways = shared.normal(size=(known.shape[1], WIDTH)) / np.sqrt(known.shape[1])
    looks = 0.2 * random.normal(size=(world.people, WIDTH))
    return Faces((known @ ways + looks[person]).astype(np.float32), person, expression, au_logits, va)


def label(faces: Faces, world: World, habits: Habits, random: np.random.Generator) -> AffectBatch:
    """All labels that a database gives to faces."""
    count = len(faces.vectors)
    bias = world.annotators * random.normal(size=(faces.person.max() + 1, len(UNITS)))
    logits = faces.au_logits + bias[faces.person] + habits.logit_shift
    au = random.random(logits.shape) < 1 / (1 + np.exp(-logits))
    expression = _one_of(np.array(habits.confusion)[faces.expression], random)
    felt = faces.va + UNSURE * random.normal(size=faces.va.shape)
    va = (felt * habits.gain + habits.offset).clip(-1, 1)
    known = torch.ones(count, dtype=torch.bool)
    return AffectBatch(
        inputs=torch.from_numpy(faces.vectors),
        uids=[],
        rows=torch.arange(count),
        au=torch.from_numpy(au.astype(np.float32)),
        au_mask=known[:, None].expand(-1, len(UNITS)),
        expression=torch.from_numpy(expression),
        expression_mask=known,
        valence=torch.from_numpy(va[:, 0].astype(np.float32)),
        arousal=torch.from_numpy(va[:, 1].astype(np.float32)),
        va_mask=known,
    )


def joined(*batches: AffectBatch) -> AffectBatch:
    """The faces of several databases, numbered in this order."""
    names = ("inputs", "au", "au_mask", "expression", "expression_mask", "valence", "arousal", "va_mask")
    parts = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in names}
    sizes = torch.tensor([len(batch.inputs) for batch in batches])
    databases = torch.arange(len(batches)).repeat_interleave(sizes)
    return AffectBatch(uids=[], rows=torch.arange(int(sizes.sum())), databases=databases, **parts)


def _one_of(shares: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.int64]:
    """A class for each row, drawn by shares that need not add up to 1, int64 [N]."""
    ends = shares.cumsum(axis=1)
    found: NDArray[np.int64] = (random.random((len(shares), 1)) * ends[:, -1:] > ends).sum(axis=1)
    return found
