"""Kinds of column groups: named by one rule, found, read, and refused in one way, whatever the kind."""

import ast
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Features, Value
from labelled_rows import with_other

from affect_data.build.build import BuildReport
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.balance import BALANCE
from affect_data.dataset.kinds.base import GroupKind, GroupProvenance, StaleGroupError
from affect_data.dataset.kinds.crops import CROPS
from affect_data.dataset.kinds.declared import DECLARED
from affect_data.dataset.kinds.faces import FACES, NAME_OF_FACES, SECOND_FACES
from affect_data.dataset.kinds.features import FEATURES
from affect_data.dataset.kinds.folds import FOLDS
from affect_data.dataset.kinds.registry import KINDS, describe_kinds, stale_groups
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.schema import IMAGES, LABELS
from affect_data.dataset.writing import add_group
from affect_data.errors import DataError, UnknownNameError, UsageError
from affect_data.faces.policies import STORED

FOUND = {"name": "even", "plan": "uniform", "options": {}, "seed": 0, "pools": {}}
FILES = (".parquet", ".csv", ".png")
"""Names of files may begin like those of groups."""
NAMED = [kind for kind in KINDS if kind.prefix]


@pytest.fixture
def dataset(demo_report: BuildReport, tmp_path: Path) -> DatasetFolder:
    return open_dataset(shutil.copytree(demo_report.dataset.path, tmp_path / "merged"))


def add(dataset: DatasetFolder, group: str, provenance: dict[str, object]) -> DatasetFolder:
    zeros = [(split, pa.table({"x": np.zeros(dataset.rows(split), np.float32)})) for split in dataset.splits]
    return add_group(dataset, group, zeros, Features({"x": Value("float32")}), provenance)


# ---------------------------------------------------------------- names


def test_a_group_belongs_to_one_kind_and_labels_and_images_to_none() -> None:
    groups = [kind.group("a") for kind in NAMED] + ["pspi"]
    assert groups == ["soft.a", "features.a", "crops.a", "balance.a", "folds.a", "faces.a", "pspi"]
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


def test_crops_are_called_by_policies_whose_names_have_points() -> None:
    assert [name for name in STORED if CROPS.owns(CROPS.group(name))] == ["affwild2-112", "fmae-5", "loose-1.3"]
    assert not CROPS.owns("crops.loose-1.3.cropped")


def test_a_kind_of_one_group_a_dataset_is_a_declaration_like_the_others(dataset: DatasetFolder) -> None:
    assert FACES.group(NAME_OF_FACES) == "faces"
    assert FACES.column(NAME_OF_FACES, "box") == "faces.box"
    assert not FACES.owns("faces.x")
    dataset = add(dataset, FACES.group(NAME_OF_FACES), {"made_from": FACES.made_from(dataset), "detector": "told"})
    assert FACES.names(dataset) == ("faces",)
    with pytest.raises(StaleGroupError, match="Make them again: `affect-data align DATASET --detector told`"):
        FACES.check_fresh(with_other(dataset, "pictures"), NAME_OF_FACES, FACES.made_from(dataset))


def test_side_groups_are_found_where_a_database_declares_them(dataset: DatasetFolder) -> None:
    assert DECLARED.names(dataset) == ("native",)  # AffectNet's own classes
    assert DECLARED.names(add(dataset, "pspi", {})) == ("native", "pspi")
    assert stale_groups(with_other(open_dataset(dataset.path), "pictures", "labels", "people")) == {}


# ---------------------------------------------------------------- reading and refusing


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.called)
def test_what_a_dataset_lacks_is_named_with_what_it_has_and_the_command(
    dataset: DatasetFolder, kind: GroupKind[GroupProvenance]
) -> None:
    dataset = add(add(dataset, kind.group("b"), {}), kind.group("a"), {})
    assert kind.names(dataset) == ("a", "b")
    with pytest.raises(UnknownNameError) as caught:
        kind.read(dataset, "even")
    command = kind.command.replace("{name}", "even").replace("{plan}", "PLAN").replace("{detector}", "DETECTOR")
    assert (
        str(caught.value) == f"unknown {kind.called} in '{dataset.path}' (`{command}` writes them) 'even'; known: a, b"
    )


