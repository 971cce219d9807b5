"""Finds labels of video frames that change faster than faces do, or do not change at all."""

from typing import Final

import numpy as np
import polars as pl

from affect_data.audit.base import NORMAL_DEVIATION, Audit, AuditedDataset, Severity, findings, no_findings

DEVIATIONS: Final = 8.0
LEAST_JUMP: Final = 0.25
LONGEST_RUN: Final = 300
SHORTEST_EXPRESSION: Final = 3
SHORTEST_UNIT: Final = 2
BLINKS: Final = (43, 45)
"""Action units that may last a single frame."""


def frames(dataset: AuditedDataset, *columns: str) -> pl.DataFrame:
    """The rows that are frames of a track; those of one database, split, track and face are neighbours, in the order of the frames.

    Args:
        dataset: whose rows these are.
        columns: beside `row`, `database`, `split`, and `next`, which says whether a row follows the one before.
    """
    place = ("database", "split", "track", "face")
    parts = dataset.rows("database", "track", "face", "frame", *columns)
    rows = parts.filter((pl.col("track") != "") & (pl.col("frame") >= 0))
    # The order of the names does not matter, and that of their numbers is quickly found.
    rows = rows.sort(pl.col(*place[:3]).to_physical(), "face", "frame")
    follows = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in place)
    return rows.with_columns(
        (follows & (pl.col("frame") == pl.col("frame").shift(1) + 1)).fill_null(value=False).alias("next")
    )


class Jumps(Audit):
    """Valence or arousal that leaps from one frame to the next."""

    name = "va_jumps"
    title = "jumps of valence and arousal"
    severity = Severity.REVIEW
    rule = (
        f"a change from one frame to the next of more than {LEAST_JUMP} and {DEVIATIONS:g} standard deviations (from "
        f"the median absolute deviation of the "
        "database's changes); a leap and the return count as one, on the frame between. Score: 1 minus limit / change"
    )
    source = "continuous annotation follows a joystick or a slider, which moves smoothly (Mariooryad & Busso 2015; Cowie et al., FEELTRACE 2000)"
    example = "valence 0.1, 0.9, 0.1 in three neighbouring frames: one finding, on the middle frame"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every frame and dimension."""
        parts = [no_findings()]
        rows = frames(dataset, "valence", "arousal", "va_mask").drop("track", "face", "frame")
        linked = pl.col("next") & pl.col("va_mask") & pl.col("va_mask").shift(1)
        for dimension in ("valence", "arousal"):
            change = pl.when(linked).then(pl.col(dimension) - pl.col(dimension).shift(1))
            own = rows.with_columns(change.alias("change"))
            deviation = (pl.col("change") - pl.col("change").median()).abs().median().over("database")
            own = own.with_columns((DEVIATIONS * NORMAL_DEVIATION * deviation).clip(LEAST_JUMP).alias("limit"))
            leap = (pl.col("change").abs() > pl.col("limit")).fill_null(value=False)
            before = leap.shift(1, fill_value=False) & (pl.col("change") * pl.col("change").shift(1) < 0)
            own = own.filter(leap & ~(before & pl.col("next"))).with_columns(
                (pl.col(dimension) - pl.col("change")).alias("before")
            )
            evidence = {
                "dimension": dimension,
                "before": pl.col("before"),
                "after": pl.col(dimension),
                "limit": pl.col("limit"),
            }
            score = 1 - pl.col("limit") / pl.col("change").abs()
            parts.append(findings(dataset.identified(own), score, self.severity, evidence))
        return pl.concat(parts)


class ConstantRuns(Audit):
    """Valence and arousal that stay exactly the same for very long."""

    name = "va_constant"
    title = "constant valence and arousal"
    severity = Severity.REVIEW
    rule = (
        f"the same valence and arousal, not both 0, in more than {LONGEST_RUN} frames in a row. One finding a run, on its first frame. "
        f"Score: 1 minus {LONGEST_RUN} / length"
    )
    source = "a joystick that nobody holds; ten seconds at 30 frames a second"
    example = "valence 0.25 and arousal -0.5 in 400 frames in a row (score 0.25)"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every run."""
        same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in ("valence", "arousal"))
        rows = frames(dataset, "valence", "arousal", "va_mask").filter("va_mask")
        if rows.is_empty():
            return no_findings()
        begins = np.flatnonzero(rows.select(~(pl.col("next") & same).fill_null(value=False)).to_series().to_numpy())
        lengths = np.diff(begins, append=len(rows))
        long = lengths > LONGEST_RUN
        last = rows["frame"].gather(begins[long] + lengths[long] - 1)
        runs = rows[begins[long]].with_columns(pl.Series("length", lengths[long]), last.alias("to"))
        rows = dataset.identified(runs.filter((pl.col("valence") != 0) | (pl.col("arousal") != 0)))
        evidence = {"frames": pl.col("length"), "last_frame": pl.col("to"), "valence": pl.col("valence"), "arousal": pl.col("arousal")}  # fmt: skip
        return findings(rows, 1 - LONGEST_RUN / pl.col("length"), self.severity, evidence)


