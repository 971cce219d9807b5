"""How far annotators agree, in databases that publish their votes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from affect_data.databases.registry import DATABASES
from affect_data.dataset.label_chunks import LabelChunk
from affect_data.vocabulary import EXPRESSIONS

WHOLE_VOTES: Final = 0.01
"""A share times the number of annotators may differ from an integer by this much."""

SCHEMA: Final = pl.Schema(
    {
        "database": pl.String(),
        "split": pl.String(),
        "rows": pl.Int64(),
        "top_share": pl.Float64(),
        "unanimous": pl.Float64(),
        "entropy_bits": pl.Float64(),
        "annotators": pl.Int64(),
        "kappa_rows": pl.Int64(),
        "fleiss_kappa": pl.Float64(),
    }
)


def annotators_by_database() -> dict[str, int]:
    """How many people voted on every face, by database, for databases that state it."""
    return {name: database.annotators for name, database in DATABASES.items() if database.annotators is not None}


def with_none(shares: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Vote shares with one more category for votes that chose no expression, float64 [N, C + 1].

    Args:
        shares: float [N, C]; the sum of a row is at most 1.
    """
    known = shares.astype(np.float64)
    return np.column_stack([known, np.clip(1.0 - known.sum(axis=1), 0.0, 1.0)])


def entropy_bits(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shannon entropy of each row's shares in bits, float64 [N]; 0 for a unanimous vote."""
    logarithms = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(np.abs((shares * logarithms).sum(axis=1)))


def _kappa(pairs: float, totals: npt.NDArray[np.integer], annotators: int) -> float:
    """Fleiss' kappa, the agreement beyond chance of a constant number of annotators; NaN if all votes are for one category.

    Args:
        pairs: ordered pairs of annotators who chose the same category, summed over rows.
        totals: int [C], votes for each category.
        annotators: votes of each row, 2 or more.

    Source:
        Fleiss, *Measuring nominal scale agreement among many raters*, Psychological Bulletin 76 (1971).
    """
    rows = totals.sum() / annotators
    observed = pairs / (rows * annotators * (annotators - 1))
    by_chance = float(((totals / totals.sum()) ** 2).sum())
    return (observed - by_chance) / (1 - by_chance) if by_chance < 1 else np.nan


@dataclass
class _Sums:
    rows: int = 0
    top_share: float = 0.0
    unanimous: int = 0
    entropy: float = 0.0
    whole: int = 0
    pairs: float = 0.0
    totals: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(EXPRESSIONS) + 1, np.int64))


class AgreementCounter:
    """Measures the agreement of votes on expressions in chunks of rows.

    Args:
        annotators: by database, how many people voted on every face; by default as the databases state. Rows whose shares do not fit that number are
            left out of kappa; `kappa_rows` counts the others.
    """

    def __init__(self, annotators: Mapping[str, int] | None = None) -> None:
        self._annotators = annotators if annotators is not None else annotators_by_database()
        self._sums: dict[tuple[str, str], _Sums] = {}

    def add(self, chunk: LabelChunk) -> None:
        """Counts the rows of a chunk that has `database` and `expression_votes`."""
        votes, database = chunk["expression_votes"], chunk["database"]
        voted = ~np.isnan(votes[:, 0])
        for code in np.unique(database[voted]):
            name = chunk.databases[code]
            shares = with_none(votes[voted & (database == code)])
            self._add(self._sums.setdefault((name, chunk.split), _Sums()), shares, self._annotators.get(name))

    def _add(self, sums: _Sums, shares: npt.NDArray[np.float64], annotators: int | None) -> None:
        top = shares.max(axis=1)
        sums.rows += len(shares)
        sums.top_share += float(top.sum())
        sums.unanimous += int((top > 1 - 1e-6).sum())
        sums.entropy += float(entropy_bits(shares).sum())
        if annotators is not None:
            scaled = shares * annotators
            whole = np.abs(scaled - np.rint(scaled)).max(axis=1) < WHOLE_VOTES
            counts = np.rint(scaled[whole]).astype(np.int64)
            sums.whole += len(counts)
            sums.pairs += float((counts**2).sum() - counts.sum())
            sums.totals += counts.sum(axis=0)

    def table(self) -> pl.DataFrame:
        """A line for each database and split with votes.

        `rows`; over these the mean largest share (`top_share`), the share of unanimous rows (`unanimous`) and the mean `entropy_bits`; and, if the
        number of annotators is known (otherwise null), `annotators`, `kappa_rows` and `fleiss_kappa`. Votes for no expression are one category.
        """
        lines = []
        for (database, split), sums in sorted(self._sums.items()):
            annotators = self._annotators.get(database)
            has_kappa = annotators is not None and sums.whole > 0
            kappa = _kappa(sums.pairs, sums.totals, annotators) if annotators and has_kappa else None
            means = (value / sums.rows for value in (sums.top_share, sums.unanimous, sums.entropy))
            kappa_rows = sums.whole if annotators else None
            lines.append((database, split, sums.rows, *means, annotators, kappa_rows, kappa))
        return pl.DataFrame(lines, schema=SCHEMA, orient="row").with_columns(pl.col("fleiss_kappa").fill_nan(None))
