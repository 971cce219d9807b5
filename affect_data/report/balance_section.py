"""The section about balancing: every plan of the dataset, before and after."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from affect_data.balance.distribution import distribution
from affect_data.balance.drawing import draw
from affect_data.balance.labels import PlanLabels
from affect_data.balance.pools import Bools
from affect_data.balance.registry import make_plan
from affect_data.balance.weighing import SPLIT, load_weights
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.kinds.balance import BALANCE, BalanceProvenance
from affect_data.errors import AffectError
from affect_data.report.charts import Series, bars, plane
from affect_data.report.html import Markup, Section, escape, figure, grid, paragraph, table

Weights = npt.NDArray[np.float32]

POOL_NAMES: Final = {
    "au": "action units",
    "expression": "expressions",
    "va": "valence and arousal",
    "weight": "all labels",
}


def balancing(folder: DatasetFolder) -> Section | None:
    """The section: every plan before and after; None if the dataset has no plan."""
    names = BALANCE.names(folder)
    if not names:
        return None
    parts: list[Markup] = []
    labels: PlanLabels | None = None
    for name in names:
        plan = BALANCE.described(folder, name)
        parts += [Markup(f"<h3>{escape(_title(plan))}</h3>"), paragraph(_options(plan), quiet=True)]
        if BALANCE.is_stale(folder, name):
            parts.append(paragraph("Made for other rows or labels than those in force; not shown."))
            continue
        labels = labels or PlanLabels.read(folder, SPLIT)
        weights = load_weights(folder, name)
        members, because = _members(plan, labels)
        if because:
            parts.append(paragraph(because, quiet=True))
        for column, pool in plan.pools.items():
            parts += _pool(column, pool, plan.seed, labels, weights[column], members.get(column))
    return Section("balancing", "Balancing", tuple(parts))


def _title(plan: BalanceProvenance) -> str:
    return plan.name if plan.name == plan.plan else f"{plan.name}: plan {plan.plan}"


def _options(plan: BalanceProvenance) -> str:
    chosen = {key: value for key, value in plan.options.items() if value not in (None, [], {})}
    shown = [f"{key.replace('_', ' ')} {_listed(value)}" for key, value in {**chosen, "seed": plan.seed}.items()]
    return f"Options: {'; '.join(shown)}."


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _members(plan: BalanceProvenance, labels: PlanLabels) -> tuple[dict[str, Bools], str]:
    """The rows, thinned ones included, of each pool whose plane is drawn; and a note if they cannot be computed.

    They are computed again, because a weight of 0 does not tell thinned rows from rows outside of the pool. With the plan of another version of
    affectkit this may fail; its stored figures are shown all the same.
    """
    drawn = {column: pool["rows"] for column, pool in plan.pools.items() if _has_plane(column, pool)}
    if not drawn:
        return {}, ""
    try:
        pools = make_plan(plan.plan, plan.options).weigh(labels, plan.seed)
    except AffectError as error:
        return {}, _not_again(plan, " ".join(str(error).split()))
    found = {pool.column: pool.pool for pool in pools}
    rows = {column: int(found[column].sum()) if column in found else 0 for column in drawn}
    others = [
        f"its pool of {POOL_NAMES.get(column, column)} had {count:,} rows and now has {rows[column]:,}"
        for column, count in drawn.items()
        if rows[column] != count
    ]
    kept = {column: found[column] for column, count in drawn.items() if rows[column] == count}
    return kept, _not_again(plan, "; ".join(others)) if others else ""


def _not_again(plan: BalanceProvenance, because: str) -> str:
    return (
        f"Plan {plan.plan} of '{plan.name}' cannot be computed again with this version of affectkit: {because.rstrip('.')}. "
        "Its figures are those that it kept; the plane before balancing is left out."
    )


def _has_plane(column: str, pool: dict[str, Any]) -> bool:
    return column in ("va", "weight") and bool(pool["before"]["va"]["occupied_bins"])


def _pool(
    column: str, pool: dict[str, Any], seed: int, labels: PlanLabels, weights: Weights, members: Bools | None
) -> list[Markup]:
    before, after = pool["before"], pool["realised"]
    text = (
        f"Pool of {POOL_NAMES.get(column, column)}: {pool['rows']:,} rows; an epoch of {pool['draws']:,} draws holds {pool['distinct']:,} "
        f"different rows, the most repeated one {pool['largest_repeat']:,} times."
    )
    notes = "; ".join(pool["notes"])
    drawings = []
    if column in ("au", "weight") and before["action_units"]:
        drawings.append(_pair("AU", pool, "action_units", "action unit"))
    if column in ("expression", "weight") and before["expressions"]:
        drawings.append(_pair("", pool, "expressions", "expression"))
    if len({*before["databases"], *after["databases"]}) > 1:
        drawings.append(_pair("", pool, "databases", "database"))
    parts = [paragraph(text), *([paragraph(f"Notes: {notes}.", quiet=True)] if notes else []), _measures(column, pool)]
    if _has_plane(column, pool):
        parts.append(grid(*_planes(pool, seed, labels, weights, members)))
    return [*parts, grid(*drawings)] if drawings else parts


def _measures(column: str, pool: dict[str, Any]) -> Markup:
    """A table of how balanced the pool is: before, as planned, and in the epoch that was drawn."""
    stages = [pool["before"], pool["planned"], pool["realised"]]
    rows: list[list[Any]] = []
    if column in ("au", "weight") and stages[0]["action_units"]:
        rows.append(["largest IRLbl of an action unit", *(stage["max_ir"] for stage in stages)])
    if column in ("expression", "weight") and stages[0]["expressions"]:
        rows.append(["largest expression over smallest", *(_ratio(stage["expressions"]) for stage in stages)])
    if _has_plane(column, pool):
        rows.append(["evenness over the VA plane", *(stage["va"]["evenness"] for stage in stages)])
    if len(stages[0]["databases"]) > 1:
        rows.append(["largest database over smallest", *(_ratio(stage["databases"]) for stage in stages)])
    return table(["measure", "before", "planned", "one epoch"], rows) if rows else Markup("")


def _ratio(counts: dict[str, float]) -> float | None:
    """The largest count over the smallest that is not 0."""
    found = [count for count in counts.values() if count]
    return max(found) / min(found) if found else None


def _pair(prefix: str, pool: dict[str, Any], part: str, what: str) -> Markup:
    before, after = pool["before"][part], pool["realised"][part]
    counts = [list(before.values()), [after.get(key, 0.0) for key in before]]
    unit = "Rows"
    if pool["draws"] != pool["rows"]:
        # Counts of an epoch of another length cannot be compared with those of the pool: shares are shown.
        totals = (pool["before"]["rows"], pool["realised"]["rows"])
        counts = [[100 * value / total for value in values] for values, total in zip(counts, totals, strict=True)]
        unit = "Per cent of the rows"
    series = [Series("before", counts[0]), Series("after (one epoch)", counts[1])]
    drawn = bars([prefix + name for name in before], series, f"{unit} by {what} before and after balancing")
    return figure(drawn, f"{unit} by {what}: before, and in one epoch drawn.")


def _planes(
    pool: dict[str, Any], seed: int, labels: PlanLabels, weights: Weights, members: Bools | None
) -> list[Markup]:
    """The planes before balancing and in the epoch that the plan's seed draws, shaded on one scale."""
    times = np.bincount(draw(weights, pool["draws"], seed, pool["repeat_cap"]), minlength=len(labels))
    stages: list[tuple[str, str, npt.NDArray[Any]]] = [("after (one epoch)", "realised", times)]
    if members is not None:
        stages.insert(0, ("before", "before", members))
    bins = [distribution(labels, counted, ()).va_bins for _, _, counted in stages]
    largest = max(float(one.max()) for one in bins)
    return [
        figure(
            plane(counts, f"valence and arousal {title}", 220, largest),
            f"{title}: {int(counts.sum()):,} rows, evenness {pool[stage]['va']['evenness']:.2f}; "
            "logarithmic shades, the same before and after.",
        )
        for (title, stage, _), counts in zip(stages, bins, strict=True)
    ]
