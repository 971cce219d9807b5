"""What the terms of a database allow to publish, and where and when these terms were read. Nothing read allows nothing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Tier(StrEnum):
    """What may be published, strictest first."""

    RECIPE = "recipe"
    DERIVED = "derived"
    FULL = "full"


@dataclass(frozen=True)
class Reading:
    """Where terms were read, and when.

    Attributes:
        on: ISO date; empty if nothing was read.
        source: what was read. A page about an agreement is not the agreement, so it says which of them it was.
    """

    on: str = ""
    source: str = ""

    def __str__(self) -> str:
        return f"read {self.on}: {self.source}" if self.on else "not read; reported by others"


NOT_READ: Final = Reading()


@dataclass(frozen=True)
class Licence:
    """The terms of a database, as far as they are known.

    Attributes:
        terms: the essence in one line.
        publishes: the loosest tier that is allowed.
        url: where they stand.
        reading: where and when they were read.

    Raises:
        ValueError: more than the recipe may be published of a database whose terms were not read.
    """

    terms: str
    publishes: Tier
    url: str
    reading: Reading = NOT_READ

    def __post_init__(self) -> None:
        if self.publishes is not Tier.RECIPE and not self.reading.on:
            raise ValueError(
                f"tier {self.publishes} is allowed by terms that nobody read ({self.url}); say where and when, or allow the recipe alone"
            )
