"""Own data goes through everything that a database goes through: checks, builds, licences, leaks, publishing, rebuilding, erasing."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from hub_fixtures import hub, slept  # noqa: F401 - fixtures
from own_tables import COLUMNS, ROWS, write_own, write_table

from affect_data.audit.run import run_audits
from affect_data.build.build import BuildReport, build
from affect_data.build.existing import OutputTakenError
from affect_data.build.recipe import recipe_from
from affect_data.databases.base import Tier
from affect_data.dataset.folder import open_dataset
from affect_data.dataset.merged import databases_of
from affect_data.erasing.erase import erase
from affect_data.erasing.plan import plan_erasure
from affect_data.erasing.selection import Wanted
from affect_data.hub.policy import NotPermittedError, terms_of
from affect_data.hub.publish import plan, publish
from affect_data.hub.rebuild import published_recipe, rebuild
from affect_data.hub.repository import open_repository
from affect_data.leaks.leaks import LeakError

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

Digests = Callable[[Path], dict[str, str]]
ENTRY: dict[str, Any] = {"reader": "table", "file": "labels.csv", "columns": COLUMNS}
READ = {"read_on": "2026-11-30", "source": "our own agreement"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_own(tmp_path_factory.mktemp("own") / "faces")


def built(own: Path, out: Path, **changes: Any) -> BuildReport:
    recipe = recipe_from({"databases": {"mine": {**ENTRY, **changes}}})
    return build(recipe, {"mine": own}, out, overwrite=True)


@pytest.fixture(scope="module")
def merged(own: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    """Own data with a licence that keeps it in; for reading only."""
    return built(own, tmp_path_factory.mktemp("merged") / "merged", citation="@misc{mine}", title="My faces")


def test_the_lock_counts_what_became_of_every_row(merged: BuildReport) -> None:
    report = merged.databases["mine"]
    assert (report.lines, report.rows, report.failures, report.verdict) == (4, 4, {}, "whole")
    assert report.masked == [{"task": "expression", "reason": "emotion = 9: declared as no label", "rows": 1}]
    assert list(report.annotation_files) == ["labels.csv"]
    labels = merged.dataset.labels("train")
    assert labels["uid"].to_list() == ["mine:pictures/a.png", "mine:pictures/b.png"]
    assert labels["database"].unique().to_list() == ["mine"]


def test_a_missing_picture_is_a_failure_and_makes_the_copy_incomplete(own: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(own, tmp_path / "faces"))
    (root / "pictures" / "b.png").unlink()
    report = built(root, tmp_path / "out", incomplete="accepted").databases["mine"]
    assert (report.rows, report.failures, report.verdict) == (3, {"image file missing": 1}, "incomplete")


@pytest.mark.usefixtures("hub")
def test_nothing_but_the_recipe_leaves_unless_the_entry_says_so(merged: BuildReport, own: Path, tmp_path: Path) -> None:
    terms = terms_of(merged.dataset)["mine"]
    assert (terms.publishes, terms.clause, terms.title, terms.citation) == (
        Tier.RECIPE,
        "not stated",
        "My faces",
        "@misc{mine}",
    )
    with pytest.raises(NotPermittedError, match="mine: not stated"):
        plan(merged.dataset.path, "anna/faces", Tier.FULL)
    licence = {"terms": "CC BY 4.0", "publishes": "full", "url": "https://example.org", **READ}
    open_data = built(own, tmp_path / "open", licence=licence).dataset
    assert plan(open_data.path, "anna/faces", Tier.FULL, public=True)


@pytest.mark.usefixtures("hub")
def test_what_is_published_is_rebuilt_by_whoever_has_the_data(
    merged: BuildReport, own: Path, tmp_path: Path, digests: Digests
) -> None:
    publish(plan(merged.dataset.path, "anna/faces", Tier.RECIPE))
    repository = open_repository("hf://anna/faces")
    report = rebuild(repository, published_recipe(repository), {"mine": own}, tmp_path / "again")
    assert report.differences == ()
    assert digests(tmp_path / "again") == digests(merged.dataset.path)
    assert databases_of(report.dataset)["mine"].title == "My faces"


def test_another_licence_is_another_dataset_although_no_row_changes(own: Path, tmp_path: Path) -> None:
    built(own, tmp_path / "out")
    assert built(own, tmp_path / "out").unchanged
    recipe = recipe_from({"databases": {"mine": {**ENTRY, "licence": {"publishes": "full", **READ}}}})
    with pytest.raises(OutputTakenError, match=r"mine\.licence"):
        build(recipe, {"mine": own}, tmp_path / "out")
    build(recipe, {"mine": own}, tmp_path / "out", overwrite=True)
    assert terms_of(open_dataset(tmp_path / "out"))["mine"].publishes is Tier.FULL


def test_people_of_one_family_are_in_one_split_across_tables(own: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(own, tmp_path / "other"))
    write_table(other / "labels.csv", [{**row, "part": "test"} for row in ROWS])
    entries = {"mine": {**ENTRY, "family": "lab"}, "theirs": {**ENTRY, "family": "lab"}}
    roots = {"mine": own, "theirs": other}
    with pytest.raises(LeakError, match="subject 'ann' of lab"):
        build(recipe_from({"databases": entries}), roots, tmp_path / "out")
    apart: Mapping[str, Any] = {name: {**ENTRY, "family": name} for name in entries}
    assert build(recipe_from({"databases": apart}), roots, tmp_path / "out").leaks == ()


def test_a_person_is_erased(own: Path, tmp_path: Path) -> None:
    path = built(own, tmp_path / "out").dataset.path
    after = erase(plan_erasure(path, Wanted(subjects=("mine:ann",)))).dataset
    assert after.splits == ("validation", "test")
    assert built(own, path).databases["mine"].erased == 2


def test_audits_know_what_the_table_codes(merged: BuildReport, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(merged.dataset.path, tmp_path / "copy"))
    found = run_audits(open_dataset(copy))
    assert "codes" not in found.findings["check"].unique().to_list()


def test_the_command_line_takes_the_name_of_the_entry(
    own: Path, tmp_path: Path, affect_data: Callable[..., CompletedProcess[str]]
) -> None:
    (tmp_path / "data.yaml").write_text(json.dumps({"databases": {"mine": ENTRY}}))
    found = affect_data("check", tmp_path / "data.yaml", "--root", f"mine={own}")
    assert found.returncode == 0
    assert (
        "emotion: 0 = happiness in 1 rows, 1 = sadness in 1 rows, 3 = anger in 1 rows, 9 = no label in 1 rows"
        in found.stdout
    )
    Path(tmp_path / "mine").symlink_to(own)
    assert affect_data("build", tmp_path / "data.yaml", tmp_path / "out", "--roots", tmp_path).returncode == 0
    wrong = affect_data("check", tmp_path / "data.yaml")
    assert wrong.returncode == 1
    assert "Name its folder by --root mine=PATH" in wrong.stdout
    assert "licensed" not in wrong.stdout
    assert "Own data has `reader: table`" in affect_data("check", _unknown(tmp_path)).stderr


def _unknown(folder: Path) -> Path:
    (folder / "unknown.yaml").write_text("databases: {mine: {}}\n")
    return folder / "unknown.yaml"
