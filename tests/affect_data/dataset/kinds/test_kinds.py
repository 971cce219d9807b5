"""Kinds of column groups: named by one rule, found, read, and refused in one way, whatever the kind."""

import ast
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Features, Value

from affect_data.build.build import BuildReport
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.balance import BALANCE
from affect_data.dataset.kinds.base import Dependency, GroupKind, GroupProvenance, StaleGroupError
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.kinds.folds import FOLDS
from affect_data.dataset.kinds.registry import KINDS, describe_kinds, stale_groups
from affect_data.dataset.kinds.scores import SCORES
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.schema import IMAGES, LABELS
from affect_data.dataset.writing import add_group, write_manifest
from affect_data.errors import DataError, UnknownNameError, UsageError

FOUND = {"dataset_fingerprint": "", "name": "even", "plan": "uniform", "options": {}, "seed": 0, "pools": {}}
NAMED = [kind for kind in KINDS if kind.prefix]


@pytest.fixture
def dataset(demo_report: BuildReport, tmp_path: Path) -> DatasetFolder:
    return open_dataset(shutil.copytree(demo_report.dataset.path, tmp_path / "merged"))


def add(dataset: DatasetFolder, group: str, provenance: dict[str, object]) -> DatasetFolder:
    zeros = [(split, pa.table({"x": np.zeros(dataset.rows(split), np.float32)})) for split in dataset.splits]
    return add_group(dataset, group, zeros, Features({"x": Value("float32")}), provenance)


def relabelled(dataset: DatasetFolder) -> DatasetFolder:
    write_manifest(dataset.path, dataset.manifest.model_copy(update={"fingerprint": "f" * 16}))
    return open_dataset(dataset.path)


# ---------------------------------------------------------------- names


def test_a_group_belongs_to_one_kind_and_labels_and_images_to_none() -> None:
    groups = [kind.group("a") for kind in NAMED] + ["pspi"]
    assert groups == ["soft.a", "features.a", "balance.a", "folds.a", "pspi"]
    for group in groups:
        assert [kind.owns(group) for kind in KINDS].count(True) == 1
    assert not [
        kind for kind in KINDS if kind.owns(LABELS) or kind.owns(IMAGES) or kind.owns("soft.") or kind.owns("x")
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.called)
@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "a\n", "_a"])
def test_a_name_that_would_leave_the_folder_is_refused(kind: GroupKind[GroupProvenance], name: str) -> None:
    with pytest.raises(UsageError, match=rf"{kind.called} cannot be called '{re.escape(name)}'; use letters, digits"):
        kind.group(name)
    assert not kind.owns(kind.prefix + name)


def test_a_kind_of_one_group_a_dataset_is_a_declaration_like_the_others(dataset: DatasetFolder) -> None:
    faces = GroupKind("faces", "faces", {Dependency.PICTURES}, GroupProvenance, "affect-data align DATASET", pattern="")
    assert faces.group("") == "faces"
    assert not faces.owns("faces.x")
    dataset = add(dataset, faces.group(""), {"dataset_fingerprint": dataset.fingerprint})
    assert faces.names(dataset) == ("",)
    assert faces.read(dataset, "").dataset_fingerprint == dataset.fingerprint
    with pytest.raises(StaleGroupError, match="Make them again: `affect-data align DATASET`"):
        faces.read(relabelled(dataset), "")


def test_scores_are_found_where_a_database_has_them(dataset: DatasetFolder) -> None:
    assert SCORES.names(dataset) == ()
    assert SCORES.names(add(dataset, "pspi", {})) == ("pspi",)
    assert stale_groups(relabelled(open_dataset(dataset.path))) == {}


# ---------------------------------------------------------------- reading and refusing


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.called)
def test_what_a_dataset_lacks_is_named_with_what_it_has_and_the_command(
    dataset: DatasetFolder, kind: GroupKind[GroupProvenance]
) -> None:
    dataset = add(add(dataset, kind.group("b"), {}), kind.group("a"), {})
    assert kind.names(dataset) == ("a", "b")
    with pytest.raises(UnknownNameError) as caught:
        kind.read(dataset, "even")
    command = kind.command.replace("{name}", "even").replace("{plan}", "PLAN")
    assert (
        str(caught.value) == f"unknown {kind.called} in '{dataset.path}' (`{command}` writes them) 'even'; known: a, b"
    )


@pytest.mark.parametrize("kind", [SOFT_LABELS, FEATURES, BALANCE], ids=lambda kind: kind.called)
def test_what_was_made_for_other_labels_is_refused_with_the_command(
    dataset: DatasetFolder, kind: GroupKind[GroupProvenance]
) -> None:
    dataset = add(dataset, kind.group("even"), {**FOUND, "dataset_fingerprint": dataset.fingerprint})
    assert kind.fitting(dataset) == ("even",)
    before, dataset = dataset.fingerprint, relabelled(dataset)
    assert (kind.names(dataset), kind.fitting(dataset)) == (("even",), ())
    command = kind.command.replace("{name}", "even").replace("{plan}", "uniform")
    assert stale_groups(dataset) == {kind.group("even"): command}
    assert str(kind.stale(dataset, "even", before)) == (
        f"{kind.called} 'even' were made for the dataset with fingerprint {before}, this one has {'f' * 16}: its rows or labels changed. "
        f"Make them again: `{command}`"
    )


def test_a_group_of_unknown_origin_is_stale(dataset: DatasetFolder) -> None:
    dataset = add(dataset, SOFT_LABELS.group("t"), {})
    assert SOFT_LABELS.is_stale(dataset, "t")
    assert list(stale_groups(dataset)) == ["soft.t"]


def test_folds_are_of_people_and_stay_when_labels_change(dataset: DatasetFolder) -> None:
    provenance = {"method": "literature", "rows": {"0": 9}, "dataset_fingerprint": dataset.fingerprint}
    dataset = relabelled(add(dataset, FOLDS.group("own"), provenance))
    assert FOLDS.fitting(dataset) == ("own",)
    assert FOLDS.read(dataset, "own").rows == {"0": 9}
    assert stale_groups(dataset) == {}


def test_a_provenance_that_is_not_ours_is_refused_and_not_a_foreign_error(dataset: DatasetFolder) -> None:
    dataset = add(dataset, BALANCE.group("even"), {**FOUND, "dataset_fingerprint": dataset.fingerprint, "seed": "x"})
    with pytest.raises(
        DataError,
        match=r"balancing weights 'even' of '.*': what dataset\.json says of them does not validate \(seed: .*"
        r"Make them again: `affect-data balance DATASET uniform --name even`",
    ):
        BALANCE.read(dataset, "even")


# ---------------------------------------------------------------- the only place


def test_every_kind_is_in_the_documentation() -> None:
    page = describe_kinds()
    for kind in KINDS:
        assert f"| {kind.called} | `{kind.prefix}" in page


def test_no_other_module_writes_a_prefix_by_hand() -> None:
    root = Path(__file__).parents[4]
    prefixes = tuple(kind.prefix for kind in NAMED)
    found = []
    for path in sorted([*(root / "affect_data").rglob("*.py"), *(root / "affect_train").rglob("*.py")]):
        if path.parent.name == "kinds":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        found += [
            f"{path.relative_to(root)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in prose
            and node.value.startswith(prefixes)
            and not re.search(r"\s", node.value)
        ]
    assert found == []
