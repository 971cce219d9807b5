"""The report in a real browser, at the widths of a desktop and a phone."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")

from browsing import TEXT_CONTRASTS, chromium, needs_chromium
from selenium.webdriver import Chrome

from affect_data.build.build import BuildReport
from affect_data.report.charts import heat_map
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


LEAST_CONTRAST = """
const luminance = (colour) => {
  const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((value) => value / 255);
  const [r, g, b] = parts.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = luminance(getComputedStyle(document.documentElement).backgroundColor);
const pairs = [...document.querySelectorAll("svg text")].map((text) => {
  const before = text.previousElementSibling;
  const onCell = text.closest("svg.wide") && before?.tagName === "rect";
  const under = onCell ? luminance(getComputedStyle(before).fill) : ground;
  const over = luminance(getComputedStyle(text).fill);
  return (Math.max(under, over) + 0.05) / (Math.min(under, over) + 0.05);
});
return [pairs.length, Math.min(...pairs)];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_of_page_and_drawings_has_the_contrast_of_wcag_aa(
    browser: Chrome, demo_report: BuildReport, tmp_path: Path, scheme: str
) -> None:
    steps = np.linspace(0.0, 1.0, 33)[None]
    every_shade = heat_map(["row"], [str(i) for i in range(33)], 100 * steps, "every shade", shades=steps)
    write_report(demo_report.dataset, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    (tmp_path / "r.html").write_text(page.replace("</main>", every_shade.text + "</main>"), encoding="utf-8")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(f"file://{tmp_path / 'r.html'}")
    texts, least = browser.execute_script(LEAST_CONTRAST)
    assert texts > 100
    assert least >= 4.5
    on_page, faint = browser.execute_script(TEXT_CONTRASTS)
    assert on_page > 100
    assert faint == []
