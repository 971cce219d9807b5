"""Readers meet damaged copies: what once made a fault, and some new damage each; `make fuzz` looks for more."""

import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from fuzzing.campaign import Campaign, stored_seeds
from fuzzing.mutations import MUTATIONS
from fuzzing.trial import Step, run
from written_databases import Written

from affect_data.databases.expw import ExpW
from affect_data.databases.registry import BUILT_IN
from affect_data.databases.root import DatabaseRoot

SEEDS = list(stored_seeds())
NEW_TRIALS = 2


@pytest.mark.parametrize(("name", "steps"), SEEDS, ids=[f"{name}-{n}" for n, (name, _) in enumerate(SEEDS)])
def test_damage_that_once_made_a_fault_makes_none(
    name: str, steps: tuple[Step, ...], written_of: Callable[[str], Written], tmp_path: Path
) -> None:
    written = written_of(name)
    assert run(written.database, written.scan, written.root, steps, tmp_path / "trial").fault == ""


@pytest.mark.parametrize("name", BUILT_IN)
def test_new_damage_gives_the_same_labels_or_an_error_with_a_name(
    name: str, written_of: Callable[[str], Written], tmp_path: Path
) -> None:
    campaign = Campaign(written_of(name), tmp_path)
    rng = random.Random(name)
    for _ in range(NEW_TRIALS):
        campaign.trial(rng)
    assert campaign.faults == {}
    assert campaign.paths


class Wrong(ExpW):
    """A reader with a fault that a test chooses."""

    fault = ""

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        rows = super().scan(root)
        if self.fault == "label":
            return rows.with_columns(expression=pl.lit("fear"))
        if self.fault == "exception":
            raise KeyError("anger")
        if self.fault == "outside":
            (root.path.parent / "secret.csv").read_text()
        return rows


@pytest.mark.parametrize(
    ("fault", "said"),
    [("label", "fear"), ("exception", "KeyError: 'anger'"), ("outside", "opened outside of the root"), ("", "")],
)
def test_a_trial_notices_what_a_reader_does_wrong(
    fault: str, said: str, written_of: Callable[[str], Written], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wrong, "fault", fault)
    written = written_of("expw")
    found = run(Wrong(), written.scan, written.root, [], tmp_path / "trial").fault
    assert said in found
    assert bool(found) == bool(fault)


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_a_mutation_leaves_the_original_as_it_is_and_is_the_same_again(
    name: str, written_of: Callable[[str], Written], tmp_path: Path
) -> None:
    written = written_of("raf_au")
    original = {path: (written.root / path).read_bytes() for path in written.scan.annotation_files}
    results = []
    for number in range(2):
        outcome = run(written.database, written.scan, written.root, [Step(name, 0, 7)], tmp_path / str(number))
        results.append((outcome.fault, outcome.refused))
    assert results[0] == results[1]
    assert {path: (written.root / path).read_bytes() for path in original} == original
