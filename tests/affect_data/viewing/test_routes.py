"""What the page is told: views, parts of the grid, faces, pictures; and what becomes of nonsense."""

import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from starlette.testclient import TestClient
from stored_features import three_groups, with_features

from affect_data.corrections.decisions import DecisionFile, read_decisions
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.thumbnail_cache import SIZE
from affect_data.serving import guarded
from affect_data.viewing.desk import Desk, Wish
from affect_data.viewing.maps import methods
from affect_data.viewing.queue import review_queue
from affect_data.viewing.routes import Page
from affect_data.viewing.table import label_table
from affect_data.vocabulary import EXPRESSIONS


def client_of(desk: Desk) -> TestClient:
    return TestClient(
        guarded(Page(desk).routes(), "token", 1, "affect-data view"), base_url="http://127.0.0.1:1/token/"
    )


@pytest.fixture
def client(desk: Desk) -> TestClient:
    return client_of(desk)


def test_the_page_is_told_what_there_is_and_what_must_stay_here(client: TestClient, audited: DatasetFolder) -> None:
    about = client.get("about").json()
    assert (about["dataset"], about["rows"]) == ("merged", sum(audited.rows(split) for split in audited.splits))
    assert about["checks"]["label_errors"] == "probable label errors"
    assert about["action_units"]["12"] == "lip corner puller"
    assert about["tasks"]["expw"] == ["expression"]
    # Drawn faces belong to nobody.
    assert (about["kept_in"], about["not_audited"]) == ([], "")


def test_a_licence_that_keeps_faces_in_is_named(audited: DatasetFolder, desk: Desk) -> None:
    lock = json.loads((audited.path / "dataset.lock.json").read_text())
    lock["databases"]["disfa"]["drawn"] = False
    (audited.path / "dataset.lock.json").write_text(json.dumps(lock))
    assert client_of(desk).get("about").json()["kept_in"] == ["disfa"]


def test_a_part_of_the_grid_has_all_labels_at_a_glance(client: TestClient, audited: DatasetFolder) -> None:
    part = client.get("rows?database=disfa&sort=track&start=2&count=3").json()
    assert (part["total"], part["start"], len(part["rows"])) == (42, 2, 3)
    for face in part["rows"]:
        labels = audited.labels("train" if face["split"] == 0 else "validation")
        stored = labels.filter(pl.col("uid") == face["uid"]).row(0, named=True)
        assert (face["expression"], face["va"]) == (-1, None)
        assert len(face["present"]) == stored["au"].count(1)
        assert (face["absent"], face["missing"]) == (stored["au"].count(0), 0 + sum(
            1 for value, unit in zip(stored["au"], range(99), strict=False) if value == -1 and unit in slots_of(audited)
        ))  # fmt: skip
        assert len(face["intensity"]) == sum(stored["au_intensity_mask"])


def slots_of(folder: DatasetFolder) -> set[int]:
    from affect_data.vocabulary import slot_of

    return {slot_of(number) for number in folder.manifest.layout.action_units}


def test_the_map_of_a_view_has_its_faces_and_their_colours(audited: DatasetFolder, desk: Desk) -> None:
    values, _ = three_groups(len(desk.table))
    table = label_table(with_features(audited, values))
    client = client_of(Desk(audited, table, desk.file, "ada"))
    assert client.get("about").json()["maps"] == [f"net.{name}" for name in methods()]
    told = client.get("map?name=net.pca&colour=database&task=expression").json()
    own = table.frame.with_row_index("row").filter(pl.col("expression") >= 0)
    assert (told["of"], told["rows"], told["codes"]) == (len(own), own["row"].to_list(), own["database"].to_list())
    assert np.stack([told["x"], told["y"]], 1) == pytest.approx(
        table.maps.positions("net.pca")[own["row"].to_numpy()], abs=1e-4
    )
    severities = client.get("map?name=net.pca&colour=finding").json()["codes"]
    assert (severities[:7], set(severities[7:])) == ([2, 2, 2, 0, 2, 2, -1], {-1})
    answer = client.get("map?name=net.pca&colour=beauty")
    assert (answer.status_code, "unknown colour 'beauty'" in answer.json()["error"]) == (400, True)


def test_a_face_is_told_in_full(client: TestClient, audited: DatasetFolder) -> None:
    stored = audited.labels("train").row(3, named=True)
    face = client.get("face/3").json()
    assert face["source"] == f"{stored['source_file']}:{stored['source_line']}"
    assert (face["uid"], face["digest"]) == (stored["uid"], stored["image_digest"])
    assert [finding["check"] for finding in face["findings"]] == ["duplicates", "label_errors"]
    assert face["findings"][1]["words"] == (
        "A linear model that has not seen this face puts its valence at -0.25; the label says 0.5."
    )
    assert face["copies"] == [0, 1, 2, 4, 5]


def test_neighbours_are_the_nearest_frames_of_the_track_in_time_order(
    client: TestClient, audited: DatasetFolder
) -> None:
    labels = audited.labels("train").with_row_index("row").filter(pl.col("track") != "")
    track = labels.filter(pl.len().over("database", "track") >= 6).row(0, named=True)
    own = labels.filter(pl.col("database") == track["database"], pl.col("track") == track["track"]).sort("frame")
    face = client.get(f"face/{own['row'][1]}").json()
    assert face["around"] == [own["row"][0], *own["row"][2:6].to_list()]
    line = client.get(f"track/{own['row'][1]}").json()
    assert line["frames"] == own["frame"].to_list()
    known = [None if np.isnan(value) else round(value, 3) for value in own["valence"]]
    assert line["valence"] == known


