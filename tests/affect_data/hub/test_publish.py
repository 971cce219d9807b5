"""Publishing over HTTP to a Hub on loopback: every tier, what it refuses, and what it does when the Hub does not work."""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pyarrow.parquet as pq
import pytest
from loopback_hub import Fault, File, LoopbackHub
from published_faces import add_teacher

from affect_data.databases.base import Tier
from affect_data.dataset.folder import MANIFEST, open_dataset
from affect_data.errors import DataError, FileAccessError, UsageError
from affect_data.hub.client import HubError, check_name
from affect_data.hub.policy import NotPermittedError
from affect_data.hub.publish import PublishReport, RepositoryTakenError, plan, publish
from affect_data.hub.staging import stage

# The client's way to send a file is deprecated in the HTTP library that it uses.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

REPOSITORY = "anna/faces"
Run = Callable[..., CompletedProcess[str]]


def put(dataset: Path, tier: Tier = Tier.RECIPE, repository: str = REPOSITORY, **options: object) -> PublishReport:
    return publish(plan(dataset, repository, tier, **options))  # type: ignore[arg-type]


def files(hub: LoopbackHub, repository: str = REPOSITORY) -> dict[str, File]:
    return hub.repositories["dataset", repository].files


def test_tier_recipe_holds_no_face_and_no_label(hub: LoopbackHub, built_faces: Path) -> None:
    report = put(built_faces)
    assert sorted(files(hub)) == [
        ".gitattributes", "README.md", "affectkit.json", "croissant.json", "dataset.lock.json", "recipe.yaml", "statistics.json",
    ]  # fmt: skip
    assert report.read_back == 6
    labels = open_dataset(built_faces).labels("train", ("uid", "image_digest"))
    published = b"".join(file.data for file in files(hub).values()).decode()
    assert not [text for text in (*labels["uid"], *labels["image_digest"]) if text in published]


def test_a_repository_is_private_unless_it_is_asked_for(hub: LoopbackHub, built_faces: Path) -> None:
    put(built_faces)
    put(built_faces, repository="anna/open", public=True)
    assert hub.repositories["dataset", REPOSITORY].private
    assert not hub.repositories["dataset", "anna/open"].private


def test_tier_derived_holds_what_was_made_and_nothing_else(hub: LoopbackHub, built_faces: Path) -> None:
    put(built_faces, Tier.DERIVED)
    tables = [path for path in files(hub) if path.endswith(".parquet")]
    assert sorted(tables) == [
        f"{config}/{split}/00000.parquet"
        for config in ("folds-cv", "soft-teacher")
        for split in ("train", "validation")
    ]
    columns = json.loads(files(hub)["affectkit.json"].data)["configs"]["soft-teacher"]["columns"]
    assert list(columns) == ["uid", "picture_key", "soft.teacher.expression"]


def test_everybody_can_load_tier_full(hub: LoopbackHub, built_faces: Path, tmp_path: Path) -> None:
    put(built_faces, Tier.FULL)
    code = """
import json, sys
from datasets import get_dataset_config_names, load_dataset
faces = load_dataset("anna/faces")
soft = load_dataset("anna/faces", "soft-teacher", split="train")
stream = load_dataset("anna/faces", split="validation", streaming=True, columns=["uid", "image"])
first = next(iter(stream))
print(json.dumps({
    "configs": sorted(get_dataset_config_names("anna/faces")),
    "rows": {split: len(rows) for split, rows in faces.items()},
    "names": faces["train"].features["expression"].names[:2],
    "uids": faces["train"]["uid"][:],
    "soft": soft["uid"][:],
    "pixel": first["image"].getpixel((0, 0)),
    "first": first["uid"],
    "digests": faces["validation"]["image_digest"][:],
}))
"""
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    folder = open_dataset(built_faces)
    train, validation = (folder.labels(split, ("uid", "image_digest", "source_line")) for split in folder.splits)
    assert found["configs"] == ["default", "folds-cv", "soft-teacher"]
    assert found["rows"] == {"train": len(train), "validation": len(validation)}
    assert found["names"] == ["neutral", "anger"]
    assert found["uids"] == found["soft"] == train["uid"].to_list()
    assert found["digests"] == validation["image_digest"].to_list()
    assert found["first"] == validation["uid"][0]
    # The picture of line n has the colour (n - 1, 256 - n, 7).
    number = validation["source_line"][0] - 1
    assert found["pixel"] == [number, 255 - number, 7]


def test_tables_have_small_row_groups_and_a_page_index(hub: LoopbackHub, built_faces: Path, tmp_path: Path) -> None:
    put(built_faces, Tier.FULL)
    path = tmp_path / "table.parquet"
    path.write_bytes(files(hub)["data/train/expw-00000.parquet"].data)
    metadata = pq.read_metadata(path)
    assert max(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)) <= 100
    assert metadata.row_group(0).column(0).has_offset_index
    assert metadata.row_group(0).column(0).has_column_index


