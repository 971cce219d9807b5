"""The page in a real browser: looking, choosing, deciding with the keyboard, at the sizes of a screen and of a phone."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import polars as pl
import pytest

pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")

from browsing import TEXT_CONTRASTS, chromium, needs_chromium
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from stored_features import three_groups, with_features

from affect_data.corrections.decisions import in_force, read_decisions
from affect_data.corrections.versions import apply_decisions
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.demo.known_labels import reveal
from affect_data.serving import LocalServer
from affect_data.viewing.desk import Desk
from affect_data.viewing.faces import Faces
from affect_data.viewing.routes import Page
from affect_data.viewing.table import with_listed
from affect_data.vocabulary import EXPRESSIONS

pytestmark = [needs_chromium, pytest.mark.slow]

SHOTS = "AFFECT_SCREENSHOTS"
"""The environment variable with a folder that screenshots are written to, for people to look at."""

FACES_ARE_SHOWN = "const t = [...document.querySelectorAll('.cell .thumb')]; return t.length > 5 && t.every((box) => box.style.backgroundImage)"

Serve = Callable[..., LocalServer]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that serves the page of a desk until the test ends."""
    running: list[LocalServer] = []

    def start(desk: Desk, address: str = "", *, review: bool = False) -> LocalServer:
        running.append(LocalServer(Page(desk, address, review=review).routes(), 0, "affect-data view").__enter__())
        return running[-1]

    yield start
    for server in running:
        server.__exit__()


def wait(browser: Chrome, until: Callable[[Chrome], Any]) -> Any:
    return WebDriverWait(browser, 20, poll_frequency=0.02).until(until)


def ready(browser: Chrome) -> str:
    return browser.execute_script("return document.body.dataset.ready || ''")


def visit(browser: Chrome, server: LocalServer, address: str = "") -> None:
    browser.get(server.url + address)
    wait(browser, lambda b: ready(b) != "")


def press(browser: Chrome, *keys: str, asks: bool = True) -> None:
    """Presses keys; `asks`: the last of them sends something to the server."""
    mark = ready(browser)
    ActionChains(browser).send_keys(*keys).perform()
    if asks:
        wait(browser, lambda b: ready(b) != mark)


def click(browser: Chrome, selector: str, *, asks: bool = True) -> None:
    mark = ready(browser)
    browser.find_element(By.CSS_SELECTOR, selector).click()
    if asks:
        wait(browser, lambda b: ready(b) != mark)


def text(browser: Chrome, selector: str) -> str:
    return browser.find_element(By.CSS_SELECTOR, selector).text


def jump(browser: Chrome) -> str:
    return browser.execute_script("return document.getElementById('jump').value")


def query(browser: Chrome) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(browser.current_url).query)


def shown(browser: Chrome, width: int, height: int, mode: str) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": mode}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def assert_legible(browser: Chrome) -> None:
    """Every text has the contrast of WCAG AA."""
    texts, faint = browser.execute_script(TEXT_CONTRASTS)
    assert texts > 30
    assert faint == []


def listed(desk: Desk, uids: list[str]) -> Desk:
    return Desk(desk.folder, with_listed(desk.table, uids), desk.file, desk.who)


@pytest.fixture
def uids(desk: Desk) -> list[str]:
    frame = desk.table.frame
    faces = frame.filter(pl.col("expression") >= 0, pl.col("track").is_null())["uid"].head(6).to_list()
    return [*faces, *frame.filter(pl.col("database") == desk.table.databases.index("disfa"))["uid"].head(2)]


def expression_of(folder: DatasetFolder, uid: str) -> str:
    code = open_dataset(folder.path).labels("train").filter(pl.col("uid") == uid)["expression"][0]
    return EXPRESSIONS[code] if code >= 0 else "none"


