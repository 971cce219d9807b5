"""Datasets of format 1 become datasets of format 2: the same rows and pictures, and what was made from them."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from datasets import DatasetInfo, Features, Value
from format_1 import FINGERPRINT, as_format_1, seal
from python_processes import KILLED_AT, run_python

from affect_data.build.build import BuildReport
from affect_data.dataset import upgrade as upgrading
from affect_data.dataset.folder import ForeignVersionError, open_dataset
from affect_data.dataset.kinds.balance import BALANCE
from affect_data.dataset.kinds.registry import stale_groups
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.schema import LABELS
from affect_data.dataset.upgrade import upgrade
from affect_data.errors import DataError, NotADatasetError, UsageError
from affect_data.files import exclusive


@pytest.fixture
def old(demo_report: BuildReport, tmp_path: Path) -> Path:
    return as_format_1(demo_report.dataset, tmp_path / "merged")


def pictures(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.glob("*/images/*.arrow"))}


def test_labels_pictures_and_groups_are_those_of_before(demo_report: BuildReport, old: Path) -> None:
    before = pictures(old)
    upgraded = upgrade(old)
    assert pictures(old) == before
    # Format 1 had no side groups but scores: the classes of AffectNet are not there.
    layout = demo_report.dataset.manifest.layout
    assert layout.side_groups == ("native",)
    assert upgraded.manifest.layout == layout.model_copy(update={"declared": ()})
    assert upgraded.manifest.fingerprints == demo_report.dataset.manifest.fingerprints
    for split in upgraded.splits:
        assert upgraded.labels(split).equals(demo_report.dataset.labels(split), null_equal=True)
        for group in upgraded.groups(split):
            if group not in demo_report.dataset.groups(split) or group in (LABELS, *upgraded.manifest.layout.side):
                assert upgraded.load(split, [group]).num_rows == upgraded.rows(split)
    assert SOFT_LABELS.read(upgraded, "teacher").teacher_id == "run"
    assert stale_groups(upgraded) == {}
    assert json.loads((old / "dataset.lock.json").read_text())["upgraded_from"] == {
        "format_version": 1,
        "fingerprint": FINGERPRINT,
    }


def test_scores_of_format_1_are_the_side_groups_that_their_database_declares(
    demo_report: BuildReport, tmp_path: Path
) -> None:
    old = as_format_1(demo_report.dataset, tmp_path / "merged")
    manifest = json.loads((old / "dataset.json").read_text())
    manifest["databases"].append("unbc")
    known = {split: [float(row) for row in range(rows)] for split, rows in manifest["rows"].items()}
    for split, scores in known.items():
        place = old / split / "pspi"
        place.mkdir()
        described = Features({"pspi": Value("float32")})
        table = pa.table({"pspi": pa.array(scores, pa.float32())}, schema=described.arrow_schema)
        with pa.OSFile(str(place / "data.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        DatasetInfo(features=described).write_to_directory(str(place))
        manifest["groups"][split]["pspi"] = f"pspi{split:*<60}"
        seal(place, manifest["groups"][split]["pspi"], split)
    (old / "dataset.json").write_text(json.dumps(manifest))
    upgraded = upgrade(old)
    assert upgraded.manifest.layout.side_groups == ("pspi",)
    assert {split: upgraded.labels(split, side=["pspi"])["pspi"].to_list() for split in known} == known


def test_no_picture_is_written_where_files_can_have_two_names(old: Path) -> None:
    numbers = {file.name: file.stat().st_ino for file in (old / "train/images").glob("*.arrow")}
    upgrade(old)
    assert {file.name: file.stat().st_ino for file in (old / "train/images").glob("*.arrow")} == numbers


def test_what_was_made_for_other_labels_stays_stale_and_soft_labels_fit(
    demo_report: BuildReport, tmp_path: Path
) -> None:
    upgraded = upgrade(as_format_1(demo_report.dataset, tmp_path / "merged", made_for="other labels"))
    assert SOFT_LABELS.fitting(upgraded) == ("teacher",)
    assert BALANCE.names(upgraded) == ("even",)
    assert list(stale_groups(upgraded)) == ["balance.even"]


def test_upgrading_again_changes_nothing(old: Path, digests: Callable[[Path], dict[str, str]]) -> None:
    upgrade(old)
    before = digests(old)
    upgrade(old)
    assert digests(old) == before


def test_the_folder_that_one_is_in_is_not_replaced(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(old)
    with pytest.raises(UsageError, match="you are in the folder"):
        upgrade(".")
    monkeypatch.chdir(old.parent)
    assert upgrade(old.name).path == Path(old.name)
    monkeypatch.chdir(old)
    assert upgrade(".").path == old


def test_a_dataset_of_format_1_names_the_command(old: Path) -> None:
    with pytest.raises(
        ForeignVersionError,
        match=rf"has dataset format 1, this affectkit reads 2\. Upgrade it with `affect-data upgrade {old}`",
    ):
        open_dataset(old)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("{", "is not readable"),
        ("{}", "is not from affectkit"),
        ('{"format": "affectkit-dataset", "format_version": 7}', "it has format 7"),
    ],
)
def test_what_is_no_dataset_is_refused_and_left_alone(tmp_path: Path, text: str, because: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(NotADatasetError, match=because):
        upgrade(tmp_path)
    assert (tmp_path / "dataset.json").read_text() == text
    with pytest.raises(NotADatasetError, match=r"it has no dataset\.json"):
        upgrade(tmp_path / "gone")


@pytest.mark.slow
@pytest.mark.parametrize("call", ["rename", "fsync", "link"])
def test_an_upgrade_that_is_killed_leaves_one_of_the_two_and_ends_with_the_same_bytes(
    old: Path, tmp_path: Path, digests: Callable[[Path], dict[str, str]], call: str
) -> None:
    whole = upgrade(shutil.copytree(old, tmp_path / "whole")).path
    for number in (1, 3, 7, 12, 20, 33):
        cut = shutil.copytree(old, tmp_path / f"{call}{number}")
        code = (
            KILLED_AT
            + "from affect_data.dataset.upgrade import upgrade\nkilled_at(int(sys.argv[2]), (sys.argv[1],))\nupgrade(sys.argv[3])\n"
        )
        done = run_python(["-c", code, call, number, cut])
        if done.returncode == 0:
            assert number > 1
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        readable = upgrade(cut)
        assert digests(readable.path) == digests(whole)
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(f".{cut.name}")]


def test_of_two_upgrades_at_once_the_second_is_refused_and_the_first_ends_as_if_alone(
    old: Path, tmp_path: Path, digests: Callable[[Path], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = upgrade(shutil.copytree(old, tmp_path / "alone")).path
    fill = upgrading._fill

    def overtaken(*arguments: Any) -> None:
        fill(*arguments)
        with pytest.raises(DataError, match="is being written by another process; wait for it to end"):
            upgrade(old)

    monkeypatch.setattr(upgrading, "_fill", overtaken)
    upgrade(old)
    assert digests(old) == digests(alone)


def test_a_folder_that_a_killed_upgrade_had_moved_away_comes_back(old: Path) -> None:
    away = old.rename(old.with_name(f".{old.name}.old"))
    with pytest.raises(NotADatasetError, match=rf"Bring it back with `affect-data upgrade {old}`"):
        open_dataset(old)
    with exclusive(away), pytest.raises(DataError, match="is being written by another process"):
        upgrade(old)
    assert isinstance(upgrade(old).labels("train"), pl.DataFrame)
    assert not away.exists()


@pytest.mark.parametrize("limit", [1500, 12000])
def test_a_disk_that_is_full_in_the_middle_leaves_the_old_dataset(
    old: Path, tmp_path: Path, digests: Callable[[Path], dict[str, str]], limit: int
) -> None:
    before = digests(old)
    code = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "sys.argv = ['affect-data', 'upgrade', sys.argv[1]]\nfrom affect_data.cli.app import main; main()"
    )
    ended = run_python(["-c", code, old])
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: '{old.parent}/")
    assert "the file would become larger than" in ended.stderr
    assert digests(old) == before
    assert [path.name for path in tmp_path.iterdir()] == [old.name]
    assert upgrade(old).rows("train") > 0