def test_publishing_again_changes_nothing(hub: LoopbackHub, built_faces: Path) -> None:
    first = put(built_faces, Tier.FULL)
    again = plan(built_faces, REPOSITORY, Tier.FULL)
    assert (again.upload, again.commits) == ({}, 0)
    assert publish(again).commit == first.commit


def test_another_teacher_sends_only_its_own_table_and_the_texts(hub: LoopbackHub, faces: Path) -> None:
    put(faces, Tier.FULL)
    before = hub.uploaded.total()
    add_teacher(faces, "second")
    planned = plan(faces, REPOSITORY, Tier.FULL)
    tables = [path for path in planned.upload if path.endswith(".parquet")]
    assert tables == ["soft-second/train/00000.parquet", "soft-second/validation/00000.parquet"]
    publish(planned)
    assert hub.uploaded.total() - before == planned.bytes
    assert len(hub.repositories["dataset", REPOSITORY].commits) == 3


def test_files_that_are_no_longer_part_of_it_are_deleted_and_others_stay(hub: LoopbackHub, faces: Path) -> None:
    put(faces, Tier.DERIVED)
    repository = hub.repositories["dataset", REPOSITORY]
    repository.add("by hand", {**repository.files, "notes.txt": File(b"mine", large=False)})
    manifest = json.loads((faces / MANIFEST).read_text())
    for split in manifest["groups"].values():
        del split["folds.cv"]
    del manifest["provenance"]["folds.cv"]
    (faces / MANIFEST).write_text(json.dumps(manifest))
    planned = plan(faces, REPOSITORY, Tier.DERIVED)
    assert planned.delete == ("folds-cv/train/00000.parquet", "folds-cv/validation/00000.parquet")
    publish(planned)
    assert "notes.txt" in files(hub)
    assert not [path for path in files(hub) if path.startswith("folds-cv")]


def test_a_licence_keeps_faces_in_before_the_hub_is_asked(hub: LoopbackHub, licensed_faces: Path) -> None:
    with pytest.raises(NotPermittedError, match="no redistribution"):
        plan(licensed_faces, REPOSITORY, Tier.FULL)
    assert not hub.requests
    assert plan(licensed_faces, REPOSITORY, Tier.FULL, acknowledged=["expw"]).private


def test_a_public_repository_takes_nothing_private(hub: LoopbackHub, faces: Path) -> None:
    put(faces, public=True)
    with pytest.raises(RepositoryTakenError, match=r"anna/faces is public\. Make it private"):
        plan(faces, REPOSITORY)


def test_a_repository_of_another_kind_is_left_alone(hub: LoopbackHub, faces: Path) -> None:
    put(faces)
    hub.repositories["dataset", REPOSITORY].add("other", {"train.csv": File(b"a,b", large=False)})
    with pytest.raises(RepositoryTakenError, match=r"holds something else \(train\.csv\)\. Choose another name"):
        plan(faces, REPOSITORY)


def test_a_stricter_tier_does_not_hide_what_is_there(hub: LoopbackHub, faces: Path) -> None:
    put(faces, Tier.FULL)
    with pytest.raises(RepositoryTakenError, match="holds tier full, whose files would stay in its history"):
        plan(faces, REPOSITORY, Tier.RECIPE)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "there is no token|no valid token"),
        ("hf_unknown", "there is no valid token .*hf auth login"),
        ("hf_reader", "the token of 'anna' may only read"),
    ],
)
def test_a_token_that_may_not_write_is_refused_before_anything_is_made(
    hub: LoopbackHub, built_faces: Path, monkeypatch: pytest.MonkeyPatch, token: str, message: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError, match=message):
        plan(built_faces, REPOSITORY)
    assert not hub.repositories


