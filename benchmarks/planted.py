"""Plants defects in a dataset in memory, with one function for each check of `audits.py`.

Every function changes a share of the labels or pictures that the check can judge, and returns which rows it changed. If a dataset has none of them,
nothing is planted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from PIL import Image, ImageFilter

from affect_data.audit.base import AuditedDataset
from affect_data.audit.checks.pain import GROUP
from affect_data.audit.checks.temporal import LONGEST_RUN, frames
from affect_data.audit.pictures.facts import Pictures, crop, measure
from affect_data.audit.pictures.hashing import decode, to_grey
from affect_data.databases.registry import DATABASES
from affect_data.dataset.folder import LABEL_NAMES
from affect_data.dataset.schema import IMAGES
from affect_data.vocabulary import EXPRESSIONS, slot_of

SHARE = 0.05
UNITS = (1, 2, 4, 6, 12, 25)
APART = 5
"""Frames between two planted ones, so that each is a defect of its own."""

Rows = np.ndarray


class Whole(AuditedDataset):
    """A dataset whose labels are in memory, so that they can be changed."""

    @cached_property
    def labels(self) -> pl.DataFrame:
        """All rows with all columns of labels."""
        return pl.concat(self.blocks(*LABEL_NAMES))

    @cached_property
    def occurrence(self) -> np.ndarray:
        """The occurrence of action units, int8 [rows, slots]."""
        return self.labels["au"].to_numpy()

    @cached_property
    def intensity(self) -> np.ndarray:
        """Their intensity, float32 [rows, slots]."""
        return self.labels["au_intensity"].to_numpy()


class Rewritten(AuditedDataset):
    """A dataset with other labels in memory; its pictures and copies are not read again."""

    columns: dict[str, pl.Series]

    def blocks(self, *columns: str) -> Iterator[pl.DataFrame]:
        """As of the dataset, with the other labels."""
        for block in super().blocks(*columns):
            yield self._rewritten(block)

    def rows(self, *columns: str) -> pl.DataFrame:
        """As of the dataset, with the other labels."""
        rows = super().rows(*columns)
        return self._rewritten(rows).cast({name: rows.schema[name] for name in self.columns if name in rows.columns})

    def _rewritten(self, rows: pl.DataFrame) -> pl.DataFrame:
        own = [values.gather(rows["row"]) for name, values in self.columns.items() if name in rows.columns]
        named = pl.col("expression").replace_strict(dict(enumerate(EXPRESSIONS)), default=None, return_dtype=pl.String)
        return rows.with_columns(own).with_columns(
            [named.alias("expression_name")] if "expression" in rows.columns else []
        )


@dataclass(frozen=True)
class Target:
    """The planted defects of one type.

    Attributes:
        wrong: uids of the changed rows.
        eligible: rows that could have been changed.
        evidence: what the evidence of a finding of this kind says.
    """

    wrong: frozenset[str]
    eligible: int
    evidence: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Planted:
    """A dataset with defects."""

    dataset: Whole
    targets: dict[str, Target]


Plant = Callable[[Whole, np.random.Generator], Planted | None]


def changed(
    dataset: Whole,
    columns: dict[str, np.ndarray | pl.Series] | None = None,
    units: np.ndarray | None = None,
    pictures: Pictures | None = None,
) -> AuditedDataset:
    """The dataset with other labels."""
    other = Rewritten(dataset.folder, dataset.workers)
    other.columns = {name: pl.Series(name, values) for name, values in (columns or {}).items()}
    if units is not None:
        other.columns["au"] = pl.Series("au", units, dtype=pl.Array(pl.Int8, units.shape[1]))
    if "face_box" in other.columns:
        boxes = other.columns["face_box"].to_numpy().astype(np.float32)
        other.columns["face_box"] = pl.Series("face_box", boxes, dtype=pl.Array(pl.Float32, 4))
    read = ("pictures", "copies")
    other.__dict__.update({name: dataset.__dict__[name] for name in read if name in dataset.__dict__})
    if pictures is not None:
        other.__dict__["pictures"] = pictures
    return other


def picked(rows: Rows, rng: np.random.Generator, share: float = SHARE) -> Rows:
    """A random share of rows, at least one if there are any."""
    return rng.choice(rows, min(len(rows), max(1, int(share * len(rows)))), replace=False) if len(rows) else rows


def target(dataset: Whole, wrong: Rows, eligible: int, **evidence: str) -> Target:
    return Target(frozenset(dataset.identified(pl.DataFrame({"row": np.unique(wrong)}))["uid"]), eligible, evidence)


def of_one_kind(
    dataset: Whole, other: AuditedDataset, kind: str, wrong: Rows, eligible: int, **evidence: str
) -> Planted | None:
    return Planted(other, {kind: target(dataset, wrong, eligible, **evidence)}) if eligible else None


def where(dataset: Whole, condition: pl.Expr) -> Rows:
    return dataset.labels.filter(condition)["row"].to_numpy().astype(np.int64)


def other_expressions(dataset: Whole, wrong: Rows, rng: np.random.Generator) -> np.ndarray:
    """The expressions, those of some rows replaced by another of the dataset's."""
    label = dataset.labels["expression"].to_numpy().copy()
    shown = np.unique(label[label >= 0])
    for row in wrong:
        label[row] = rng.choice(shown[shown != label[row]])
    return label