def test_filters_stand_in_the_address_and_their_counts_beside_the_choices(
    browser: Chrome, desk: Desk, serve: Serve
) -> None:
    server = serve(desk)
    visit(browser, server)
    assert text(browser, "#total") == f"{len(desk.table)} faces"
    click(browser, "#filters .choice:nth-of-type(4)")
    assert query(browser) == [("database", "disfa")]
    assert text(browser, "#total") == f"42 of {len(desk.table)} faces"
    click(browser, '.unit[data-unit="25"]')
    count = desk.table.frame.filter(pl.col("au25") == 1, pl.col("database") == 3).height
    assert text(browser, "#total").startswith(f"{count} of ")
    assert query(browser) == [("database", "disfa"), ("au", "25")]
    browser.back()
    wait(browser, lambda b: text(b, "#total").startswith("42 of "))
    # A view without faces says so, and only as long as it is one.
    visit(browser, server, "?database=disfa&expression=fear")
    assert text(browser, "#canvas .empty") == "No face is like this. Take a filter away."
    click(browser, ".chip:nth-of-type(2)")
    assert text(browser, "#total").startswith("42 of ")
    assert not browser.find_elements(By.CSS_SELECTOR, "#canvas .empty")
    # Somebody who is given the address sees the same.
    visit(browser, server, "?va=-1,-1,0,0")
    inside = desk.table.frame.filter(pl.col("valence") <= 0, pl.col("arousal") <= 0).height
    assert text(browser, "#total").startswith(f"{inside} of ")
    plane = browser.find_element(By.ID, "plane")
    mark = ready(browser)
    drag = ActionChains(browser).move_to_element_with_offset(plane, 0, -90).click_and_hold()
    drag.move_to_element_with_offset(plane, 90, 0).release().perform()
    wait(browser, lambda b: ready(b) != mark)
    v0, a0, v1, a1 = map(float, dict(query(browser))["va"].split(","))
    assert [v0, a0, v1, a1] == pytest.approx([0, 0.86, 0.86, 0], abs=0.06)


def test_a_rectangle_drawn_on_the_map_leaves_its_faces_in_the_grid(
    browser: Chrome, audited: DatasetFolder, make_desk: Callable[..., Desk], serve: Serve
) -> None:
    values, group = three_groups(sum(audited.rows(split) for split in audited.splits))
    desk = make_desk(with_features(audited, values))
    points = desk.table.maps.positions("net.pca")
    server = serve(desk)
    visit(browser, server)
    click(browser, "#mapbutton", asks=False)
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "#mapbox canvas"))
    assert text(browser, "#maptold").startswith(f"{len(points)} faces.")
    assert "happiness" in text(browser, "#legend")
    box = browser.find_element(By.ID, "mapbox")
    side = box.rect["width"]
    (left, low), (right, high) = points[group == 2].min(axis=0) - 0.03, points[group == 2].max(axis=0) + 0.03
    mark = ready(browser)
    drag = ActionChains(browser).move_to_element_with_offset(
        box, round((left - 0.5) * side), round((0.5 - high) * side)
    )
    drag.click_and_hold().move_to_element_with_offset(box, round((right - 0.5) * side), round((0.5 - low) * side))
    drag.release().perform()
    wait(browser, lambda b: ready(b) != mark)
    assert dict(query(browser))["map"].startswith("net.pca:")
    assert text(browser, "#total") == f"{(group == 2).sum()} of {len(points)} faces"
    assert browser.find_elements(By.CSS_SELECTOR, "#mapbox .rectangle")
    # Whoever is given the address sees the map, too; a click beside the faces takes the rectangle away.
    visit(browser, server, f"?{urlsplit(browser.current_url).query}")
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "#mapbox .rectangle"))
    ActionChains(browser).move_to_element_with_offset(browser.find_element(By.ID, "mapbox"), 0, 0).click().perform()
    wait(browser, lambda b: text(b, "#total") == f"{len(points)} faces")


