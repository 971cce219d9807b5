"""The rows that decisions are about, and whether the decisions still fit. Rows are found by database, picture and face, never by a name alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from affect_data.corrections.decisions import Decision, Field_, in_force
from affect_data.corrections.label_values import change_rows, labels_of
from affect_data.dataset.folder import LABEL_NAMES
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.layout import Layout
from affect_data.dataset.schema import check_rules
from affect_data.dataset.view import LabelView, side_by_side
from affect_data.dataset.writing import LABELS_PER_BATCH, write_shard

NO_SUCH_FACE: Final = "no row has this picture and face"
NO_PLACE: Final = "no merged database codes this label"
WHOLE_STEPS: Final = "all intensities of the dataset are whole steps, this one is not"
ANOTHER_PICTURE: Final = "the row of this uid has another picture"
SEVERAL_ROWS: Final = "several rows have this picture and face, and none this uid"
CHANGED_SINCE: Final = "the label is no longer the one that was decided about"


@dataclass(frozen=True)
class LabelShard:
    """One shard of labels, with its side groups.

    Attributes:
        split: of the dataset.
        files: the shard's Arrow files by column group.
        view: of the dataset.
    """

    split: str
    files: Mapping[str, Path]
    view: LabelView

    def read(self, columns: Sequence[str] = LABEL_NAMES) -> pa.Table:
        """The rows of the shard, with columns of the schema."""
        return self.view.table(self._stored(), columns)

    def changed(self, labels: pa.Table) -> dict[str, pa.Table]:
        """The column groups that new labels change, in the form in which they are stored.

        Args:
            labels: the new labels, in the form that `read` gives.
        """
        rows = pl.from_arrow(labels)
        assert isinstance(rows, pl.DataFrame)
        rows = rows.with_columns(pl.Series("origin", self._stored().column("origin").to_numpy()))
        tables = {group: self.view.layout.stored(rows, group) for group in self.files}
        return {
            group: table for group, table in tables.items() if content_hash(table) != content_hash(self._own(group))
        }

    def write(self, group: str, stored: pa.Table, path: Path) -> str:
        """The fingerprint of a column group of the shard, which is written to a file."""
        write_shard(path, stored, self.view.layout.features(group), LABELS_PER_BATCH)
        return content_hash(stored)

    def _own(self, group: str) -> pa.Table:
        return pa.ipc.open_stream(pa.memory_map(str(self.files[group]))).read_all()

    def _stored(self) -> pa.Table:
        return side_by_side([self._own(group) for group in self.files])


@dataclass(frozen=True)
class Change:
    """The effect of a decision on one row.

    Attributes:
        decision: the decision.
        uid: of the row; it may differ from that of the decision.
        split: of the row.
        shard: position among all shards.
        row: position in the shard.
        old: labels before, by field.
        new: labels after, by field.
    """

    decision: Decision
    uid: str
    split: str
    shard: int
    row: int
    old: dict[Field_, Any]
    new: dict[Field_, Any]


@dataclass(frozen=True)
class Misfit:
    """A decision that cannot be applied."""

    decision: Decision
    reason: str


@dataclass
class Matching:
    """The effect of decisions on the labels of a dataset.

    Attributes:
        changes: in the order of the decisions.
        already: how many decisions are already in the labels.
        misfits: decisions that cannot be applied.
        foreign: how many decisions that change labels were made on another state of the labels, or on another dataset.
    """

    changes: list[Change] = field(default_factory=list)
    already: int = 0
    misfits: list[Misfit] = field(default_factory=list)
    foreign: int = 0

    def summary(self) -> dict[str, Any]:
        """Counts and reasons as plain values."""
        reasons: dict[str, int] = {}
        for misfit in self.misfits:
            reasons[misfit.reason] = reasons.get(misfit.reason, 0) + 1
        return {
            "applied": len({change.decision.id for change in self.changes}),
            "already": self.already,
            "ids": sorted({change.decision.id for change in self.changes}),
            "misfits": reasons,
            "misfit_uids": [misfit.decision.uid for misfit in self.misfits],
        }


@dataclass(frozen=True)
class _Place:
    uid: str
    split: str
    shard: int
    row: int


def match(
    shards: Sequence[LabelShard], databases: Sequence[str], decisions: Sequence[Decision], fingerprint: str = ""
) -> Matching:
    """The effect of decisions on the labels of a dataset.

    Args:
        shards: all label shards.
        databases: names of the dataset's databases.
        decisions: all decisions of the file, in order.
        fingerprint: of the dataset, if it has one already.
    """
    wanted = [decision for decision in in_force(decisions) if decision.changes_labels]
    found = Matching(foreign=sum(decision.dataset != fingerprint for decision in wanted))
    order = {decision.id: number for number, decision in enumerate(wanted)}
    if shards:
        because = [_no_place(shards[0].view.layout, decision) for decision in wanted]
        found.misfits += [Misfit(decision, reason) for decision, reason in zip(wanted, because, strict=True) if reason]
        wanted = [decision for decision, reason in zip(wanted, because, strict=True) if not reason]
    if not wanted:
        return found
    places, uids = _find(shards, sorted(databases), wanted)
    chains: dict[_Place, list[Decision]] = {}
    for decision in wanted:
        place = _place_of(decision, places.get((decision.database, decision.image_digest, decision.face), []), uids)
        if isinstance(place, str):
            found.misfits.append(Misfit(decision, place))
        else:
            chains.setdefault(place, []).append(decision)
    tables = {shard: shards[shard].read() for shard in {place.shard for place in chains}}
    for place, chain in chains.items():
        row = tables[place.shard].slice(place.row, 1).to_pylist()[0]
        _follow(found, place, chain, labels_of(row).fields())
    found.changes.sort(key=lambda change: order[change.decision.id])
    found.misfits.sort(key=lambda misfit: order[misfit.decision.id])
    return found


def _find(
    shards: Sequence[LabelShard], databases: Sequence[str], decisions: Sequence[Decision]
) -> tuple[dict[tuple[str, str, int], list[_Place]], set[str]]:
    """Rows of the decisions' pictures by database, digest and face; and which of the decisions' uids exist."""
    digests = pl.Series([decision.image_digest for decision in decisions]).unique()
    names = pl.Series([decision.uid for decision in decisions]).unique()
    places: dict[tuple[str, str, int], list[_Place]] = {}
    uids: set[str] = set()
    for number, shard in enumerate(shards):
        keys = pl.from_arrow(shard.read(("uid", "database", "image_digest", "face")))
        assert isinstance(keys, pl.DataFrame)
        keys = keys.with_row_index("row")
        uids |= set(keys.filter(pl.col("uid").is_in(names.implode()))["uid"])
        near = keys.filter(pl.col("image_digest").is_in(digests.implode()))
        for row, uid, database, digest, face in near.iter_rows():
            place = _Place(uid, shard.split, number, row)
            places.setdefault((databases[database], digest, face), []).append(place)
    return places, uids


def _no_place(layout: Layout, decision: Decision) -> str:
    """Why a dataset cannot hold the labels of a decision; empty if it can."""
    for (name, number), value in decision.new.fields().items():
        if value is not None and not layout.holds(name, number, value):
            return WHOLE_STEPS if layout.holds(name, number, 0) else NO_PLACE
    return ""


def _place_of(decision: Decision, places: list[_Place], uids: set[str]) -> _Place | str:
    """The row that a decision is about, or why there is none."""
    if not places:
        return ANOTHER_PICTURE if decision.uid in uids else NO_SUCH_FACE
    named = [place for place in places if place.uid == decision.uid]
    if not named and len({place.uid for place in places}) > 1:
        return SEVERAL_ROWS
    named = named or places
    return next((place for place in named if place.split == decision.split), named[0])


def _follow(found: Matching, place: _Place, chain: list[Decision], labels: dict[Field_, Any]) -> None:
    """Adds the effect of the decisions about one row; each must start from the labels that the one before has left."""
    # After a misfit, the decisions that build on it do not fit either.
    while True:
        done, stuck = _walk(chain, labels)
        if stuck is None:
            break
        found.misfits.append(Misfit(stuck, CHANGED_SINCE))
        chain = [decision for decision in chain if decision is not stuck]
    for decision in chain:
        new = {key: value for key, value in decision.new.fields().items() if (decision.id, key) not in done}
        if new:
            old = {key: decision.old.fields()[key] for key in new}
            found.changes.append(Change(decision, place.uid, place.split, place.shard, place.row, old, new))
        else:
            found.already += 1


def _walk(chain: list[Decision], labels: dict[Field_, Any]) -> tuple[set[tuple[str, Field_]], Decision | None]:
    """The fields of decisions that are already in the row, and the first decision that does not fit."""
    done: set[tuple[str, Field_]] = set()
    steps: dict[Field_, list[Decision]] = {}
    for decision in chain:
        for key in decision.new.fields():
            steps.setdefault(key, []).append(decision)
    for key, decisions in steps.items():
        first = 0
        if decisions[0].old.fields()[key] != labels[key]:
            reached = [i for i, decision in enumerate(decisions) if decision.new.fields()[key] == labels[key]]
            if not reached:
                return done, decisions[0]
            first = reached[-1] + 1
        done |= {(decision.id, key) for decision in decisions[:first]}
        value = labels[key]
        for decision in decisions[first:]:
            if decision.old.fields()[key] != value:
                return done, decision
            value = decision.new.fields()[key]
    return done, None


def changed_shards(shards: Sequence[LabelShard], changes: Sequence[Change]) -> Iterator[tuple[int, pa.Table]]:
    """The changed shards, by position, with their new labels, checked against the rules of the schema.

    Raises:
        SchemaError: a row breaks a rule.
    """
    rows: dict[int, dict[int, dict[Field_, Any]]] = {}
    for change in changes:
        rows.setdefault(change.shard, {}).setdefault(change.row, {}).update(change.new)
    for shard in sorted(rows):
        table = change_rows(shards[shard].read(), rows[shard])
        labels = pl.from_arrow(table)
        assert isinstance(labels, pl.DataFrame)
        check_rules(labels)
        yield shard, table


def correct(
    shards: Sequence[LabelShard],
    databases: Sequence[str],
    decisions: Sequence[Decision],
    before_writing: Callable[[int], None],
) -> tuple[dict[str, Any], dict[int, dict[str, str]]]:
    """Applies the decisions that fit to the label files of a dataset that is being built.

    Args:
        shards: all label shards; the changed ones are written again.
        databases: names of the dataset's databases.
        decisions: all decisions of the file, in order.
        before_writing: called with the position of a shard before it is written.

    Returns:
        `Matching.summary`; and by position of each shard that was written, its new fingerprints by column group.

    Raises:
        SchemaError: the new labels break a rule of the schema.
    """
    matching = match(shards, databases, decisions)
    written = {}
    for number, table in changed_shards(shards, matching.changes):
        before_writing(number)
        shard = shards[number]
        written[number] = {
            group: shard.write(group, stored, shard.files[group]) for group, stored in shard.changed(table).items()
        }
    return matching.summary(), written
