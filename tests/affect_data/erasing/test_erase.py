"""A person is erased: the dataset is that of sources without the person, everything else fits, and nothing of them is left in a file."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import polars as pl
import pytest
from PIL import Image
from python_processes import KILLED_AT, run_python

from affect_data.audit.run import run_audits
from affect_data.balance.registry import make_plan
from affect_data.balance.weighing import balance
from affect_data.build.build import BuildReport, build
from affect_data.build.existing import OutputTakenError
from affect_data.build.recipe import DataRecipe, recipe_from
from affect_data.corrections.decisions import Decision
from affect_data.corrections.versions import apply_decisions, read_changes, undo_version
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.kinds.folds import FOLDS
from affect_data.dataset.kinds.registry import stale_groups
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS, SoftLabelProvenance
from affect_data.dataset.soft_labels import write_soft_labels
from affect_data.dataset.thumbnail_cache import CACHE, thumbnails_of
from affect_data.demo import dfew
from affect_data.demo.disfa import WITHOUT_FILE
from affect_data.demo.sampler import FaceSampler
from affect_data.erasing.erase import erase
from affect_data.erasing.plan import plan_erasure
from affect_data.erasing.selection import NobodyFoundError, Wanted
from affect_data.errors import DataError, UsageError
from affect_data.leaks.folds import write_folds

PERSON = "SN010"
OTHER = WITHOUT_FILE[0]

Run = Callable[..., CompletedProcess[str]]
Digests = Callable[[Path], dict[str, str]]


@pytest.fixture(scope="session")
def people(demo_roots: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """DISFA and AffectNet, with pictures that are missing or broken, and copies of the bytes and of the pixels of a frame of SN001."""
    folder = tmp_path_factory.mktemp("people")
    for name in ("affectnet", "disfa"):
        shutil.copytree(demo_roots[name], folder / name)
    (folder / "disfa" / "Images" / "SN001" / "00003.jpg").write_bytes(b"nothing")
    (folder / "disfa" / "Images" / PERSON / "00002.jpg").write_bytes(b"no picture")
    frames = folder / "disfa" / "Images"
    shutil.copyfile(frames / "SN001" / "00005.jpg", frames / OTHER / "00004.jpg")
    with Image.open(frames / "SN001" / "00005.jpg") as picture:
        picture.save(frames / OTHER / "00006.jpg", "PNG")
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


def without_lock(digests: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in digests.items() if name != "dataset.lock.json"}


def persons_bytes(people: dict[str, Path]) -> list[bytes]:
    return [path.read_bytes() for path in sorted((people["disfa"] / "Images" / PERSON).iterdir())]


def files_with(folder: Path, needles: list[bytes]) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files for data in [path.read_bytes()] if any(needle in data for needle in needles)]


def erased(path: Path, *subjects: str) -> DatasetFolder:
    return erase(plan_erasure(path, Wanted(subjects=subjects))).dataset


def test_the_result_is_byte_for_byte_a_build_of_sources_without_the_person(
    merged: Path,
    people: dict[str, Path],
    recipe: DataRecipe,
    tmp_path: Path,
    digests: Digests,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    small_faces = thumbnails_of(merged) / "of the pictures" / "train" / "0.faces"
    small_faces.parent.mkdir(parents=True)
    small_faces.touch()
    expected = build(
        recipe, without_person(people, tmp_path / "sources"), tmp_path / "expected", accept_incomplete=True
    )
    result = erased(merged, f"disfa:{PERSON}")
    assert not small_faces.exists()
    assert result.manifest == expected.dataset.manifest
    assert without_lock(digests(merged)) == without_lock(digests(expected.dataset.path))
    lock = json.loads((merged / "dataset.lock.json").read_text())
    own = json.loads((expected.dataset.path / "dataset.lock.json").read_text())
    for name, counts in own["databases"].items():
        for key in ("lines", "rows", "failures", "rows_in_two_splits"):
            assert lock["databases"][name][key] == counts[key], (name, key)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def with_everything(path: Path) -> DatasetFolder:
    """The dataset with soft labels that are the number of the row, folds, weights, audit, and a corrected row of the person and of another."""
    folder = open_dataset(path)
    provenance = SoftLabelProvenance(
        name="teacher", teacher_id="run", teacher_revision="1", view="whole", action_units=(1,),
        made_from=SOFT_LABELS.made_from(folder),
    )  # fmt: skip
    logits = {s: {"au": np.arange(folder.rows(s), dtype=np.float16)[:, None]} for s in folder.splits}
    write_soft_labels(path, provenance, logits)
    write_folds(open_dataset(path), "two", 2)
    file = path.parent / "decisions.jsonl"
    lines = []
    for number, uid in enumerate((f"disfa:{PERSON}/4", "disfa:SN001/4")):
        row = folder.labels("train").row(by_predicate=pl.col("uid") == uid, named=True)
        lines.append(
            Decision.model_validate_json(
                json.dumps(
                    {
                        **{name: row[name] for name in ("uid", "image_digest", "face", "database")},
                        "id": f"d{number}", "split": "train", "dataset": folder.fingerprint, "action": "correct",
                        "old": {"au": {"1": row["au"][0]}}, "new": {"au": {"1": 1 - row["au"][0]}},
                        "who": "ada", "when": "2026-11-22T10:00:00+00:00", "why": "by hand",
                    }
                )
            ).to_line()
        )  # fmt: skip
    file.write_text("".join(lines))
    apply_decisions(path, file)
    file.rename(path.with_name(f"{path.name}.decisions.jsonl"))
    balance(path, make_plan("deng2020_expression"), "even")
    run_audits(open_dataset(path), ["duplicates"])
    return open_dataset(path)


def test_what_was_made_from_the_rows_stays_in_line_and_nothing_of_the_person_is_left(
    merged: Path, people: dict[str, Path]
) -> None:
    before = with_everything(merged)
    uids = {split: before.labels(split, ("uid",))["uid"].to_list() for split in before.splits}
    weights = before.load("train", ["balance.even"]).data.table.column(0).to_pylist()
    (merged.parent / ".merged.building").mkdir()
    (merged.parent / ".merged.building" / "left").write_bytes(persons_bytes(people)[3])
    assert len(files_with(merged.parent, persons_bytes(people))) > 1
    assert files_with(merged, [f"{PERSON}/4".encode()])
    plan = plan_erasure(merged, Wanted(subjects=[f"disfa:{PERSON}"]))
    assert (plan.stale, plan.carried) == (("balance.even",), ("folds.two", "soft.teacher"))
    assert plan.runs == {"soft.teacher": "labels of the teacher run, which looked at every row"}
    report = erase(plan)
    after = report.dataset
    assert list(stale_groups(after)) == ["balance.even"]
    for split in after.splits:
        own = after.labels(split, ("uid",))["uid"].to_list()
        assert own == [uid for uid in uids[split] if not uid.startswith(f"disfa:{PERSON}/")]
        logits = after.load(split, ["soft.teacher"]).data.table.column(0).to_pylist()
        assert [uids[split][int(row)] for (row,) in logits] == own
    stored = after.load("train", ["balance.even"]).data.table.column(0).to_pylist()
    left = after.labels("train", ("uid",))["uid"].to_list()
    assert stored == [weight for weight, uid in zip(weights, uids["train"], strict=True) if uid in left]
    assert sum(FOLDS.read(after, "two").rows.values()) == sum(after.manifest.rows.values())
    # The other correction is in force and can be undone; that of the person is gone everywhere.
    assert report.decisions == 1
    assert read_changes(after)["uid"].to_list() == ["disfa:SN001/4"]
    corrected = after.labels("train", ("uid", "au"))
    undone, version = undo_version(merged)
    changed = corrected.filter(pl.col("au") != undone.labels("train", ("uid", "au"))["au"])
    assert (version, changed["uid"].to_list()) == (0, ["disfa:SN001/4"])
    assert files_with(merged.parent, [*persons_bytes(people), PERSON.encode()]) == []
    assert not (merged / "audit.parquet").exists()
    assert str(merged.parent / ".merged.building") in report.removed


def test_the_next_build_leaves_them_out_and_says_how_many(
    merged: Path, people: dict[str, Path], recipe: DataRecipe, digests: Digests, tmp_path: Path
) -> None:
    after = erased(merged, f"disfa:{PERSON}")
    kept = after.labels("train", ("uid",))["uid"].to_list()
    files = digests(merged)
    again = build(recipe, people, merged, accept_incomplete=True)
    assert again.unchanged
    assert again.databases["disfa"].erased == 14
    assert digests(merged) == files
    # A dataset that has to be written again has the same bytes, the tombstones among them.
    (merged / "train" / "labels" / "state.json").unlink()
    with pytest.raises(OutputTakenError, match="pass --overwrite"):
        build(recipe, people, merged, accept_incomplete=True)
    build(recipe, people, merged, accept_incomplete=True, overwrite=True)
    assert without_lock(digests(merged)) == without_lock(files)
    # A copy of one of their pictures does not come back under another name, nor a new row of theirs.
    sources = {name: shutil.copytree(root, tmp_path / "sources" / name) for name, root in people.items()}
    copied = next(path for path in sorted((sources["disfa"] / "Images" / "SN001").iterdir()) if path.stem == "00006")
    copied.write_bytes((sources["disfa"] / "Images" / PERSON / "00004.jpg").read_bytes())
    wider = recipe.model_copy(update={"shard_rows": 20})
    report = build(wider, sources, merged, accept_incomplete=True, overwrite=True)
    assert report.databases["disfa"].erased == 15
    left = report.dataset.labels("train", ("uid",))["uid"].to_list()
    assert left == [uid for uid in kept if uid != "disfa:SN001/6"]
    found = report.databases["disfa"]
    assert found.lines == found.rows + sum(found.failures.values())


def test_copies_go_too_those_with_equal_bytes_and_those_that_the_audit_has_found(
    merged: Path, people: dict[str, Path], recipe: DataRecipe, tmp_path: Path, digests: Digests
) -> None:
    run_audits(open_dataset(merged), ["duplicates"])
    plan = plan_erasure(merged, Wanted(faces=[people["disfa"] / "Images" / "SN001" / "00005.jpg"]))
    assert (plan.selection.named, plan.selection.rows) == (2, 3)
    assert dict(plan.selection.more_of) == {"disfa:SN001": 12, f"disfa:{OTHER}": 12}
    pictures = [people["disfa"] / "Images" / name for name in ("SN001/00005.jpg", f"{OTHER}/00006.jpg")]
    erase(plan)
    assert files_with(merged, [picture.read_bytes() for picture in pictures]) == []
    after = digests(merged)
    # The same sources with the tombstones give the same bytes.
    (merged / "train" / "labels" / "state.json").unlink()
    build(recipe, people, merged, overwrite=True, accept_incomplete=True)
    assert without_lock(digests(merged)) == without_lock(after)


def test_clips_are_erased_with_their_frames(tmp_path: Path, digests: Digests) -> None:
    root = tmp_path / "dfew"
    root.mkdir()
    dfew.write(root, FaceSampler(3), 10)
    (root / DRAWN_MARKER).write_text("Faces drawn by a test; nobody's.\n", encoding="utf-8")
    recipe = recipe_from({"databases": {"dfew": {"incomplete": "accepted"}}, "shard_rows": 4})
    merged = build(recipe, {"dfew": root}, tmp_path / "merged").dataset
    uid = merged.labels("train", ("uid",))["uid"][1]
    frames = merged.load("train", ["frames"]).data.table.column("frames")[1].as_py()
    frame = tmp_path / "frame.jpg"
    frame.write_bytes(frames[0]["bytes"])
    erase(plan_erasure(merged.path, Wanted(faces=[frame])))
    after = open_dataset(merged.path)
    assert uid not in after.labels("train", ("uid",))["uid"].to_list()
    assert files_with(merged.path, [one["bytes"] for one in frames]) == []
    files = digests(merged.path)
    assert build(recipe, {"dfew": root}, merged.path).unchanged
    (merged.path / "train" / "labels" / "state.json").unlink()
    build(recipe, {"dfew": root}, merged.path, overwrite=True)
    assert without_lock(digests(merged.path)) == without_lock(files)


def test_columns_are_as_narrow_and_shards_as_long_as_the_rows_that_stay_allow(
    tmp_path: Path, make_expw: Callable[..., Path], digests: Digests
) -> None:
    root = make_expw(tmp_path / "expw", 9)
    lines = root / "label" / "label.lst"
    short, text = lines.read_text(), lines.read_text()
    last = text.splitlines()[-1]
    lines.write_text(text.replace(last, last.replace(" 1 2 12 13 ", " 1 2 12 12.5 ")))
    recipe = recipe_from({"databases": {"expw": {}}})
    merged = build(recipe, {"expw": root}, tmp_path / "merged").dataset
    assert merged.manifest.layout.boxes == "exact"
    result = erase(plan_erasure(merged.path, Wanted(uids=[merged.labels("train", ("uid",))["uid"][-1]]))).dataset
    lines.write_text(short.replace(f"{last}\n", ""))
    expected = build(recipe, {"expw": root}, tmp_path / "expected").dataset
    assert result.manifest == expected.manifest
    assert without_lock(digests(result.path)) == without_lock(digests(expected.path))


# ---------------------------------------------------------------- mistakes and kills


@pytest.mark.parametrize(
    ("wanted", "because"),
    [
        (Wanted(subjects=["disfa:SN01"]), r"has no person 'disfa:SN01'; nothing was erased\. Near to it: .*disfa:SN010"),
        (Wanted(subjects=["affectnet:nobody"]), r"Near to it: disfa:SN001.* A person is named as database:id"),
        (Wanted(uids=["disfa:SN010/44"]), r"has no row 'disfa:SN010/44'.* Near to it: disfa:SN010/4"),
        (Wanted(faces=[Path(__file__)]), r"no picture with the bytes of '.*test_erase\.py'.*--uid"),
    ],
)  # fmt: skip
def test_who_is_not_there_is_named_with_who_is_near(
    whole: BuildReport, wanted: Wanted, because: str, digests: Digests
) -> None:
    before = digests(whole.dataset.path)
    with pytest.raises(NobodyFoundError, match=because):
        plan_erasure(whole.dataset.path, wanted)
    assert digests(whole.dataset.path) == before


def test_nobody_named_and_a_database_without_rows_are_refused(whole: BuildReport) -> None:
    with pytest.raises(UsageError, match="name whom to erase"):
        plan_erasure(whole.dataset.path, Wanted())
    everybody = [f"disfa:{name}" for name in ("SN001", "SN002", PERSON, "SN003")]
    known = {f"disfa:{row['subject']}" for row in whole.dataset.labels("train").filter(database="disfa").to_dicts()}
    with pytest.raises(DataError, match=r"all .* rows of disfa would be erased.* Take disfa out of the recipe"):
        plan_erasure(whole.dataset.path, Wanted(subjects=sorted(known | set(everybody) & known)))


def test_a_dataset_that_changed_after_the_plan_is_left_alone(merged: Path, digests: Digests) -> None:
    plan = plan_erasure(merged, Wanted(subjects=[f"disfa:{PERSON}"]))
    write_folds(open_dataset(merged), "two", 2)
    before = digests(merged)
    with pytest.raises(DataError, match="has changed since the plan, nothing was erased"):
        erase(plan)
    assert digests(merged) == before


def test_the_command_shows_the_plan_and_erases_only_with_yes(
    merged: Path, affect_data: Run, digests: Digests, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "teacher"
    run.mkdir(parents=True)
    (run / "contents.json").write_text(json.dumps({"dataset": {"fingerprint": open_dataset(merged).fingerprint}}))
    before = digests(merged)
    shown = affect_data("erase", merged, "--subject", f"disfa:{PERSON}", "--run", tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert f"saw them: {run}: was trained on this dataset" in shown.stdout
    assert f"saw them: {tmp_path}: has no contents.json" in shown.stdout
    assert "nothing was erased; pass --yes to do it" in shown.stdout
    planned = json.loads(affect_data("erase", merged, "--subject", f"disfa:{PERSON}", "--json").stdout)
    assert (planned["rows"], planned["erased"]) == ({"train": {"disfa": 13}}, False)
    assert digests(merged) == before
    wrong = affect_data("erase", merged, "--subject", "disfa:SN01", "--yes")
    assert (wrong.returncode, digests(merged)) == (1, before)
    assert "Near to it: disfa:SN0" in wrong.stderr
    done = affect_data("erase", merged, "--subject", f"disfa:{PERSON}", "--yes")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("erased 13 rows; ")
    again = affect_data("erase", merged, "--subject", f"disfa:{PERSON}", "--yes")
    assert again.returncode == 0
    assert f"erased before: disfa:{PERSON}" in again.stdout
    assert "erased 0 rows" in again.stdout


@pytest.mark.parametrize(("call", "number"), [("fsync", 40), ("rmdir", 1)])
def test_an_erasure_that_is_killed_leaves_one_of_the_two_and_the_same_call_ends_it(
    merged: Path, people: dict[str, Path], tmp_path: Path, digests: Digests, call: str, number: int
) -> None:
    whole = Path(shutil.copytree(merged, tmp_path / "whole"))
    erased(whole, f"disfa:{PERSON}")
    expected, before = without_lock(digests(whole)), without_lock(digests(merged))
    code = (
        KILLED_AT
        + "from affect_data.erasing.erase import erase\nfrom affect_data.erasing.plan import plan_erasure\n"
        + "from affect_data.erasing.selection import Wanted\nname, count, path, who = sys.argv[1:]\n"
        + "plan = plan_erasure(path, Wanted(subjects=[who]))\nkilled_at(int(count), (name,))\nerase(plan)\n"
    )
    done = run_python(["-c", code, call, number, merged, f"disfa:{PERSON}"])
    assert done.returncode == -signal.SIGKILL, done.stderr
    # The first kill comes while the new folder is written, the second when the old one is removed.
    assert without_lock(digests(merged)) == (before if call == "fsync" else expected)
    erased(merged, f"disfa:{PERSON}")
    assert without_lock(digests(merged)) == expected
    assert files_with(tmp_path, persons_bytes(people)) == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_that_was_moved_away_comes_back_before_the_erasure(merged: Path, people: dict[str, Path]) -> None:
    merged.rename(merged.with_name(".merged.old"))
    erased(merged, f"disfa:{PERSON}")
    assert files_with(merged.parent, persons_bytes(people)) == []
