"""A campaign: mutants that reach new lines of a reader are mutated further, until nothing new comes or the time is over.

    python tests/support/fuzzing/campaign.py --minutes 60                 # until no new path in so many minutes
    python tests/support/fuzzing/campaign.py --minutes 1 --only disfa --seed 3

Every fault is printed, and kept as a seed in tests/seeds, which the tests run.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")

TESTS = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS.parent), str(TESTS / "support"), *map(str, TESTS.glob("affect_data"))]

from written_databases import Written, write_database  # noqa: E402

from affect_data.databases.registry import BUILT_IN  # noqa: E402
from fuzzing.mutations import MUTATIONS  # noqa: E402
from fuzzing.trial import Arc, Outcome, Step, run  # noqa: E402

SEEDS = TESTS / "seeds"
MOST_STEPS = 4
"""Of one trial; what needs more damage is no copy of a database."""


@dataclass
class Campaign:
    """The trials of one database.

    Attributes:
        written: its files.
        folder: for the copies.
        trials: how many there were.
        refused: in how many the reader named an error.
        paths: pairs of lines that ran in any.
        kept: the mutants that reached new ones.
        faults: steps and what the reader did wrong, one for each kind of fault.
        last_new: when a new path was found, by `time.monotonic`.
    """

    written: Written
    folder: Path
    trials: int = 0
    refused: int = 0
    paths: set[Arc] = field(default_factory=set)
    kept: list[tuple[Step, ...]] = field(default_factory=lambda: [()])
    faults: dict[str, tuple[tuple[Step, ...], str]] = field(default_factory=dict)
    last_new: float = field(default_factory=time.monotonic)

    def trial(self, rng: random.Random) -> Outcome:
        """Mutates one of the kept mutants further, and keeps the result if it is new."""
        steps = rng.choice(self.kept)[: MOST_STEPS - 1]
        names = sorted(MUTATIONS)
        steps += tuple(
            Step(rng.choice(names), rng.randrange(1 << 16), rng.randrange(1 << 32))
            for _ in range(rng.choice((1, 1, 1, 2)))
        )
        outcome = self.run(steps)
        if outcome.fault:
            self.faults.setdefault(_kind(outcome.fault), (steps, outcome.fault))
        elif not outcome.paths <= self.paths:
            self.kept.append(steps)
        if not outcome.paths <= self.paths:
            self.last_new = time.monotonic()
        self.paths |= outcome.paths
        return outcome

    def run(self, steps: Sequence[Step]) -> Outcome:
        """Runs one trial, and counts it."""
        self.trials += 1
        outcome = run(self.written.database, self.written.scan, self.written.root, steps, self.folder / "trial")
        self.refused += outcome.refused
        return outcome


def _kind(fault: str) -> str:
    """What faults of one kind have in common: the text without names and numbers."""
    return "".join(sign for sign in fault.split("(")[0] if not sign.isdigit())[:80]


def stored_seeds() -> Iterator[tuple[str, tuple[Step, ...]]]:
    """The database and the steps of every fault that was ever found."""
    for path in sorted(SEEDS.glob("*.json")):
        for entry in json.loads(path.read_text()):
            yield path.stem, tuple(Step(**step) for step in entry["steps"])


def keep(name: str, campaign: Campaign) -> None:
    """Adds the faults of a campaign to the seeds of its database."""
    if not campaign.faults:
        return
    SEEDS.mkdir(exist_ok=True)
    path = SEEDS / f"{name}.json"
    entries = json.loads(path.read_text()) if path.exists() else []
    entries += [
        {"fault": fault, "steps": [asdict(step) for step in steps]} for steps, fault in campaign.faults.values()
    ]
    path.write_text(json.dumps(entries, indent=1) + "\n")


def main() -> None:
    """Runs a campaign over all databases in turn and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="ends when no database had a new path for so long")
    parser.add_argument("--at-most", type=float, default=480.0, help="minutes in all")
    parser.add_argument("--only", action="append", choices=BUILT_IN, help="a database; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        campaigns = {}
        for name in options.only or BUILT_IN:
            original = Path(folder) / name / "original"
            original.mkdir(parents=True)
            campaigns[name] = Campaign(write_database(name, original), Path(folder) / name)
        for campaign in campaigns.values():
            campaign.paths |= campaign.run(()).paths
        while True:
            for name, campaign in campaigns.items():
                outcome = campaign.trial(rng)
                if outcome.fault:
                    print(f"{name}: {outcome.fault}", flush=True)
            now = time.monotonic()
            newest = max(campaign.last_new for campaign in campaigns.values())
            if now - newest > 60 * options.minutes or now - begin > 60 * options.at_most:
                break
        print(
            f"\n{(time.monotonic() - begin) / 60:.0f} minutes, the last new path {(now - newest) / 60:.0f} minutes before the end\n"
        )
        print(
            "| database | trials | refused with an error | paths | mutants kept | kinds of fault |\n|---|---|---|---|---|---|"
        )
        for name, found in campaigns.items():
            keep(name, found)
            print(
                f"| `{name}` | {found.trials} | {found.refused} | {len(found.paths)} | {len(found.kept)} | {len(found.faults)} |"
            )


if __name__ == "__main__":
    main()
