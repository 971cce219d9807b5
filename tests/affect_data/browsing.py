"""A real headless Chromium for tests of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

needs_chromium = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="Chromium is not installed: apt-get install chromium chromium-driver",
)


TEXT_CONTRASTS = """
const parts = (colour) => {
  const n = colour.match(/[\\d.]+/g).map(Number), s = colour.startsWith("color(") ? 255 : 1;
  return [n[0] * s, n[1] * s, n[2] * s, n[3] ?? 1];
};
const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
const over = (top, below) => [0, 1, 2].map((i) => top[3] * top[i] + (1 - top[3]) * below[i]);
const ground = (element) => {
  const layers = [];
  for (let box = element; box; box = box.parentElement) layers.push(parts(getComputedStyle(box).backgroundColor));
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
  if (!text || element.closest("svg, script, style, [hidden], :disabled")) continue;
  if (!element.checkVisibility({ opacityProperty: true }) || !element.getClientRects().length) continue;
  const below = ground(element), style = getComputedStyle(element);
  let faded = 1;
  for (let box = element; box; box = box.parentElement) faded *= Number(getComputedStyle(box).opacity);
  const ink = parts(style.color);
  const [one, other] = [luminance(over([ink[0], ink[1], ink[2], ink[3] * faded], below)), luminance(below)];
  found.push([(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), text.slice(0, 40), element.className || element.tagName]);
}
return [found.length, found.filter(([ratio]) => ratio < 4.5)];
"""
"""How many texts a page shows, and those below the contrast of WCAG AA, 4.5: ratio, text, class. Disabled controls and drawings are left out."""


@contextmanager
def chromium(profile: Path, width: int = 1280, height: int = 900) -> Iterator[webdriver.Chrome]:
    """A browser with an empty profile and a window of this size."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        # Chromium does not make windows narrower than 500 pixels: the page is told the width instead.
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield driver
    finally:
        driver.quit()
