"""Scores that a reader gives beside the labels: a column group of their own, row-aligned, and only where a database has them."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from datasets import Value, load_from_disk
from typer.testing import CliRunner

from affect_data.build import databases as build_databases
from affect_data.build.build import OutputTakenError, build
from affect_data.build.databases import digest_files, layout_of, read_databases, shard_jobs
from affect_data.build.recipe import DataRecipe, recipe_from
from affect_data.build.shards import pack_shard
from affect_data.build.verdicts import IncompleteError
from affect_data.cli.app import app
from affect_data.dataset.folder import open_dataset
from affect_data.demo.world import World, write_demo
from affect_data.errors import DefectsFoundError

RECIPE = {"databases": {"unbc": {"holdout": 0.3}, "disfa": {"holdout": 0.2}}, "shard_rows": 32}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 110 frames of UNBC-McMaster and of DISFA; to be copied before they are changed."""
    path = tmp_path_factory.mktemp("demo") / "world"
    write_demo(path, faces=220, world=World(shares={"unbc": 0.5, "disfa": 0.5}))
    return path


@pytest.fixture
def world(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "world"))


def recipe(**more: object) -> DataRecipe:
    return recipe_from(RECIPE | more, "data.yaml")


def roots_of(world: Path) -> dict[str, Path]:
    return {"unbc": world / "unbc", "disfa": world / "disfa"}


def scores_of_files(world: Path) -> dict[str, float]:
    """The pain score of every frame by uid, read without the reader."""
    files = (world / "unbc/Frame_Labels/PSPI").glob("*/*/*_facs.txt")
    return {uid_of(path): float(path.read_text()) for path in files}


def uid_of(path: Path) -> str:
    track = path.parent.name
    return f"unbc:{track}/{int(path.name.removeprefix(track).partition('_')[0])}"


def built_scores(out: Path) -> dict[str, float]:
    folder = open_dataset(out)
    joined = [folder.load(split, ["labels", "pspi"]).select_columns(["uid", "pspi"]) for split in folder.splits]
    return {row["uid"]: row["pspi"] for part in joined for row in part}


def test_the_score_of_every_frame_stands_beside_its_labels_and_other_databases_have_none(
    world: Path, tmp_path: Path
) -> None:
    folder = build(recipe(), roots_of(world), tmp_path / "merged").dataset
    given, found = scores_of_files(world), built_scores(folder.path)
    with_score = {uid: score for uid, score in found.items() if not np.isnan(score)}
    assert with_score == {uid: score for uid, score in given.items() if uid in found}
    assert len(with_score) > 90
    without = [uid for uid in found if uid not in with_score]
    # The demo leaves out the file of this frame.
    assert [uid for uid in without if not uid.startswith("disfa:")] == ["unbc:jh043t1aaaff/2"]
    assert len(without) > 90


def test_the_group_is_a_dataset_by_itself_and_the_labels_do_not_know_of_it(world: Path, tmp_path: Path) -> None:
    folder = build(recipe(), roots_of(world), tmp_path / "merged").dataset
    for split in folder.splits:
        assert folder.groups(split) == ("aff", "images", "labels", "opr", "pspi", "sen", "vas")
        alone = load_from_disk(str(folder.path / split / "pspi"))
        assert alone.features == {"pspi": Value("float32")}
        assert len(alone) == folder.rows(split)
        assert "score_pspi" not in folder.load(split).column_names


def test_a_dataset_of_other_databases_has_no_such_group(world: Path, tmp_path: Path) -> None:
    alone = recipe_from({"databases": {"disfa": {"holdout": 0.2}}}, "data.yaml")
    folder = build(alone, roots_of(world), tmp_path / "merged").dataset
    assert {folder.groups(split) for split in folder.splits} == {("images", "labels")}
    assert sorted(entry.name for entry in (folder.path / "train").iterdir()) == ["images", "labels"]


def test_a_picture_that_cannot_be_decoded_takes_its_score_along(world: Path, tmp_path: Path) -> None:
    images = sorted((world / "unbc/Images").glob("*/*/*.png"))
    for path in images[10:70:20]:
        path.write_bytes(path.read_bytes()[:200])
    folder = build(recipe(), roots_of(world), tmp_path / "merged").dataset
    assert len(folder.failures().filter(reason="image cannot be decoded")) == 3
    given, found = scores_of_files(world), built_scores(folder.path)
    assert sum(found[uid] == score for uid, score in given.items() if uid in found) == len(given.keys() & found.keys())
    assert len(given.keys() & found.keys()) == len(given) - 4  # and the one whose picture is missing


