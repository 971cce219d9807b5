"""The twin on real faces, on drawn ones: what it draws, learns, measures and refuses."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from programs import loaded_program
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from affect_data.errors import UsageError
from affect_train.evaluation.metrics import concordance_correlation
from affect_train.inputs.batch import AffectBatch, SoftTargets
from affect_train.methods import build_method, total_loss
from affect_train.network.output import AffectOutput
from affect_train.recipe.methods.distillation import DistillationOptions
from affect_train.recipe.methods.supervised import SupervisedOptions
from affect_train.tasks import TaskSet

FOLDER = Path(__file__).parents[2] / "recipes/real_twin"
MODULES = (
    "arms",
    "faces",
    "heads",
    "worlds",
    "objectives",
    "weighing",
    "learning",
    "scores",
    "plots",
    "running",
    "reporting",
)


@pytest.fixture(scope="module")
def twin() -> Iterator[Any]:
    """The modules of the twin, which is a program and no package, by name."""
    with loaded_program(FOLDER, MODULES) as found:
        yield found


@pytest.fixture(scope="module")
def faces(twin: Any) -> Any:
    return twin.faces.Faces.drawn(2600, 12, seed=0)


@pytest.fixture(scope="module")
def drawn(twin: Any, faces: Any) -> Any:
    return twin.worlds.draw(
        faces, twin.worlds.Truth.of(faces), twin.worlds.World(60, "one", 0.3), (0, 1), development=60
    )


def small(twin: Any, **changes: Any) -> Any:
    return twin.arms.read_twin(FOLDER / "arms.yaml", {**twin.main.QUICK, **changes})


# ---------------------------------------------------------------- what is drawn


def test_pools_and_development_faces_are_disjoint_and_no_test_face_is_among_them(
    twin: Any, faces: Any, drawn: Any
) -> None:
    known = {row.tobytes() for row in faces.features[faces.test]}
    for seed in range(2):
        rows = torch.cat([drawn.pools.features[seed], drawn.development.features[seed]])
        names = [row.numpy().tobytes() for row in rows]
        assert len(set(names)) == len(names) == 240
        assert not known & set(names)
    assert drawn.pools.own.sum(dim=(0, 1)).tolist() == [120, 120, 120]


def test_every_pool_shows_expressions_as_often_as_the_others(twin: Any, faces: Any) -> None:
    truth = twin.worlds.Truth.of(faces)
    drawn = twin.worlds.draw(faces, truth, twin.worlds.World(400, "all"), (3,), development=400)
    counts = [np.bincount(drawn.pools.expression[0, 400 * pool : 400 * pool + 400], minlength=8) for pool in range(3)]
    assert np.ptp(counts, axis=0).max() <= 2


def test_labels_are_one_drawn_vote_and_some_are_replaced(twin: Any, faces: Any) -> None:
    truth, worlds = twin.worlds.Truth.of(faces), twin.worlds
    one = worlds.draw(faces, truth, worlds.World(500, "one", 0.3), (0,), development=60).pools
    assert one.clean.float().mean().item() == pytest.approx(0.7, abs=0.04)
    every = worlds.draw(faces, truth, worlds.World(500, "all"), (0,), development=60).pools
    agree = (one.expression == every.expression)[one.clean].float().mean()
    votes = np.sort(faces.votes[~faces.test], axis=1)[:, -1].mean()
    assert agree.item() == pytest.approx(votes, abs=0.05)
    assert set(np.unique(one.va[..., 0])) <= {np.float32(v) for v, _ in worlds.CIRCUMPLEX.values()}


def test_an_action_unit_is_only_in_part_what_the_votes_say(twin: Any, faces: Any) -> None:
    truth, worlds = twin.worlds.Truth.of(faces), twin.worlds
    assert truth.au.mean(axis=0) == pytest.approx(np.linspace(0.08, 0.35, len(worlds.UNITS)), abs=0.01)
    implied = truth.votes @ worlds.RELATIONS.numpy()
    explained = [np.corrcoef(implied[:, unit], truth.au[:, unit])[0, 1] for unit in range(len(worlds.UNITS))]
    assert 0.3 < np.mean(explained) < 0.7
    rows, wrong = worlds.RELATIONS.tolist(), worlds.WRONG_RELATIONS.tolist()
    assert sorted(rows) == sorted(wrong)
    assert [name for name, one, other in zip(worlds.CLASSES, rows, wrong, strict=True) if one == other] == [
        "neutral",
        "contempt",
    ]


def test_one_face_of_a_group_of_copies_is_kept_a_test_face_if_there_is_one(twin: Any) -> None:
    of_row = np.array([0, 0, 2, 2, 4, 5])
    test = np.array([False, True, True, True, False, False])
    decided = np.array([True, True, False, True, False, True])
    kept = twin.faces._first_of_copies(of_row, test, decided)
    assert kept.tolist() == [False, True, False, True, False, True]


# ---------------------------------------------------------------- what is learned


def packed(twin: Any, drawn: Any, seed: int, rows: int) -> tuple[Any, torch.Tensor, AffectBatch]:
    """Some rows of one seed as the twin's batch and as that of affect_train, with logits for both."""
    chosen = torch.randperm(180, generator=torch.Generator().manual_seed(4))[None, :rows]
    pools = drawn.pools.at(slice(seed, seed + 1))
    # One vote lies on the edge of a bin, where the last bit decides.
    pools = replace(pools, va=0.97 * pools.va)
    soft = torch.randn(2, 1, 180, twin.heads.WIDTH, generator=torch.Generator().manual_seed(5))
    batch = twin.objectives.Batch.of(pools, pools.own, chosen, soft)
    logits = torch.randn(1, 1, rows, twin.heads.WIDTH, generator=torch.Generator().manual_seed(6))
    own = batch.learned[0]
    targets = {
        str(teacher): SoftTargets(
            one[0][:, twin.heads.OUTPUTS["au"]],
            torch.ones(len(twin.worlds.UNITS), dtype=torch.bool),
            *(one[0][:, twin.heads.OUTPUTS[name]] for name in ("expression", "valence", "arousal")),
        )
        for teacher, one in enumerate(batch.soft)
    }
    other = AffectBatch(
        inputs=torch.zeros(rows, 1),
        uids=[str(row) for row in range(rows)],
        rows=torch.arange(rows),
        au=batch.au[0],
        au_mask=own[:, 2:].expand(-1, len(twin.worlds.UNITS)),
        expression=batch.expression[0],
        expression_mask=own[:, 0],
        valence=batch.va[0, :, 0],
        arousal=batch.va[0, :, 1],
        va_mask=own[:, 1],
        soft=targets,
    )
    return batch, logits, other


