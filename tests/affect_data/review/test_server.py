"""The review as a server: one reader's answers, several at once, and nobody else's."""

import http.client
import io
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from affect_data.audit.base import FINDINGS
from affect_data.corrections.decisions import DecisionFile, Labels, read_decisions
from affect_data.corrections.versions import apply_decisions
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.thumbnails import face_picture
from affect_data.errors import DataError, UsageError
from affect_data.review.queue import Queue, queue_of_findings, queue_of_uids, read_uids
from affect_data.review.server import review_routes
from affect_data.review.session import DecidedMeanwhileError, ReviewSession
from affect_data.serving import LocalServer
from affect_data.vocabulary import EXPRESSIONS


def findings_of(dataset: DatasetFolder, count: int = 6) -> pl.DataFrame:
    uids = dataset.labels("train")["uid"].head(count).to_list()
    rows = [
        {
            "uid": uid,
            "split": "train",
            "check": check,
            "severity": severity,
            "score": score,
            "evidence": '{"group": "g"}',
        }
        for i, uid in enumerate(uids)
        for check, severity, score in (
            ("expression_va", "review", 0.1 * i),
            ("duplicates", "error" if i == 3 else "review", 0.05),
        )
    ]
    return pl.DataFrame(rows, schema=FINDINGS)


@pytest.fixture
def queue(dataset: DatasetFolder) -> Queue:
    return queue_of_findings(dataset, findings_of(dataset))


@pytest.fixture
def session(dataset: DatasetFolder, queue: Queue, tmp_path: Path) -> ReviewSession:
    return ReviewSession(dataset, queue, DecisionFile(tmp_path / "d.jsonl"), "ada")


@pytest.fixture
def server(session: ReviewSession) -> Iterator[LocalServer]:
    with LocalServer(review_routes(session), 0, "affect-data review") as running:
        yield running