def test_the_name_of_a_person_leads_to_all_faces_of_the_person(browser: Chrome, desk: Desk, serve: Serve) -> None:
    visit(browser, serve(desk), "?sort=subject&database=disfa")
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".cell .group"))
    person = text(browser, ".cell .group")
    click(browser, ".cell .group")
    assert dict(query(browser))["subject"] == person
    own = desk.table.frame.filter(pl.col("subject").cast(pl.String) == person).height
    assert text(browser, "#total").startswith(f"{own} of ")


def test_a_million_faces_scroll_and_jump_to_their_end(browser: Chrome, desk: Desk, serve: Serve) -> None:
    copies = -(-1_000_000 // len(desk.table))
    many = replace(desk.table, frame=pl.concat([desk.table.frame] * copies), splits=("train",), starts=(0,))
    server = serve(Desk(desk.folder, many, desk.file, "ada"))
    visit(browser, server)
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".cell .line"))
    assert len(browser.find_elements(By.CSS_SELECTOR, ".cell")) < 80
    press(browser, Keys.END, asks=False)
    last = len(many) - 1
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, f'.cell.focused[data-index="{last}"] .line'))
    press(browser, Keys.ARROW_UP, asks=False)
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".cell.focused .line"))
    # The scroll bar leads to the place that it points at.
    browser.execute_script(
        "const g = document.getElementById('grid'); g.scrollTop = (g.scrollHeight - g.clientHeight) / 2"
    )
    first = int(wait(browser, lambda b: abs(int(b.execute_script("return document.body.dataset.drawn").split("-")[0]) - last / 2) < 2_000)
                and browser.execute_script("return document.body.dataset.drawn").split("-")[0])  # fmt: skip
    # A wheel moves as it looks: ten thousand pixels in steps.
    moved = browser.execute_script(
        "const g = document.getElementById('grid'); return new Promise(done => { let n = 0; const step = () => {"
        "g.scrollTop += 200; if (++n < 50) requestAnimationFrame(step); else requestAnimationFrame(() => done("
        "Number(document.body.dataset.drawn.split('-')[0]))); }; step(); })"
    )
    columns = browser.execute_script(
        "return Math.round(document.getElementById('grid').clientWidth / document.querySelector('.cell').clientWidth)"
    )
    assert (moved - first) / columns == pytest.approx(10_000 / 233, rel=0.15)


def test_a_person_works_through_a_review_with_the_keyboard(
    browser: Chrome, desk: Desk, uids: list[str], serve: Serve
) -> None:
    visit(browser, serve(listed(desk, uids), "rows=listed&sort=listed", review=True))
    assert (jump(browser), text(browser, ".facebar .place")) == ("1", "of 8")
    wait(browser, lambda b: b.execute_script("return document.getElementById('picture').naturalWidth") > 300)
    press(browser, "k")
    assert jump(browser) == "2"
    new = "fear" if expression_of(desk.folder, uids[1]) != "fear" else "anger"
    press(browser, "e", str(EXPRESSIONS.index(new) + 1), Keys.ENTER)
    press(browser, "m", "e", Keys.ENTER)
    press(browser, "v", "0.25 -0.5", Keys.ENTER, asks=False)
    press(browser, "a", "12", Keys.ENTER, Keys.ESCAPE, "n", "a smile", Keys.ENTER, asks=False)
    press(browser, Keys.ENTER)
    press(browser, "s")
    assert jump(browser) == "6"
    assert text(browser, "#progress") == "decided: correct 2, keep 1, mask 1, skip 1"
    decisions = read_decisions(desk.file.path)
    assert [decision.action for decision in decisions] == ["keep", "correct", "mask", "correct", "skip"]
    assert [decision.uid for decision in decisions] == uids[:5]
    assert decisions[3].new.fields() == {("va", 0): (0.25, -0.5), ("au", 12): 1}
    assert decisions[3].why.endswith("a smile")
    press(browser, "u")
    assert jump(browser) == "5"
    assert len(in_force(read_decisions(desk.file.path))) == 4
    # What is not saved stays when one moves on.
    press(browser, Keys.ARROW_RIGHT)
    press(browser, "e", "3", asks=False)
    press(browser, Keys.ARROW_RIGHT)
    press(browser, Keys.ARROW_LEFT)
    assert "disgust" in text(browser, "#expressions .label.on")
    assert browser.find_element(By.ID, "save").is_enabled()
    press(browser, "r", asks=False)
    for _ in range(4):
        press(browser, "k")
    assert "All 8 faces of this view are decided. Apply them: affect-data review apply d.jsonl merged" in text(
        browser, "#message"
    )
    apply_decisions(desk.folder.path, desk.file.path)
    assert [expression_of(desk.folder, uid) for uid in uids[1:3]] == [new, "none"]


