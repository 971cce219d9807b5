"""Parts of pages that are written from the code."""

from pathlib import Path

import pytest

from affect_data.pages import FOR_PROGRAMS, INDEX, for_programs, with_part

ROOT = Path(__file__).resolve().parents[2]


def test_the_pages_for_programs_are_those_of_the_index() -> None:
    index = (ROOT / INDEX).read_text()
    written = for_programs(index)
    assert (ROOT / FOR_PROGRAMS).read_text() == written, "run `make docs`"
    assert "- [docs/format.md](docs/format.md): " in written
    assert "- [recipes/README.md](recipes/README.md): " in written
    assert "decisions/" not in written


def test_what_stands_around_a_part_stays() -> None:
    page = with_part("before\n<!-- checks -->\nold\n<!-- /checks -->\nafter\n", "checks", "new")
    assert page == "before\n<!-- checks -->\n\nnew\n\n<!-- /checks -->\nafter\n"
    assert with_part(page, "checks", "new") == page


@pytest.mark.parametrize("page", ["", "<!-- checks -->\n", "<!-- /checks -->\n<!-- checks -->\n"])
def test_a_page_without_the_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="the page has no lines '<!-- checks -->' and '<!-- /checks -->'"):
        with_part(page, "checks", "new")
