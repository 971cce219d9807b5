"""A demo world of about 300 faces and its dataset, made once a session, and the small tools that the tests share."""

import hashlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from PIL import Image
from written_databases import Written, write_database

from affect_data.build.build import BuildReport, build
from affect_data.build.recipe import DataRecipe, recipe_from
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.demo.world import SHARES, write_demo


@pytest.fixture(scope="session")
def demo_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the demo databases and their truth."""
    path = tmp_path_factory.mktemp("demo") / "world"
    write_demo(path, seed=0, faces=300)
    return path


@pytest.fixture(scope="session")
def demo_roots(demo_world: Path) -> dict[str, Path]:
    return {name: demo_world / name for name in SHARES}


@pytest.fixture(scope="session")
def demo_recipe() -> DataRecipe:
    return recipe_from({"databases": {name: {} for name in SHARES}, "shard_rows": 16}, "demo")


@pytest.fixture(scope="session")
def demo_report(
    demo_roots: dict[str, Path], demo_recipe: DataRecipe, tmp_path_factory: pytest.TempPathFactory
) -> BuildReport:
    """What the build of the whole demo world reported; its dataset is for reading only."""
    return build(demo_recipe, demo_roots, tmp_path_factory.mktemp("built") / "merged")


@pytest.fixture(scope="session")
def written_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Written]:
    """A function from a database's name to its demo files, each written once a session, for reading only."""
    made: dict[str, Written] = {}

    def of(name: str) -> Written:
        if name not in made:
            made[name] = write_database(name, tmp_path_factory.mktemp(name))
        return made[name]

    return of


@pytest.fixture(scope="session")
def make_expw() -> Callable[..., Path]:
    """A function that writes a small ExpW: one picture of a known colour and one line a face, expressions in turn."""

    def make(root: Path, faces: int = 10, expressions: Iterable[int] = range(7)) -> Path:
        folder = root / "image" / "origin"
        folder.mkdir(parents=True)
        (root / "label").mkdir()
        codes = list(expressions)
        lines = []
        for index in range(faces):
            Image.new("RGB", (16, 16), (index, 255 - index, 7)).save(folder / f"p{index:03d}.png")
            lines.append(f"p{index:03d}.png 0 1 2 12 13 20.5 {codes[index % len(codes)]}\n")
        (root / "label" / "label.lst").write_text("".join(lines), encoding="utf-8")
        # Without totals: a test may add lines and remove them.
        (root / DRAWN_MARKER).write_text("Faces drawn by a test; nobody's.\n", encoding="utf-8")
        return root

    return make


@pytest.fixture(scope="session")
def digests() -> Callable[[Path], dict[str, str]]:
    """A function from a folder to the sha256 of every file in it, by relative path, without hidden files and folders."""

    def of(folder: Path) -> dict[str, str]:
        files = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
        shown = {name: path for name, path in files.items() if not any(part.startswith(".") for part in name.parts)}
        return {name.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for name, path in shown.items()}

    return of


@pytest.fixture
def affect_data(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., CompletedProcess[str]]:
    """A function that runs the command ``affect-data`` in this process, as the shell would."""
    from affect_data.cli import app as cli

    def run(*arguments: object) -> CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["affect-data", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = int(end.code or 0)
        printed = capsys.readouterr()
        return CompletedProcess(sys.argv, status, printed.out, printed.err)

    return run