def ask(server: LocalServer, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    method = "GET" if body is None else "POST"
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    is_json = (answer.getheader("Content-Type") or "").startswith("application/json")
    return answer.status, json.loads(data) if is_json else data


# ---------------------------------------------------------------- the queue


def test_the_heaviest_finding_comes_first_and_a_row_once(dataset: DatasetFolder, queue: Queue) -> None:
    uids = dataset.labels("train")["uid"].head(6).to_list()
    assert [queue.place(i).uid for i in range(len(queue))] == [uids[i] for i in (3, 5, 4, 2, 1, 0)]
    assert [finding["check"] for finding in queue[0].findings] == ["duplicates", "expression_va"]
    assert len(queue[0].copies) == 5


def test_findings_of_unknown_rows_are_counted_and_left_out(dataset: DatasetFolder) -> None:
    findings = findings_of(dataset).with_columns(uid=pl.col("uid") + "?")
    queue = queue_of_findings(dataset, pl.concat([findings, findings_of(dataset, 1)]))
    assert (len(queue), queue.skipped) == (1, 6)


def test_frames_around_are_the_nearest_of_the_track(dataset: DatasetFolder) -> None:
    labels = dataset.labels("train").filter(pl.col("track") != "")
    track = labels.filter(pl.len().over("database", "track") >= 4)["track"][0]
    frames = sorted(labels.filter(pl.col("track") == track)["frame"])
    uid = labels.filter((pl.col("track") == track) & (pl.col("frame") == frames[1]))["uid"][0]
    (item,) = [queue_of_uids(dataset, [uid])[0]]
    found = [labels.filter(pl.col("uid") == place.uid)["frame"][0] for place in item.frames]
    assert found == [frames[0], *frames[2:5]]


def test_an_empty_audit_is_an_empty_queue(dataset: DatasetFolder, tmp_path: Path) -> None:
    queue = queue_of_findings(dataset, pl.DataFrame(schema=FINDINGS))
    overview = ReviewSession(dataset, queue, DecisionFile(tmp_path / "d"), "ada").overview()
    assert (overview["items"], overview["next"]) == (0, None)


def test_uids_are_read_from_a_file(dataset: DatasetFolder, tmp_path: Path) -> None:
    uids = dataset.labels("validation")["uid"].head(2).to_list()
    (tmp_path / "u").write_text(f"\n{uids[1]}\nnobody\n{uids[0]}\n")
    queue = queue_of_uids(dataset, read_uids(tmp_path / "u"))
    assert ([queue.place(i).uid for i in range(2)], queue.skipped) == (uids[::-1], 1)
    (tmp_path / "u").write_text("\n")
    with pytest.raises(UsageError, match="names no uid"):
        read_uids(tmp_path / "u")
    with pytest.raises(DataError, match="has none of the 1 uids"):
        queue_of_uids(dataset, ["nobody"])


@pytest.mark.slow
def test_a_hundred_thousand_items_answer_without_lag(dataset: DatasetFolder, tmp_path: Path) -> None:
    queue = queue_of_findings(dataset, findings_of(dataset))
    many = (
        pl.concat([queue.items] * 17_000)
        .with_row_index("n")
        .with_columns(uid=pl.col("uid") + pl.col("n").cast(pl.String))
    )
    queue = Queue(many.drop("n"), 0)
    first = ReviewSession(dataset, queue, DecisionFile(tmp_path / "first"), "ada").decide(0, "keep", Labels(), "", "")
    places = queue.items.select("uid", "split").rows()
    lines = [first.model_copy(update={"id": f"{n}", "uid": places[n][0]}).to_line() for n in range(30_000)]
    (tmp_path / "d").write_text("".join(lines))
    session = ReviewSession(dataset, queue, DecisionFile(tmp_path / "d"), "ada")
    assert (session.overview()["items"], session.overview()["next"]) == (102_000, 30_000)
    start = time.perf_counter()
    for index in range(90_001, 90_041, 2):
        session.item(index)
        session.decide(index, "keep", Labels(), "", "")
        session.overview()
        session.next_open(index)
    assert (time.perf_counter() - start) / 20 < 0.05


# ---------------------------------------------------------------- decisions


def test_a_changed_label_is_a_correction_with_its_old_value(session: ReviewSession, tmp_path: Path) -> None:
    old = session.item(0)["labels"]["expression"]
    new = "fear" if old != "fear" else "anger"
    session.decide(0, "change", Labels(expression=new), "looks so", "")
    (decision,) = read_decisions(tmp_path / "d.jsonl")
    assert (decision.action, decision.who) == ("correct", "ada")
    assert (decision.old.expression, decision.new.expression) == (old, new)
    assert decision.why == "duplicates, expression_va: looks so"


def test_a_corrected_occurrence_masks_the_intensity_of_its_unit(dataset: DatasetFolder, tmp_path: Path) -> None:
    uid = dataset.labels("train").filter(pl.col("database") == "disfa")["uid"][0]
    session = ReviewSession(dataset, queue_of_uids(dataset, [uid]), DecisionFile(tmp_path / "d"), "ada")
    labels = session.item(0)["labels"]
    unit = next(int(number) for number, value in labels["au_intensity"].items() if value is not None)
    decision = session.decide(0, "change", Labels(au={unit: 1 - labels["au"][str(unit)]}), "", "")
    assert decision.new.fields() == {("au", unit): 1 - labels["au"][str(unit)], ("au_intensity", unit): None}


def test_deciding_again_takes_the_first_decision_back(session: ReviewSession, tmp_path: Path) -> None:
    first = session.decide(0, "skip", Labels(), "", "")
    session.decide(0, "keep", Labels(), "", first.id)
    assert [decision.action for decision in read_decisions(tmp_path / "d.jsonl")] == ["skip", "undo", "keep"]
    assert session.overview()["actions"] == {"keep": 1}


def test_undo_opens_the_item_again(session: ReviewSession) -> None:
    made = session.decide(0, "keep", Labels(), "", "")
    assert (session.overview()["next"], session.overview()["decided"]) == (1, 1)
    session.undo(made.id)
    assert (session.overview()["next"], session.overview()["decided"]) == (0, 0)
    with pytest.raises(DataError, match="taken back already"):
        session.undo(made.id)


def test_progress_survives_a_restart(
    session: ReviewSession, dataset: DatasetFolder, queue: Queue, tmp_path: Path
) -> None:
    session.decide(0, "keep", Labels(), "", "")
    session.decide(1, "skip", Labels(), "", "")
    again = ReviewSession(dataset, queue, DecisionFile(tmp_path / "d.jsonl"), "ada")
    assert (again.overview()["decided"], again.overview()["next"]) == (2, 2)


def test_two_reviewers_with_one_file_do_not_overwrite_each_other(
    session: ReviewSession, dataset: DatasetFolder, queue: Queue, tmp_path: Path
) -> None:
    other = ReviewSession(dataset, queue, DecisionFile(tmp_path / "d.jsonl"), "grace")
    session.decide(0, "keep", Labels(), "", "")
    with pytest.raises(DecidedMeanwhileError, match=r"ada has decided about this face meanwhile \(keep\)"):
        other.decide(0, "skip", Labels(), "", "")
    assert other.overview()["next"] == 1


def test_labels_that_were_changed_meanwhile_end_the_review(session: ReviewSession, tmp_path: Path) -> None:
    name = session.item(0)["labels"]["expression"]
    session.decide(0, "change", Labels(expression="fear" if name != "fear" else "anger"), "", "")
    apply_decisions(session.folder.path, tmp_path / "d.jsonl")
    with pytest.raises(DataError, match="labels have changed since this review was started"):
        session.decide(1, "keep", Labels(), "", "")


def test_deciding_again_about_applied_labels_builds_upon_them(
    session: ReviewSession, dataset: DatasetFolder, queue: Queue, tmp_path: Path
) -> None:
    first, second = [name for name in EXPRESSIONS if name != session.item(0)["labels"]["expression"]][:2]
    session.decide(0, "change", Labels(expression=first), "", "")
    apply_decisions(dataset.path, tmp_path / "d.jsonl")
    again = ReviewSession(open_dataset(dataset.path), queue, DecisionFile(tmp_path / "d.jsonl"), "ada")
    seen = again.item(0)["decision"]["id"]
    made = again.decide(0, "change", Labels(expression=second), "", seen)
    assert (made.old.expression, made.new.expression) == (first, second)
    assert [decision.action for decision in read_decisions(tmp_path / "d.jsonl")] == ["correct", "correct"]
    assert apply_decisions(dataset.path, tmp_path / "d.jsonl").version == 2


def test_a_change_without_a_difference_is_refused(session: ReviewSession) -> None:
    with pytest.raises(DataError, match="no label differs"):
        session.decide(0, "change", Labels(), "", "")


# ---------------------------------------------------------------- who may ask


def test_only_the_loopback_address_listens(server: LocalServer) -> None:
    assert server.address[0] == "127.0.0.1"


def test_without_the_token_there_is_nothing(server: LocalServer) -> None:
    for path in ("/", "/overview", "/wrong/overview", f"/{server.token}x/overview", f"/{server.token[:-1]}/overview"):
        assert ask(server, path)[0] == 404
    assert ask(server, f"/{server.token}/overview")[0] == 200


def test_another_host_name_or_origin_is_refused(server: LocalServer) -> None:
    path = f"/{server.token}/overview"
    assert ask(server, path, Host="evil.example")[0] == 403
    assert ask(server, path, Origin="http://evil.example")[0] == 403
    assert ask(server, f"/{server.token}/undo", {"id": "x"}, Origin="null")[0] == 403


@pytest.mark.parametrize(
    "path", ["item/999", "item/-1", "picture/train/99999/160", "picture/train/0/161", "picture/../0/160", "x", "next", "next?after=x"]
)  # fmt: skip
def test_nonsense_is_an_answer_and_no_crash(server: LocalServer, path: str) -> None:
    status, answer = ask(server, f"/{server.token}/{path}")
    assert status in (400, 404)
    assert answer["error"]
    assert ask(server, f"/{server.token}/overview")[0] == 200


@pytest.mark.parametrize(
    "body",
    [{}, {"index": 0, "action": "drop"}, {"index": -1, "action": "keep"}, {"index": 0, "action": "change", "new": {"va": [9, 9]}}, []],
)  # fmt: skip
def test_a_decision_that_is_none_is_refused_and_not_written(server: LocalServer, body: object, tmp_path: Path) -> None:
    assert ask(server, f"/{server.token}/decide", body)[0] == 400
    assert not (tmp_path / "d.jsonl").exists()


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"id": 1}', b"[" * 60_000, b'{"id": ' + b"9" * 5_000 + b"}", b"\xff"])
def test_an_undo_that_is_none_is_an_answer_and_no_crash(server: LocalServer, body: bytes) -> None:
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    connection.request("POST", f"/{server.token}/undo", body)
    answer = connection.getresponse()
    assert answer.status == 400
    assert json.loads(answer.read())["error"]
    connection.close()


def test_a_stale_page_is_told(server: LocalServer) -> None:
    choice = {"index": 0, "action": "keep", "new": {}, "why": "", "seen": ""}
    assert ask(server, f"/{server.token}/decide", choice)[0] == 200
    status, answer = ask(server, f"/{server.token}/decide", choice)
    assert status == 409
    assert "meanwhile" in answer["error"]


def test_pictures_are_cut_by_the_face_box() -> None:
    picture = Image.new("RGB", (100, 100), (200, 0, 0))
    picture.paste((0, 0, 200), (40, 40, 60, 60))
    data = io.BytesIO()
    picture.save(data, "PNG")
    face = Image.open(io.BytesIO(face_picture(data.getvalue(), [40, 40, 60, 60], 160)))
    assert face.size == (160, 160)
    # 20 pixels of face and 6 of margin to each side: the blue part is 100 of the 160 pixels wide.
    blue = sum(face.getpixel((x, 80))[2] > 100 for x in range(160))
    assert abs(blue - 100) <= 4
    whole = Image.open(io.BytesIO(face_picture(data.getvalue(), [40, 40, 60, 60], 160, whole=True)))
    assert whole.getpixel((5, 5))[0] > 150
    assert Image.open(io.BytesIO(face_picture(data.getvalue(), [math.nan] * 4, 160))).getpixel((5, 5))[0] > 150
    assert Image.open(io.BytesIO(face_picture(data.getvalue(), [300, 300, 310, 310], 160))).size == (160, 160)
    with pytest.raises(DataError, match="cannot be decoded"):
        face_picture(b"no picture", [math.nan] * 4, 160)


def test_a_dataset_without_pictures_is_reviewed_by_its_labels(dataset: DatasetFolder, server: LocalServer) -> None:
    for file in (dataset.path / "train" / "images").glob("*.arrow"):
        file.unlink()
    assert ask(server, f"/{server.token}/item/0")[0] == 200
    status, answer = ask(server, f"/{server.token}/picture/train/0/160")
    assert (status, answer) == (404, {"error": "the dataset holds no picture of this row"})
