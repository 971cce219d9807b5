"""However a command fails, it ends with a line that names the file and a remedy; a traceback is shown only where one asks for it."""

import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from python_processes import run_python

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.databases.base import IMAGE_MISSING

Run = Callable[..., CompletedProcess[str]]
Digests = Callable[[Path], dict[str, str]]

BEFORE_COMMAND = {
    "few bytes a file": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))",
    # A superuser without its capabilities obeys permissions as everyone does.
    "no privileges": "import ctypes; ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())",
}
COMMAND = "import runpy, sys; sys.argv = ['affect_data', *sys.argv[1:]]; runpy.run_module('affect_data', run_name='__main__', alter_sys=True)"


def command_after(circumstance: str, *arguments: object) -> CompletedProcess[str]:
    return run_python(["-c", f"{BEFORE_COMMAND[circumstance]}\n{COMMAND}", *arguments])


@pytest.fixture
def expw(tmp_path: Path, make_expw: Callable[..., Path]) -> Path:
    return make_expw(tmp_path / "expw")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "data.yaml"
    path.write_text("databases: {expw: {}}\nshard_rows: 4\n")
    return path


@pytest.fixture
def loop(tmp_path: Path) -> Path:
    path = tmp_path / "loop"
    path.symlink_to("loop")
    return path


def assert_ends(run: CompletedProcess[str], status: int, *words: object) -> None:
    assert (run.returncode, run.stdout) == (status, ""), run.stderr
    assert run.stderr.startswith("error: ")
    assert "Traceback" not in run.stderr
    for word in words:
        assert str(word) in run.stderr


def test_a_loop_of_symbolic_links_is_named_wherever_it_stands(
    affect_data: Run, expw: Path, recipe: Path, loop: Path, tmp_path: Path
) -> None:
    root = ("--root", f"expw={expw}")
    assert_ends(affect_data("check", loop, *root), 2, loop, "symbolic links")
    assert_ends(affect_data("stats", loop), 1, loop)
    assert_ends(
        affect_data("build", recipe, loop, *root), 1, loop, "a symbolic link that leads to nothing or to itself. Remove"
    )
    assert_ends(affect_data("build", recipe, loop / "below", *root), 1, loop, "a loop of symbolic links")
    assert_ends(affect_data("check", recipe, "--roots", loop), 2, loop)
    picture = expw / "image" / "origin" / "p003.png"
    picture.unlink()
    picture.symlink_to(picture.name)
    assert_ends(affect_data("build", recipe, tmp_path / "merged", *root), 1, picture, "a loop of symbolic links")
    listed = expw / "label" / "label.lst"
    listed.unlink()
    listed.symlink_to(listed.name)
    built = affect_data("build", recipe, tmp_path / "merged", *root)
    assert_ends(built, 1, "label.lst")
    assert not (tmp_path / "merged").exists()


def test_a_folder_where_a_file_belongs_is_named(affect_data: Run, expw: Path, recipe: Path, tmp_path: Path) -> None:
    assert_ends(affect_data("check", expw), 2, expw)
    (expw / "image" / "origin" / "p003.png").unlink()
    (expw / "image" / "origin" / "p003.png").mkdir()
    built = affect_data("build", recipe, tmp_path / "merged", "--root", f"expw={expw}", "--json")
    assert built.returncode == 0
    assert f'"{IMAGE_MISSING}": 1' in built.stdout
    listed = expw / "label" / "label.lst"
    listed.unlink()
    listed.mkdir()
    assert_ends(affect_data("build", recipe, tmp_path / "other", "--root", f"expw={expw}"), 1, "label.lst")


def test_a_file_where_a_folder_belongs_is_named(affect_data: Run, expw: Path, recipe: Path) -> None:
    below = recipe / "merged"
    assert_ends(
        affect_data("build", recipe, below, "--root", f"expw={expw}"),
        1,
        recipe,
        "a file stands where a folder is expected",
    )
    assert_ends(affect_data("stats", recipe), 1, recipe)


def test_a_file_that_cannot_grow_leaves_the_older_dataset_and_is_named(
    expw: Path, recipe: Path, tmp_path: Path, digests: Digests
) -> None:
    out = tmp_path / "merged"
    build(recipe_from({"databases": {"expw": {}}, "shard_rows": 5}, "x"), {"expw": expw}, out)
    before = digests(out)
    listed = expw / "label/label.lst"
    listed.write_text(listed.read_text().replace(" 0\n", " 5\n", 1))
    run = command_after("few bytes a file", "build", recipe, out, "--root", f"expw={expw}", "--overwrite")
    assert_ends(run, 1, ".merged.building", "the file would become larger than", "what was there before is unchanged")
    assert digests(out) == before
    assert build(recipe_from({"databases": {"expw": {}}, "shard_rows": 4}, "x"), {"expw": expw}, out, overwrite=True)


@pytest.mark.skipif(sys.platform != "linux", reason="gives up its privileges as Linux does")
def test_a_read_only_target_is_named_and_left(expw: Path, recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    folder.chmod(0o500)
    run = command_after("no privileges", "build", recipe, folder / "merged", "--root", f"expw={expw}")
    assert_ends(run, 1, folder / ".merged.building", "permission denied. Change its permissions, or name another place")
    assert list(folder.iterdir()) == []


def test_a_defect_of_the_program_is_one_line_that_says_what_to_do(
    affect_data: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from affect_data.databases import catalogue

    def broken() -> list[object]:
        raise KeyError("expw")

    monkeypatch.setattr(catalogue, "catalogue", broken)
    found = affect_data("databases")
    assert_ends(
        found, 1, "unexpected KeyError at cli/test_endings.py:", "'expw'. This is a defect of affectkit: please report"
    )
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--debug", "stats", "none"), ("stats", "none", "--debug"), ("stats", "none")])
def test_debug_shows_the_traceback_before_the_line(
    affect_data: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("AFFECT_DEBUG", "0" if "--debug" in arguments else "1")
    found = affect_data(*arguments)
    assert found.returncode == 1
    assert found.stderr.startswith("Traceback (most recent call last):")
    assert found.stderr.splitlines()[-1].startswith("error: 'none' is no affectkit dataset")


def test_debug_after_two_dashes_is_an_argument(affect_data: Run) -> None:
    found = affect_data("check", "--", "--debug")
    assert_ends(found, 2, "data recipe '--debug' does not exist")
