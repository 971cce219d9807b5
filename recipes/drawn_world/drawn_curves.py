"""What is measured in the drawn world: gains over a knob, and planted habits that come back."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from math import nan, sqrt
from typing import Any, Final

import numpy as np
from drawn_faces import UNITS, Habits, World, draw_faces, joined, label
from drawn_learning import Training, scores, train

from affect_train.evaluation.significance import student_t_quantile
from affect_train.inputs.batch import AffectBatch
from affect_train.recipe.methods.supervised import SupervisedOptions

Say = Callable[[str], None]

ALONE: Final = "labels alone"
METRICS: Final = ("accuracy", "likelihood", "ap", "ccc")


@dataclass(frozen=True)
class Sizes:
    """How much is drawn and trained; `seeds` for each point, `people` of a small and of a large database."""

    seeds: int = 4
    few: int = 100
    many: int = 6000
    test: int = 200
    steps: int = 200
    long: int = 600
    knob: tuple[float, ...] = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Point:
    """Differences to labels alone at one value of a knob.

    Attributes:
        knob: the value.
        arm: what is compared with labels alone.
        metric: one of `METRICS`.
        mean: over seeds.
        half: half of the 95 % interval over seeds (Student's t); NaN for one seed.
    """

    knob: float
    arm: str
    metric: str
    mean: float
    half: float

    @property
    def side(self) -> int:
        """1 where it helps beyond the interval, -1 where it hurts, 0 where neither is shown."""
        return 0 if not abs(self.mean) > self.half else 1 if self.mean > 0 else -1


def points(found: Mapping[tuple[float, str, int], Mapping[str, float]]) -> list[Point]:
    """Paired differences from the scores by knob, arm and seed."""
    knobs, arms, seeds = (sorted({key[place] for key in found}, key=str) for place in range(3))
    result = []
    for knob in knobs:
        for arm in arms:
            for metric in METRICS if arm != ALONE else ():
                own = np.array([found[knob, arm, seed][metric] - found[knob, ALONE, seed][metric] for seed in seeds])
                half = (
                    student_t_quantile(0.975, len(own) - 1) * own.std(ddof=1) / sqrt(len(own)) if len(own) > 1 else nan
                )
                result.append(Point(float(knob), str(arm), metric, float(own.mean()), float(half)))
    return result


def habits_curve(sizes: Sizes, say: Say) -> list[Point]:
    """Gains of habits on a database that was left out, while the habits of all become stronger; three databases have all labels."""
    found = {}
    training = Training(sizes.steps, rows=256)
    described = followed(3)
    for strength in sizes.knob:
        world = World(people=sizes.few, annotators=0.5, habits=strength)
        for seed in range(sizes.seeds):
            own, random = planted(strength, 4, seed), np.random.default_rng([seed, 23])
            data = joined(*(label(draw_faces(world, seed, part), world, own[part], random) for part in range(3)))
            judged = _judged(world, sizes, seed, own[3])
            for arm, habits in ((ALONE, None), ("habits", described)):
                found[strength, arm, seed] = scores(train(data, SupervisedOptions(), training, seed, habits), judged)
        say(f"habits: strength {strength:.2f}, {sizes.seeds} seeds")
    return points(found)


def planted(strength: float, databases: int, seed: int) -> list[Habits]:
    """The habits of each database: the first has none."""
    random = np.random.default_rng([seed, 5])
    return [Habits(), *(Habits.drawn(strength, random) for _ in range(databases - 1))]


def followed(databases: int) -> dict[str, Any]:
    """What `DatabaseHabits` is built from: the first database is followed, the others are free."""
    free = [int(number > 0) for number in range(databases)]
    return {
        "databases": [f"database{number}" for number in range(databases)],
        "free": {"au": [[one] * len(UNITS) for one in free], "expression": free, "va": free},
    }


def recovery(world: World, sizes: Sizes, seed: int) -> dict[str, Any]:
    """The truth, what was learned of it, and the absolute errors by kind of habit: mean and greatest.

    Args:
        world: the knobs; its people are those of each database.
        sizes: how long is trained.
        seed: of everything.
    """
    own, random = planted(world.habits, 3, seed), np.random.default_rng([seed, 29])
    data = joined(*(label(draw_faces(world, seed, part), world, own[part], random) for part in range(3)))
    training = Training(sizes.long, rows=4096, habit_rate=3e-2, decay=0.0)
    network = train(data, SupervisedOptions(), training, seed, followed(3))
    learned = network.habits.to_dict()
    errors: dict[str, list[float]] = {"logit_shift": [], "gain": [], "offset": [], "confusion": []}
    for number in (1, 2):
        said, truth = learned[f"database{number}"], own[number]
        errors["logit_shift"] += _apart(said["logit_shift"].values(), truth.logit_shift)
        errors["gain"] += _apart(said["gain"].values(), truth.gain)
        errors["offset"] += _apart(said["offset"].values(), truth.offset)
        rows = [share for row in said["confusion"].values() for share in row.values()]
        errors["confusion"] += _apart(rows, np.ravel(truth.confusion))
    return {
        "world": world.to_dict(),
        "truth": {f"database{number}": asdict(habits) for number, habits in enumerate(own)},
        "learned": learned,
        "errors": {
            kind: {"mean": float(np.mean(values)), "greatest": float(np.max(values))} for kind, values in errors.items()
        },
    }


def _apart(found: Any, truth: Any) -> list[float]:  # noqa: ANN401 - any numbers in the same order
    return np.abs(np.array(list(found)) - np.array(list(truth))).tolist()


def _judged(world: World, sizes: Sizes, seed: int, habits: Habits) -> AffectBatch:
    """Faces of other people, as a database of these habits labels them."""
    faces = draw_faces(replace(world, people=sizes.test), seed, part=9)
    return label(faces, world, habits, np.random.default_rng([seed, 31]))
