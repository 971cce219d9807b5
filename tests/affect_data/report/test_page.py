"""The report in a real browser, at the widths of a desktop and a phone."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")

from browsing import chromium, needs_chromium
from selenium.webdriver import Chrome

from affect_data.build.build import BuildReport
from affect_data.report.page import write_report

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_fits_the_window_and_asks_for_nothing(
    browser: Chrome, demo_report: BuildReport, tmp_path: Path, width: int
) -> None:
    write_report(demo_report.dataset, tmp_path / "r.html", with_faces=True)
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get_log("performance")
    browser.get(f"file://{tmp_path / 'r.html'}")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return [...document.images].every((image) => image.naturalWidth > 0)")
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert asked[0].startswith("file://")
    assert all(url.startswith("data:") for url in asked[1:])
    assert browser.get_log("browser") == []
