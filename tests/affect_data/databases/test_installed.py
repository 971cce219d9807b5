"""A package that is installed brings a reader: the one of docs/extending.md, in place, as an installer leaves it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from worked_examples import examples

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")


def install(site: Path, package: str, code: str, entry: str) -> None:
    """Puts a package where an installer puts it, with its metadata beside it."""
    (site / package).mkdir(parents=True)
    (site / package / "__init__.py").write_text(code, encoding="utf-8")
    about = site / f"{package}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[affectkit.databases]\n{entry}\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader of the page, one that cannot be imported, and one with the name of another."""
    folder = tmp_path_factory.mktemp("site")
    (code,) = (text for _, path, text in examples(PAGE) if path == "affect_data/databases/gallery.py")
    install(folder, "gallery_reader", code, "gallery = gallery_reader:Gallery")
    install(folder, "broken_reader", "import no_such_module\n", "murals = broken_reader:Murals")
    install(folder, "taken_reader", "", "expw = taken_reader:ExpW")
    return folder


def affect_data(site: Path, *words: object) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(map(str, (site, REPOSITORY)))
    return subprocess.run(
        [sys.executable, "-m", "affect_data", *map(str, words)],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_is_built_like_any_other_also_by_processes(site: Path, tmp_path: Path) -> None:
    root = tmp_path / "Gallery"
    (root / "portraits").mkdir(parents=True)
    (root / "faces.csv").write_text("0001.jpg,ann,2\n0002.jpg,bob,9\n")
    for name in ("0001.jpg", "0002.jpg"):
        Image.new("RGB", (16, 16)).save(root / "portraits" / name)
    (tmp_path / "data.yaml").write_text("databases: {gallery: {}}\nshard_rows: 1\n")
    built = affect_data(site, "build", tmp_path / "data.yaml", tmp_path / "out", "--roots", tmp_path, "--workers", 2)
    assert built.returncode == 0, built.stderr
    lock = json.loads((tmp_path / "out" / "dataset.lock.json").read_text())["databases"]["gallery"]
    assert (lock["rows"], lock["masked"][0]["reason"]) == (2, "the annotator was unsure")


def test_a_reader_that_cannot_be_used_is_said_and_harms_no_other(site: Path, tmp_path: Path) -> None:
    listed = affect_data(site, "databases")
    assert "Gallery" in listed.stdout
    assert "ExpW" in listed.stdout
    assert "murals: the reader of the package broken_reader cannot be used: ModuleNotFoundError" in listed.stderr
    assert "expw: the package taken_reader calls a reader so, and the name is taken" in listed.stderr
    (tmp_path / "data.yaml").write_text("databases: {murals: {}}\n")
    assert "broken_reader cannot be used" in affect_data(site, "check", tmp_path / "data.yaml").stderr
