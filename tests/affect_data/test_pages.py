"""Parts of pages that are written from the code."""

import pytest

from affect_data.pages import with_part


def test_what_stands_around_a_part_stays() -> None:
    page = with_part("before\n<!-- checks -->\nold\n<!-- /checks -->\nafter\n", "checks", "new")
    assert page == "before\n<!-- checks -->\n\nnew\n\n<!-- /checks -->\nafter\n"
    assert with_part(page, "checks", "new") == page


@pytest.mark.parametrize("page", ["", "<!-- checks -->\n", "<!-- /checks -->\n<!-- checks -->\n"])
def test_a_page_without_the_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="the page has no lines '<!-- checks -->' and '<!-- /checks -->'"):
        with_part(page, "checks", "new")
