"""The pages that are written from what the databases say of themselves."""

import pytest

from affect_data.databases.pages import PAGE, README, databases_page, databases_table, readme_page
from affect_data.databases.registry import DATABASES, database_named
from affect_data.databases.unread import UNREAD
from affect_data.errors import UsageError


def test_the_page_has_a_line_and_a_section_for_every_database() -> None:
    page = databases_page()
    for name in DATABASES:
        assert f"| [`{name}`](#{name}) | " in page
        assert f"\n## {name}\n" in page


def test_the_page_in_docs_is_the_one_that_the_code_writes(request: pytest.FixtureRequest) -> None:
    written = (request.config.rootpath / PAGE).read_text(encoding="utf-8")
    assert written == databases_page(), f"{PAGE} is stale: run `make docs`"


def test_the_table_of_the_readme_is_the_one_that_the_code_writes(request: pytest.FixtureRequest) -> None:
    written = (request.config.rootpath / README).read_text(encoding="utf-8")
    assert written == readme_page(written), f"{README} is stale: run `make docs`"


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("affwild2", {"AU", "expression", "VA"}),
        ("bp4d", {"AU", "AU intensity"}),
        ("ferplus", {"expression", "votes"}),
        ("raf_db", {"expression", "compound expression", "people"}),
        ("raf_au", {"AU", "AU side"}),
    ],
)
def test_the_table_says_what_a_database_labels(name: str, labels: set[str]) -> None:
    rows = [line for line in databases_table().split("\n") if f"[`{name}`](docs/databases.md#{name})" in line]
    assert {line.split("|")[1] for line in rows} == labels


def test_what_is_not_read_stands_on_the_page_with_what_is_unknown() -> None:
    assert [own.title for own in UNREAD] == sorted(own.title for own in UNREAD)
    titles = {database.title for database in DATABASES.values()}
    for own in UNREAD:
        assert own.title not in titles
        assert f"| {own.title} | {own.labels} | {own.unknown} |" in databases_page()


@pytest.mark.parametrize("name", ["AffectNet+", "affectnet_plus", "bah"])
def test_a_database_that_is_not_read_is_refused_with_what_is_unknown(name: str) -> None:
    with pytest.raises(UsageError, match=r"^(AffectNet\+|BAH) is not read yet; not known: "):
        database_named(name)