@pytest.mark.parametrize("taught", [False, True])
def test_its_losses_are_those_of_affect_train(twin: Any, drawn: Any, taught: bool) -> None:
    batch, logits, other = packed(twin, drawn, 0, 60)
    arm = twin.arms.Arm(teachers=("a", "b") if taught else ())
    if not taught:
        batch = replace(batch, soft=None)
    known = twin.objectives.Known.of(drawn.pools.at(slice(0, 1)), drawn.pools.own[:1])
    found = twin.objectives.total(logits, batch, arm, known)
    tasks = TaskSet(twin.worlds.UNITS, twin.worlds.CLASSES, twin.heads.BINS)
    options = DistillationOptions() if taught else SupervisedOptions()
    output = AffectOutput(**{f"{name}_logits": logits[0, 0][:, part] for name, part in twin.heads.OUTPUTS.items()})
    expected = total_loss(build_method(options, tasks).losses(output, other)).loss
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_who_learns_beside_a_seed_does_not_matter(twin: Any, faces: Any, drawn: Any) -> None:
    numbers, arm = small(twin, steps=8), twin.arms.Arm()
    together = twin.learning.Training(numbers, arm, drawn, [0.3, 3.0]).run()
    alone = twin.worlds.Drawn((1,), drawn.pools.at(slice(1, 2)), drawn.development.at(slice(1, 2)))
    single = twin.learning.Training(numbers, arm, alone, [3.0]).run()
    features = torch.from_numpy(faces.features[faces.test])
    pair = together.logits(features.expand(2, -1, -1))
    torch.testing.assert_close(pair[1, 1], single.logits(features[None])[0, 0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(pair[1, 0], pair[1, 1], atol=1e-3)


def test_weights_of_rows_are_known_believed_or_learned(twin: Any, drawn: Any) -> None:
    batch, logits, _ = packed(twin, drawn, 0, 90)
    known = twin.objectives.Known.of(drawn.pools.at(slice(0, 1)), drawn.pools.own[:1])
    losses = twin.objectives.expression_rows(logits, batch, twin.arms.Arm(), known)
    labelled = batch.learned[0, :, 0]
    for kind in ("known", "confidence", "batch"):
        factors = twin.weighing.RowWeights(kind, (0,), 1).factors(losses, batch)[0, 0].detach()
        assert factors[labelled].mean().item() == pytest.approx(1.0, rel=1e-5)
        if kind == "known":
            assert (factors[~batch.clean[0]] == 0).all()
        if kind == "confidence":
            believed = logits[0, 0][:, :8].softmax(dim=1).gather(1, batch.expression[0][:, None])[:, 0]
            assert torch.allclose(factors, believed / believed[labelled].mean(), rtol=1e-4)
    raw = twin.weighing.RowWeights("raw", (0,), 1)
    assert ((raw.factors(losses, batch) > 0) & (raw.factors(losses, batch) < 1)).all()
    equal = twin.weighing.RowWeights("raw", (0,), 1, equal_start=True)
    assert (equal.factors(losses, batch) == 0.5).all()


# ---------------------------------------------------------------- what is measured


def test_metrics_agree_with_scikit_learn_face_by_face_and_resampled(twin: Any, faces: Any) -> None:
    truth, random = twin.worlds.Truth.of(faces), np.random.default_rng(3)
    part = slice(0, 300)
    truth = twin.worlds.Truth(truth.votes[part], truth.va[part], truth.au[part])
    predicted = {
        "expression": random.dirichlet(np.ones(8), 300),
        "va": random.uniform(-1, 1, (300, 2)),
        "au": random.uniform(size=truth.au.shape).round(1),
    }
    times = twin.scores.resamples(300, 2, seed=1)
    limits = np.full(truth.au.shape[1], 0.4)
    found = twin.scores.metrics_of(predicted, truth, limits, times)
    for place, counted in enumerate(times):
        rows = np.repeat(np.arange(300), counted.astype(int))
        votes, said = truth.votes[rows], predicted["expression"][rows].argmax(axis=1)
        unique = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
        true = votes.argmax(axis=1)
        units = range(truth.au.shape[1])
        expected = {
            "accuracy": accuracy_score(true[unique], said[unique]),
            "macro_f1": f1_score(true[unique], said[unique], labels=range(8), average="macro", zero_division=0),
            "nll": -np.mean((votes * np.log(predicted["expression"][rows])).sum(axis=1)),
            "ccc": np.mean([concordance_correlation(predicted["va"][rows, a], truth.va[rows, a]) for a in (0, 1)]),
            "ap": np.mean([average_precision_score(truth.au[rows, u], predicted["au"][rows, u]) for u in units]),
            "f1_tuned": np.mean([f1_score(truth.au[rows, u], predicted["au"][rows, u] >= 0.4) for u in units]),
        }
        measured = dict(zip(twin.scores.METRICS, found[place], strict=True))
        assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=1e-6)


def test_the_area_is_that_of_scikit_learn(twin: Any) -> None:
    random = np.random.default_rng(0)
    weights, clean = random.uniform(size=200).round(2), random.uniform(size=200) < 0.7
    assert twin.scores.area(weights, clean) == pytest.approx(roc_auc_score(clean, weights))


# ---------------------------------------------------------------- all of it


def test_every_arm_runs_is_reported_and_is_not_trained_again(
    twin: Any, faces: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = small(twin)
    worlds = {name: case.model_copy(update={"faces": 40}) for name, case in numbers.worlds.items()}
    numbers = numbers.model_copy(update={"worlds": worlds})
    monkeypatch.setattr(twin.running.draw, "__defaults__", (50,))
    monkeypatch.setattr(twin.running, "MOST_DECAYS", 3)
    twin.main.run(numbers, faces, tmp_path, ["few_noisy", "corrupted"])
    report = (tmp_path / "report.md").read_text()
    asked = {name for world in ("few_noisy", "corrupted") for name in numbers.in_order(world)}
    assert asked == set(numbers.arms)
    for name in asked:
        assert f"| {name} |" in report
    for claim in numbers.claims:
        assert f"| {claim.claim} |" in report
    drawn = ET.parse(tmp_path / "corrupted.svg").getroot()
    assert {"Weights over their mean help", "auroc"} <= {element.text for element in drawn.iter()}
    monkeypatch.setattr(twin.running, "Training", None)
    twin.main.run(numbers, faces, tmp_path, ["few_noisy", "corrupted"])
    assert (tmp_path / "report.md").read_text() == report


def test_without_the_faces_it_says_how_to_get_them(twin: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        twin.main.main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")])
    told = str(caught.value)
    assert told.startswith("error: ")
    assert "the folder does not exist" in told
    for command in (
        "affect-data build recipes/ferplus/data.yaml",
        "affect-train features BACKBONE",
        "python recipes/real_twin",
    ):
        assert command in told


def test_a_world_and_an_arm_that_are_not_there_are_named(twin: Any, faces: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no world 'many'; known: few_noisy"):
        twin.main.run(small(twin), faces, tmp_path, ["many"])
    with pytest.raises(UsageError, match=r"arms.yaml'.*claim 'a' names 'jiont', which is no arm"):
        small(twin, claims=[{"claim": "a", "better": "jiont", "than": "joint"}])