def test_another_score_makes_another_dataset_and_the_same_one_none(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    first = build(recipe(), roots_of(world), out)
    assert build(recipe(), roots_of(world), out).unchanged
    path = world / "unbc/Frame_Labels/PSPI/042-ll042/ll042t1aaaff/ll042t1aaaff003_facs.txt"
    # Within the rounding in which the action units have to add up to it.
    score = float(path.read_text()) + 0.0005
    path.write_text(f"{score}\n")
    with pytest.raises(OutputTakenError, match="holds another dataset"):
        build(recipe(), roots_of(world), out)
    second = build(recipe(), roots_of(world), out, overwrite=True)
    assert built_scores(out)["unbc:ll042t1aaaff/3"] == np.float32(score)
    assert second.dataset.fingerprint == first.dataset.fingerprint, "labels and pictures are the same"


def test_a_lost_group_is_built_again(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged"
    before = build(recipe(), roots_of(world), out).dataset.manifest
    shutil.rmtree(out / "train" / "pspi")
    report = build(recipe(), roots_of(world), out, overwrite=True)
    assert (report.unchanged, report.dataset.manifest) == (False, before)


def test_a_shard_whose_scores_are_lost_is_not_used_again(world: Path, tmp_path: Path) -> None:
    read = read_databases(recipe(), roots_of(world), lambda *_: None)
    job = shard_jobs(recipe(), read, layout_of(read), tmp_path / "staging")[0]
    assert not pack_shard(job).reused
    assert pack_shard(job).reused
    job.path("pspi").unlink()
    assert not pack_shard(job).reused
    assert job.path("pspi").is_file()


# ---------------------------------------------------------------- the audit, end to end


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "data.yaml"
    path.write_text(json.dumps(RECIPE))
    return path


def audit(recipe_file: Path, world: Path, out: Path) -> tuple[int, pl.DataFrame]:
    """The exit status of the audit of a new build, and its findings."""
    run = CliRunner().invoke
    built = run(app, ["build", str(recipe_file), str(out), "--roots", str(world)])
    assert built.exit_code == 0, built.output
    audited = run(app, ["audit", str(out), "--check", "pspi"])
    return audited.exit_code, pl.read_parquet(out / "audit.parquet")


def test_the_pain_scores_of_the_demo_contradict_nothing(recipe_file: Path, world: Path, tmp_path: Path) -> None:
    status, found = audit(recipe_file, world, tmp_path / "merged")
    assert (status, len(found)) == (0, 0)


def test_planted_pain_scores_are_refused_all_of_them_and_nothing_else(world: Path, tmp_path: Path) -> None:
    labels = world / "unbc/Frame_Labels"
    coded = [
        path
        for path in sorted(labels.glob("PSPI/*/*/*_facs.txt"))
        if Path(str(path).replace("PSPI", "FACS")).is_file()
        and Path(str(path).replace("Frame_Labels/PSPI", "Images").replace("_facs.txt", ".png")).is_file()
    ]
    rng = np.random.default_rng(5)
    planted: dict[str, str] = {}
    for index in rng.choice(len(coded), 9, replace=False):
        wrong = (float(coded[index].read_text()) + rng.integers(1, 17)) % 17
        coded[index].write_text(f"{wrong:16.7e}\n")
        pspi = coded[index].relative_to(world / "unbc").as_posix()
        planted[pspi.replace("PSPI", "FACS")] = f"but the pain score {wrong:g} in {pspi}"
    with pytest.raises(DefectsFoundError) as refused:
        build(recipe(), roots_of(world), tmp_path / "merged")
    assert {defect.path: defect.found.partition(", ")[2] for defect in refused.value.defects} == planted


def test_a_file_of_action_units_that_lost_its_lines_is_a_defect_and_a_missing_one_is_a_loss(
    world: Path, tmp_path: Path
) -> None:
    scores = scores_of_files(world)
    files = {uid_of(path): path for path in sorted((world / "unbc/Frame_Labels/FACS").glob("*/*/*_facs.txt"))}
    emptied, removed = [uid for uid in files if scores.get(uid, 0) > 0][:2]
    files[emptied].write_text("")
    files[removed].unlink()
    with pytest.raises(DefectsFoundError) as refused:
        build(recipe(), roots_of(world), tmp_path / "merged")
    assert [world / "unbc" / defect.path for defect in refused.value.defects] == [files[emptied]]
    files[emptied].unlink()
    with pytest.raises(IncompleteError, match=r"unbc: incomplete: (\d+) of (\d+) drawn FACS files"):
        build(recipe(), roots_of(world), tmp_path / "merged")


def test_without_pain_scores_the_audit_says_that_it_cannot_run(recipe_file: Path, world: Path, tmp_path: Path) -> None:
    shutil.rmtree(world / "unbc/Frame_Labels/PSPI")
    out = tmp_path / "merged"
    arguments = ["build", str(recipe_file), str(out), "--roots", str(world)]
    assert isinstance(CliRunner().invoke(app, arguments).exception, IncompleteError)
    assert CliRunner().invoke(app, [*arguments, "--accept-incomplete"]).exit_code == 0
    refused = CliRunner().invoke(app, ["audit", str(out), "--check", "pspi"])
    assert "no row has a pain score: the files had no folder Frame_Labels/PSPI" in str(refused.exception)


# ---------------------------------------------------------------- a file a frame


def test_the_lock_of_a_database_with_a_file_a_frame_has_a_line_a_folder(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted(path.relative_to(world).as_posix() for path in world.glob("unbc/Frame_Labels/*/*/*/*.txt"))
    assert list(digest_files(world, paths)) == paths
    monkeypatch.setattr(build_databases, "LINES_LISTED", len(paths) - 1)
    before = digest_files(world, paths)
    assert list(before) == sorted({f"{path.rpartition('/')[0]}/*" for path in paths})
    (world / paths[30]).write_text("other")
    after = digest_files(world, paths)
    assert [folder for folder in before if before[folder] != after[folder]] == [f"{paths[30].rpartition('/')[0]}/*"]
