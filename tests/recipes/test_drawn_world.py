"""The drawn world of vectors: what is planted, and that its program runs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import loaded_program

from affect_data.vocabulary import EXPRESSION_ACTION_UNITS

FOLDER = Path(__file__).parents[2] / "recipes/drawn_world"
MODULES = ("drawn_faces", "drawn_learning", "drawn_curves")


@pytest.fixture(scope="module")
def world() -> Iterator[Any]:
    """The modules of the program, which is no package, by name."""
    with loaded_program(FOLDER, MODULES) as found:
        yield found


def test_relations_leave_the_table_by_the_knob(world: Any) -> None:
    faces = world.drawn_faces
    happiness, unit = faces.EXPRESSIONS.index("happiness"), faces.UNITS.index(12)
    assert faces.relations(0.0)[happiness, unit] == EXPRESSION_ACTION_UNITS["happiness"][12] == 1.0
    assert faces.relations(0.25)[happiness, unit] == pytest.approx(0.75)
    assert faces.relations(1.0)[happiness, unit] == 0.0
    assert not faces.relations(0.5)[:, [faces.UNITS.index(one) for one in faces.FREE]].any()


def test_labels_have_the_planted_habits(world: Any) -> None:
    faces, random = world.drawn_faces, np.random.default_rng(0)
    knobs = faces.World(people=1000, faces=10)
    drawn, habits = faces.draw_faces(knobs, 0, 0), faces.Habits.drawn(1.0, np.random.default_rng(3))
    labels = faces.label(drawn, knobs, habits, random)
    counts = np.zeros((len(faces.EXPRESSIONS),) * 2)
    np.add.at(counts, (drawn.expression, labels.expression.numpy()), 1)
    assert counts / counts.sum(axis=1, keepdims=True) == pytest.approx(np.array(habits.confusion), abs=0.04)
    expected = (1 / (1 + np.exp(-(drawn.au_logits + habits.logit_shift)))).mean(axis=0)
    assert labels.au.numpy().mean(axis=0) == pytest.approx(expected, abs=0.02)
    for axis, values in enumerate((labels.valence.numpy(), labels.arousal.numpy())):
        inside = np.abs(values) < 1
        assert inside.mean() > 0.9
        found = np.polyfit(drawn.va[inside, axis], values[inside], 1)
        assert found == pytest.approx([habits.gain[axis], habits.offset[axis]], abs=0.06)


def test_an_annotator_labels_all_faces_of_a_person_alike(world: Any) -> None:
    faces = world.drawn_faces
    knobs = faces.World(people=300, faces=20, annotators=2.0)
    drawn = faces.draw_faces(knobs, 0, 0)
    labels = faces.label(drawn, knobs, faces.Habits(), np.random.default_rng(0))
    apart = labels.au.numpy() - 1 / (1 + np.exp(-drawn.au_logits))
    # Independent errors would leave a twentieth of the variance in the means over a person's twenty faces.
    of_people = apart.reshape(300, 20, -1).mean(axis=1).var(axis=0)
    assert (of_people > 3 * apart.var(axis=0) / 20).all()


def test_the_program_writes_truth_and_figures(world: Any, tmp_path: Path) -> None:
    world.main.main(["--out", str(tmp_path), "--quick"])
    figures, truth = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("figures", "truth"))
    assert truth["0.0"]["database0"]["gain"] == [1.0, 1.0]
    learned = figures["recovery"][0]["learned"]
    assert learned["database0"] == {}
    planted = np.ravel(truth["0.0"]["database1"]["offset"])
    error = np.abs(planted - list(learned["database1"]["offset"].values())).max()
    assert error <= figures["recovery"][0]["errors"]["offset"]["greatest"] + 1e-12
    assert {point["knob"] for point in figures["curve"]} == {0.0, 1.0}