def test_what_the_model_says_is_accepted_with_one_key(browser: Chrome, desk: Desk, serve: Serve) -> None:
    visit(browser, serve(desk, "finding=any&sort=severity", review=True))
    words = text(browser, "#why")
    assert "A linear model that has not seen this face puts its valence at -0.25; the label says 0.5." in words
    assert text(browser, "#accept").startswith("Accept valence -0.25")
    uid = dict(query(browser))["face"]
    press(browser, "p")
    (decision,) = read_decisions(desk.file.path)
    assert (decision.uid, decision.new.va[0] if decision.new.va else None) == (uid, -0.25)
    press(browser, Keys.ESCAPE, asks=False)
    assert dict(query(browser)) == {"finding": "any", "sort": "severity"}
    assert browser.find_elements(By.CSS_SELECTOR, ".cell .decided")


def test_a_compound_expression_is_chosen_by_a_part_of_its_name(
    browser: Chrome,
    dataset: DatasetFolder,
    demo_world: Path,
    tmp_path: Path,
    make_desk: Callable[..., Desk],
    serve: Serve,
) -> None:
    # Of the databases that were merged none has compound expressions; the truth has.
    desk = make_desk(reveal(dataset.path, demo_world / "truth.parquet", tmp_path / "truth"))
    visit(browser, serve(desk, "task=expression&task=-compound", review=True))
    press(browser, "c", "happ", Keys.ENTER, asks=False)
    assert '"happ" is any of happily surprised, happily disgusted' in text(browser, "#message")
    press(browser, Keys.HOME, "un", Keys.ENTER, asks=False)
    assert '"unhapp" is no compound expression; known: happily surprised' in text(browser, "#message")
    press(browser, Keys.ESCAPE, "c", "happily d", Keys.ENTER, asks=False)
    assert text(browser, "#compoundtext") == "happily disgusted (was no label)"
    press(browser, Keys.ENTER)
    assert read_decisions(desk.file.path)[0].new.compound_expression == "happily disgusted"


def test_many_faces_are_chosen_with_keys_and_decided_at_once(browser: Chrome, desk: Desk, serve: Serve) -> None:
    visit(browser, serve(desk, "expression=anger"))
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".cell .line"))
    press(browser, " ", asks=False)
    ActionChains(browser).key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT).key_up(Keys.SHIFT).perform()
    wait(browser, lambda b: text(b, "#selection b") == "2 chosen")
    ActionChains(browser).key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).perform()
    anger = desk.table.frame.filter(pl.col("expression") == EXPRESSIONS.index("anger"))
    assert text(browser, "#selection b") == f"{len(anger)} chosen"
    assert "null" not in text(browser, "#selection")
    browser.execute_script("window.confirm = () => true")
    click(browser, '#selection select[aria-label="mask a task for all"] option[value="expression"]', asks=False)
    wait(browser, lambda b: f"{len(anger)} decided" in text(b, "#selection"))
    decisions = read_decisions(desk.file.path)
    assert {decision.uid for decision in decisions} == set(anger["uid"])
    assert {(decision.action, decision.old.expression) for decision in decisions} == {("mask", "anger")}
    click(browser, "#selection button", asks=False)
    wait(browser, lambda b: f"{len(anger)} decisions taken back" in text(b, "#message"))
    assert in_force(read_decisions(desk.file.path)) == []