WHAT_MAKES_STALE = {
    SOFT_LABELS.called: {"pictures"},
    FEATURES.called: {"pictures"},
    CROPS.called: {"pictures"},
    BALANCE.called: {"labels"},
    FOLDS.called: {"pictures", "people"},
    SECOND_FACES.called: {"pictures"},
}


def test_every_kind_that_a_command_writes_says_what_it_is_made_from(dataset: DatasetFolder) -> None:
    assert list(WHAT_MAKES_STALE) == [kind.called for kind in NAMED]
    for kind in NAMED:
        expected = dataset.manifest.fingerprints.model_dump(include=WHAT_MAKES_STALE[kind.called])
        assert kind.made_from(dataset) == expected


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.called)
@pytest.mark.parametrize("name", ["pictures", "labels", "people"])
def test_a_group_is_stale_exactly_when_what_it_was_made_from_changed(
    dataset: DatasetFolder, kind: GroupKind[GroupProvenance], name: str
) -> None:
    dataset = add(dataset, kind.group("even"), {"made_from": kind.made_from(dataset), "plan": "uniform"})
    assert (kind.fitting(dataset), stale_groups(dataset)) == (("even",), {})
    dataset = with_other(dataset, name)
    stale = name in WHAT_MAKES_STALE[kind.called]
    assert (kind.names(dataset), kind.fitting(dataset)) == (("even",), () if stale else ("even",))
    command = kind.command.replace("{name}", "even").replace("{plan}", "uniform").replace("{detector}", "DETECTOR")
    assert stale_groups(dataset) == ({kind.group("even"): command} if stale else {})


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.called)
def test_a_stale_group_is_refused_with_the_cause_and_the_command(
    dataset: DatasetFolder, kind: GroupKind[GroupProvenance]
) -> None:
    before = kind.made_from(dataset)
    dataset = add(dataset, kind.group("even"), {"made_from": before, "plan": "uniform"})
    dataset = with_other(dataset, *before)
    command = kind.command.replace("{name}", "even").replace("{plan}", "uniform").replace("{detector}", "DETECTOR")
    with pytest.raises(StaleGroupError) as caught:
        kind.check_fresh(dataset, "even", before)
    assert str(caught.value) == (
        f"{kind.called} 'even' were made from other {' and '.join(before)} than the dataset has now. Make them again: `{command}`"
    )


@pytest.mark.parametrize(
    ("kind", "more"),
    [(BALANCE, FOUND), (FOLDS, {"method": "literature", "rows": {"0": 9}})],
    ids=["balancing weights", "folds"],
)
def test_a_stale_group_cannot_be_read(
    dataset: DatasetFolder, kind: GroupKind[GroupProvenance], more: dict[str, object]
) -> None:
    dataset = add(dataset, kind.group("even"), {"made_from": kind.made_from(dataset), **more})
    assert kind.read(dataset, "even").made_from == kind.made_from(dataset)
    with pytest.raises(StaleGroupError):
        kind.read(with_other(dataset, *kind.made_from(dataset)), "even")


def test_a_group_of_unknown_origin_is_stale(dataset: DatasetFolder) -> None:
    dataset = add(dataset, SOFT_LABELS.group("t"), {})
    assert SOFT_LABELS.is_stale(dataset, "t")
    assert list(stale_groups(dataset)) == ["soft.t"]


def test_folds_are_of_people_and_stay_when_labels_change(dataset: DatasetFolder) -> None:
    provenance = {"method": "literature", "rows": {"0": 9}, "made_from": FOLDS.made_from(dataset)}
    dataset = with_other(add(dataset, FOLDS.group("own"), provenance), "labels")
    assert FOLDS.fitting(dataset) == ("own",)
    assert FOLDS.read(dataset, "own").rows == {"0": 9}
    assert stale_groups(dataset) == {}


def test_a_provenance_that_is_not_ours_is_refused_and_not_a_foreign_error(dataset: DatasetFolder) -> None:
    dataset = add(dataset, BALANCE.group("even"), {**FOUND, "made_from": {}, "seed": "x"})
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
            and not node.value.endswith(FILES)
            and not re.search(r"\s", node.value)
        ]
    assert found == []
