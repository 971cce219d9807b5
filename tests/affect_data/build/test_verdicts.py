"""Three verdicts on a database: whole, incomplete, broken; what is lost is named, and built only where somebody accepts it."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from affect_data.build.build import build
from affect_data.build.check import DatabaseCheck, check
from affect_data.build.recipe import recipe_from
from affect_data.build.verdicts import IncompleteError, Verdict
from affect_data.databases.registry import DATABASES
from affect_data.databases.totals import DRAWN_MARKER, drawn_totals
from affect_data.demo.world import World, write_demo
from affect_data.errors import DataError

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every database, drawn small; to be copied before it is changed."""
    path = tmp_path_factory.mktemp("demo") / "world"
    write_demo(path, faces=24 * len(DATABASES), world=World(shares=dict.fromkeys(DATABASES, 1.0)))
    return path


@pytest.fixture
def copied(drawn: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A function that gives a copy of a database's drawn folder."""
    return lambda name: Path(shutil.copytree(drawn / name, tmp_path / name))


def checked(name: str, root: Path, **options: object) -> DatabaseCheck:
    (found,) = check(recipe_from({"databases": {name: options}}, "x"), {name: root})
    return found


def keep_lines(path: Path, share: float) -> None:
    lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    path.write_text("".join(lines[: round(len(lines) * share)]), encoding="utf-8")


def remove_share(folder: Path, pattern: str, share: float) -> None:
    pictures = sorted(folder.glob(pattern))
    assert pictures
    for picture in pictures[round(len(pictures) * (1 - share)) :]:
        picture.unlink()


# ---------------------------------------------------------------- drawn databases


@pytest.mark.parametrize("name", sorted(DATABASES))
def test_a_drawn_database_is_whole_and_states_its_totals(drawn: Path, name: str) -> None:
    found = checked(name, drawn / name)
    assert (found.verdict, found.losses, found.headline) == (Verdict.WHOLE, (), "whole")
    stated = drawn_totals(drawn / name)
    assert stated is not None
    assert sum(stated.counts.values()) > 20


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("raf_db", {"subset": "basic"}), ("raf_db", {"subset": "compound"}), ("expw", {"minimum_confidence": 30}),
        ("bp4d", {"keep_occluded": True}), ("affwild2", {"partial_action_units": False}),
        ("disfa", {"action_unit_threshold": 3}),
    ],
)  # fmt: skip
def test_what_a_recipe_does_not_ask_for_is_no_loss(drawn: Path, name: str, options: dict[str, object]) -> None:
    found = checked(name, drawn / name, **options)
    assert (found.verdict, found.headline) == (Verdict.WHOLE, "whole")


def delete(*paths: str) -> Callable[[Path], None]:
    """A change that removes what the first matches of some patterns name."""

    def change(root: Path) -> None:
        for path in paths:
            found = sorted(root.glob(path))[0]
            shutil.rmtree(found) if found.is_dir() else found.unlink()

    return change


LOSSES: list[tuple[str, str, Callable[[Path], None], str]] = [
    ("expw", "list cut", lambda root: keep_lines(root / "label/label.lst", 0.5), r"^incomplete: 12 of 24 drawn faces; 0 of 1 drawn faces of anger;"),
    ("expw", "half downloaded", lambda root: remove_share(root, "image/origin/*", 0.5), r"\d\d\.\d% of 24 rows have no picture"),
    ("afew_va", "clip deleted", delete("*/*"), r"\d+ of \d+ drawn (frames|clips); \d+ of \d+ drawn (frames|clips)"),
    ("affwild2", "track deleted", delete("cropped_aligned/*"), r"no cropped face of \d of \d+ tracks: .*rows have no picture"),
    ("affwild2", "task deleted", delete("*/EXPR_*"), r"^incomplete: no annotations of an expression \(no folder such as EXPR_"),
    ("affectnet", "list cut", lambda root: keep_lines(next(root.rglob("training.csv")), 0.5), r"drawn train faces"),
    ("disfa", "label file deleted", delete("ActionUnit_Labels/*/*_au12.txt"), r"\d+ of \d+ drawn label files"),
    ("disfa", "subject deleted", delete("ActionUnit_Labels/*"), r"drawn subjects"),
    ("bp4d", "code file deleted", delete("AUCoding/AU_OCC/*"), r"drawn occurrence files"),
    ("unbc", "person deleted", delete("Frame_Labels/FACS/*", "Frame_Labels/PSPI/*"), r"drawn people"),
    ("raf_db", "part deleted", delete("compound"), r"the compound part is absent \(`subset: basic` in the recipe"),
    ("raf_db", "list cut", lambda root: keep_lines(root / "basic/EmoLabel/list_patition_label.txt", 0.5), r"drawn basic"),
    ("ferplus", "part deleted", delete("FER2013Valid"), r"0 of \d+ drawn PublicTest lines"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "change", "lost"),
    [pytest.param(name, change, lost, id=f"{name}-{what}") for name, what, change, lost in LOSSES],
)
def test_a_loss_is_named_in_the_headline(
    copied: Callable[[str], Path], name: str, change: Callable[[Path], None], lost: str
) -> None:
    root = copied(name)
    change(root)
    found = checked(name, root)
    assert (found.verdict, found.defects, found.problem) == (Verdict.INCOMPLETE, (), "")
    assert re.search(lost, found.headline), found.headline
    assert not found.is_clean


def test_a_damaged_statement_of_what_was_drawn_is_an_error(copied: Callable[[str], Path]) -> None:
    root = copied("expw")
    (root / DRAWN_MARKER).write_text("drawn\n{", encoding="utf-8")
    assert "does not say what was drawn" in checked("expw", root).problem


# ---------------------------------------------------------------- official databases