def test_a_strip_has_a_square_for_each_face_and_is_made_once(client: TestClient, cache: Path) -> None:
    first = client.get("strip?rows=0,70,3")
    assert Image.open(io.BytesIO(first.content)).size == (3 * SIZE, SIZE)
    files = {path: path.stat().st_mtime_ns for path in cache.rglob("*.faces")}
    assert client.get("strip?rows=0,70,3").content == first.content
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.faces")} == files


def test_pictures_have_the_size_that_was_asked_for(client: TestClient) -> None:
    for path in ("picture/0/480", "picture/0/480?whole"):
        assert max(Image.open(io.BytesIO(client.get(path).content)).size) == 480


def test_the_place_of_a_face_and_the_next_undecided_one_follow_the_view(client: TestClient, desk: Desk) -> None:
    queue = review_queue(desk.table).address
    assert queue == "finding=any&sort=severity"
    rows = [face["row"] for face in client.get(f"rows?{queue}&start=0&count=60").json()["rows"]]
    assert rows == [3, 5, 4, 2, 1, 0]
    uid = desk.table.frame["uid"][4]
    assert client.get(
        f"place?{queue}", params={**dict([p.split("=") for p in queue.split("&")]), "uid": uid}
    ).json() == {
        "row": 4,
        "place": 2,
    }
    assert client.get(f"place?{queue}&row=9").json() == {"row": 9, "place": None}
    assert client.get("place?uid=nobody").status_code == 404
    for row in (5, 4):
        assert client.post("decide", json={"rows": [row], "action": "keep"}).status_code == 200
    assert client.get(f"next?{queue}&after=0").json() == {"place": 3}
    assert client.get(f"next?{queue}&after=5").json() == {"place": 0}
    assert client.get("next?decided=keep").json() == {"place": None}


def test_a_whole_view_is_decided_at_once_if_it_is_as_the_page_saw_it(client: TestClient, desk: Desk) -> None:
    wish = {"view": "database=expw", "expected": 1, "action": "skip"}
    refused = client.post("decide", json=wish)
    total = client.get("view?database=expw").json()["total"]
    assert (refused.status_code, refused.json()["error"]) == (
        409,
        f"the view has {total} faces by now, not 1; look at it again",
    )
    made = client.post("decide", json={**wish, "expected": total}).json()
    assert (made["decided"], made["meanwhile"]) == (total, 0)
    assert client.get("view?decided=skip").json()["total"] == total
    assert len(client.post("undo", json={"id": made["id"]}).json()["rows"]) == total


def test_a_decision_about_a_whole_view_leaves_what_was_decided_after_the_page_saw_it(
    client: TestClient, desk: Desk
) -> None:
    first, second = desk.table.frame.with_row_index("row").filter(pl.col("database") == 3)["row"].head(2).to_list()
    client.post("decide", json={"rows": [first], "action": "keep"})
    seen = client.get("view?database=disfa").json()
    other = Desk(desk.folder, desk.table, DecisionFile(desk.file.path), "grace")
    other.decide([second], Wish("keep"), {})
    wish = {"view": "database=disfa", "expected": seen["total"], "version": seen["version"], "action": "skip"}
    made = client.post("decide", json=wish).json()
    assert (made["decided"], made["meanwhile"]) == (seen["total"] - 1, 1)
    found = [desk.decision(row) for row in (first, second)]
    assert [(d.action, d.who) for d in found if d is not None] == [("skip", "ada"), ("keep", "grace")]


def test_a_stale_page_is_told(client: TestClient, desk: Desk) -> None:
    choice = {"rows": [0], "action": "keep"}
    assert client.post("decide", json=choice).status_code == 200
    stale = client.post("decide", json=choice)
    assert (stale.status_code, "meanwhile" in stale.json()["error"]) == (409, True)
    assert read_decisions(desk.file.path)[0].why == "duplicates, label_errors"


@pytest.mark.parametrize(
    "path",
    ["face/9999", "face/-1", "face/x", "picture/0/161", "picture/9999/160", "track/9999", "strip", "strip?rows=x", "strip?rows=9999",
     "strip?rows=" + ",".join(["0"] * 49), "rows?start=-1", "rows?count=9999", "rows?start=x",
     "view?nonsense=1", "view?au=x", "place", "next?after=x"],
)  # fmt: skip
def test_nonsense_is_an_answer_and_no_crash(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"\xff", b"[" * 60_000, b'{"rows": [0], "action": "drop"}', b'{"rows": [-1], "action": "keep"}',
     b'{"rows": [0], "action": "keep", "x": 1}',
     b'{"rows": [0], "action": "change", "new": {"va": [9, 9]}}', b'{"action": "keep"}', b'{"rows": [' + b"9" * 5_000 + b'], "action": "keep"}'],
)  # fmt: skip
def test_a_decision_that_is_none_is_refused_and_not_written(client: TestClient, desk: Desk, body: bytes) -> None:
    for path in ("decide", "undo"):
        answer = client.post(path, content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]
    assert not desk.file.path.exists()


def test_a_dataset_without_pictures_is_looked_at_by_its_labels(audited: DatasetFolder, desk: Desk) -> None:
    for file in (audited.path / "train" / "images").glob("*.arrow"):
        file.unlink()
    client = client_of(desk)
    assert client.get("face/0").json()["labels"]["expression"] in (None, *EXPRESSIONS)
    missing = client.get("picture/0/160")
    assert (missing.status_code, missing.json()) == (404, {"error": "the dataset holds no picture of this row"})
    assert Image.open(io.BytesIO(client.get("strip?rows=0,1").content)).size == (2 * SIZE, SIZE)