def others_places(dataset: Whole, wrong: Rows, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Valence and arousal, those of some rows replaced by another face's of the database."""
    places = {name: dataset.labels[name].to_numpy().copy() for name in ("valence", "arousal")}
    database, labelled = dataset.labels["database"].to_numpy(), dataset.labels["va_mask"].to_numpy()
    for name in np.unique(database[wrong]):
        own = wrong[database[wrong] == name]
        donors = rng.choice(np.nonzero(labelled & (database == name))[0], len(own))
        for dimension, values in places.items():
            values[own] = dataset.labels[dimension].to_numpy()[donors]
    return places


# ---------------------------------------------------------------- labels


def flipped_everywhere(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """Expressions, action units, and valence with arousal, each with their own wrong rows."""
    targets, units = {}, dataset.occurrence.copy()
    wrong = picked(rows := where(dataset, pl.col("expression_mask")), rng)
    columns: dict[str, Any] = {"expression": other_expressions(dataset, wrong, rng)}
    if len(rows):
        targets["expression"] = target(dataset, wrong, len(rows), task="expression")
    for number in UNITS:
        label = units[:, slot_of(number)]
        rows = np.nonzero(label >= 0)[0]
        wrong = picked(rows, rng)
        label[wrong] = 1 - label[wrong]
        if len(rows):
            targets[f"AU{number}"] = target(dataset, wrong, len(rows), task=f"AU{number}")
    wrong = picked(rows := where(dataset, pl.col("va_mask")), rng)
    columns |= others_places(dataset, wrong, rng)
    for dimension in ("valence", "arousal") if len(rows) else ():
        targets[dimension] = target(dataset, wrong, len(rows), task=dimension)
    return Planted(changed(dataset, columns, units), targets) if targets else None


def flipped_expressions(mask: pl.Expr) -> Plant:
    """Another expression, for rows that also have labels of another task."""

    def plant(dataset: Whole, rng: np.random.Generator) -> Planted | None:
        rows = where(dataset, pl.col("expression_mask") & mask)
        wrong = picked(rows, rng)
        other = changed(dataset, {"expression": other_expressions(dataset, wrong, rng)})
        return of_one_kind(dataset, other, "expression", wrong, len(rows))

    return plant


def sentinels(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """-5 as valence: the sentinel of Aff-Wild2."""
    rows = where(dataset, pl.col("va_mask"))
    valence = dataset.labels["valence"].to_numpy().copy()
    valence[wrong := picked(rows, rng)] = -5
    return of_one_kind(dataset, changed(dataset, {"valence": valence}), "valence of -5", wrong, len(rows))


def divided(dataset: Whole, rng: np.random.Generator) -> Planted | None:  # noqa: ARG001 - nothing is drawn
    """Valence and arousal of one database a tenth of what they are."""
    names = dataset.labels.filter("va_mask")["database"].unique().sort().to_list()
    if not names:
        return None
    first = dataset.labels.filter(pl.col("va_mask") & (pl.col("database") == names[0])).head(1)["row"].to_numpy()
    columns = {
        name: dataset.labels.select(pl.when(pl.col("database") == names[0]).then(pl.col(name) / 10).otherwise(name).alias(name))[name]
        for name in ("valence", "arousal")
    }  # fmt: skip
    return Planted(changed(dataset, columns), {"a database": target(dataset, first, len(names))})


def shared_people(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """Rows outside train that get a person of train."""
    rows = where(dataset, (pl.col("split") != "train") & (pl.col("subject") != ""))
    people = dataset.labels.filter((pl.col("split") == "train") & (pl.col("subject") != ""))
    subject, database = dataset.labels["subject"].to_list(), dataset.labels["database"]
    wrong = []
    for row in picked(rows, rng).tolist():
        known = people.filter(pl.col("database") == database[row])["subject"]
        if len(known):
            subject[row] = known[int(rng.integers(len(known)))]
            wrong.append(row)
    other = changed(dataset, {"subject": pl.Series(subject)})
    return Planted(other, {"people": target(dataset, np.array(wrong), len(rows), kind="subject")}) if wrong else None


def against_intensity(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """Occurrence of AU12 the other way round, where its intensity is known too."""
    units, slot = dataset.occurrence.copy(), slot_of(12)
    rows = np.nonzero((units[:, slot] >= 0) & ~np.isnan(dataset.intensity[:, slot]))[0]
    wrong = picked(rows, rng)
    units[wrong, slot] = 1 - units[wrong, slot]
    return of_one_kind(dataset, changed(dataset, units=units), "AU12", wrong, len(rows))


def other_intensities(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """AU4 a step stronger or, at 5, weaker, where frames have a pain score."""
    if all(GROUP not in dataset.folder.groups(split) for split in dataset.folder.splits):
        return None
    intensity, slot = dataset.intensity.copy(), slot_of(4)
    scored = np.concatenate(
        [dataset.folder.load(split, [GROUP]).data.table.column(GROUP).to_numpy() for split in dataset.folder.splits]
    )
    rows = np.nonzero(~np.isnan(scored) & ~np.isnan(intensity[:, slot]))[0]
    wrong = picked(rows, rng)
    intensity[wrong, slot] += np.where(intensity[wrong, slot] < 5, 1, -1)
    column = pl.Series("au_intensity", intensity, dtype=pl.Array(pl.Float32, intensity.shape[1]))
    other = changed(dataset, {"au_intensity": column})
    return of_one_kind(dataset, other, "AU4", wrong, len(rows))


def outside_the_tool(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """Another face's valence and arousal, for expressions whose region is known."""
    known = [
        (pl.col("database") == name) & pl.col("expression_name").is_in(list(DATABASES[name].tool_regions))
        for name in dataset.folder.manifest.databases
        if name in DATABASES and DATABASES[name].tool_regions
    ]
    rows = where(dataset, pl.any_horizontal(known) & pl.col("va_mask")) if known else np.empty(0, np.int64)
    wrong = picked(rows, rng)
    return of_one_kind(dataset, changed(dataset, others_places(dataset, wrong, rng)), "place", wrong, len(rows))


def turned_valence(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """The sign of valence, for faces with AU6 and AU12, or with AU4 and AU9 or AU10 and no AU12."""
    shown = {number: dataset.occurrence[:, slot_of(number)] == 1 for number in (4, 6, 9, 10, 12)}
    either = (shown[6] & shown[12]) | (shown[4] & (shown[9] | shown[10]) & ~shown[12])
    rows = np.nonzero(either & dataset.labels["va_mask"].to_numpy())[0]
    valence = dataset.labels["valence"].to_numpy().copy()
    wrong = picked(rows, rng)
    valence[wrong] *= -1
    return of_one_kind(dataset, changed(dataset, {"valence": valence}), "sign of valence", wrong, len(rows))


def outvoted(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """Another expression than the annotators gave."""
    return flipped_expressions(pl.col("expression_votes").arr.first().is_not_nan())(dataset, rng)


# ---------------------------------------------------------------- frames


def spaced(rows: Rows, rng: np.random.Generator) -> Rows:
    """A share of sorted frames, few of them near each other."""
    return picked(rows[::APART], rng, SHARE * APART) if len(rows) else rows


def leaps(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """Another face's valence and arousal in single frames of a track."""
    ordered = frames(dataset, "va_mask", "valence", "arousal").with_columns(
        (
            pl.col("next")
            & pl.col("next").shift(-1)
            & pl.col("va_mask")
            & pl.col("va_mask").shift(1)
            & pl.col("va_mask").shift(-1)
        ).alias("inside")
    )
    rows = ordered.filter("inside")["row"].to_numpy().astype(np.int64)
    wrong = spaced(rows, rng)
    return of_one_kind(dataset, changed(dataset, others_places(dataset, wrong, rng)), "frames", wrong, len(rows))


def frozen(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """Valence and arousal stopped at their first frame's, in long tracks that are joined from the frames of a database and split."""
    ordered = frames(dataset, "va_mask", "valence", "arousal").filter("va_mask")
    spans = [
        part["row"].to_numpy()[start : start + LONGEST_RUN + 1]
        for part in ordered.partition_by("database", "split", maintain_order=True)
        for start in range(0, len(part) - LONGEST_RUN, LONGEST_RUN + 1)
    ]
    if not spans:
        return None
    names = ("track", "frame", "face", "valence", "arousal")
    columns = {name: dataset.labels[name].to_numpy().copy() for name in names}
    for number, rows in enumerate(spans):
        columns["track"][rows] = f"joined-{number}"
        columns["frame"][rows], columns["face"][rows] = np.arange(len(rows)), 0
    chosen = picked(np.arange(len(spans)), rng).tolist()
    for span in chosen:
        for name in ("valence", "arousal"):
            columns[name][spans[span]] = columns[name][spans[span][0]] or 0.1
    wrong = np.array([spans[span][0] for span in chosen])
    values = {name: pl.Series(name, found, dtype=dataset.labels.schema[name]) for name, found in columns.items()}
    return Planted(changed(dataset, values), {"joined tracks": target(dataset, wrong, len(spans))})


def flickers(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """Single frames whose label differs from equal neighbours': expressions and action units."""
    ordered = frames(dataset, "expression")
    if ordered.is_empty():
        return None
    rows, follows = ordered["row"].to_numpy().astype(np.int64), ordered["next"].to_numpy()
    units, targets = dataset.occurrence.copy(), {}

    def steady(label: np.ndarray) -> Rows:
        own = label[rows]
        inside = np.zeros(len(rows), bool)
        inside[1:-1] = follows[1:-1] & follows[2:] & (own[:-2] == own[1:-1]) & (own[2:] == own[1:-1]) & (own[1:-1] >= 0)
        return rows[inside]

    for number in UNITS:
        label = units[:, slot_of(number)]
        eligible = steady(label)
        wrong = spaced(eligible, rng)
        label[wrong] = 1 - label[wrong]
        if len(eligible):
            targets[f"AU{number}"] = target(dataset, wrong, len(eligible), label=f"AU{number}")
    eligible = steady(dataset.labels["expression"].to_numpy())
    wrong = spaced(eligible, rng)
    if len(eligible):
        targets["expression"] = target(dataset, wrong, len(eligible), label="expression")
    columns = {"expression": other_expressions(dataset, wrong, rng)}
    return Planted(changed(dataset, columns, units), targets) if targets else None


# ---------------------------------------------------------------- pictures


def shifted_boxes(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """Boxes moved over the left edge of their picture, by 0.15 to 0.6 of their width."""
    boxes = dataset.labels["face_box"].to_numpy().copy()
    rows = np.nonzero(~np.isnan(boxes[:, 0]))[0]
    wrong = picked(rows, rng)
    width = boxes[wrong, 2] - boxes[wrong, 0]
    boxes[wrong, 0] = -width * rng.uniform(0.15, 0.6, len(wrong)).astype(np.float32)
    boxes[wrong, 2] = boxes[wrong, 0] + width
    return of_one_kind(
        dataset, changed(dataset, {"face_box": _as_boxes(boxes)}), "outside", wrong, len(rows), defect="outside"
    )


def lost_boxes(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """Rows without their box, in databases of boxed faces."""
    boxes = dataset.labels["face_box"].to_numpy().copy()
    rows = np.nonzero(~np.isnan(boxes[:, 0]))[0]
    wrong = picked(rows, rng)
    boxes[wrong] = np.nan
    return of_one_kind(dataset, changed(dataset, {"face_box": _as_boxes(boxes)}), "no box", wrong, len(rows))


def _as_boxes(boxes: np.ndarray) -> pl.Series:
    return pl.Series(boxes, dtype=pl.Array(pl.Float32, 4))


DAMAGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "blank": lambda face: Image.new("RGB", face.size, face.resize((1, 1)).getpixel((0, 0))),
    "blurred": lambda face: face.filter(ImageFilter.GaussianBlur(max(face.size) / 16)),
    "tiny": lambda face: face.resize((20, 24)),
    "aspect": lambda face: face.resize((face.width * 5 // 2, face.height)),
}


def damaged(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """Blank, blurred (a Gaussian of a sixteenth of the longer side), tiny and stretched pictures, a twentieth of all in four equal parts."""
    chosen = picked(np.arange(len(dataset.pictures.first_row)), rng)
    kinds = np.array(list(DAMAGES))[np.arange(len(chosen)) % len(DAMAGES)]
    damages = dict(zip(chosen.tolist(), kinds.tolist(), strict=True))
    other = _measured_again(dataset, damages, lambda face, kind: DAMAGES[kind](face))
    return Planted(other, {kind: _of_pictures(dataset, chosen[kinds == kind], defect=kind) for kind in DAMAGES})


def greyed(dataset: Whole, rng: np.random.Generator) -> Planted | None:
    """Colour pictures in grey, still with three channels."""
    eligible = np.nonzero(dataset.pictures.measurements[:][:, 4] > 2)[0]
    if not len(eligible):
        return None
    chosen = picked(eligible, rng)
    other = _measured_again(
        dataset, dict.fromkeys(chosen.tolist(), "grey"), lambda face, _: face.convert("L").convert("RGB")
    )
    rows = int(np.isin(dataset.pictures.of_row, eligible).sum())
    return Planted(other, {"grey": replace(_of_pictures(dataset, chosen), eligible=rows)})


def _of_pictures(dataset: Whole, chosen: Rows, **evidence: str) -> Target:
    rows = np.nonzero(np.isin(dataset.pictures.of_row, chosen))[0]
    return target(dataset, rows, len(dataset.labels), **evidence)


def _measured_again(
    dataset: Whole, kinds: dict[int, str], damage: Callable[[Image.Image, str], Image.Image]
) -> AuditedDataset:
    pictures = dataset.pictures
    measurements = pictures.measurements[:]
    order = sorted(kinds, key=lambda picture: int(pictures.first_row[picture]))
    rows = pictures.first_row[order]
    boxes = dataset.labels["face_box"].to_numpy()[rows]
    for picture, data, box in zip(order, image_bytes(dataset, rows), boxes, strict=True):
        face = crop(decode(data), box)
        if face.size:
            worse = np.asarray(damage(Image.fromarray(face).convert("RGB"), kinds[picture]))
            measurements[picture, :6] = measure(worse, to_grey(worse))
    return changed(dataset, pictures=replace(pictures, measurements=measurements))


def image_bytes(dataset: Whole, rows: Rows) -> Iterator[bytes]:
    """The files of some rows, in ascending order."""
    first = 0
    for split in dataset.folder.splits:
        column = dataset.folder.load(split, [IMAGES]).data.table.column("image")
        for row in rows[(rows >= first) & (rows < first + len(column))].tolist():
            yield column[row - first].as_py()["bytes"]
        first += len(column)
