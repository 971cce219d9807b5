"""Habits of databases in a drawn world: ``python recipes/drawn_world --out FOLDER``."""

import argparse
from pathlib import Path
from typing import Any

import torch
from drawn_curves import METRICS, Point, Sizes, habits_curve, recovery
from drawn_faces import World

from affect_data.files import write_json, write_text

HIDDEN = (0.0, 0.5)
"""How much of a face its vector does not show, where planted habits are looked for."""

QUICK = Sizes(seeds=2, few=12, many=12, test=12, steps=3, long=3, knob=(0.0, 1.0))
"""Everything runs and nothing is measured."""


def main(words: list[str] | None = None) -> None:
    """Writes ``report.md``, ``figures.json``, and the planted habits in ``truth.json``."""
    parser = argparse.ArgumentParser(prog="python recipes/drawn_world", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for what is measured")
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that everything runs")
    given = parser.parse_args(words)
    torch.set_num_threads(1)
    sizes = QUICK if given.quick else Sizes()
    given.out.mkdir(parents=True, exist_ok=True)
    found = [recovery(World(people=sizes.many, hidden=hidden, habits=1.0), sizes, seed=0) for hidden in HIDDEN]
    print("planted habits are learned", flush=True)
    curve = habits_curve(sizes, lambda line: print(line, flush=True))
    write_json(given.out / "truth.json", {str(one["world"]["hidden"]): one["truth"] for one in found})
    write_json(given.out / "figures.json", {"recovery": found, "curve": [vars(point) for point in curve]})
    report = "\n".join([*_recovered(found), "", *_gains(curve)]) + "\n"
    write_text(given.out / "report.md", report)
    print(report, end="")


def _recovered(found: list[dict[str, Any]]) -> list[str]:
    kinds = list(found[0]["errors"])
    rows = [
        f"| {one['world']['hidden']} | "
        + " | ".join(f"{one['errors'][kind]['mean']:.3f}, {one['errors'][kind]['greatest']:.3f}" for kind in kinds)
        + " |"
        for one in found
    ]
    return [f"| hidden | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|", *rows]


def _gains(curve: list[Point]) -> list[str]:
    knobs = sorted({point.knob for point in curve})
    by_place = {(point.knob, point.metric): point for point in curve}
    rows = [f"| {knob} | " + " | ".join(_shown(by_place[knob, metric]) for metric in METRICS) + " |" for knob in knobs]
    return [f"| strength | {' | '.join(METRICS)} |", "|---" * (len(METRICS) + 1) + "|", *rows]


def _shown(point: Point) -> str:
    value = f"{point.mean:+.3f} ± {point.half:.3f}"
    return f"**{value}**" if point.side else value


if __name__ == "__main__":
    main()
