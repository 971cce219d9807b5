"""The page in a real browser: a person works through the queue with the keyboard."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")

from browsing import chromium, needs_chromium
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from affect_data.corrections.decisions import DecisionFile, in_force, read_decisions
from affect_data.corrections.versions import apply_decisions
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.demo.known_labels import reveal
from affect_data.review.queue import queue_of_uids
from affect_data.review.server import review_routes
from affect_data.review.session import ReviewSession
from affect_data.serving import LocalServer
from affect_data.vocabulary import EXPRESSIONS

pytestmark = [needs_chromium, pytest.mark.slow]


class Running:
    """A review that is served."""

    def __init__(self, dataset: DatasetFolder, uids: list[str], file: Path, who: str) -> None:
        session = ReviewSession(dataset, queue_of_uids(dataset, uids), DecisionFile(file), who)
        self.server = LocalServer(review_routes(session), 0, "affect-data review").__enter__()

    def stop(self) -> None:
        self.server.__exit__()


@pytest.fixture
def uids(dataset: DatasetFolder) -> list[str]:
    labels = dataset.labels("train")
    faces = labels.filter(pl.col("expression_mask") & (pl.col("track") == ""))["uid"].head(6).to_list()
    frames = labels.filter(pl.col("database") == "disfa")["uid"].head(2).to_list()
    return [*faces, *frames]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "d.jsonl"


@pytest.fixture
def review(dataset: DatasetFolder, uids: list[str], file: Path) -> Iterator[Running]:
    running = Running(dataset, uids, file, "ada")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def settled(browser: Chrome, since: str = "") -> str:
    """Waits until the page has finished its last request; returns a mark for the next wait."""
    WebDriverWait(browser, 20, poll_frequency=0.02).until(lambda b: ready(b) not in ("", since))
    return ready(browser)


def ready(browser: Chrome) -> str:
    return browser.execute_script("return document.body.dataset.ready || ''")


def face_width(browser: Chrome) -> int:
    return int(browser.execute_script("return document.getElementById('face').naturalWidth"))


def visit(browser: Chrome, running: Running) -> None:
    browser.get(running.server.url)
    settled(browser)


def press(browser: Chrome, *keys: str, asks: bool = True) -> None:
    """Presses keys; `asks`: the last of them sends something to the server."""
    mark = ready(browser)
    ActionChains(browser).send_keys(*keys).perform()
    if asks:
        settled(browser, mark)


def text(browser: Chrome, part: str) -> str:
    return browser.find_element(By.ID, part).text


def expression_of(dataset: DatasetFolder, uid: str) -> str:
    code = open_dataset(dataset.path).labels("train").filter(pl.col("uid") == uid)["expression"][0]
    return EXPRESSIONS[code] if code >= 0 else "none"


def test_a_person_works_through_the_queue_with_the_keyboard(
    browser: Chrome, review: Running, dataset: DatasetFolder, uids: list[str], file: Path
) -> None:
    visit(browser, review)
    assert text(browser, "position") == "1 of 8"
    # The picture loads by itself after the page's last request.
    WebDriverWait(browser, 20).until(lambda b: face_width(b) > 0)
    assert face_width(browser) > 300
    press(browser, "k")
    assert text(browser, "position") == "2 of 8"
    new = "fear" if expression_of(dataset, uids[1]) != "fear" else "anger"
    press(browser, "e", str(EXPRESSIONS.index(new) + 1), Keys.ENTER)
    press(browser, "m", "e", Keys.ENTER)
    press(browser, "v", "0.25 -0.5", Keys.ENTER, asks=False)
    press(browser, "a", "12", Keys.ENTER, Keys.ESCAPE, "n", "a smile", Keys.ENTER, asks=False)
    press(browser, Keys.ENTER)
    press(browser, "s")
    assert text(browser, "position") == "6 of 8"
    assert "5 decided (correct 2, keep 1, mask 1, skip 1)" in text(browser, "counts")
    decisions = read_decisions(file)
    assert [decision.action for decision in decisions] == ["keep", "correct", "mask", "correct", "skip"]
    assert [decision.uid for decision in decisions] == uids[:5]
    assert decisions[3].new.fields() == {("va", 0): (0.25, -0.5), ("au", 12): 1}
    assert decisions[3].why == "a smile"
    apply_decisions(dataset.path, file)
    assert [expression_of(dataset, uid) for uid in uids[1:3]] == [new, "none"]


def test_a_compound_expression_is_chosen_by_a_part_of_its_name_and_masked(
    browser: Chrome, dataset: DatasetFolder, demo_world: Path, file: Path, tmp_path: Path
) -> None:
    # Of the databases that were merged none has compound expressions; the truth has.
    dataset = reveal(dataset.path, demo_world / "truth.parquet", tmp_path / "truth")
    without = dataset.labels("train").filter(pl.col("expression_mask") & ~pl.col("compound_expression_mask"))
    uids = without["uid"].head(2).to_list()
    review = Running(dataset, uids, file, "ada")
    visit(browser, review)
    press(browser, "c", "happ", Keys.ENTER, asks=False)
    assert '"happ" is any of happily surprised, happily disgusted' in text(browser, "message")
    press(browser, Keys.HOME, "un", Keys.ENTER, asks=False)
    assert '"unhapp" is no compound expression; known: happily surprised' in text(browser, "message")
    press(browser, Keys.ESCAPE, "c", "happily d", Keys.ENTER, asks=False)
    assert text(browser, "compoundtext") == "happily disgusted (was no label)"
    press(browser, Keys.ENTER)
    press(browser, Keys.ARROW_LEFT)
    assert text(browser, "compoundtext") == "happily disgusted (was no label)"
    review.stop()
    apply_decisions(dataset.path, file)
    again = Running(open_dataset(dataset.path), uids, file.with_name("second.jsonl"), "ada")
    visit(browser, again)
    assert text(browser, "compoundtext") == "happily disgusted"
    press(browser, "m", "c", Keys.ENTER)
    again.stop()
    (mask,) = read_decisions(file.with_name("second.jsonl"))
    assert (mask.action, mask.uid) == ("mask", uids[0])
    assert mask.old.fields() == {("compound_expression", 0): "happily disgusted"}


def test_undo_goes_back_to_the_item(browser: Chrome, review: Running, file: Path) -> None:
    visit(browser, review)
    press(browser, "k")
    press(browser, "k")
    press(browser, "u")
    assert text(browser, "position") == "2 of 8"
    assert len(in_force(read_decisions(file))) == 1


def test_progress_survives_a_reload_and_a_restart(
    browser: Chrome, review: Running, dataset: DatasetFolder, uids: list[str], file: Path
) -> None:
    visit(browser, review)
    press(browser, "k")
    press(browser, "k")
    browser.refresh()
    settled(browser)
    assert text(browser, "position") == "3 of 8"
    again = Running(dataset, uids, file, "ada")
    visit(browser, again)
    assert text(browser, "position") == "3 of 8"
    assert text(browser, "counts") == "2 decided (keep 2)"
    again.stop()


def test_a_page_opened_twice_does_not_overwrite_the_other(browser: Chrome, review: Running, file: Path) -> None:
    visit(browser, review)
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    visit(browser, review)
    press(browser, "k")
    browser.switch_to.window(browser.window_handles[-1])
    browser.close()
    browser.switch_to.window(first)
    press(browser, "s")
    assert "ada has decided about this face meanwhile (keep)" in text(browser, "message")
    assert "decided: keep by ada" in text(browser, "decision")
    assert [decision.action for decision in read_decisions(file)] == ["keep"]


def test_frames_around_are_shown_with_their_labels(browser: Chrome, review: Running, dataset: DatasetFolder) -> None:
    visit(browser, review)
    for _ in range(6):
        press(browser, Keys.ARROW_RIGHT)
    assert text(browser, "position") == "7 of 8"
    frames = browser.find_elements(By.CSS_SELECTOR, "#frames figure")
    assert 1 <= len(frames) <= 6
    assert all(figure.text.startswith("frame ") for figure in frames)


def test_the_end_of_the_queue_names_the_next_command(browser: Chrome, review: Running, uids: list[str]) -> None:
    visit(browser, review)
    for _ in uids:
        press(browser, "k")
    assert "All 8 items are decided. Apply them: affect-data review apply d.jsonl merged" in text(browser, "message")


HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def test_hostile_names_are_text(browser: Chrome, review: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    described = ReviewSession.item

    def hostile(self: ReviewSession, index: int) -> dict[str, Any]:
        item = described(self, index)
        finding = {"check": HOSTILE, "title": HOSTILE, "rule": HOSTILE, "severity": "error", "score": 1.0}
        item |= {"uid": HOSTILE, "track": HOSTILE, "source": HOSTILE, "release": HOSTILE}
        return {**item, "findings": [{**finding, "evidence": {HOSTILE: HOSTILE}}], "frames": [item]}

    monkeypatch.setattr(ReviewSession, "item", hostile)
    visit(browser, review)
    assert HOSTILE in text(browser, "place")
    assert browser.title == "Review of merged"
    assert not browser.find_elements(By.CSS_SELECTOR, "main img[onerror], main script")


def test_nothing_is_asked_of_another_host_and_nothing_fails(browser: Chrome, review: Running) -> None:
    browser.get_log("performance")
    browser.get_log("browser")
    visit(browser, review)
    press(browser, "f", "k")
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert len(asked) > 4
    assert all(url.startswith((review.server.url, "data:")) for url in asked)
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(browser: Chrome, review: Running, width: int) -> None:
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    visit(browser, review)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
