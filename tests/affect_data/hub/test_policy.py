"""What licences let out: the strictest decides, and nothing is let out by silence."""

from dataclasses import replace
from pathlib import Path

import pytest

from affect_data.databases.licence import Licence, Reading, Tier
from affect_data.databases.registry import DATABASES
from affect_data.dataset.folder import open_dataset
from affect_data.errors import UnknownNameError
from affect_data.hub.policy import NotPermittedError, Terms, check_permitted, strictest, terms_of, tier_named

KEEPS = Terms("disfa", "no redistribution", Tier.RECIPE, "https://disfa.example", Reading("2026-11-21", "its page"))
LENDS = Terms("ferplus", "votes: MIT", Tier.DERIVED, "https://ferplus.example")
BOTH = {"disfa": KEEPS, "ferplus": LENDS}


def test_every_database_says_what_it_lets_out_and_where_that_stands() -> None:
    for name, database in DATABASES.items():
        licence = database.licence
        assert licence.publishes in tuple(Tier), name
        assert licence.url.startswith("http"), name
        assert licence.terms, name


def test_terms_that_nobody_read_let_out_the_recipe_alone() -> None:
    assert Licence("free for all, as they say", Tier.RECIPE, "https://x.example").reading == Reading()
    for tier in (Tier.DERIVED, Tier.FULL):
        with pytest.raises(ValueError, match=f"tier {tier} is allowed by terms that nobody read"):
            Licence("free for all, as they say", tier, "https://x.example")
        Licence("free for all", tier, "https://x.example", Reading("2026-11-30", "its page"))


def test_the_strictest_database_decides() -> None:
    assert strictest(BOTH) is Tier.RECIPE
    assert strictest({"ferplus": LENDS}) is Tier.DERIVED
    check_permitted(BOTH, Tier.RECIPE)
    check_permitted({"ferplus": LENDS}, Tier.DERIVED, public=True)


def test_a_refusal_names_the_clause_and_what_may_be_published() -> None:
    with pytest.raises(NotPermittedError) as error:
        check_permitted(BOTH, Tier.DERIVED)
    assert str(error.value) == (
        "the licence of 1 database(s) does not let tier derived out:\n"
        "  disfa: no redistribution (at most tier recipe; https://disfa.example; read 2026-11-21: its page)\n"
        "Publish `--tier recipe`; or, where the private repository is read only by people whom your agreement covers, "
        "acknowledge each licence by name: `--acknowledge disfa`."
    )


def test_each_licence_is_acknowledged_by_itself() -> None:
    with pytest.raises(NotPermittedError, match="ferplus: votes: MIT") as error:
        check_permitted(BOTH, Tier.FULL, ["disfa"])
    assert error.value.databases == ("ferplus",)
    check_permitted(BOTH, Tier.FULL, ["disfa", "ferplus"])


def test_no_acknowledgement_makes_it_public() -> None:
    with pytest.raises(NotPermittedError, match="to the public") as error:
        check_permitted(BOTH, Tier.FULL, ["disfa", "ferplus"], public=True)
    assert error.value.databases == ("disfa", "ferplus")


def test_a_database_that_is_not_there_cannot_be_acknowledged() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown database of this dataset 'disfo'; did you mean 'disfa'\?"):
        check_permitted(BOTH, Tier.FULL, ["disfo"])


def test_a_database_that_is_unknown_lets_nothing_out() -> None:
    assert strictest({"new": replace(KEEPS, database="new")}) is Tier.RECIPE


def test_photographed_faces_are_under_a_licence(licensed_faces: Path) -> None:
    assert not terms_of(open_dataset(licensed_faces))["expw"].permits(Tier.DERIVED)


def test_drawn_faces_may_be_published_whole(built_faces: Path) -> None:
    assert terms_of(open_dataset(built_faces))["expw"].permits(Tier.FULL)


def test_a_tier_is_known_by_its_name() -> None:
    assert tier_named("full") is Tier.FULL
    with pytest.raises(UnknownNameError, match="did you mean 'recipe'"):
        tier_named("recipes")
