"""The documentation as a site: it is built without a broken link, and its pages name messages and versions that exist."""

import ast
import importlib.util
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MESSAGES = [
    line.removeprefix("> ")
    for line in (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("> ")
]


def texts() -> list[str]:
    """Every text in the code, what is filled into it left out."""
    found = []
    for source in (path for package in ("affect_data", "affect_train") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(v.value) if isinstance(v, ast.Constant) else "\0" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


@pytest.mark.skipif(importlib.util.find_spec("zensical") is None, reason="zensical is not installed (extra `docs`)")
def test_the_site_is_built_and_a_broken_link_is_an_error(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "docs/site/build.py", tmp_path / "build"], cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout
    site = tmp_path / "build" / "site"
    assert "Tutorial" in (site / "index.html").read_text(encoding="utf-8")
    assert "the logits of the named teachers" in (site / "docs/api/index.html").read_text(encoding="utf-8")
    lines = sum(line.startswith("| [") for line in (ROOT / "docs/README.md").read_text(encoding="utf-8").splitlines())
    assert len(list(site.rglob("index.html"))) > lines
    small = tmp_path / "small"
    (small / "pages").mkdir(parents=True)
    (small / "pages/index.md").write_text("# One page\n\n[nowhere](nowhere.md)\n")
    (small / "zensical.toml").write_text('[project]\nsite_name = "one"\ndocs_dir = "pages"\nsite_dir = "site"\n')
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", small / "zensical.toml"]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_messages_of_the_page_on_troubles_are_those_of_the_code() -> None:
    known = [re.sub(r"\s+", " ", text) for text in texts()]
    assert len(MESSAGES) > 15
    for message in MESSAGES:
        parts = [part.strip() for part in message.split("...") if part.strip()]
        assert any(all(part in text for part in parts) for text in known), message


def test_the_citation_names_this_version_and_licence() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["title"], cited["version"], cited["license"]) == ("affectkit", version("affectkit"), "Apache-2.0")
