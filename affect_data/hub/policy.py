"""What the licences of a dataset's databases allow to publish: the strictest decides, and silence allows nothing."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from affect_data.build.existing import read_lock
from affect_data.databases.licence import NOT_READ, Reading, Tier
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.merged import databases_of
from affect_data.errors import UnknownNameError, UsageError

ORDER: Final = tuple(Tier)
"""The tiers, strictest first."""

HOLDS: Final[Mapping[Tier, str]] = {
    Tier.RECIPE: "the recipe, the lock, counts and a card; no picture, no label",
    Tier.DERIVED: "also soft labels, folds, balance weights, audit flags and corrections, keyed by rows of the databases",
    Tier.FULL: "also pictures and labels",
}


@dataclass(frozen=True)
class Terms:
    """What the licence of one database allows to publish.

    Attributes:
        database: its name.
        clause: the essence of its licence.
        publishes: the loosest tier that is allowed.
        url: of the licence.
        reading: where and when it was read.
        drawn: whether its faces were drawn by `affect-data demo`, so that no licence applies.
        title: what the database is called; empty if this version does not know it, as the next two.
        homepage: its address.
        citation: a BibTeX entry.
    """

    database: str
    clause: str
    publishes: Tier
    url: str
    reading: Reading = NOT_READ
    drawn: bool = False
    title: str = ""
    homepage: str = ""
    citation: str = ""

    def permits(self, tier: Tier) -> bool:
        """Whether the licence allows a tier."""
        return self.drawn or ORDER.index(tier) <= ORDER.index(self.publishes)


class NotPermittedError(UsageError):
    """A licence does not allow a tier."""

    def __init__(self, tier: Tier, terms: Mapping[str, Terms], *, public: bool) -> None:
        self.databases = tuple(terms)
        listed = "".join(
            f"\n  {name}: {own.clause} (at most tier {own.publishes}; {own.url}; {own.reading})"
            for name, own in terms.items()
        )
        named = " ".join(f"--acknowledge {name}" for name in terms)
        remedy = (
            f"Leave --public out, or publish `--tier {strictest(terms)}`"
            if public
            else f"Publish `--tier {strictest(terms)}`; or, where the private repository is read only by people whom your agreement covers, "
            f"acknowledge each licence by name: `{named}`"
        )
        super().__init__(
            f"the licence of {len(terms)} database(s) does not let tier {tier} out{' to the public' if public else ''}:{listed}\n{remedy}."
        )


def tier_named(name: str) -> Tier:
    """The tier of a name.

    Raises:
        UnknownNameError: there is no such tier.
    """
    if name not in ORDER:
        raise UnknownNameError("tier", name, map(str, ORDER))
    return Tier(name)


def terms_of(folder: DatasetFolder) -> dict[str, Terms]:
    """The terms of every database of a dataset, by name; the strictest for a database that this version does not know."""
    built_from = read_lock(folder.path).get("databases", {})
    found, known = {}, databases_of(folder)
    for name in folder.manifest.databases:
        drawn = bool(built_from.get(name, {}).get("drawn"))
        if name not in known:
            found[name] = Terms(name, "unknown to this version of affectkit", Tier.RECIPE, "", drawn=drawn)
            continue
        reader, licence = known[name], known[name].licence
        found[name] = Terms(
            name, licence.terms, licence.publishes, licence.url, licence.reading, drawn,
            title=reader.title, homepage=reader.homepage, citation=reader.citation.strip(),
        )  # fmt: skip
    return found


def strictest(terms: Mapping[str, Terms]) -> Tier:
    """The loosest tier that all of the databases allow."""
    return next(tier for tier in reversed(ORDER) if all(own.permits(tier) for own in terms.values()))


def check_permitted(
    terms: Mapping[str, Terms], tier: Tier, acknowledged: Collection[str] = (), *, public: bool = False
) -> None:
    """Refuses a tier that a licence does not allow.

    Args:
        terms: of the databases.
        tier: to be published.
        acknowledged: databases for whose licence the user takes responsibility; without effect for a public repository.
        public: whether anybody may read the repository.

    Raises:
        UnknownNameError: an acknowledged database is not in the dataset.
        NotPermittedError: names every database that forbids it, with the clause.
    """
    for name in acknowledged:
        if name not in terms:
            raise UnknownNameError("database of this dataset", name, terms)
    in_the_way = {name: own for name, own in terms.items() if not own.permits(tier)}
    if not public:
        in_the_way = {name: own for name, own in in_the_way.items() if name not in acknowledged}
    if in_the_way:
        raise NotPermittedError(tier, in_the_way, public=public)