def test_a_release_is_held_to_its_published_totals(copied: Callable[[str], Path]) -> None:
    root = copied("expw")
    (root / DRAWN_MARKER).unlink()
    found = checked("expw", root)
    assert found.headline.startswith("incomplete: 24 of 91,793 official faces")
    assert found.verdict is Verdict.INCOMPLETE


@pytest.mark.parametrize("name", sorted(name for name in DATABASES if DATABASES[name].totals))
def test_a_small_copy_of_any_release_with_published_totals_is_incomplete(
    copied: Callable[[str], Path], name: str
) -> None:
    root = copied(name)
    (root / DRAWN_MARKER).unlink()
    found = checked(name, root)
    assert found.verdict is Verdict.INCOMPLETE
    totals = DATABASES[name].totals.get(found.release)
    assert (" official " in found.headline) == (totals is not None)


@pytest.mark.parametrize("name", sorted(DATABASES))
def test_totals_are_of_its_releases_and_name_their_source(name: str) -> None:
    database = DATABASES[name]
    assert set(database.totals) <= set(database.releases or ("",))
    for totals in database.totals.values():
        assert totals.source
        assert all(count > 0 for count in totals.counts.values())


def test_an_excluded_line_is_no_loss(copied: Callable[[str], Path]) -> None:
    root = copied("raf_db")
    found = checked("raf_db", root, exclude=["basic/EmoLabel/list_patition_label.txt:2"])
    assert found.verdict is Verdict.WHOLE


def test_a_class_of_which_no_picture_is_left_is_named(make_expw: Callable[..., Path], tmp_path: Path) -> None:
    root = make_expw(tmp_path / "expw")
    (root / "image/origin/p003.png").unlink()
    found = checked("expw", root)
    assert found.losses == ("no picture of 1 of 7 expressions: happiness", "10.0% of 10 rows have no picture")


def test_where_nothing_is_left_a_database_is_broken(make_expw: Callable[..., Path], tmp_path: Path) -> None:
    root = make_expw(tmp_path / "expw")
    for picture in (root / "image/origin").iterdir():
        picture.unlink()
    found = checked("expw", root)
    assert (found.verdict, found.headline) == (Verdict.BROKEN, "broken: no row is left")
    with pytest.raises(DataError, match=r"no row is left of expw"):
        build(
            recipe_from({"databases": {"expw": {}}}, "x"), {"expw": root}, tmp_path / "merged", accept_incomplete=True
        )


# ---------------------------------------------------------------- accepting it


@pytest.fixture
def halved(copied: Callable[[str], Path]) -> Path:
    root = copied("expw")
    keep_lines(root / "label/label.lst", 0.5)
    return root


def lock_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "dataset.lock.json").read_text())["databases"]["expw"]


def test_an_incomplete_database_is_built_only_where_it_is_accepted_and_the_lock_says_so(
    halved: Path, tmp_path: Path
) -> None:
    refused = recipe_from({"databases": {"expw": {}}}, "x")
    accepted = recipe_from({"databases": {"expw": {"incomplete": "accepted"}}}, "x")
    assert accepted.digest() == refused.digest(), "acceptance does not decide the bytes"
    with pytest.raises(IncompleteError) as error:
        build(refused, {"expw": halved}, tmp_path / "merged")
    assert "expw: incomplete: 12 of 24 drawn faces" in str(error.value)
    assert "pass --accept-incomplete, or write `databases: {expw: {incomplete: accepted}}`" in str(error.value)
    assert not (tmp_path / "merged").exists()
    one = build(refused, {"expw": halved}, tmp_path / "one", accept_incomplete=True)
    other = build(accepted, {"expw": halved}, tmp_path / "other")
    assert one.dataset.fingerprint == other.dataset.fingerprint
    for out in ("one", "other"):
        assert lock_of(tmp_path / out)["verdict"] == "incomplete"
        assert lock_of(tmp_path / out)["losses"][0] == "12 of 24 drawn faces"


def test_a_whole_database_is_locked_as_whole(drawn: Path, tmp_path: Path) -> None:
    build(recipe_from({"databases": {"expw": {}}}, "x"), {"expw": drawn / "expw"}, tmp_path / "merged")
    assert (lock_of(tmp_path / "merged")["verdict"], lock_of(tmp_path / "merged")["losses"]) == ("whole", [])


def test_the_commands_ask_for_acceptance(affect_data: Run, halved: Path, tmp_path: Path) -> None:
    recipe, root = tmp_path / "data.yaml", f"expw={halved}"
    recipe.write_text("databases: {expw: {}}\n")
    found = affect_data("check", recipe, "--root", root)
    assert found.returncode == 1
    assert found.stdout.startswith("expw (2018): incomplete: 12 of 24 drawn faces; ")
    as_json = affect_data("check", recipe, "--root", root, "--json")
    document = json.loads(as_json.stdout)
    assert (as_json.returncode, document["clean"], document["verdict"]) == (1, False, "incomplete")
    assert document["databases"][0]["losses"][0] == "12 of 24 drawn faces"
    refused = affect_data("build", recipe, tmp_path / "merged", "--root", root)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: 1 database(s) are incomplete, nothing was written:\n")
    built = affect_data("build", recipe, tmp_path / "merged", "--root", root, "--accept-incomplete")
    assert built.returncode == 0
    assert "incomplete, as accepted" in built.stdout
    recipe.write_text("databases: {expw: {incomplete: accepted}}\n")
    accepted = affect_data("check", recipe, "--root", root)
    assert accepted.returncode == 0
    assert accepted.stdout.startswith("expw (2018): incomplete (accepted): 12 of 24 drawn faces; ")
    assert affect_data("build", recipe, tmp_path / "merged", "--root", root).returncode == 0