def test_a_page_opened_twice_does_not_overwrite_the_other(browser: Chrome, desk: Desk, serve: Serve) -> None:
    server = serve(desk, "finding=any&sort=severity", review=True)
    visit(browser, server)
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    visit(browser, server)
    press(browser, "k")
    browser.close()
    browser.switch_to.window(first)
    press(browser, "s")
    assert "ada has decided about this face meanwhile (keep)" in text(browser, "#message")
    assert "decided: keep by ada" in text(browser, "#decision")
    assert [decision.action for decision in read_decisions(desk.file.path)] == ["keep"]


HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def test_hostile_names_are_text_and_nothing_is_asked_of_another_host(
    browser: Chrome, desk: Desk, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = Faces.describe

    def hostile(self: Faces, row: int) -> dict[str, Any]:
        finding = {
            "check": HOSTILE,
            "title": HOSTILE,
            "rule": HOSTILE,
            "severity": "error",
            "score": 1.0,
            "words": HOSTILE,
        }
        names = dict.fromkeys(("uid", "track", "source", "release", "subject", "database"), HOSTILE)
        return {**described(self, row), **names, "findings": [{**finding, "evidence": {HOSTILE: HOSTILE}}]}

    monkeypatch.setattr(Faces, "describe", hostile)
    text_column = pl.lit(HOSTILE)
    frame = desk.table.frame.with_columns(
        uid=pl.format("{}{}", text_column, "uid"), release=pl.lit(HOSTILE).cast(pl.Enum([HOSTILE]))
    )
    table = replace(desk.table, frame=frame, databases=tuple(HOSTILE + name for name in desk.table.databases))
    browser.get_log("performance")
    browser.get_log("browser")
    server = serve(Desk(desk.folder, table, desk.file, HOSTILE))
    visit(browser, server)
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, ".cell .line"))
    press(browser, Keys.ENTER)
    assert HOSTILE in text(browser, "#provenance")
    assert HOSTILE in text(browser, "#why")
    assert browser.title == "merged: faces"
    assert not browser.find_elements(By.CSS_SELECTOR, "main img, main script, #face script, #face img[onerror]")
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert len(asked) > 15
    assert all(url.startswith((server.url, "data:", f"blob:http://127.0.0.1:{server.address[1]}")) for url in asked)
    assert browser.get_log("browser") == []


def test_the_page_fits_a_screen_and_a_phone_in_light_and_dark(browser: Chrome, desk: Desk, serve: Serve) -> None:
    server = serve(desk)
    shots = os.environ.get(SHOTS)
    try:
        for width, height in ((1280, 720), (390, 844)):
            for mode in ("light", "dark"):
                shown(browser, width, height, mode)
                visit(browser, server, "?task=expression")
                wait(browser, lambda b: b.execute_script(FACES_ARE_SHOWN))
                assert browser.execute_script("return document.documentElement.scrollWidth") <= width
                assert_legible(browser)
                if shots:
                    browser.save_screenshot(str(Path(shots) / f"view-grid-{width}-{mode}.png"))
                visit(browser, server, "?sort=severity")
                click(browser, "#reviewbutton")
                wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "#copies .figure"))
                wait(browser, lambda b: b.execute_script("return document.getElementById('picture').naturalWidth") > 0)
                assert browser.execute_script("return document.getElementById('face').scrollWidth") <= width
                assert_legible(browser)
                bottom = "return document.querySelector(arguments[0]).getBoundingClientRect().bottom"
                # What is needed to decide is visible without scrolling.
                seen = ("#why", "#buttons", "#copies") if width > 1000 else ("#why", "#buttons")
                assert all(browser.execute_script(bottom, part) <= height for part in seen)
                if shots:
                    browser.save_screenshot(str(Path(shots) / f"view-face-{width}-{mode}.png"))
    finally:
        shown(browser, 1280, 900, "light")
