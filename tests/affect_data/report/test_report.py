"""The report: one file, true to the data, safe against what stands in names, and without faces that must not leave."""

import html
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import polars as pl
import pytest
from labelled_rows import Row, with_other, write_dataset

from affect_data.audit.base import FINDINGS
from affect_data.audit.run import AUDIT, FINGERPRINT
from affect_data.balance import balance, make_plan
from affect_data.build.build import BuildReport, build
from affect_data.build.recipe import recipe_from
from affect_data.cli.documents import WrittenReport
from affect_data.databases.registry import DATABASES
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.dataset.folder import LOCK, DatasetFolder, open_dataset
from affect_data.dataset.writing import write_manifest
from affect_data.demo.world import SHARES
from affect_data.report.charts import Series, bars, heat_map, lines, plane, reliability
from affect_data.report.html import escape, show, table
from affect_data.report.page import report
from affect_data.report.training_section import NotARunError

HOSTILE = "<script>alert('x')</script>\"><img src=https://evil.example/x onerror=alert(1)>&amp;"


class Elements(HTMLParser):
    """Tags, attributes and text of a page; unbalanced tags are an error."""

    VOID = ("meta", "img", "path", "rect", "br", "wbr")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID or tag in ("rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}


def is_self_contained(page: str) -> bool:
    elements = Elements(page)
    urls = [value for _, attributes in elements.tags for key, value in attributes.items() if key in ("src", "href")]
    loads = re.search(r"url\(|@import", page)
    inside = all(url is not None and url.startswith(("#", "data:image/jpeg;base64,")) for url in urls)
    handlers = [key for _, attributes in elements.tags for key in attributes if key.startswith("on")]
    return inside and not loads and not handlers and not elements.names() & {"script", "link", "iframe", "object"}


@pytest.fixture
def dataset(demo_report: BuildReport, tmp_path: Path) -> DatasetFolder:
    """A copy of the demo dataset, for writing."""
    shutil.copytree(demo_report.dataset.path, tmp_path / "merged")
    return open_dataset(tmp_path / "merged")


def with_findings(dataset: DatasetFolder, rows: list[dict[str, object]]) -> None:
    found = pl.DataFrame(rows, schema=FINDINGS)
    found.write_parquet(dataset.path / AUDIT, metadata={FINGERPRINT: dataset.fingerprint})


def write_run(path: Path, fingerprint: str) -> Path:
    metrics = {
        "au": {"mean_f1": 0.25, "accuracy": 0.9, "labels": 9, "by_action_unit": {"12": {"f1": 0.25, "labels": 9}}},
        "expression": {"macro_f1": 0.5, "accuracy": 0.75, "by_class": {"fear": {"f1": None, "labels": 0}}},
        "va": {"valence_ccc": 0.125, "arousal_ccc": 0.0625},
        "score": 0.4375,
    }
    path.mkdir()
    document = {
        "dataset": HOSTILE,
        "fingerprint": fingerprint,
        "splits": {"validation": {"overall": metrics, "databases": {HOSTILE: metrics}}},
    }
    (path / "evaluation.json").write_text(json.dumps(document))
    steps = [{"kind": "train", "step": step, "losses": {"au": 1 / step, "va_ccc": 1}} for step in (1, 2, 4)]
    (path / "metrics.jsonl").write_text("\n".join(map(json.dumps, steps)) + '\n{"cut')
    return path


def test_the_report_of_everything_is_one_self_contained_file(dataset: DatasetFolder, tmp_path: Path) -> None:
    balance(dataset.path, make_plan("deng2020"), "rare")
    page = report(open_dataset(dataset.path), write_run(tmp_path / "run", dataset.fingerprint), with_faces=True)
    assert is_self_contained(page)
    assert "default-src 'none'" in page
    titles = re.findall(r"<h2>\d+\. ([^<]+)</h2>", page)
    assert titles == [
        "Verdicts", "What was merged", "Which labels there are", "Expressions", "Action units", "Valence and arousal",
        "Balancing", "Audit", "Training results", "Faces",
    ]  # fmt: skip


def test_the_figures_are_those_of_the_build(demo_report: BuildReport) -> None:
    page = report(demo_report.dataset)
    cells = [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", page)]
    for name, found in demo_report.databases.items():
        at = cells.index(DATABASES[name].title)
        assert cells[at + 3 : at + 6] == [f"{found.lines:,}", f"{found.rows:,}", f"{sum(found.failures.values()):,}"]
        for reason, count in found.failures.items():
            assert [name, escape(reason), f"{count:,}"] in [cells[i : i + 3] for i in range(len(cells))]
    lost = re.search(r"([\d,]+) of ([\d,]+) labelled rows have AU, expression and VA", page)
    assert lost is not None
    labels = pl.concat([demo_report.dataset.labels(split) for split in demo_report.dataset.splits])
    units = labels["au_mask"].arr.any() | labels["au_intensity_mask"].arr.any()
    any_label = units | labels["expression_mask"] | labels["va_mask"] | labels["compound_expression_mask"]
    complete = units & labels["expression_mask"] & labels["va_mask"]
    assert [int(text.replace(",", "")) for text in lost.groups()] == [complete.sum(), any_label.sum()]


def test_no_absolute_path_stands_in_the_report(dataset: DatasetFolder, tmp_path: Path) -> None:
    page = report(dataset, write_run(tmp_path / "run", "x"), with_faces=True)
    assert str(tmp_path) not in page
    assert str(tmp_path.parent) not in page


def test_the_same_dataset_gives_the_same_bytes(demo_report: BuildReport) -> None:
    assert report(demo_report.dataset) == report(demo_report.dataset)


def test_hostile_names_and_findings_stay_text(dataset: DatasetFolder, tmp_path: Path) -> None:
    lock = json.loads((dataset.path / LOCK).read_text())
    lock["databases"]["expw"] |= {
        "release": HOSTILE,
        "failures": {HOSTILE: 3},
        "masked": [{"task": HOSTILE, "reason": HOSTILE, "rows": 1}],
    }
    (dataset.path / LOCK).write_text(json.dumps(lock))
    group = {
        "group": HOSTILE,
        "copies": 2,
        "splits": [HOSTILE],
        "databases": [HOSTILE],
        "conflict": [],
        HOSTILE: HOSTILE,
    }
    leak = {"kind": HOSTILE, "key": HOSTILE, "splits": [HOSTILE], "rows": 1}
    common = {"uid": HOSTILE, "split": "train", "severity": "error", "score": 1.0}
    with_findings(
        dataset,
        [
            {**common, "check": check, "evidence": json.dumps(evidence)}
            for check, evidence in (
                ("duplicates", group),
                ("leakage", leak),
                ("codes", {HOSTILE: HOSTILE}),
                (HOSTILE, {}),
            )
        ],
    )
    page = report(dataset, write_run(tmp_path / HOSTILE.replace("/", "_"), "other"))
    assert is_self_contained(page)
    texts = "".join(Elements(page).texts)
    assert texts.count(HOSTILE) >= 9
    assert "evaluated on other rows or labels" in texts


def test_control_characters_become_visible() -> None:
    assert escape("a\x00\x1b[31m\u202eb") == "a\\x00\\x1b[31m\\x202eb"
    assert show(HOSTILE).count("<") == 0
    assert show(None) == show(float("nan")) == "–"
    assert [show(value) for value in (1234567, 0.5, True)] == ["1,234,567", "0.500", "yes"]


def test_numbers_stand_to_the_right() -> None:
    text = table(["name", "rows", "share"], [["a", 1, "2.0 %"], ["b", None, "–"]]).text
    assert text.count('class="n"') == 2 * 3
    assert '<td class="n">–</td>' in text


# ---------------------------------------------------------------- verdicts


def verdicts_of(page: str) -> list[tuple[str, str]]:
    """Kind and first sentence of each verdict, in order."""
    found = re.findall(r'<span class="badge \w+">(\w+)</span> (.*?)</p>', page)
    return [(kind, html.unescape(re.sub("<[^>]+>", "", text))) for kind, text in found]


def test_verdicts_say_what_is_wrong_most_serious_first(tmp_path: Path) -> None:
    rows = [Row(f"a{i}", "train", expression="happiness", au={1: 0}) for i in range(20)]
    dataset = write_dataset(tmp_path / "d", [*rows, Row("b", "train", expression="fear"), Row("c", "validation")])
    leak = {"kind": "subject", "key": "s", "splits": ["train", "validation"], "rows": 2}
    finding = {"uid": "b", "split": "train", "check": "leakage", "severity": "error", "score": 1.0}
    with_findings(dataset, [finding | {"evidence": json.dumps(leak)}])
    page = report(open_dataset(dataset.path))
    assert verdicts_of(page) == [
        ("error", "Leaks between splits: 1 face, 1 finding of kind 'error'."),
        ("warning", "Split validation has no labels of action units."),
        ("warning", "Split validation has no labels of expressions."),
        ("warning", "AU1: labelled, but never present."),
        ("look", "Expressions are uneven: 20 rows of happiness, 1 of fear (20 to 1)."),
    ]
    assert "affect-data folds d --count 5 --name cv5 --copies" in page


def test_a_dataset_without_fault_has_a_verdict_that_says_so(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", [Row("a", "train", va=(0.5, -1.0))])
    with_findings(dataset, [])
    assert "Nothing speaks against using this dataset" in report(open_dataset(dataset.path))


# ---------------------------------------------------------------- faces


def test_the_worst_faces_of_a_check_are_shown_with_the_doubt_in_a_sentence_only_when_asked(
    dataset: DatasetFolder,
) -> None:
    labels = dataset.labels("train").filter(pl.col("va_mask")).head(8)
    evidence = json.dumps({"expression": "fear", "valence": 0.5, "arousal": 0.25, "likelier": "happiness"})
    common = {"split": "train", "check": "expression_va", "severity": "review", "evidence": evidence}
    with_findings(dataset, [{"uid": uid, "score": 1 - i / 10, **common} for i, uid in enumerate(labels["uid"])])
    page = report(dataset, with_faces=True)
    (doubts,) = re.findall(r'<div class="doubts">(.*?)</div>', page, re.DOTALL)
    assert re.findall(r'<img alt="([^"]+)"', doubts) == [escape(uid) for uid in labels["uid"][:6]]
    assert (
        "It is labelled fear, but lies at valence 0.5 and arousal 0.25; faces there are more often happiness." in doubts
    )
    assert f"valence {labels['valence'][0]:+.2f}<br>arousal {labels['arousal'][0]:+.2f}" in doubts
    assert '<div class="doubts">' not in report(dataset)


def test_no_face_without_being_asked(demo_report: BuildReport) -> None:
    assert "<img" not in report(demo_report.dataset)


def test_drawn_faces_are_shown_when_asked(demo_report: BuildReport) -> None:
    page = report(demo_report.dataset, with_faces=True)
    assert page.count("<img") == 12 * len(SHARES)
    assert "Not shown" not in page


def test_faces_of_databases_that_forbid_it_are_never_shown(
    dataset: DatasetFolder, demo_roots: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(demo_roots["expw"], tmp_path / "expw")
    (tmp_path / "expw" / DRAWN_MARKER).unlink()
    part = recipe_from({"databases": {"expw": {"incomplete": "accepted"}}}, "x")
    built = build(part, {"expw": tmp_path / "expw"}, tmp_path / "expw-only")
    page = report(built.dataset, with_faces=True)
    assert "<img" not in page
    assert "Not shown, as their licence does not let faces leave: expw." in page
    (dataset.path / LOCK).unlink()
    assert "<img" not in report(dataset, with_faces=True)


# ---------------------------------------------------------------- parts that are there or not


def test_before_and_after_of_a_plan_are_those_that_the_plan_reported(dataset: DatasetFolder) -> None:
    done = balance(dataset.path, make_plan("deng2020_expression"), "classes")
    (pool,) = done.pools
    page = report(open_dataset(dataset.path))
    drawn = re.findall(r"<title>(\w+), (before|after \(one epoch\)): ([\d,]+)</title>", page)
    assert {(n, int(v.replace(",", ""))) for n, when, v in drawn if when == "before"} >= set(
        pool.before.expressions.items()
    )
    after = {(n, int(v.replace(",", ""))) for n, when, v in drawn if when != "before"}
    assert after >= {
        (name, rows) for name, rows in pool.realised.expressions.items() if name in pool.before.expressions
    }


def plane_counts(page: str, name: str) -> list[int]:
    """The counts of the bins of a plane, as their tips say."""
    svg = re.search(rf'<svg[^>]*aria-label="valence and arousal {re.escape(name)}">(.*?)</svg>', page)
    assert svg is not None
    return [int(n.replace(",", "")) for n in re.findall(r"arousal [-\d.]+: ([\d,]+)</title>", svg[1])]


def test_the_planes_are_the_whole_pool_thinned_rows_included_and_the_epoch_that_was_drawn(
    dataset: DatasetFolder,
) -> None:
    done = balance(dataset.path, make_plan("deng2020_va"), "plane")
    (pool,) = done.pools
    assert any("thinned out" in note for note in pool.notes)
    page = report(open_dataset(dataset.path))
    before, after = plane_counts(page, "before"), plane_counts(page, "after (one epoch)")
    assert sorted(before) == sorted(pool.before.va_bins[pool.before.va_bins > 0].astype(int).tolist())
    assert sum(before) == pool.rows
    assert sorted(after) == sorted(pool.realised.va_bins[pool.realised.va_bins > 0].astype(int).tolist())
    assert "<td>evenness over the VA plane</td>" in page
    evenness = [f"{stage.plane()['evenness']:.3f}" for stage in (pool.before, pool.planned, pool.realised)]
    assert "".join(f'<td class="n">{value}</td>' for value in evenness) in page


def test_every_stored_plan_is_shown_with_its_measures(dataset: DatasetFolder) -> None:
    for name in ("deng2020", "vu2021_joint", "database_temperature", "ml_ros"):
        balance(dataset.path, make_plan(name), name)
    page = report(open_dataset(dataset.path))
    assert re.findall(r"<h3>([^<]+)</h3>", page) == ["database_temperature", "deng2020", "ml_ros", "vu2021_joint"]
    assert page.count("largest IRLbl of an action unit") >= 3


def test_an_epoch_of_another_length_is_compared_in_per_cent(dataset: DatasetFolder) -> None:
    done = balance(dataset.path, make_plan("deng2020_expression"), "classes", draws=70)
    (pool,) = done.pools
    page = report(open_dataset(dataset.path))
    assert "Per cent of the rows by expression: before, and in one epoch drawn." in page
    share = 100 * pool.before.expressions["neutral"] / pool.rows
    assert f"<title>neutral, before: {share:.0f}</title>" in page


def test_a_plan_of_other_labels_is_named_and_not_shown(dataset: DatasetFolder) -> None:
    balance(dataset.path, make_plan("deng2020_expression"), "classes")
    manifest = json.loads((dataset.path / "dataset.json").read_text())
    manifest["provenance"]["balance.classes"]["made_from"] = {"labels": "0" * 16}
    (dataset.path / "dataset.json").write_text(json.dumps(manifest))
    page = report(open_dataset(dataset.path))
    assert "Made for other rows or labels than those in force; not shown." in page
    assert "after (one epoch" not in page


@pytest.mark.parametrize(
    ("changed", "because"),
    [
        ({"plan": "cloning"}, "unknown balancing plan 'cloning'; known: database_temperature, "),
        ({"options": {"bins": 20}}, "plan 'deng2020_va': 1 mistake(s): bins: no option of plan 'deng2020_va'; known: "),
        (
            {"options": {"databases": ["afew_va"]}},
            "its pool of valence and arousal had {all:,} rows and now has {own:,}.",
        ),
    ],
)
def test_a_plan_that_cannot_be_computed_again_is_named_with_the_reason(
    dataset: DatasetFolder, changed: dict[str, object], because: str
) -> None:
    (pool,) = balance(dataset.path, make_plan("deng2020_va"), "plane").pools
    assert "cannot be computed again" not in report(open_dataset(dataset.path))
    manifest = json.loads((dataset.path / "dataset.json").read_text())
    manifest["provenance"]["balance.plane"].update(changed)
    (dataset.path / "dataset.json").write_text(json.dumps(manifest))
    page = report(open_dataset(dataset.path))
    own = dataset.labels("train").filter((pl.col("database") == "afew_va") & pl.col("va_mask"))
    said = f"Plan {changed.get('plan', 'deng2020_va')} of 'plane' cannot be computed again with this version of affectkit: "
    assert said + because.format(all=pool.rows, own=len(own)) in html.unescape(page)
    assert 'aria-label="valence and arousal before"' not in page
    assert sum(plane_counts(page, "after (one epoch)")) == pool.draws


def test_audits_are_counted_by_check_or_their_absence_is_said(dataset: DatasetFolder) -> None:
    assert "The dataset is not audited: no check was run." in report(dataset)
    with_findings(dataset, [])
    changed = with_other(dataset, "labels")
    assert "The dataset is not audited: its labels have changed since." in report(changed)
    write_manifest(dataset.path, dataset.manifest)
    with_findings(dataset, [])
    assert "The audit has no findings." in report(dataset)
    group = {"group": "g", "copies": 2, "splits": ["train", "validation"], "databases": ["expw"], "conflict": ["au"]}
    common = {"split": "train", "severity": "error", "score": 1.0, "check": "duplicates", "evidence": json.dumps(group)}
    with_findings(dataset, [{"uid": uid, **common} for uid in "ab"])
    assert "1 groups of copies, 1 of them across splits." in report(dataset)


def test_a_run_without_results_is_an_error(dataset: DatasetFolder, tmp_path: Path) -> None:
    with pytest.raises(NotARunError, match=r"it has no evaluation\.json\. Make them: `affect-train evaluate"):
        report(dataset, tmp_path)
    (tmp_path / "evaluation.json").write_text('{"splits": []}')
    with pytest.raises(NotARunError, match="is not readable"):
        report(dataset, tmp_path)


def write_full_run(path: Path, fingerprint: str) -> Path:
    """A run with intervals, tuned thresholds and reliability data."""
    write_run(path, fingerprint)
    document = json.loads((path / "evaluation.json").read_text())
    found = document["splits"]["validation"]
    found["overall"]["intervals"] = {
        "level": 0.95,
        "resamples": 500,
        "clusters": {"subject": 3, "track": 0, "row": 20},
        "metrics": {"au.mean_f1": [0.125, 0.5], "au.by_action_unit.12.f1": [0.0, 1.0], "va.valence_ccc": None},
    }
    found["overall"]["au"]["by_action_unit"]["12"]["threshold"] = 0.375
    found["overall"]["au"]["at_half"] = {"mean_f1": 0.0625}
    document["thresholds_from"] = {"dataset": HOSTILE, "fingerprint": "x", "split": "train", "labels": [9]}
    curve = {"labels": 25, "ece": 0.14, "count": [0, 20, 5], "probability": [None, 0.5, 0.9]}
    curve["frequency"] = [None, 0.25, 1.0]
    empty = {"labels": 0, "ece": None, "count": [0] * 3, "probability": [None] * 3, "frequency": [None] * 3}
    found["reliability"] = {
        "bins": 3,
        "expression": curve,
        "au": {"mean_ece": 0.14, "by_action_unit": {"12": curve, "4": empty}},
    }
    (path / "evaluation.json").write_text(json.dumps(document))
    return path


def test_intervals_thresholds_and_reliability_are_shown_where_the_evaluation_has_them(
    dataset: DatasetFolder, tmp_path: Path
) -> None:
    page = report(dataset, write_full_run(tmp_path / "run", dataset.fingerprint))
    assert is_self_contained(page)
    texts = "".join(Elements(page).texts)
    assert '<td class="n">0.250 [0.12, 0.50]</td><td class="n">0.500</td>' in page
    assert "95% intervals, from 500 resamples of 3 subjects, 20 rows." in texts
    chosen = f"chosen on split train of dataset {HOSTILE}: AU12 0.38. With 0.5 for all of them, the mean F1 is 0.062."
    assert chosen in texts
    assert "Expressions on validation: ECE 0.140 over 25 labels." in texts
    assert "AU12: ECE 0.140" in texts
    assert "AU4: ECE" not in texts
    assert "mean ECE 0.140" in texts
    assert "5 labels, confidence 0.90, accuracy 1.00" in texts
    assert "Reliability curves are not shown" not in texts


def test_groups_of_people_are_shown_with_the_size_from_which_they_are_scored(
    dataset: DatasetFolder, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", dataset.fingerprint)
    assert "Groups of people" not in report(dataset, run)
    document = json.loads((run / "evaluation.json").read_text())
    scored = {"expression": {"macro_f1": 0.5, "accuracy": 0.625, "labels": 1100}}
    scored["intervals"] = {"metrics": {"expression.macro_f1": [0.25, 0.75], "expression.accuracy": None}}
    common = {"database": "raf_db", "attribute": "age_band"}
    document["splits"]["validation"] |= {
        "subgroup_minimum": {"rows": 60, "people": 12},
        "subgroups": [
            {**common, "value": "20-39", "rows": 1200, "people": 300, "metrics": scored},
            {**common, "value": HOSTILE, "rows": 7, "metrics": {}},
        ],
    }
    (run / "evaluation.json").write_text(json.dumps(document))
    page = report(dataset, run)
    assert is_self_contained(page)
    assert "A task is scored from 60 labelled rows of 12 people on" in page
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    groups = [row for row in rows if row and row[0] == "raf_db" and row[1].startswith("age band: ")]
    assert groups == [
        ["raf_db", "age band: 20-39", "1,200", "300", "0.500 [0.25, 0.75]", "0.625"],
        ["raf_db", f"age band: {escape(HOSTILE).replace('/', '/<wbr>')}", "7", "–", "–", "–"],
    ]


def test_untuned_thresholds_are_said(dataset: DatasetFolder, tmp_path: Path) -> None:
    page = report(dataset, write_run(tmp_path / "run", dataset.fingerprint))
    assert "validation: an action unit is present from a probability of 0.5 on." in page


def test_an_evaluation_with_broken_reliability_data_is_named(dataset: DatasetFolder, tmp_path: Path) -> None:
    run = write_full_run(tmp_path / "run", dataset.fingerprint)
    document = json.loads((run / "evaluation.json").read_text())
    del document["splits"]["validation"]["reliability"]["expression"]["count"]
    (run / "evaluation.json").write_text(json.dumps(document))
    with pytest.raises(NotARunError, match=r"evaluation\.json is not readable \(KeyError: 'count'\)"):
        report(dataset, run)


def test_results_are_shown_and_missing_reliability_is_said(dataset: DatasetFolder, tmp_path: Path) -> None:
    page = report(dataset, write_run(tmp_path / "run", dataset.fingerprint))
    assert (
        '<td class="n">0.250</td><td class="n">0.500</td><td class="n">0.750</td><td class="n">0.125</td><td class="n">0.062</td>'
        in page
    )
    assert "Reliability curves are not shown: evaluation.json holds no reliability data" in page
    assert "Training loss: au." in page


@pytest.mark.parametrize(
    "rows",
    [
        [Row("a", "train", expression="fear")],
        [Row("a", "train")],
        [Row("a", "train", au={12: 1}, subject="s")],
        [Row("a", "validation", va=(0.5, -1.0))],
        [
            Row(HOSTILE, "train", au={1: 0, 2: 0}, expression="other", va=(0.0, 0.0)),
            Row("b", "test", votes={"fear": 1.0}),
        ],
    ],
)
def test_small_and_odd_datasets_have_a_report(tmp_path: Path, rows: list[Row]) -> None:
    assert is_self_contained(report(write_dataset(tmp_path / "d", rows), with_faces=True))


def test_the_command_writes_the_file(
    demo_report: BuildReport, tmp_path: Path, affect_data: Callable[..., CompletedProcess[str]]
) -> None:
    done = affect_data("report", demo_report.dataset.path, "--out", tmp_path / "new" / "r.html", "--json")
    assert done.returncode == 0
    assert WrittenReport.model_validate_json(done.stdout).bytes == (tmp_path / "new" / "r.html").stat().st_size


# ---------------------------------------------------------------- charts


def lengths(svg: str) -> list[float]:
    return [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)%?"[^>]*><title>', svg)]


def test_bars_are_as_long_as_their_values() -> None:
    first, second, none = lengths(bars(["a", "b", "c"], [Series("n", [100, 50, None])], "t").text)
    assert first == pytest.approx(2 * second, abs=0.11)
    assert none == 0.0
    assert lengths(bars(["a"], [Series("n", [0])], "t").text) == [0.0]


def test_a_heat_map_darkens_with_the_value_and_leaves_gaps() -> None:
    svg = heat_map(["r"], ["a", "b", "c"], np.array([[0.0, 10.0, np.nan]]), "t").text
    light, dark = re.findall(r'fill="(#\w+)"><title>', svg)
    assert (light, dark) == ("#f4f7fb", "#0b335c")
    assert svg.count("<title>") == 2


def test_the_plane_has_valence_to_the_right_and_arousal_upward() -> None:
    counts = np.zeros((20, 20))
    counts[19, 0] = 7.0
    svg = plane(counts, "t", size=200).text
    (x, y) = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)"[^>]*><title>', svg)[0]
    assert (float(x), float(y)) == (30 + 190, 6 + 190)
    assert "valence 0.9, arousal -1.0: 7" in svg


def test_lines_reach_from_edge_to_edge_and_nothing_is_nothing() -> None:
    svg = lines([("a", [(0.0, 0.0), (10.0, 4.0)])], "t", "step", "loss").text
    assert "M48.0 174.0L448.0 20.0" in svg
    assert lines([], "t", "x", "y").text == ""
    assert "nan" not in lines([("a", [(1.0, 0.0), (1.0, 0.0)])], "t", "x", "y").text


def test_a_line_without_points_is_not_drawn_and_leaves_the_others_their_colours() -> None:
    points = [(0.0, 1.0), (1.0, 0.0)]
    both, alone = (lines([("a", first), ("b", points)], "t", "step", "loss").text for first in (points, []))
    assert 'd="M"' not in alone
    drawn = [re.findall(r'<path d="M[^"]+L[^>]+>', svg) for svg in (both, alone)]
    assert drawn[1] == drawn[0][1:]
    assert ">a</text>" in alone


def test_a_whisker_reaches_from_end_to_end_of_its_interval() -> None:
    svg = bars(["a"], [Series("F1", [0.5], [(0.25, 1.0)])], "t").text
    (width,) = lengths(svg)
    start, end = re.findall(r'<line x1="([\d.]+)%" y1="[\d.]+" x2="([\d.]+)%"', svg)[0]
    assert (float(start), width, float(end)) == (25.0, 50.0, 100.0)


def test_planes_side_by_side_share_their_shades() -> None:
    few, many = np.zeros((20, 20)), np.zeros((20, 20))
    few[0, 0], many[0, 0] = 1.0, 100.0
    assert 'fill="#0b335c"' in plane(few, "t").text
    assert 'fill="#0b335c"' not in plane(few, "t", largest=100.0).text
    assert 'fill="#0b335c"' in plane(many, "t", largest=100.0).text


def test_a_reliability_curve_goes_through_bins_with_enough_labels() -> None:
    svg = reliability([None, 0.5, 0.75, 1.0], [None, 0.25, 1.0, 0.5], [0, 10, 9, 40], "t", ("p", "f"), 200).text
    assert 'd="M134.0 166.0L234.0 116.0"' in svg
    assert svg.count('fill="#fff"') == 1
    assert svg.count("<circle") == 3
    assert "<circle" not in reliability([None], [None], [0], "t", ("p", "f")).text
