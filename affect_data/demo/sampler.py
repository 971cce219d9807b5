"""The demo world: who is photographed, what the face shows, and how annotators would label it.

An expression is drawn first, then its action units from the published relation table, then valence and arousal from the expression's place in the
circumplex. So every task says something about the others, with noise.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from affect_data.demo.faces import View, draw_face
from affect_data.demo.identity import Identity, draw_identity
from affect_data.demo.style import Style, draw_view, drift_view, smooth_noise
from affect_data.vocabulary import (
    COMPOUND_EXPRESSION_ACTION_UNITS,
    COMPOUND_EXPRESSION_PARTS,
    EXPRESSION_ACTION_UNITS,
)

__all__ = [
    "CIRCUMPLEX",
    "DEMO_ACTION_UNITS",
    "DEMO_COMPOUND_EXPRESSIONS",
    "DEMO_EXPRESSIONS",
    "FREQUENCIES",
    "PRESENT_ABOVE",
    "DemoFace",
    "FaceSampler",
    "Style",
    "relation",
]

DEMO_ACTION_UNITS: Final[tuple[int, ...]] = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25, 26)
DEMO_EXPRESSIONS: Final = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "contempt")
DEMO_COMPOUND_EXPRESSIONS: Final = tuple(
    name for name in COMPOUND_EXPRESSION_PARTS if name in COMPOUND_EXPRESSION_ACTION_UNITS
)
"""Compound expressions of two basic ones whose action units are published."""

PRESENT_ABOVE: Final = 0.15
"""The strength above which an action unit counts as present."""

FREQUENCIES: Final[Mapping[str, float]] = MappingProxyType(
    {
        "neutral": 0.30,
        "happiness": 0.20,
        "sadness": 0.13,
        "surprise": 0.11,
        "anger": 0.10,
        "fear": 0.07,
        "disgust": 0.05,
        "contempt": 0.04,
    }
)
"""How often a photograph shows each expression."""

CIRCUMPLEX: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "neutral": (0.0, 0.0),
        "anger": (-0.60, 0.70),
        "disgust": (-0.75, 0.30),
        "fear": (-0.70, 0.85),
        "happiness": (0.95, 0.45),
        "sadness": (-0.85, -0.50),
        "surprise": (0.25, 0.95),
        "contempt": (-0.50, 0.10),
    }
)
"""Valence and arousal of an expression at full strength."""

# Du et al. (2014) have no contempt; FACS codes it as 12 and 14 on one side of the face.
_CONTEMPT: Final[Mapping[int, float]] = MappingProxyType({12: 1.0, 14: 1.0})
_CONFUSED_WITH: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "neutral": ("sadness", "contempt"),
        "anger": ("disgust", "contempt"),
        "disgust": ("anger", "contempt"),
        "fear": ("surprise", "sadness"),
        "happiness": ("surprise", "contempt"),
        "sadness": ("neutral", "disgust"),
        "surprise": ("fear", "happiness"),
        "contempt": ("neutral", "happiness"),
    }
)
# Lips cannot be pressed and apart at once.
_OPPOSED: Final = ((24, frozenset({25, 26})), (23, frozenset({26})))
_STRAY_SHARE: Final = 0.04
_TRACE_SHARE: Final = 0.04
_INTENSITY_LIMITS: Final = (0.05, PRESENT_ABOVE, 0.40, 0.60, 0.80)
_VA_NOISE: Final = 0.08
_SHOWN_ABOVE: Final = 0.25


def relation(expression: str) -> Mapping[int, float]:
    """The demo's action units of a basic or compound expression with the share of faces that show each; empty for neutral."""
    if expression == "contempt":
        return _CONTEMPT
    related = COMPOUND_EXPRESSION_ACTION_UNITS.get(expression) or EXPRESSION_ACTION_UNITS.get(expression, {})
    return {number: weight for number, weight in related.items() if number in DEMO_ACTION_UNITS}


