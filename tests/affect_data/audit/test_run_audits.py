"""Running checks, the file of findings, its export and the commands."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from labelled_rows import with_other
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from affect_data.audit.base import FINDINGS, AuditedDataset, Severity
from affect_data.audit.export import FacesKeptInError, datalab_issues, kept_in, write_fiftyone
from affect_data.audit.pages import PAGE, audits_page
from affect_data.audit.registry import AUDITS
from affect_data.audit.run import AUDIT, NotAuditedError, read_audit, run_audits
from affect_data.build.build import BuildReport
from affect_data.cli.app import app
from affect_data.dataset import blocks
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DataError, UnknownNameError, UsageError

MakeDataset = Callable[..., DatasetFolder]

WRONG = {"uid": "wrong", "expression": "happiness", "va": (-0.8, 0.0)}
RIGHT = {"uid": "right", "expression": "happiness", "va": (0.8, 0.0)}


@pytest.mark.parametrize("name", AUDITS)
def test_every_check_says_what_it_is(name: str) -> None:
    audit = AUDITS[name]
    assert audit.name == name
    assert audit.severity in Severity
    assert len(audit.rule) > 30
    assert "core" in audit.rule
    assert len(audit.source) > 10
    assert len(audit.example) > 10
    assert not audit.rule.endswith(".")


def drawn_face(seed: int) -> bytes:
    sink = io.BytesIO()
    FaceSampler(seed).photograph().draw().save(sink, "PNG")
    return sink.getvalue()


@pytest.mark.parametrize("name", AUDITS)
def test_every_check_gives_the_same_columns_and_bears_rows_without_labels(name: str, make_dataset: MakeDataset) -> None:
    first, second, third = ({"image": drawn_face(seed)} for seed in range(3))
    dataset = AuditedDataset(make_dataset({"train": [first, second], "test": [third]}))
    audit = AUDITS[name]()
    if audit.not_applicable(dataset):
        pytest.skip("needs what the dataset lacks")
    found = audit.find(dataset)
    assert dict(found.schema) == {column: kind for column, kind in FINDINGS.items() if column != "check"}
    assert found.is_empty()


def test_the_whole_demo_world_is_audited(demo_report: BuildReport, tmp_path: Path) -> None:
    path = shutil.copytree(demo_report.dataset.path, tmp_path / "merged")
    report = run_audits(open_dataset(path))
    assert set(report.ran) | set(report.skipped) == set(AUDITS)
    found = read_audit(path)
    assert dict(found.schema) == FINDINGS
    assert found["score"].is_between(0, 1).all()
    assert all(isinstance(json.loads(text), dict) for text in found["evidence"])
    uids = {(split, uid) for split in demo_report.dataset.splits for uid in demo_report.dataset.labels(split)["uid"]}
    assert set(found.select("split", "uid").iter_rows()) <= uids
    # The demo FER+ holds a picture twice, byte for byte, as FER+ does.
    copies = found.filter(pl.col("check") == "duplicates")
    assert any(json.loads(text)["level"] == "bytes" for text in copies["evidence"])
    assert found.filter(pl.col("check") == "codes").is_empty()


def test_findings_do_not_depend_on_how_many_rows_are_read_at_a_time(
    make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {
            "track": f"clip {number // 40}",
            "subject": f"person {number // 80}",
            "frame": number % 40,
            "face": 0,
            "expression": ("happiness", "sadness")[int(rng.integers(2))],
            "va": tuple(rng.uniform(-1, 1, 2).tolist()),
            "au": {unit: int(rng.integers(2)) for unit in (4, 6, 9, 12)},
            "au_intensity": {12: float(rng.integers(6))},
            "face_box": [0.0, 0.0, float(rng.integers(2, 36)), 36.0],
            "uid": f"{number % 150}",
        }
        for number in range(160)
    ]
    folder = make_dataset({"train": rows[:100], "validation": rows[100:]})
    checks = [name for name in AUDITS if name not in ("label_errors", "face_count")]
    dataset = AuditedDataset(folder)
    whole = {name: AUDITS[name]().find(dataset) for name in checks if not AUDITS[name]().not_applicable(dataset)}
    assert sum(len(found) > 0 for found in whole.values()) >= 8
    monkeypatch.setattr(blocks, "ROWS_PER_BLOCK", 7)
    dataset = AuditedDataset(folder)
    for name, found in whole.items():
        assert_frame_equal(AUDITS[name]().find(dataset), found, check_row_order=False)


def test_findings_of_other_checks_are_kept_and_those_of_the_same_replaced(make_dataset: MakeDataset) -> None:
    folder = make_dataset({"train": [WRONG, RIGHT]})
    first = run_audits(folder, ["expression_va"])
    run_audits(folder, ["codes", "codes"])
    again = run_audits(folder, ["expression_va"])
    assert first.findings.equals(again.findings)
    assert read_audit(folder.path)["uid"].to_list() == ["wrong"]
    assert first.by_check().row(0, named=True)["rows"] == 1


def test_findings_of_other_labels_are_refused(make_dataset: MakeDataset) -> None:
    folder = make_dataset({"train": [WRONG]})
    with pytest.raises(NotAuditedError, match=r"was not audited\. Audit it: `affect-data audit "):
        read_audit(folder.path)
    run_audits(folder, ["expression_va"])
    with_other(folder, "labels")
    with pytest.raises(NotAuditedError, match="has changed since it was audited"):
        read_audit(folder.path)


def test_unknown_checks_and_checks_that_cannot_run_are_errors(make_dataset: MakeDataset) -> None:
    folder = make_dataset({"train": [WRONG]})
    with pytest.raises(
        UnknownNameError, match=r"unknown check 'smell'; known: .*annotation_tool, .*annotators, .*au_expression"
    ):
        run_audits(folder, ["smell"])
    with pytest.raises(DataError, match=r"the check 'pspi' cannot run on .*: no column group 'pspi'"):
        run_audits(folder, ["pspi"])
    assert not (folder.path / AUDIT).exists()


def test_the_command_prints_a_table_and_ends_with_one_on_an_error(make_dataset: MakeDataset) -> None:
    fine = make_dataset({"train": [WRONG, RIGHT]}, "fine")
    bad = make_dataset(
        {"train": [{"uid": "sentinel", "raw": {"valence": -5.0, "arousal": -5.0, "va_mask": True}}]}, "bad"
    )
    checks = ["--check", "codes", "--check", "expression_va"]
    shown = CliRunner().invoke(app, ["audit", str(fine.path), *checks])
    assert shown.exit_code == 0
    assert "expression_va" in shown.stdout
    assert CliRunner().invoke(app, ["audit", str(bad.path), *checks]).exit_code == 1
    document = json.loads(CliRunner().invoke(app, ["audit", str(fine.path), *checks, "--json"]).stdout)
    assert document["has_errors"] is False
    assert [(c["check"], c["findings"]) for c in document["checks"]] == [("codes", 0), ("expression_va", 1)]


def test_the_command_lists_the_checks_and_needs_a_dataset_otherwise() -> None:
    listed = json.loads(CliRunner().invoke(app, ["audit", "--list", "--json"]).stdout)
    assert [entry["name"] for entry in listed] == list(AUDITS)
    assert "leakage (error)" in CliRunner().invoke(app, ["audit", "--list"]).stdout
    result = CliRunner().invoke(app, ["audit"])
    assert isinstance(result.exception, UsageError)
    assert "needs the folder of a DATASET, or --list" in str(result.exception)


def test_issues_in_datalabs_form_follow_the_rows(make_dataset: MakeDataset) -> None:
    folder = make_dataset({"train": [RIGHT, WRONG], "validation": [RIGHT]})
    run_audits(folder, ["expression_va"])
    issues = datalab_issues(folder.path, "train")
    assert issues.columns == ["uid", "is_expression_va_issue", "expression_va_score"]
    assert issues["is_expression_va_issue"].to_list() == [False, True]
    assert issues["expression_va_score"].to_list() == pytest.approx([1.0, 0.1])
    assert not datalab_issues(folder.path, "validation")["is_expression_va_issue"].any()


def test_samples_in_fiftyones_form_hold_pictures_labels_and_findings(make_dataset: MakeDataset, tmp_path: Path) -> None:
    boxed = {"uid": "boxed", "face_box": [9.0, 0.0, 27.0, 18.0]}
    folder = make_dataset({"train": [WRONG, boxed]})
    run_audits(folder, ["expression_va"])
    assert write_fiftyone(folder.path, tmp_path / "out", ["affwild2"]) == 2
    samples = json.loads((tmp_path / "out" / "samples.json").read_text(encoding="utf-8"))["samples"]
    assert samples[0]["expression"] == {"_cls": "Classification", "label": "happiness"}
    assert samples[0]["tags"] == ["train", "expression_va"]
    assert samples[0]["worst_finding"] == pytest.approx(0.9)
    assert json.loads(samples[0]["findings"])[0]["evidence"]["expression"] == "happiness"
    assert samples[1]["face"]["detections"][0]["bounding_box"] == [0.25, 0.0, 0.5, 0.5]
    for sample in samples:
        assert (tmp_path / "out" / sample["filepath"]).read_bytes().startswith(b"\x89PNG")
    fields = {f["name"] for f in json.loads((tmp_path / "out" / "metadata.json").read_text())["sample_fields"]}
    assert {name for sample in samples for name in sample} - {"filepath", "tags"} <= fields
    with pytest.raises(UsageError, match="is not empty"):
        write_fiftyone(folder.path, tmp_path / "out", ["affwild2"])
    assert "fiftyone" not in sys.modules


def test_faces_leave_only_where_the_licence_lets_them_or_is_acknowledged_by_name(
    make_dataset: MakeDataset, tmp_path: Path
) -> None:
    folder = make_dataset({"train": [{"database": "affectnet"}, {"database": "ferplus"}, {"database": "expw"}]})
    run_audits(folder, ["codes"])
    out = tmp_path / "out"
    with pytest.raises(
        FacesKeptInError, match=r"(?s)3 database\(s\) .* affectnet: research only.*--acknowledge affectn"
    ):
        write_fiftyone(folder.path, out)
    with pytest.raises(FacesKeptInError, match=r"`--acknowledge ferplus`\.") as refused:
        write_fiftyone(folder.path, out, ["affectnet", "expw"])
    assert refused.value.databases == ("ferplus",)
    with pytest.raises(UnknownNameError, match=r"unknown database of .* 'disfa'; known: affectnet, expw, ferplus"):
        write_fiftyone(folder.path, out, ["disfa"])
    assert not out.exists()
    # A build records which databases were drawn: those faces belong to nobody.
    lock = {"databases": {"affectnet": {"drawn": True}, "expw": {"drawn": False}, "ferplus": {}}}
    (folder.path / "dataset.lock.json").write_text(json.dumps(lock))
    assert list(kept_in(folder)) == ["expw", "ferplus"]
    assert write_fiftyone(folder.path, out, ["expw", "ferplus"]) == 3


def test_the_command_refuses_the_export_before_it_audits(make_dataset: MakeDataset, tmp_path: Path) -> None:
    folder = make_dataset({"train": [WRONG]})
    command = ["audit", str(folder.path), "--check", "codes", "--fiftyone", str(tmp_path / "out")]
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, FacesKeptInError)
    assert refused.exception.exit_status == 2
    assert not (folder.path / AUDIT).exists()
    allowed = CliRunner().invoke(app, [*command, "--acknowledge", "affwild2", "--json"])
    assert json.loads(allowed.stdout)["fiftyone_samples"] == 1


def test_a_missing_cleanlab_is_named(make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affect_data.audit.checks.label_errors.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"cleanlab is not installed: `pip install 'affectkit\[audit\]'`"):
        run_audits(make_dataset({"train": [WRONG]}), ["label_errors"])


def test_the_page_on_audits_is_what_the_checks_say(request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / PAGE).read_text(encoding="utf-8")
    assert page == audits_page(page), f"{PAGE} is stale: run `make docs`"
