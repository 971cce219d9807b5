"""How often comparisons and studies claim a difference where there is none, and how often their intervals hold the true difference.

    python benchmarks/claims.py             # 200 comparisons and 200 studies a row; some minutes
    python benchmarks/claims.py --smoke

Everything is simulated: people with traits of their own, faces of them, labels that follow from the traits, and two models that see the traits
through noise, some of it common to both, some of it a person's. `affect_train.evaluation.differences` compares the two as `affect-train compare`
does. The true difference of unequal models is that over 24,000 people. A null study is one model under two names: each seed has people of its own,
and the eight findings of a study, two claims with four metrics each, are judged by `affect_train.study.claims`.
"""

import argparse
from collections.abc import Iterator
from typing import Final

import numpy as np
from common import REPOSITORY

from affect_train.evaluation.differences import Group, Pair, differences, value_at
from affect_train.evaluation.intervals import Clusters
from affect_train.evaluation.metrics import evaluate_predictions
from affect_train.study.claims import findings
from affect_train.study.description import Claim, Step, Study
from affect_train.tasks import TaskSet

assert REPOSITORY
TASKS: Final = TaskSet((1, 12), ("neutral", "anger", "happiness"), 5)
EQUAL, UNEQUAL = (0.6, 0.6), (0.8, 0.6)
METRICS: Final = {
    "AP": "au.mean_average_precision",
    "F1": "au.mean_f1",
    "accuracy": "expression.accuracy",
    "CCC": "va.valence_ccc",
}


def seen(
    latent: np.ndarray, strength: float, common: np.ndarray, person: np.ndarray, own: np.ndarray
) -> dict[str, np.ndarray]:
    """What a model says that sees the traits this well."""
    noisy = latent * strength + 0.5 * common + 0.4 * person + 0.7 * own
    shares = np.exp(noisy[:, 2:5])
    return {
        "au": 1 / (1 + np.exp(0.6 - noisy[:, :2])),
        "expression": shares / shares.sum(axis=1, keepdims=True),
        "valence": np.tanh(noisy[:, 5] / 2),
        "arousal": np.tanh(noisy[:, 6] / 2),
    }


def world(rng: np.random.Generator, people: int, faces: int, strengths: tuple[float, float]) -> Pair:
    """Two models on some faces of each of several people, of whom a fifth of the labels is missing."""
    who, rows = np.repeat(np.arange(people), faces), people * faces
    latent = 0.6 * rng.normal(size=(people, 8))[who] + rng.normal(size=(rows, 8))
    labels = {
        "au": (latent[:, :2] > 0.8).astype(float),
        "au_mask": rng.random((rows, 2)) < 0.8,
        "expression": latent[:, 2:5].argmax(axis=1),
        "expression_mask": rng.random(rows) < 0.8,
        "valence": np.tanh(latent[:, 5] / 2),
        "arousal": np.tanh(latent[:, 6] / 2),
        "va_mask": rng.random(rows) < 0.8,
    }
    common = rng.normal(size=(rows, 8))
    first, second = (
        seen(latent, strength, common, rng.normal(size=(people, 8))[who], rng.normal(size=(rows, 8)))
        for strength in strengths
    )
    clusters = Clusters.of(np.zeros(rows, int), who, np.full(rows, -1))
    return Pair((first, second), labels, TASKS, ([0.5, 0.5], [0.5, 0.5]), clusters)


def everything(pair: Pair) -> list[Group]:
    return [Group("all", np.arange(len(pair.labels["expression"])), TASKS.names)]


def true_differences(rng: np.random.Generator, strengths: tuple[float, float], people: int) -> dict[str, float]:
    """The difference of each metric over very many people."""
    found: dict[str, list[float]] = {}
    for _ in range(12):
        pair = world(rng, people, 20, strengths)
        for line in differences(pair, everything(pair), resamples=2)[0]:
            found.setdefault(line.metric, []).append(line.difference)
    return {metric: float(np.mean(values)) for metric, values in found.items()}


def comparisons(count: int, people: int, strengths: tuple[float, float], resamples: int, many: int) -> str:
    """Coverage of the intervals and share of verdicts, of comparisons of drawn worlds."""
    rng = np.random.default_rng(people)
    truth = {} if strengths == EQUAL else true_differences(rng, strengths, many)
    inside, verdicts, tables = [], [], []
    for _ in range(count):
        pair = world(rng, people, 20, strengths)
        lines, _ = differences(pair, everything(pair), resamples=resamples)
        inside += [line.interval[0] <= truth.get(line.metric, 0.0) <= line.interval[1] for line in lines]
        own = [line.verdict != "not shown" for line in lines]
        verdicts += own
        tables.append(any(own))
    what = "equal" if strengths == EQUAL else "unequal"
    return f"| compare, {what} models | {people} people | {count} | {np.mean(inside):.1%} | {np.mean(verdicts):.2%} | {np.mean(tables):.1%} |"


def null_study(rng: np.random.Generator, seeds: int, people: int) -> Iterator[tuple[bool, bool]]:
    """Whether each claim of a study of equal models is said to hold, and whether its interval holds zero."""
    figures: dict[str, dict[int, dict[str, float | None]]] = {name: {} for name in ("a", "b", "c", "d")}
    for seed in range(seeds):
        for names in (("a", "b"), ("c", "d")):
            pair = world(rng, people, 20, EQUAL)
            for name, predictions in zip(names, pair.predictions, strict=True):
                report = evaluate_predictions(predictions, pair.labels, TASKS)
                figures[name][seed] = {metric: value_at(report, place) for metric, place in METRICS.items()}
    claims = (Claim(claim="b", better="a", than="b"), Claim(claim="d", better="c", than="d"))
    step = Step(run="affect-train evaluate x y")
    study = Study(title="null", steps={"x": step}, scores=dict.fromkeys(figures, step), metrics=METRICS, claims=claims)
    for finding in findings(study, figures):
        assert finding.half_width is not None
        yield finding.verdict == "holds", abs(finding.difference) <= finding.half_width


def studies(count: int, seeds: int, people: int) -> str:
    """Coverage and share of claims that hold, of null studies."""
    rng = np.random.default_rng(seeds)
    found = [list(null_study(rng, seeds, people)) for _ in range(count)]
    holds, inside = np.array(found).transpose(2, 0, 1)
    shares = f"{inside.mean():.1%} | {holds.mean():.2%} | {holds.any(axis=1).mean():.1%}"
    return f"| study, one model under two names | {seeds} seeds | {count} | {shares} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    count, resamples, many = (3, 50, 30) if given.smoke else (given.count, 500, 2000)
    print("| | each | number | 95 % intervals that hold the truth | verdicts, claims that hold | tables with one |")
    print("|---|---|---|---|---|---|")
    for people in (15, 40):
        for strengths in (EQUAL, UNEQUAL):
            print(comparisons(count, people, strengths, resamples, many), flush=True)
    for seeds in (3, 5, 10):
        print(studies(count, seeds, 15), flush=True)


if __name__ == "__main__":
    main()