def test_a_token_without_rights_to_the_namespace_is_named(
    hub: LoopbackHub, built_faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(HubError, match=r"does not have the rights .*Use a token that may write to this namespace"):
        put(built_faces)


@pytest.mark.parametrize("name", ["faces", "anna/a/b", "anna/../x", "/etc/passwd", "anna/", "anna/x y"])
def test_a_name_that_is_none_is_refused(built_faces: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a repository; name it as user/name"):
        plan(built_faces, name)


def test_names_of_one_letter_are_names() -> None:
    assert [check_name(name) for name in ("a/b", "hf://anna/f")] == ["a/b", "anna/f"]


def test_a_dataset_that_changed_since_the_plan_is_not_sent(hub: LoopbackHub, faces: Path) -> None:
    planned = plan(faces, REPOSITORY)
    add_teacher(faces, "late")
    with pytest.raises(DataError, match="has changed since the plan was made; nothing was uploaded"):
        publish(planned)
    assert not hub.repositories


def test_somebody_elses_commit_in_between_is_not_overwritten(hub: LoopbackHub, faces: Path) -> None:
    put(faces)
    planned = plan(faces, REPOSITORY, Tier.DERIVED)
    repository = hub.repositories["dataset", REPOSITORY]
    repository.add("meanwhile", {**repository.files, "theirs.txt": File(b"x", large=False)})
    with pytest.raises(HubError, match=r"somebody changed the repository meanwhile .* it plans anew"):
        publish(planned)
    put(faces, Tier.DERIVED)
    assert "theirs.txt" in files(hub)


def test_a_connection_that_breaks_off_in_an_upload_is_tried_again(
    hub: LoopbackHub, built_faces: Path, slept: list[float]
) -> None:
    hub.faults.append(Fault("PUT", "/lfs/", drops_after=100))
    put(built_faces, Tier.FULL)
    assert slept
    assert "data/train/expw-00000.parquet" in files(hub)


def test_a_hub_that_dies_half_way_is_gone_on_with(hub: LoopbackHub, faces: Path, slept: list[float]) -> None:
    planned = plan(faces, REPOSITORY, Tier.FULL)
    hub.faults.append(Fault("POST", "/commit/", status=500))
    with pytest.raises(HubError, match=r"the Hub failed with status 500 .*Run the same command again"):
        publish(planned)
    sent = dict(hub.uploaded)
    assert sent
    put(faces, Tier.FULL)
    # No table is sent a second time.
    assert {name: size for name, size in hub.uploaded.items() if name in sent} == sent


def test_a_hub_that_asks_to_wait_is_waited_for(hub: LoopbackHub, built_faces: Path, slept: list[float]) -> None:
    hub.faults.append(Fault("POST", "/objects/batch", status=429, headers={"Retry-After": "7"}))
    put(built_faces, Tier.DERIVED)
    assert max(slept) >= 7


def test_a_conflict_is_named(hub: LoopbackHub, built_faces: Path) -> None:
    hub.faults.append(Fault("POST", "/repos/create", status=409))
    with pytest.raises(HubError, match="the Hub is at work on this repository"):
        put(built_faces)


def test_a_hub_that_is_not_there_is_named(hub: LoopbackHub, built_faces: Path, slept: list[float]) -> None:
    hub.faults.append(Fault("GET", "/whoami", drops_after=0, times=9))
    with pytest.raises(HubError, match=r"the connection to the Hub broke off .*Run the same command again"):
        plan(built_faces, REPOSITORY)


def test_a_repository_that_does_not_hold_what_was_sent_is_noticed(
    hub: LoopbackHub, built_faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(built_faces, REPOSITORY)
    monkeypatch.setattr(
        File, "described", lambda file, path: {"type": "file", "path": path, "size": 1, "oid": "0" * 40}
    )
    with pytest.raises(DataError, match=r"does not hold what was sent: README\.md"):
        publish(planned)


def test_the_command_shows_its_plan_first_and_sends_nothing_in_a_dry_run(
    hub: LoopbackHub, built_faces: Path, affect_data: Run
) -> None:
    ran = affect_data("publish", built_faces, REPOSITORY, "--dry-run")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "anna/faces (private, new), tier recipe" in ran.stdout
    assert "6 file(s) new or changed, 0 as they are, 0 to delete, 1 commit(s)" in ran.stdout
    assert "expw: drawn faces, none holds" in ran.stdout
    assert not hub.repositories


def test_the_command_carries_out_the_plan_that_was_looked_at_and_no_other(
    hub: LoopbackHub, faces: Path, affect_data: Run
) -> None:
    planned = json.loads(affect_data("publish", faces, REPOSITORY, "--tier", "derived", "--dry-run", "--json").stdout)
    assert planned["published"] is False
    add_teacher(faces, "late")
    refused = affect_data("publish", faces, REPOSITORY, "--tier", "derived", "--plan", planned["plan"])
    assert refused.returncode == 1
    assert f"not {planned['plan']}: the dataset or the repository has changed since" in refused.stderr
    now = json.loads(affect_data("publish", faces, REPOSITORY, "--tier", "derived", "--dry-run", "--json").stdout)
    done = affect_data("publish", faces, REPOSITORY, "--tier", "derived", "--plan", now["plan"], "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["commit"] == hub.repositories["dataset", REPOSITORY].head


def test_features_are_published_only_where_they_are_asked_for(hub: LoopbackHub, built_faces: Path) -> None:
    with pytest.raises(UsageError, match="--features needs tier derived or full"):
        plan(built_faces, REPOSITORY, features=["dinov2"])
    with pytest.raises(UsageError, match="unknown features"):
        plan(built_faces, REPOSITORY, Tier.DERIVED, features=["dinov2"])


def test_a_full_disk_while_tables_are_written_is_named_and_what_was_written_is_used(
    built_faces: Path, tmp_path: Path
) -> None:
    folder = open_dataset(Path(shutil.copytree(built_faces, tmp_path / "faces")))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, hard))
    try:
        with pytest.raises(FileAccessError, match=r"data/train/expw-00000\.parquet.*the file would become larger than"):
            stage(folder, REPOSITORY, Tier.FULL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.glob(".faces.publishing/*/data/**/*.parquet"))
    assert len(stage(folder, REPOSITORY, Tier.FULL).published.files) == 11
