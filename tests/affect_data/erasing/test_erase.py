"""A person is erased: the dataset is that of sources without the person, everything else fits, and nothing of them is left in a file."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from affect_data.build.build import BuildReport, build
from affect_data.build.recipe import DataRecipe, recipe_from
from affect_data.dataset.folder import DatasetFolder
from affect_data.erasing.erase import erase
from affect_data.erasing.plan import plan_erasure
from affect_data.erasing.selection import Wanted

PERSON = "SN010"

Run = Callable[..., CompletedProcess[str]]
Digests = Callable[[Path], dict[str, str]]


@pytest.fixture(scope="session")
def people(demo_roots: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """DISFA and AffectNet, whose files list pictures that are missing, cannot be decoded, or are copies."""
    folder = tmp_path_factory.mktemp("people")
    for name in ("affectnet", "disfa"):
        shutil.copytree(demo_roots[name], folder / name)
    (folder / "disfa" / "Images" / "SN001" / "00003.jpg").write_bytes(b"nothing")
    (folder / "disfa" / "Images" / PERSON / "00002.jpg").write_bytes(b"no picture")
    return {name: folder / name for name in ("affectnet", "disfa")}


@pytest.fixture(scope="session")
def recipe() -> DataRecipe:
    return recipe_from({"databases": {"affectnet": {}, "disfa": {}}, "shard_rows": 7}, "people")


@pytest.fixture(scope="session")
def whole(people: dict[str, Path], recipe: DataRecipe, tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    return build(recipe, people, tmp_path_factory.mktemp("whole") / "merged", accept_incomplete=True)


@pytest.fixture
def merged(whole: BuildReport, tmp_path: Path) -> Path:
    return shutil.copytree(whole.dataset.path, tmp_path / "merged")


def without_person(roots: dict[str, Path], folder: Path) -> dict[str, Path]:
    """Copies of the sources without the files of the person."""
    copied = {name: shutil.copytree(root, folder / name) for name, root in roots.items()}
    for place in ("Images", "ActionUnit_Labels"):
        shutil.rmtree(copied["disfa"] / place / PERSON)
    return copied


def built(digests: dict[str, str], groups: Iterable[str] = ()) -> dict[str, str]:
    """The files of a dataset apart from its lock, and from groups that the build did not make."""
    left = ("dataset.lock.json", *groups)
    return {name: value for name, value in digests.items() if not any(part in left for part in name.split("/"))}


def persons_bytes(people: dict[str, Path]) -> list[bytes]:
    return [path.read_bytes() for path in sorted((people["disfa"] / "Images" / PERSON).iterdir())]


def files_with(folder: Path, needles: list[bytes]) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files for data in [path.read_bytes()] if any(needle in data for needle in needles)]


def erased(path: Path, *subjects: str) -> DatasetFolder:
    return erase(plan_erasure(path, Wanted(subjects=subjects))).dataset


def test_the_result_is_byte_for_byte_a_build_of_sources_without_the_person(
    merged: Path, people: dict[str, Path], recipe: DataRecipe, tmp_path: Path, digests: Digests
) -> None:
    expected = build(
        recipe, without_person(people, tmp_path / "sources"), tmp_path / "expected", accept_incomplete=True
    )
    result = erased(merged, f"disfa:{PERSON}")
    assert result.manifest == expected.dataset.manifest
    assert built(digests(merged)) == built(digests(expected.dataset.path))
    lock = json.loads((merged / "dataset.lock.json").read_text())
    own = json.loads((expected.dataset.path / "dataset.lock.json").read_text())
    for name, counts in own["databases"].items():
        for key in ("lines", "rows", "failures", "rows_in_two_splits"):
            assert lock["databases"][name][key] == counts[key], (name, key)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
