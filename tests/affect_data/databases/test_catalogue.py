"""What the databases say of themselves, in full and as a page."""

import pytest

from affect_data.databases.catalogue import catalogue, describe_database, facts
from affect_data.databases.registry import DATABASES
from affect_data.errors import UnknownNameError


def test_the_catalogue_has_every_database_once_in_order() -> None:
    assert [entry["name"] for entry in catalogue()] == sorted(DATABASES)


def test_the_facts_of_disfa_are_those_of_its_paper() -> None:
    entry = facts("disfa")
    assert entry["tasks"] == ["au"]
    assert entry["action_unit_intensities"] == [1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26]
    assert entry["options"]["action_unit_threshold"]["default"] == 2


def test_only_own_options_are_listed() -> None:
    assert set(facts("expw")["options"]) == {"minimum_confidence"}
    assert not set(facts("affwild2")["options"]) & {"root", "exclude", "holdout"}


@pytest.mark.parametrize("name", sorted(DATABASES))
def test_a_description_names_labels_licence_layout_and_citation(name: str) -> None:
    text = describe_database(name)
    for part in ("licence: ", "may publish: ", "homepage: http", "expected layout:\n", "@"):
        assert part in text
    assert DATABASES[name].licence.terms in text
    assert DATABASES[name].layout() in text


def test_what_was_read_of_a_licence_and_when_is_said() -> None:
    ferplus = "these terms: read 2026-11-30: LICENSE.md of microsoft/FERPlus, which holds for the votes; nothing about the pictures; the agreement"
    assert ferplus in describe_database("ferplus")
    assert "these terms: not read; reported by others; the agreement that you signed decides" in describe_database(
        "disfa"
    )
    assert facts("disfa")["licence_read_on"] == facts("disfa")["licence_read_in"] == ""
    assert facts("raf_db")["licence_read_on"] == "2026-11-30"


def test_an_unknown_database_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown database 'x'; known: .*afew_va"):
        describe_database("x")