class Flicker(Audit):
    """Expressions and action units that change and soon change back."""

    name = "flicker"
    title = "flickering labels"
    severity = Severity.REVIEW
    rule = (
        f"an expression that lasts fewer than {SHORTEST_EXPRESSION} frames between the same other one, or an action "
        f"unit (not {BLINKS[0]} and {BLINKS[1]}) whose "
        f"occurrence differs for fewer than {SHORTEST_UNIT} frames. Score: 0.5 + 0.5 / length of the run, - 0.1"
    )
    source = "the shortest facial expressions last about 1/5 s, 5 frames at 25 a second (Yan et al. 2013, How Fast Are the Leaked Facial Expressions)"
    example = "happiness, happiness, sadness, happiness: the third frame (score 0.9)"

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every frame of a short run, for the expression and for each action unit."""
        rows = frames(dataset, "expression")
        parts = [no_findings()]
        if len(rows) < 3:
            return parts[0]
        row, next_, expression = (rows[name].to_numpy() for name in ("row", "next", "expression"))
        del rows
        parts.append(self._short(dataset, row, next_, expression, SHORTEST_EXPRESSION, "expression"))
        lasting = [number for number in dataset.folder.manifest.layout.action_units if number not in BLINKS]
        for number, units in zip(lasting, dataset.slots("au", lasting), strict=True):
            parts.append(self._short(dataset, row, next_, units[row], SHORTEST_UNIT, f"AU{number}"))
        return pl.concat(parts)

    def _short(
        self,
        dataset: AuditedDataset,
        rows: "np.ndarray[tuple[int], np.dtype[np.integer]]",
        follows: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
        label: "np.ndarray[tuple[int], np.dtype[np.integer]]",
        shortest: int,
        name: str,
    ) -> pl.DataFrame:
        """Findings for runs of a label shorter than `shortest` between two runs of the same other label, without a gap in the frames."""
        starts = np.nonzero(np.r_[True, (label[1:] != label[:-1]) | ~follows[1:]])[0]
        if len(starts) < 3:
            return no_findings()
        ends = np.r_[starts[1:], len(label)]
        middle = np.arange(1, len(starts) - 1)
        before, own, after = label[starts[middle - 1]], label[starts[middle]], label[starts[middle + 1]]
        unbroken = follows[starts[middle]] & follows[starts[middle + 1]]
        length = ends[middle] - starts[middle]
        short = unbroken & (length < shortest) & (before == after) & (own >= 0) & (before >= 0)
        picked = middle[short]
        places = np.concatenate([np.empty(0, np.int64), *(np.arange(starts[run], ends[run]) for run in picked)])
        lengths = np.repeat(length[short], length[short])
        if not len(places):
            return no_findings()
        found = dataset.identified(
            pl.DataFrame(
                {
                    "row": rows[places],
                    "length": lengths,
                    "around": np.repeat(before[short], length[short]).astype(np.int64),
                    "own": np.repeat(own[short], length[short]).astype(np.int64),
                }
            )
        )
        evidence = {"label": name, "frames": pl.col("length"), "around": pl.col("around"), "found": pl.col("own")}
        return findings(found, 0.4 + 0.5 / pl.col("length"), self.severity, evidence)
