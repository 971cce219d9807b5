"""A column group that is replaced is the old or the new one before every call that changes the disk, so that a kill finds it readable."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasets import Features, Value

from affect_data.balance.registry import make_plan
from affect_data.balance.weighing import balance
from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.corrections.decisions import Decision, Labels
from affect_data.corrections.versions import apply_decisions, undo_version
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.schema import LABELS
from affect_data.dataset.soft_labels import write_soft_labels
from affect_data.dataset.writing import add_group
from affect_data.leaks.folds import write_folds
from affect_data.vocabulary import EXPRESSIONS

CALLS = ("rename", "fsync", "unlink", "rmdir", "link")


@pytest.fixture
def dataset(make_expw: Callable[..., Path], tmp_path: Path) -> DatasetFolder:
    recipe = recipe_from({"databases": {"expw": {}}, "workers": 1, "shard_rows": 12}, "expw.yaml")
    return build(recipe, {"expw": make_expw(tmp_path / "expw", faces=24)}, tmp_path / "merged").dataset


def soft_labels(dataset: DatasetFolder, turn: int) -> None:
    provenance = SoftLabelProvenance(
        name="group",
        teacher_id="run",
        teacher_revision=str(turn),
        made_from=SOFT_LABELS.made_from(dataset),
        view="whole",
        expressions=EXPRESSIONS[:2],
    )
    logits = np.full((dataset.rows("train"), 2), turn, np.float16)
    write_soft_labels(dataset.path, provenance, {"train": {"expression": logits}})


def stored_features(dataset: DatasetFolder, turn: int) -> None:
    described = Features({"features.group": Value("float32")})
    table = pa.table({"features.group": np.full(dataset.rows("train"), turn, np.float32)})
    add_group(
        dataset,
        "features.group",
        [("train", table)],
        described,
        {"made_from": FEATURES.made_from(dataset), "turn": turn},
    )


def weights(dataset: DatasetFolder, turn: int) -> None:
    balance(dataset.path, make_plan("deng2020_expression" if turn else "database_temperature"), "group")


def folds(dataset: DatasetFolder, turn: int) -> None:
    write_folds(dataset, "group", 2 + turn)


def corrected(dataset: DatasetFolder, turn: int) -> None:
    """Labels of the build, then those of a decision."""
    if turn == 0:
        return
    row = dataset.labels("train").row(3, named=True)
    decision = Decision(
        id="d" * 32,
        split="train",
        database="expw",
        dataset=dataset.fingerprint,
        action="mask",
        old=Labels(expression=EXPRESSIONS[row["expression"]]),
        new=Labels(expression=None),
        who="ada",
        when="2020-01-01T00:00:00+00:00",
        **{name: row[name] for name in ("uid", "image_digest", "face")},
    )
    path = dataset.path.with_name("decisions.jsonl")
    path.write_text(decision.to_line())
    apply_decisions(dataset.path, path)


def undone(dataset: DatasetFolder, turn: int) -> None:
    """Labels of a decision, then those of the build."""
    if turn == 0:
        corrected(dataset, 1)
    else:
        undo_version(dataset.path)


@contextmanager
def looked_at(path: Path, group: str) -> Iterator[list[tuple[str, str]]]:
    """Content and provenance of a group of the train split as a reader finds them before every call that changes the disk."""
    seen: list[tuple[str, str]] = []

    def look() -> None:
        found = open_dataset(path)
        content = content_hash(found.load("train", [group]).data.table)
        seen.append((content, str(found.manifest.provenance.get(group))))

    with pytest.MonkeyPatch.context() as patched:
        for name in CALLS:
            patched.setattr(os, name, _after(look, getattr(os, name)))
        yield seen
    look()


def _after(look: Callable[[], None], real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        look()
        return real(*arguments, **options)

    return call


@pytest.mark.parametrize(
    ("write", "group"),
    [
        (soft_labels, "soft.group"),
        (stored_features, "features.group"),
        (weights, "balance.group"),
        (folds, "folds.group"),
        (corrected, LABELS),
        (undone, LABELS),
    ],
)
def test_a_group_that_is_replaced_is_the_old_or_the_new_one_at_every_moment(
    dataset: DatasetFolder, write: Callable[[DatasetFolder, int], None], group: str
) -> None:
    write(dataset, 0)
    with looked_at(dataset.path, group) as seen:
        write(open_dataset(dataset.path), 1)
    old, new = seen[0], seen[-1]
    assert old != new
    assert set(seen) == {old, new}
    assert seen == sorted(seen, key=lambda one: one == new)
    assert len(seen) > 10