def expression_shares(imbalance: float) -> list[float]:
    """How often each of DEMO_EXPRESSIONS is shown: FREQUENCIES to a power, scaled to a sum of 1."""
    if imbalance == 1.0:
        return [FREQUENCIES[name] for name in DEMO_EXPRESSIONS]
    powers = [FREQUENCIES[name] ** imbalance for name in DEMO_EXPRESSIONS]
    return [power / sum(powers) for power in powers]


@dataclass(frozen=True, slots=True)
class DemoFace:
    """One picture of a face and the whole truth about it."""

    subject: str
    strengths: tuple[float, ...]  # one for each of DEMO_ACTION_UNITS, 0 to 1
    expression: str  # the label; differs from what the muscles show only where labels are noisy
    valence: float  # -1 to 1
    arousal: float  # -1 to 1
    identity: Identity = field(repr=False)
    view: View = field(repr=False)
    only_side: int = 0  # -1 or 1: action units 12 and 14 act on that side of the picture alone
    shown: str = ""  # the expression that the muscles show; of a compound one, the dominant part
    compound: str = ""  # the label of a compound expression, whose dominant part is then `expression`

    def strength(self, number: int) -> float:
        """How strongly an action unit acts, 0 to 1.

        Raises:
            ValueError: the demo has no such action unit.
        """
        if number not in DEMO_ACTION_UNITS:
            raise ValueError(f"the demo's faces have no action unit {number}; they have {DEMO_ACTION_UNITS}")
        return self.strengths[DEMO_ACTION_UNITS.index(number)]

    def action_unit(self, number: int) -> int:
        """1 if an action unit is present (its strength is above 0.15), otherwise 0."""
        return int(self.strength(number) > PRESENT_ABOVE)

    def intensity(self, number: int) -> int:
        """The FACS intensity of an action unit, 0 to 5 (A to E are 1 to 5).

        It is 0 up to a strength of 0.05, 1 (a trace) up to 0.15, then 2, 3, 4 and 5 up to 0.4, 0.6, 0.8 and 1. So DISFA's rule, present from an
        intensity of 2 on, gives exactly `action_unit`.
        """
        return bisect_left(_INTENSITY_LIMITS, self.strength(number))

    def votes(self, rng: np.random.Generator, annotators: int = 10) -> dict[str, int]:
        """How many annotators chose each of DEMO_EXPRESSIONS or "unknown".

        They agree less on a weak expression, and choose one part of a compound expression as often as the other.
        """
        names = (*DEMO_EXPRESSIONS, "unknown")
        clarity = 0.85 if self.expression == "neutral" else 0.4 + 0.55 * self._mean_strength()
        shares = dict.fromkeys(names, 0.15 * (1 - clarity) / len(names))
        parts = COMPOUND_EXPRESSION_PARTS.get(self.compound, (self.expression,))
        for part in parts:
            shares[part] += clarity / len(parts)
        for name in _CONFUSED_WITH[self.expression]:
            shares[name] += 0.25 * (1 - clarity)
        shares["neutral"] += 0.25 * (1 - clarity)
        shares["unknown"] += 0.10 * (1 - clarity)
        counts = rng.multinomial(annotators, np.array([shares[name] for name in names]))
        return {name: int(count) for name, count in zip(names, counts, strict=True)}

    def draw(self, size: int = 64, *, colour: bool = True) -> Image.Image:
        """The picture, `size` pixels square: mode RGB, or L where `colour` is false; always the same bytes."""
        strengths = dict(zip(DEMO_ACTION_UNITS, self.strengths, strict=True))
        return draw_face(self.identity, strengths, self.view, size, colour=colour, only_side=self.only_side)

    def _mean_strength(self) -> float:
        return _mean_strength(self.strengths, self.compound or self.expression)


