"""Databases from an object store and datasets to one, with a real S3 server: whole, resumable, and only what differs is copied."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from python_processes import start

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.dataset.folder import open_dataset
from affect_data.errors import DataError, NotADatasetError, UsageError
from affect_data.stores import addresses
from affect_data.stores.addresses import RemoteFile, StoreError, open_store
from affect_data.stores.fetch import fetch
from affect_data.stores.upload import COPYING, own_files, upload

Run = Callable[..., CompletedProcess[str]]
Digests = Callable[[Path], dict[str, str]]


@pytest.fixture(scope="module")
def expw(make_expw: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_expw(tmp_path_factory.mktemp("stores") / "expw")


@pytest.fixture(scope="module")
def built(expw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of ten faces; for reading only."""
    recipe = recipe_from({"databases": {"expw": {}}, "shard_rows": 10}, "faces")
    return build(recipe, {"expw": expw}, tmp_path_factory.mktemp("stores") / "merged").dataset.path


@pytest.fixture
def merged(built: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(built, tmp_path / "merged"))


def names(s3: Any, address: str) -> set[str]:
    root = address.removeprefix("s3://")
    return {name.removeprefix(f"{root}/") for name in s3.find(root)}


# ---------------------------------------------------------------- to a store and back


def test_a_dataset_goes_to_a_store_and_comes_back_with_the_same_bytes(
    built: Path, bucket: str, tmp_path: Path, digests: Digests
) -> None:
    sent = upload(built, f"{bucket}/faces/merged/")
    assert (sent.files, sent.copied) == (len(digests(built)), len(digests(built)))
    assert sent.bytes == sum((built / name).stat().st_size for name in digests(built))
    fetched = fetch(f"{bucket}/faces/merged", tmp_path / "back")
    assert (fetched.files, fetched.copied) == (sent.files, sent.files)
    assert digests(tmp_path / "back") == digests(built)
    assert open_dataset(tmp_path / "back").fingerprint == open_dataset(built).fingerprint


def test_what_is_there_is_not_copied_again_in_either_direction(built: Path, bucket: str, tmp_path: Path) -> None:
    upload(built, bucket)
    assert upload(built, bucket).copied == 0
    fetch(bucket, tmp_path / "back")
    assert fetch(bucket, tmp_path / "back").copied == 0


def test_an_object_that_rotted_and_one_that_is_gone_are_sent_again(built: Path, bucket: str, s3: Any) -> None:
    upload(built, bucket)
    first, second = own_files(open_dataset(built))[-2:]
    s3.pipe_file(f"{bucket}/{first}", bytes((built / first).stat().st_size))
    s3.rm_file(f"{bucket}/{second}")
    assert upload(built, bucket).copied == 2
    assert s3.cat_file(f"{bucket}/{first}") == (built / first).read_bytes()
    assert COPYING not in names(s3, bucket)


def test_a_file_that_changed_at_the_address_or_here_is_copied_again_and_one_that_is_gone_is_removed(
    bucket: str, s3: Any, tmp_path: Path
) -> None:
    for name in ("a.txt", "below/b.txt", "below/c.txt"):
        s3.pipe_file(f"{bucket}/{name}", name.encode())
    copy = tmp_path / "copy"
    fetch(bucket, copy)
    s3.pipe_file(f"{bucket}/a.txt", b"other")
    s3.rm_file(f"{bucket}/below/b.txt")
    (copy / "below/c.txt").write_text("touched")
    report = fetch(bucket, copy)
    assert (report.files, report.copied, report.removed) == (2, 2, 1)
    assert {path.name: path.read_text() for path in copy.rglob("*.txt")} == {"a.txt": "other", "c.txt": "below/c.txt"}


def test_a_large_file_is_sent_in_parts_and_known_by_their_digests(
    merged: Path, bucket: str, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "PART_BYTES", 5 * 2**20)
    (merged / "README.md").write_bytes(os.urandom(11 * 2**20))
    upload(merged, bucket)
    assert s3.info(f"{bucket}/README.md")["ETag"].strip('"').endswith("-3")
    assert upload(merged, bucket).copied == 0
    (merged / "README.md").write_bytes(os.urandom(11 * 2**20))
    assert upload(merged, bucket, overwrite=True).copied == 1


