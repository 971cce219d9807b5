"""What names a model on the Hub, and what a path of this machine."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.errors import UsageError
from affect_train.addresses import HubAddress, hub_address

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}/[a-z][a-z0-9]{1,8}", fullmatch=True)
REVISIONS = st.from_regex(r"[\w.][\w./-]{0,12}", fullmatch=True)


@given(NAMES, REVISIONS)
def test_a_name_and_its_revision_are_told_apart(name: str, revision: str) -> None:
    assert hub_address(f"hf://{name}") == HubAddress(name, explicit=True)
    assert hub_address(Path(f"hf://{name}@v1")) == HubAddress(name, "v1", explicit=True)
    assert hub_address(f"hf://{name}@{revision}") == HubAddress(name, revision, explicit=True)
    assert str(HubAddress(name, revision)) == f"{name}@{revision}"


@pytest.mark.parametrize("path", ["runs", "runs/one/two", "./runs", "../runs", "/runs/one", "runs/", "", "."])
def test_other_paths_are_paths(path: str) -> None:
    assert hub_address(path) is None


def test_a_folder_here_comes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert hub_address("anna/teacher@v1") == HubAddress("anna/teacher", "v1")
    (tmp_path / "anna").mkdir()
    assert hub_address("anna/teacher@v1") is None
    assert hub_address("hf://anna/teacher@v1") == HubAddress("anna/teacher", "v1", explicit=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("anna/teacher@", r"names no revision after the '@'; give a branch, a tag or a commit"),
        ("hf://teacher", r"'teacher' is no name of a repository; name it as user/name"),
        ("hf://anna/teacher/more", r"is no name of a repository"),
        ("anna/--@v1", r"is no name of a repository"),
    ],
)
def test_what_can_be_neither_is_refused(source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        hub_address(source)