class FaceSampler:
    """Draws faces. The same seed and the same calls in the same order give the same faces."""

    def __init__(self, seed: int, style: Style | None = None, label_noise: float = 0.0, imbalance: float = 1.0) -> None:
        """Opens a world.

        Args:
            seed: Of everything that is drawn, and of what each named subject looks like.
            style: What the photographs of this database have in common.
            label_noise: Share of photographs and of a video's episodes whose expression label is another one's;
                action units, valence and arousal still follow what the face shows.
            imbalance: Power of FREQUENCIES: 0 shows every expression equally often, 1 as often as they say.
        """
        self._seed = seed
        self._rng = np.random.default_rng(seed)
        self._style = style or Style()
        self._label_noise = label_noise
        self._shares = expression_shares(imbalance)
        self._identities: dict[str, Identity] = {}
        self._named: dict[str, int] = {}

    def subjects(self, count: int, prefix: str = "person") -> list[str]:
        """The names of `count` new people: "person0000", "person0001" and so on; no name is given twice."""
        first = self._named.get(prefix, 0)
        self._named[prefix] = first + count
        return [f"{prefix}{number:04d}" for number in range(first, first + count)]

    def photograph(
        self, subject: str | None = None, expression: str | None = None, compound: str | None = None
    ) -> DemoFace:
        """One face in one photograph: of a new person unless named, with an expression by FREQUENCIES unless given.

        Args:
            subject: Who is photographed.
            expression: One of DEMO_EXPRESSIONS.
            compound: One of DEMO_COMPOUND_EXPRESSIONS, instead of a basic expression. The face's `expression` is then the dominant part, whose own
                action units act more, weighted by the relation table. Valence and arousal are around the middle between both parts.

        Raises:
            ValueError: a basic and a compound expression are both given, or the demo draws no such compound.
        """
        if compound is not None:
            _refuse_compound(compound, expression)
        shown = compound or expression or self._draw_expression()
        strengths = self._draw_strengths(shown)
        return self._face(
            subject or self.subjects(1)[0],
            strengths,
            shown=shown,
            label=self._annotate(shown),
            view=draw_view(self._style, self._rng),
            only_side=self._draw_side(shown),
            va_noise=self._rng.normal(0.0, _VA_NOISE, 2),
        )

    def video(self, frames: int, subject: str | None = None) -> list[DemoFace]:
        """The frames of a video of one person: expressions rise, hold and decay; pose and light drift slowly.

        A frame is labelled with its expression while that has more than a quarter of its full strength, and as neutral before and after.
        """
        subject = subject or self.subjects(1)[0]
        poses = drift_view(draw_view(self._style, self._rng), frames, self._style, self._rng)
        wobble = smooth_noise(self._rng, frames, 2)
        faces: list[DemoFace] = []
        while len(faces) < frames:
            shown = self._draw_expression()
            label, side = self._annotate(shown), self._draw_side(shown)
            peak = self._draw_strengths(shown)
            for level in self._draw_envelope():
                if len(faces) == frames:
                    break
                strengths = tuple(round(strength * level, 6) for strength in peak)
                visible = level > _SHOWN_ABOVE
                face = self._face(
                    subject,
                    strengths,
                    shown=shown,
                    label=label if visible else "neutral",
                    visible=visible,
                    view=poses[len(faces)],
                    only_side=side,
                    va_noise=wobble[len(faces)] * _VA_NOISE,
                )
                faces.append(face)
        return faces

    def _face(
        self,
        subject: str,
        strengths: tuple[float, ...],
        *,
        shown: str,
        label: str,
        view: View,
        only_side: int,
        va_noise: NDArray[np.float64],
        visible: bool = True,
    ) -> DemoFace:
        parts = COMPOUND_EXPRESSION_PARTS.get(shown, (shown,))
        middle = np.mean([CIRCUMPLEX[part] for part in parts], axis=0)
        point = middle * _mean_strength(strengths, shown) + va_noise
        valence, arousal = (float(value) for value in np.round(np.clip(point, -1.0, 1.0), 4))
        compound = label if label in COMPOUND_EXPRESSION_PARTS else ""
        expression = _dominant_part(strengths, compound) if compound else label
        seen = (
            (_dominant_part(strengths, shown) if shown in COMPOUND_EXPRESSION_PARTS else shown)
            if visible
            else "neutral"
        )
        return DemoFace(
            subject,
            strengths,
            expression,
            valence,
            arousal,
            self._identity(subject),
            view,
            only_side,
            shown=seen,
            compound=compound,
        )

    def _identity(self, subject: str) -> Identity:
        if subject not in self._identities:
            digest = hashlib.sha256(f"{self._seed}/{subject}".encode()).digest()
            self._identities[subject] = draw_identity(np.random.default_rng(int.from_bytes(digest[:8])))
        return self._identities[subject]

    def _draw_expression(self) -> str:
        return DEMO_EXPRESSIONS[self._rng.choice(len(DEMO_EXPRESSIONS), p=self._shares)]

    def _draw_side(self, expression: str) -> int:
        return int(self._rng.choice((-1, 1))) if expression == "contempt" else 0

    def _annotate(self, expression: str) -> str:
        """The label that an annotator gives: wrong in `label_noise` of all cases."""
        if self._rng.random() >= self._label_noise:
            return expression
        names = DEMO_EXPRESSIONS if expression in DEMO_EXPRESSIONS else DEMO_COMPOUND_EXPRESSIONS
        return str(self._rng.choice([other for other in names if other != expression]))

    def _draw_strengths(self, expression: str) -> tuple[float, ...]:
        """Beta-distributed strengths of the expression's action units, with a few strays and traces besides."""
        rng = self._rng
        level = rng.beta(5, 2.2)
        strengths: dict[int, float] = {}
        for number, share in relation(expression).items():
            if rng.random() < share:
                strengths[number] = rng.beta(12 * level, 12 * (1 - level))
        for number in DEMO_ACTION_UNITS:
            chance = rng.random()
            if number in strengths or _is_opposed(number, strengths):
                continue
            if chance < _STRAY_SHARE:
                strengths[number] = rng.beta(3, 5)
            elif chance < _STRAY_SHARE + _TRACE_SHARE:
                strengths[number] = rng.uniform(0.0, PRESENT_ABOVE)
        return tuple(round(float(strengths.get(number, 0.0)), 6) for number in DEMO_ACTION_UNITS)

    def _draw_envelope(self) -> list[float]:
        """How far an episode has risen in each of its frames, 0 to 1: rest, onset, apex, offset."""
        rest, onset, apex, offset = (
            int(self._rng.integers(low, high)) for low, high in ((2, 9), (5, 11), (6, 21), (6, 15))
        )
        rise = [0.5 - 0.5 * math.cos(math.pi * (step + 1) / (onset + 1)) for step in range(onset)]
        fall = [0.5 + 0.5 * math.cos(math.pi * (step + 1) / (offset + 1)) for step in range(offset)]
        return [0.0] * rest + rise + [1.0] * apex + fall


