"""The student's losses against equations 9 and 10 of Vu et al. 2021, computed row by row."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from affect_train.inputs.batch import FaceBatch
from affect_train.inputs.labels import LabelArrays, SoftLabelArrays
from affect_train.inputs.pools import taught_by_pool
from affect_train.methods import build_method
from affect_train.network.output import AffectOutput
from affect_train.recipe.recipe import read_recipe

STUDENT = Path(__file__).parents[2] / "recipes" / "vu2021" / "student.yaml"
SHARE, TEMPERATURE = 0.6, 1.5
WIDTHS = {"expression": 7, "valence": 20, "arousal": 20}
HAS_EXPRESSION = np.array([True, True, False, True, True])
HAS_VA = np.array([False, True, True, True, True])
POOLS = np.array([0, 0, 1, 1, 2])
"""Of expressions, of valence and arousal, and of both."""


@pytest.fixture
def world() -> SimpleNamespace:
    """Five rows: one label or two, from each pool."""
    rng = np.random.default_rng(0)
    logits = {head: rng.normal(size=(5, width)) for head, width in WIDTHS.items()}
    taught = {head: rng.normal(size=(5, width)).astype(np.float16) for head, width in WIDTHS.items()}
    return SimpleNamespace(
        student=logits,
        teacher=taught,
        expression=np.where(HAS_EXPRESSION, rng.integers(7, size=5), -1),
        valence=np.where(HAS_VA, rng.uniform(-1, 1, 5), 0).astype(np.float32),
        arousal=np.where(HAS_VA, rng.uniform(-1, 1, 5), 0).astype(np.float32),
    )


def terms(world: SimpleNamespace, *, shared: bool) -> dict[str, Any]:
    recipe = read_recipe(STUDENT, [f"batches.shared_labels={str(shared).lower()}"])
    columns = {head: np.arange(width) for head, width in WIDTHS.items()}
    labels = LabelArrays(
        au=np.zeros((5, 0), dtype=np.int8),
        au_mask=np.zeros((5, 0), dtype=bool),
        expression=world.expression,
        expression_mask=HAS_EXPRESSION,
        valence=world.valence,
        arousal=world.arousal,
        va_mask=HAS_VA,
        soft={"teacher": SoftLabelArrays(world.teacher, columns)},
        taught=taught_by_pool(recipe),
    )
    uids = [str(row) for row in range(5)]
    batch = labels.batch(FaceBatch(torch.arange(5), uids, torch.zeros(5, 3, 16, 16), torch.from_numpy(POOLS)))
    output = AffectOutput(**{f"{head}_logits": torch.from_numpy(values) for head, values in world.student.items()})
    return build_method(recipe.method, recipe.tasks.task_set()).losses(output, batch)


def divergences(world: SimpleNamespace, head: str) -> Any:
    """H of the paper, with the square of the temperature, for each row."""
    teacher = world.teacher[head].astype(float) / TEMPERATURE
    student = log_softmax(world.student[head] / TEMPERATURE, axis=1)
    return (softmax(teacher, axis=1) * (log_softmax(teacher, axis=1) - student)).sum(axis=1) * TEMPERATURE**2


def cross_entropies(world: SimpleNamespace, head: str) -> Any:
    classes = world.expression if head == "expression" else np.minimum((getattr(world, head) + 1) * 10, 19).astype(int)
    return -log_softmax(world.student[head], axis=1)[np.arange(5), classes]


@pytest.mark.parametrize(
    ("shared", "expression_rows", "va_rows"),
    [(False, [0, 1, 4], [2, 3, 4]), (True, [0, 1, 3, 4], [1, 2, 3, 4])],
    ids=["equation 9", "equation 10"],
)
def test_a_row_has_six_tenths_of_a_label_where_it_is_taught_one_and_else_the_teacher(
    world: SimpleNamespace, shared: bool, expression_rows: list[int], va_rows: list[int]
) -> None:
    found = terms(world, shared=shared)
    for head in WIDTHS:
        rows = expression_rows if head == "expression" else va_rows
        soft = np.ones(5)
        soft[rows] = 1 - SHARE
        assert float(found[f"{head}_hard"].sum) == pytest.approx(
            SHARE * cross_entropies(world, head)[rows].sum(), rel=1e-5
        )
        assert float(found[f"{head}_soft"].sum) == pytest.approx((soft * divergences(world, head)).sum(), rel=1e-4)
        assert int(found[f"{head}_soft"].count) == int(found[f"{head}_hard"].count) == 5
    for axis in ("valence", "arousal"):
        assert int(found[f"{axis}_ccc"].sums[0]) == len(va_rows)
        assert found[f"{axis}_ccc"].weight == pytest.approx(SHARE)
