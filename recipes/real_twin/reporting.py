"""The figures of all worlds as Markdown, JSON and plots."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from arms import Claim, Twin
from faces import Faces
from numpy.typing import NDArray
from plots import forest
from running import Result
from scores import LOWER_IS_BETTER, METRICS

from affect_data.files import write_json, write_text
from affect_train.study.claims import mean_and_half_width

Results = Mapping[str, Mapping[str, Result]]
"""By world and arm."""


class Difference(NamedTuple):
    """One metric of one claim in one world; more is better, a lower loss included.

    Attributes:
        world: its name.
        claim: in words.
        metric: its name.
        better: mean over seeds of the arm that should be better.
        than: mean of the other.
        mean: of the differences, seed by seed.
        over_seeds: half of its 95 % interval over seeds (Student's t); None for one seed.
        over_faces: its 95 % interval over resamples of the test faces; None for what is not measured on them.
        verdict: ``holds`` or ``opposite`` if both intervals leave out 0, else ``open``.
    """

    world: str
    claim: str
    metric: str
    better: float
    than: float
    mean: float
    over_seeds: float | None
    over_faces: tuple[float, float] | None
    verdict: str


def differences(twin: Twin, results: Results) -> list[Difference]:
    """All claims in all worlds that have both arms."""
    return [
        difference
        for world, arms in results.items()
        for claim in twin.claims
        if claim.better in arms and claim.than in arms
        for difference in _of_claim(world, claim, arms[claim.better], arms[claim.than])
    ]


def _of_claim(world: str, claim: Claim, better: Result, than: Result) -> Iterator[Difference]:
    for metric in claim.metrics:
        if metric == "auroc":
            both = better.auroc[:, None], than.auroc[:, None]
        else:
            both = tuple(result.metrics[..., METRICS.index(metric)] for result in (better, than))  # type: ignore[assignment]
        sign = -1 if metric in LOWER_IS_BETTER else 1
        apart: NDArray[np.float64] = sign * (both[0] - both[1])
        mean, half = mean_and_half_width(apart[:, 0].tolist())
        resampled = apart[:, 1:].mean(axis=0)
        ends = np.percentile(resampled, [2.5, 97.5]).tolist() if resampled.size else None
        low, high = mean - (half or np.inf), mean + (half or np.inf)
        if ends is not None:
            low, high = min(low, ends[0]), max(high, ends[1])
        verdict = "holds" if low > 0 else "opposite" if high < 0 else "open"
        means = (float(one[:, 0].mean()) for one in both)
        yield Difference(world, claim.claim, metric, *means, mean, half, None if ends is None else tuple(ends), verdict)


def write_report(twin: Twin, faces: Faces, results: Results, out: Path) -> None:
    """Writes ``report.md``, ``figures.json`` and ``<world>.svg``.

    Args:
        twin: all that was set; its hash names the figures.
        faces: all of them.
        results: of the worlds so far.
        out: the folder.
    """
    found = differences(twin, results)
    setting = hashlib.sha256(json.dumps(twin.model_dump(), sort_keys=True).encode()).hexdigest()[:12]
    account = ", ".join(f"{name} {count:,}" for name, count in faces.account.items())
    parts = [
        f"Setting {setting}; {twin.seeds} seeds, {twin.resamples} resamples of {int(faces.test.sum()):,} test faces. "
        f"Of the dataset: {account}. {len(found)} comparisons, each at 95 %: some are wrong by chance."
    ]
    for world, arms in results.items():
        own = [one for one in found if one.world == world]
        parts += [f"## {world}", _arms_table(arms), _claims_table(own)]
        write_text(out / f"{world}.svg", forest(own, world))
    write_text(out / "report.md", "\n\n".join(parts) + "\n")
    write_json(out / "figures.json", _figures(twin, setting, results, found))


def _figures(twin: Twin, setting: str, results: Results, found: list[Difference]) -> dict[str, Any]:
    arms = {
        world: {
            name: {
                "metrics": {metric: one.metrics[:, 0, place].tolist() for place, metric in enumerate(METRICS)},
                "auroc": None if np.isnan(one.auroc).any() else one.auroc.tolist(),
                "decay": None if np.isnan(one.decay) else one.decay,
                "tried": one.tried,
            }
            for name, one in every.items()
        }
        for world, every in results.items()
    }
    return {"setting": setting, "seeds": twin.seeds, "arms": arms, "differences": [one._asdict() for one in found]}


def _arms_table(arms: Mapping[str, Result]) -> str:
    lines = ["| arm | " + " | ".join(METRICS) + " | auroc | weight decay |", "|---" * (len(METRICS) + 3) + "|"]
    for name, result in arms.items():
        cells = [f"{value:.3f}" for value in result.metrics[:, 0].mean(axis=0)]
        area = (
            "–"
            if np.isnan(result.auroc).any()
            else f"{result.auroc.mean():.3f} ({result.auroc.min():.2f} to {result.auroc.max():.2f})"
        )
        decay = "–" if np.isnan(result.decay) else f"{result.decay:.3g}"
        lines.append(f"| {name} | {' | '.join(cells)} | {area} | {decay} |")
    return "\n".join(lines)


def _claims_table(found: list[Difference]) -> str:
    """A row for each claim; bold where both intervals leave out 0."""
    metrics = list(dict.fromkeys(one.metric for one in found))
    lines = ["| claim | " + " | ".join(metrics) + " |", "|---" * (len(metrics) + 1) + "|"]
    for claim in dict.fromkeys(one.claim for one in found):
        cells = {one.metric: _cell(one) for one in found if one.claim == claim}
        lines.append(f"| {claim} | " + " | ".join(cells.get(metric, "–") for metric in metrics) + " |")
    return "\n".join(lines)


def _cell(one: Difference) -> str:
    half = "" if one.over_seeds is None else f" ± {one.over_seeds:.3f}"
    text = f"{one.mean:+.3f}{half}".replace("0.", ".")
    return text if one.verdict == "open" else f"**{text}**"