def test_other_file_systems_of_fsspec_are_addresses_too(built: Path, tmp_path: Path, digests: Digests) -> None:
    upload(built, f"file://{tmp_path}/there/merged")
    assert digests(tmp_path / "there/merged") == digests(built)
    fetch(f"file://{tmp_path}/there/merged", tmp_path / "back")
    assert digests(tmp_path / "back") == digests(built)


# ---------------------------------------------------------------- kills


def test_a_killed_copy_to_a_store_is_no_dataset_there_and_goes_on(
    merged: Path, bucket: str, s3: Any, s3_environment: dict[str, str]
) -> None:
    command = ["-m", "affect_data", "copy", merged, bucket, "--workers", "1"]
    process = start(command, environment=s3_environment, output=Path(os.devnull))
    while len(names(s3, bucket)) < 3 and process.is_alive():
        time.sleep(0.002)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    there = names(s3, bucket)
    assert COPYING in there
    assert "dataset.json" not in there
    report = upload(merged, bucket)
    assert report.copied < report.files
    assert names(s3, bucket) == set(own_files(open_dataset(merged)))


def test_a_killed_copy_from_a_store_is_no_dataset_here_and_goes_on(
    built: Path, bucket: str, tmp_path: Path, digests: Digests, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(built, bucket)
    real, left = addresses.Store.fetch, iter(range(5))

    def killed(store: Any, name: str, path: Path, expected: RemoteFile) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(store, name, path, expected)

    monkeypatch.setattr(addresses.Store, "fetch", killed)
    with pytest.raises(KeyboardInterrupt):
        fetch(bucket, tmp_path / "back", workers=1)
    monkeypatch.setattr(addresses.Store, "fetch", real)
    with (tmp_path / "back/.affectkit-copied").open("a") as notes:
        notes.write('["cut sho')
    with pytest.raises(NotADatasetError):
        open_dataset(tmp_path / "back")
    report = fetch(bucket, tmp_path / "back")
    assert report.copied == report.files - 5
    assert digests(tmp_path / "back") == digests(built)


# ---------------------------------------------------------------- what is wrong


def test_another_dataset_at_the_address_is_replaced_only_on_request(
    merged: Path, expw: Path, bucket: str, s3: Any, tmp_path: Path, digests: Digests
) -> None:
    upload(merged, bucket)
    s3.pipe_file(f"{bucket}/notes.txt", b"somebody's")
    recipe = recipe_from({"databases": {"expw": {}}, "shard_rows": 5}, "faces")
    other = build(recipe, {"expw": expw}, tmp_path / "other").dataset.path
    with pytest.raises(StoreError, match="holds another dataset, or another state of this one; pass --overwrite"):
        upload(other, bucket)
    assert upload(other, bucket, overwrite=True).removed > 0
    assert names(s3, bucket) == {*own_files(open_dataset(other)), "notes.txt"}


def test_other_files_at_the_address_are_never_replaced(built: Path, bucket: str, s3: Any) -> None:
    s3.pipe_file(f"{bucket}/holiday.jpg", b"x")
    for overwrite in (False, True):
        with pytest.raises(
            StoreError, match=r"holds other files, such as 'holiday\.jpg'; name a folder that is new or empty"
        ):
            upload(built, bucket, overwrite=overwrite)
    assert names(s3, bucket) == {"holiday.jpg"}


def test_what_is_no_finished_dataset_is_not_sent(bucket: str, s3: Any, tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    with pytest.raises(NotADatasetError):
        upload(tmp_path / "half", bucket)
    assert names(s3, bucket) == set()


def test_a_folder_of_other_files_is_not_filled(bucket: str, s3: Any, tmp_path: Path) -> None:
    s3.pipe_file(f"{bucket}/a.txt", b"a")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").touch()
    with pytest.raises(UsageError, match="holds files that were not copied from an address; name a new folder"):
        fetch(bucket, tmp_path / "mine")


@pytest.mark.parametrize("name", ["../up.txt", "a/../../up.txt", "back\\slash", "a//b"])
def test_names_that_lead_out_of_a_folder_are_refused(bucket: str, s3: Any, tmp_path: Path, name: str) -> None:
    s3.pipe_file(f"{bucket}/faces/{name}", b"x")
    with pytest.raises(StoreError, match="leads out of a folder or names none; rename it there"):
        fetch(f"{bucket}/faces", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_name_that_is_a_file_and_a_folder_is_refused(bucket: str, s3: Any, tmp_path: Path) -> None:
    s3.pipe_file(f"{bucket}/a", b"x")
    s3.pipe_file(f"{bucket}/a/b", b"x")
    with pytest.raises(StoreError, match="holds both 'a' and 'a/b', which no folder can"):
        fetch(bucket, tmp_path / "copy")


def test_bytes_that_are_cut_off_on_the_way_are_not_kept(bucket: str, s3: Any, tmp_path: Path) -> None:
    s3.pipe_file(f"{bucket}/a.txt", b"whole")
    store = open_store(bucket)
    announced = store.files()["a.txt"]
    s3.pipe_file(f"{bucket}/a.txt", b"other")
    with pytest.raises(StoreError, match=r"a\.txt' arrived with other bytes than the store states"):
        store.fetch("a.txt", tmp_path / "a.txt", announced)
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_that_changes_while_it_is_sent_does_not_become_one_there(
    merged: Path, bucket: str, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = addresses.Store.write

    def changed(store: Any, name: str, data: bytes) -> None:
        (merged / "dataset.json").write_text((merged / "dataset.json").read_text() + " ")
        real(store, name, data)

    monkeypatch.setattr(addresses.Store, "write", changed)
    with pytest.raises(DataError, match="changed while it was copied; run the same command again"):
        upload(merged, bucket)
    assert "dataset.json" not in names(s3, bucket)


def test_buckets_and_protocols_that_do_not_exist_are_named(built: Path, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"'s3://no-such-bucket/x/.*there is no such bucket or folder"):
        upload(built, "s3://no-such-bucket/x")
    with pytest.raises(StoreError, match=r"s3://no-such-bucket/x' holds no file; look at the spelling"):
        fetch("s3://no-such-bucket/x", tmp_path / "copy")
    with pytest.raises(
        UsageError, match=r"'nix://a': Protocol not known: nix\. Name a folder, or an address such as s3://"
    ):
        fetch("nix://a", tmp_path / "copy")


def test_a_package_that_is_missing_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    from fsspec.registry import _registry

    monkeypatch.delitem(_registry, "s3", raising=False)
    with pytest.raises(UsageError, match=r'opens s3:// is missing: pip install "affectkit\[s3\]"'):
        open_store("s3://bucket/x")


def test_credentials_that_are_refused_are_named() -> None:
    with (
        pytest.raises(StoreError, match=r"access denied \(Forbidden\)\. Give credentials .*AWS_PROFILE"),
        addresses.reaching("s3://b/x"),
    ):
        raise PermissionError("Forbidden")


# ---------------------------------------------------------------- the commands


def test_the_command_copies_both_ways_and_refuses_what_is_no_copy(
    built: Path, bucket: str, tmp_path: Path, affect_data: Run
) -> None:
    assert f"{bucket}/m holds" in affect_data("copy", built, f"{bucket}/m").stdout
    assert json.loads(affect_data("copy", f"{bucket}/m", tmp_path / "back", "--json").stdout)["removed"] == 0
    assert "neither is an address" in affect_data("copy", built, tmp_path / "x").stderr
    assert "both are addresses" in affect_data("copy", bucket, bucket).stderr
    assert "a folder is only ever filled by copies" in affect_data("copy", bucket, tmp_path / "x", "--overwrite").stderr
    assert "use `affect-data publish" in affect_data("copy", built, "hf://datasets/anna/faces").stderr


def test_a_database_at_an_address_is_built_from_a_copy_with_the_same_bytes(
    expw: Path,
    built: Path,
    bucket: str,
    s3: Any,
    tmp_path: Path,
    affect_data: Run,
    digests: Digests,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3.put(f"{expw}/", f"{bucket}/expw/", recursive=True)
    (tmp_path / "data.yaml").write_text("databases: {expw: {}}\nshard_rows: 10\n")
    call = ("build", tmp_path / "data.yaml", tmp_path / "merged", "--root", f"expw={bucket}/expw")
    refused = affect_data(*call)
    assert (refused.returncode, "name one for copies by AFFECT_MIRROR=FOLDER" in refused.stderr) == (2, True)
    monkeypatch.setenv("AFFECT_MIRROR", str(tmp_path / "mirror"))
    assert affect_data(*call).returncode == 0
    assert digests(tmp_path / "merged") == digests(built)
    again = affect_data(*call)
    assert "is this dataset already: nothing was written" in again.stdout
