"""Who is erased from a dataset is erased from the Hub: no commit and no large file there holds them, and nothing else is lost."""

import copy
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pyarrow.parquet as pq
import pytest
from hub_fixtures import running_hub
from loopback_hub import Fault, File, LoopbackHub, Repository

from affect_data.databases.base import Tier
from affect_data.dataset.folder import open_dataset
from affect_data.erasing.erase import erase
from affect_data.erasing.plan import plan_erasure
from affect_data.erasing.selection import Wanted
from affect_data.errors import DataError
from affect_data.hub.client import HubError
from affect_data.hub.history import OldHistory, OtherReferencesError
from affect_data.hub.publish import plan, publish
from affect_data.hub.verify import verify

# The client's way to send a file is deprecated in the HTTP library that it uses.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

REPOSITORY = "anna/faces"
Run = Callable[..., CompletedProcess[str]]


@dataclass(frozen=True)
class Erased:
    """A dataset whose first face was published and then erased from the dataset alone.

    Attributes:
        path: the dataset.
        uid, picture: the face.
        repository, objects: what the Hub holds.
    """

    path: Path
    uid: str
    picture: bytes
    repository: Repository
    objects: dict[str, bytes]


@pytest.fixture(scope="module")
def published(built_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Erased:
    folder = tmp_path_factory.mktemp("history")
    faces = Path(shutil.copytree(built_faces, folder / "faces"))
    with pytest.MonkeyPatch.context() as patch, running_hub(patch, folder) as server:
        publish(plan(faces, REPOSITORY, Tier.FULL))
        uid = open_dataset(faces).labels("train", ("uid",))["uid"][0]
        picture = picture_of(server, uid)
        erase(plan_erasure(faces, Wanted(uids=[uid])))
        return Erased(faces, uid, picture, server.repositories["dataset", REPOSITORY], server.objects)


@pytest.fixture
def erased(published: Erased, hub: LoopbackHub) -> Erased:
    """The dataset, for reading only, and a Hub of the test's own that still has the face."""
    hub.repositories["dataset", REPOSITORY] = copy.deepcopy(published.repository)
    hub.objects.update(published.objects)
    return published


def everything(hub: LoopbackHub) -> list[bytes]:
    """Every file of every commit and every large file on the Hub."""
    commits = hub.repositories["dataset", REPOSITORY].commits
    return [*(file.data for _, _, files in commits for file in files.values()), *hub.objects.values()]


def rows_of(data: bytes) -> list[dict[str, object]]:
    return pq.read_table(io.BytesIO(data)).to_pylist() if data.startswith(b"PAR1") else []


def picture_of(hub: LoopbackHub, uid: str) -> bytes:
    return next(row["image"]["bytes"] for data in everything(hub) for row in rows_of(data) if row["uid"] == uid)  # type: ignore[index]


def holding(hub: LoopbackHub, erased: Erased) -> int:
    """How many files on the Hub name the face or hold its picture, compressed or not."""
    count = 0
    for data in everything(hub):
        rows = rows_of(data)
        named = erased.uid.encode() in data or any(row["uid"] == erased.uid for row in rows)
        shown = erased.picture in data or any(
            row["image"]["bytes"] == erased.picture  # type: ignore[index]
            for row in rows
            if "image" in row
        )
        count += named or shown
    return count


def republish(dataset: Path) -> str:
    return publish(plan(dataset, REPOSITORY, Tier.FULL, erases_history=True)).commit


def assert_erased(hub: LoopbackHub, erased: Erased) -> None:
    repository = hub.repositories["dataset", REPOSITORY]
    assert holding(hub, erased) == 0
    assert len(repository.commits) == 1
    used = {file.sha256 for file in repository.files.values() if file.large}
    assert set(hub.objects) == repository.objects == used
    rows = sum(len(rows_of(file.data)) for path, file in repository.files.items() if path.startswith("data/"))
    assert rows == sum(open_dataset(erased.path).rows(split) for split in open_dataset(erased.path).splits)


def test_an_erased_face_is_gone_from_every_commit_and_every_large_file(
    hub: LoopbackHub, erased: Erased, affect_data: Run
) -> None:
    before = hub.repositories["dataset", REPOSITORY]
    large = {file.sha256: len(file.data) for file in before.files.values() if file.large}
    # The picture's table, its soft label and its fold; each in the commit and as a large file.
    assert holding(hub, erased) == 6
    call = ("publish", erased.path, REPOSITORY, "--tier", "full", "--erase-history")
    shown = affect_data(*call, "--dry-run", "--json")
    assert shown.returncode == 0, shown.stderr
    planned = json.loads(shown.stdout)
    old = planned["erase_history"]
    assert old["commits"] == len(before.commits) == 2
    kept = {file["sha256"] for file in plan_files(erased.path)}
    assert old["objects"] == {oid: size for oid, size in large.items() if oid not in kept}
    assert old["bytes"] == sum(old["objects"].values())
    assert len(old["objects"]) < len(large)
    done = affect_data(*call, "--plan", planned["plan"])
    assert done.returncode == 0, done.stderr
    assert f"2 earlier commit(s), squashed into one; {len(old['objects'])} large file(s)" in done.stdout
    assert "the history is this commit" in done.stdout
    assert_erased(hub, erased)
    assert not verify(f"hf://{REPOSITORY}").findings


def plan_files(dataset: Path) -> list[dict[str, str]]:
    """What a publishing states of its files."""
    published = plan(dataset, REPOSITORY, Tier.FULL).staged.published
    return list(json.loads(published.text())["files"].values())


def test_without_the_flag_the_old_files_stay_and_the_output_says_so(
    hub: LoopbackHub, erased: Erased, affect_data: Run
) -> None:
    done = affect_data("publish", erased.path, REPOSITORY, "--tier", "full")
    assert done.returncode == 0, done.stderr
    assert "stays: something was erased from this dataset" in done.stdout
    assert "--erase-history deletes it" in done.stdout
    assert holding(hub, erased) == 6
    assert len(hub.repositories["dataset", REPOSITORY].commits) == 3
    # Nothing else is new, and yet it is done now.
    assert republish(erased.path)
    assert_erased(hub, erased)


def test_what_a_failure_interrupted_is_ended_by_the_same_command(
    hub: LoopbackHub, erased: Erased, slept: list[float]
) -> None:
    repository = hub.repositories["dataset", REPOSITORY]
    for path, commits in {"/super-squash/": 3, "/lfs-files/batch": 1}.items():
        hub.faults.append(Fault("POST", path, status=500))
        with pytest.raises(HubError, match=r"the Hub failed with status 500 .*is published, but what was there before"):
            republish(erased.path)
        assert len(repository.commits) == commits
        assert holding(hub, erased)
    republish(erased.path)
    assert_erased(hub, erased)


def test_a_token_that_may_not_is_refused_before_anything_is_sent(
    hub: LoopbackHub, erased: Erased, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hub.repositories["dataset", REPOSITORY].head
    hub.faults.append(Fault("GET", "/lfs-files", status=403))
    with pytest.raises(HubError, match="the token does not have the rights"):
        republish(erased.path)
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    with pytest.raises(HubError, match="the token of 'anna' may only read"):
        republish(erased.path)
    assert hub.repositories["dataset", REPOSITORY].head == before


def test_a_new_repository_has_nothing_to_lose(hub: LoopbackHub, published: Erased) -> None:
    planned = plan(published.path, "anna/new", erases_history=True)
    assert planned.old == OldHistory(0, {})
    publish(planned)
    assert len(hub.repositories["dataset", "anna/new"].commits) == 1


def test_a_tag_that_keeps_old_commits_is_named_before_anything_is_sent(hub: LoopbackHub, erased: Erased) -> None:
    repository = hub.repositories["dataset", REPOSITORY]
    repository.tags.append("v1")
    with pytest.raises(OtherReferencesError, match=r"has the tag v1, whose commits keep .*`hf repos tag delete`"):
        republish(erased.path)
    assert len(repository.commits) == 2


def test_a_list_of_large_files_that_lacks_a_used_one_deletes_nothing(hub: LoopbackHub, erased: Erased) -> None:
    repository = hub.repositories["dataset", REPOSITORY]
    repository.objects.pop()
    with pytest.raises(HubError, match=r"does not list .* although the newest commit has it"):
        republish(erased.path)
    assert len(repository.commits) == 2


def test_somebody_elses_commit_and_large_file_in_between_survive(hub: LoopbackHub, erased: Erased) -> None:
    repository = hub.repositories["dataset", REPOSITORY]
    planned = plan(erased.path, REPOSITORY, Tier.FULL, erases_history=True)
    theirs = File(b"theirs", large=True)
    hub.objects[theirs.sha256] = theirs.data
    repository.objects.add(theirs.sha256)
    repository.add("meanwhile", {**repository.files, "theirs.bin": theirs})
    with pytest.raises(HubError, match="somebody changed the repository meanwhile"):
        publish(planned)
    assert len(repository.commits) == 3
    republish(erased.path)
    assert repository.files["theirs.bin"] == theirs
    assert theirs.sha256 in hub.objects
    assert holding(hub, erased) == 0


def test_a_hub_that_says_it_deleted_and_did_not_is_noticed(hub: LoopbackHub, erased: Erased) -> None:
    hub.faults.append(Fault("POST", "/lfs-files/batch", status=200))
    with pytest.raises(DataError, match=r"still has 1 commit\(s\) and \d large file\(s\) that were to be deleted"):
        republish(erased.path)
