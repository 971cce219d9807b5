"""Writes that are whole or not there, on the disk before they are named; locks; and no other place that renames."""

import ast
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from python_processes import KILLED_AT, run_python

from affect_data.errors import DataError
from affect_data.files import (
    commit_folder,
    exclusive,
    locked_file,
    recover_folder,
    try_lock,
    write_bytes,
    write_json,
    write_text,
    written_file,
    written_folder,
)

PACKAGES = [Path(__file__).parents[2] / name for name in ("affect_data", "affect_train")]


class FullDiskError(Exception):
    """Stands for whatever ends a write."""


def raising(*_: object) -> None:
    raise FullDiskError


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was flushed, in order, and of what took its place."""
    real, rename, done = os.fsync, os.rename, list[str]()

    def flush(descriptor: int) -> None:
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    def renamed(source: Path, target: Path) -> None:
        done.append(f"{Path(source).name} -> {Path(target).name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "rename", renamed)
    return done


# ---------------------------------------------------------------- files


def test_a_file_is_flushed_before_it_takes_its_name_and_its_folder_after(tmp_path: Path, flushed: list[str]) -> None:
    write_text(tmp_path / "deep" / "a.json", "é")
    assert flushed == [".a.json.partial", ".a.json.partial -> a.json", "deep"]
    assert (tmp_path / "deep" / "a.json").read_bytes() == "é".encode()


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    write_bytes(tmp_path / "a", b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, raising)
        with pytest.raises(FullDiskError):
            write_bytes(tmp_path / "a", b"new")
    with pytest.raises(FullDiskError), written_file(tmp_path / "a") as partial:
        raising(partial.write_bytes(b"half"))
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_json_is_written_for_people(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": [1]})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": [\n    1\n  ]\n}\n'


# ---------------------------------------------------------------- folders


def fill(folder: Path, text: str) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "file").write_text(text)


def test_a_folder_appears_when_all_of_it_is_on_the_disk(tmp_path: Path, flushed: list[str]) -> None:
    with written_folder(tmp_path / "a") as partial:
        fill(partial, "new")
        assert not (tmp_path / "a").exists()
    assert sorted(flushed[:3]) == [".a.partial", "file", "inner"]
    assert flushed[3:] == [".a.partial -> a", tmp_path.name]
    assert (tmp_path / "a" / "inner" / "file").read_text() == "new"


def test_a_folder_that_fails_leaves_the_one_that_was_there(tmp_path: Path) -> None:
    with written_folder(tmp_path / "a") as partial:
        fill(partial, "old")
    with pytest.raises(FullDiskError), written_folder(tmp_path / "a") as partial:
        raising(fill(partial, "new"))
    assert (tmp_path / "a" / "inner" / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


REPLACING = """
from pathlib import Path
from affect_data.files import written_folder
killed_at(int(sys.argv[2]))
with written_folder(Path(sys.argv[1])) as partial:
    (partial / "file").write_text("new")
"""


def test_a_folder_whose_writing_is_killed_at_any_moment_is_the_old_or_the_new(tmp_path: Path) -> None:
    seen = []
    for count in range(1, 20):
        with written_folder(tmp_path / "a") as partial:
            (partial / "file").write_text("old")
        status = run_python(["-c", KILLED_AT + REPLACING, tmp_path / "a", count]).returncode
        recover_folder(tmp_path / "a")
        seen.append((tmp_path / "a" / "file").read_text())
        assert [path.name for path in tmp_path.iterdir()] == ["a"]
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {"old", "new"}


def test_the_old_folder_is_kept_until_the_new_one_is_there_even_after_a_kill_between(tmp_path: Path) -> None:
    fill_old, filled = tmp_path / ".a.old", tmp_path / "new"
    fill_old.mkdir()
    filled.mkdir()
    moments: list[bool] = []
    real = os.rename

    def renamed(source: Path, target: Path) -> None:
        moments.append(fill_old.exists())
        real(source, target)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "rename", renamed)
        commit_folder(filled, tmp_path / "a")
    assert moments == [True]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# ---------------------------------------------------------------- locks


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "a"),
        pytest.raises(DataError, match=r"a' is being written by another process; wait for it to end"),
        exclusive(tmp_path / "a"),
    ):
        pass
    held = try_lock(tmp_path / "lock")
    assert held is not None
    assert try_lock(tmp_path / "lock") is None
    held.close()
    again = try_lock(tmp_path / "lock")
    assert again is not None
    again.close()


def test_what_is_added_to_a_locked_file_is_on_the_disk_at_the_end(tmp_path: Path, flushed: list[str]) -> None:
    for line in (b"a\n", b"b\n"):
        with locked_file(tmp_path / "log", "ab") as file:
            file.write(line)
    assert flushed == ["log", "log"]
    assert (tmp_path / "log").read_bytes() == b"a\nb\n"


# ---------------------------------------------------------------- the only place


def renames(node: ast.AST) -> bool:
    """Whether a call is one of the steps that `affect_data.files` takes; tables and texts have methods of the same names, with other arguments."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and node.value.endswith((".partial", ".old", ".tmp"))
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    name = node.func.attr
    if name in ("fsync", "flock", "lockf", "move") and isinstance(node.func.value, ast.Name):
        return True
    of_os = isinstance(node.func.value, ast.Name) and node.func.value.id == "os"
    of_path = len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Dict | ast.DictComp)
    mapped = of_path and isinstance(node.args[0], ast.Call) and getattr(node.args[0].func, "id", "") == "dict"
    return name in ("rename", "replace") and (of_os or (of_path and not mapped))


def places(source: str) -> list[int]:
    return [node.lineno for node in ast.walk(ast.parse(source)) if renames(node)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("a.rename(b)", True),
        ("a.replace(b)", True),
        ("os.replace(a, b)", True),
        ("os.fsync(a.fileno())", True),
        ("shutil.move(a, b)", True),
        ("fcntl.flock(a, b)", True),
        ("path.with_name(f'.{path.name}.partial')", True),
        ("table.rename({'a': 'b'})", False),
        ("table.rename(dict(pairs))", False),
        ("text.replace('a', 'b')", False),
        ("replace(record, reused=True)", False),
    ],
)
def test_the_search_knows_a_rename_from_a_table(source: str, found: bool) -> None:
    assert bool(places(source)) == found


def test_nothing_but_the_module_for_files_renames_flushes_or_locks() -> None:
    found: dict[str, list[int]] = {}
    listed: Callable[[Path], str] = lambda path: str(path.relative_to(PACKAGES[0].parent))  # noqa: E731
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            lines = places(path.read_text(encoding="utf-8"))
            if lines and path != PACKAGES[0] / "files.py":
                found[listed(path)] = lines
    assert found == {}