def _mean_strength(strengths: tuple[float, ...], expression: str) -> float:
    """The mean strength of an expression's acting muscles; 0 if none acts."""
    related = relation(expression)
    acting = [s for number, s in zip(DEMO_ACTION_UNITS, strengths, strict=True) if number in related and s > 0]
    return sum(acting) / len(acting) if acting else 0.0


def _dominant_part(strengths: tuple[float, ...], compound: str) -> str:
    """The part of a compound expression whose action units act more: the mean strength, weighted by their shares."""
    by_number = dict(zip(DEMO_ACTION_UNITS, strengths, strict=True))

    def score(part: str) -> float:
        shares = relation(part)
        return sum(share * by_number[number] for number, share in shares.items()) / sum(shares.values())

    return max(COMPOUND_EXPRESSION_PARTS[compound], key=score)


def _refuse_compound(compound: str, expression: str | None) -> None:
    if expression is not None:
        raise ValueError(f"a face shows {expression!r} or {compound!r}, not both; name one of them")
    if compound not in DEMO_COMPOUND_EXPRESSIONS:
        known = ", ".join(DEMO_COMPOUND_EXPRESSIONS)
        raise ValueError(f"the demo draws no compound expression {compound!r}; it draws {known}")


def _is_opposed(number: int, strengths: Mapping[int, float]) -> bool:
    """Whether an action unit cannot act beside those that already do."""
    return any(
        (number == unit and others & strengths.keys()) or (number in others and unit in strengths)
        for unit, others in _OPPOSED
    )
