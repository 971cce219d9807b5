"""Reads strings of FACS codes, such as ``1+L12C+25`` or ``(R6 or R12)``: which action units are present, where, how strongly, and what is left open.

The language is that of several databases::

    string     a code, or codes joined by +
    code       12, L12, 12L, 12B, A12B: letters of place before the number (or L or R after it), a letter of intensity after it; then perhaps ?
    place      L left, R right, T top, B bottom, A on both sides unevenly; small letters too
    intensity  A, B, C, D or E: 1 to 5
    or, /      alternatives, in brackets or not: L12 or L14, 10A/B (one number, two intensities), A/L12 (one number, two places)
    ?          alone: something that nobody could name
    AD19       an action descriptor
    ref(7B)    nobody has documented what this means: it leaves open whether AU7 is present
    words      remarks such as ``soft focus``; they say nothing of action units

A string of alternatives describes several faces. What holds for all of them is read; what holds for only some is left open, never chosen.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Final

LEVELS: Final = ("A", "B", "C", "D", "E")
MOST_READINGS: Final = 256
"""A string with more possible readings is not read."""
MOST_TOKENS: Final = 100
"""A longer string is not read."""

_TWO_LEVELS: Final = -1
"""Stands for the intensity of an action unit that one reading names twice, with different ones."""

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<ad>AD\d{1,2})(?!\w)"
    r"|(?P<code>(?P<before>[LRTBA]{0,2})(?P<number>\d{1,2})(?!\d)(?P<after>[LR]?)(?P<level>(?-i:[A-E]?))(?P<mark>\?*)(?!\w))"
    r"|(?P<ref>ref)(?=\s*\()"
    r"|(?P<either>or(?!\w)|/)"
    r"|(?P<word>(?!ref\b)[a-z]{3,})(?!\w)"
    r"|(?P<letters>[A-E]|[LRTBA]{1,2})(?!\w)"
    r"|(?P<sign>[+()?]))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Code:
    """One action unit as a string names it: its number, its letters of place in capitals and alphabetical, and its intensity, 0 if none is said."""

    unit: int
    letters: str = ""
    level: int = 0


Reading = frozenset[Code]


@dataclass(frozen=True)
class Coding:
    """What a string says.

    Attributes:
        present: the action units that are present for certain, with their letters of place; none where their place is left open.
        levels: the intensity of those for which it is said, 1 to 5.
        left_open: action units of which it is not certain whether they are present.
        open_places: present action units whose place is left open.
        open_levels: present action units whose intensity is left open.
        marked: action units with a question mark.
        is_complete: whether nothing else was seen; false where a ``?`` stands alone, or a remark instead of codes.
        descriptors: whether there are action descriptors.
        remarks: words that are no codes.
    """

    present: dict[int, str] = field(default_factory=dict)
    levels: dict[int, int] = field(default_factory=dict)
    left_open: frozenset[int] = frozenset()
    open_places: frozenset[int] = frozenset()
    open_levels: frozenset[int] = frozenset()
    marked: frozenset[int] = frozenset()
    is_complete: bool = True
    descriptors: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def units(self) -> frozenset[int]:
        """All action units that the string names."""
        return self.left_open | self.present.keys()


def read_codes(text: str) -> Coding | None:
    """What a string says of action units; None if it is not of the language."""
    tokens = _tokens(text)
    if not tokens:
        return None
    parser = _Parser(tokens)
    try:
        readings = parser.expression()
    except _NotOfTheLanguageError:
        return None
    if parser.rest:
        return None
    return _coding(readings, parser)


# ---------------------------------------------------------------- from text to readings


class _NotOfTheLanguageError(ValueError):
    """The string is none."""


def _tokens(text: str) -> list[re.Match[str]]:
    """The tokens of a string; none if a part of it is no token."""
    text, tokens, place = text.strip(), list[re.Match[str]](), 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or len(tokens) == MOST_TOKENS:
            return []
        tokens.append(match)
        place = match.end()
    return tokens


class _Parser:
    """Turns tokens into the faces that they may describe.

    Attributes:
        rest: the tokens that are not read yet.
        marked: action units with a question mark.
        is_complete: whether no ``?`` stands alone.
        descriptors: whether there are action descriptors.
        remarks: words.
    """

    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self.rest = tokens
        self.marked: set[int] = set()
        self.is_complete = True
        self.descriptors = False
        self.remarks: list[str] = []

    def expression(self) -> set[Reading]:
        """Terms joined by + and or. Without brackets, ``1+2 or 4`` has two meanings, and both are kept."""
        terms, joints = [self._term()], list[str]()
        while self._is("either") or self._sign() == "+":
            joints.append("or" if self._take()["either"] else "+")
            terms.append(self._term())
        tight = _all([_any(group) for group in _parted(terms, joints, "+")])
        loose = _any([_all(group) for group in _parted(terms, joints, "or")])
        return _bounded(tight | loose)

    def _term(self) -> set[Reading]:
        """A code, alternatives in brackets, or something that says nothing; remarks before and after it are noted."""
        if self._remarks() and (not self.rest or self._is("either") or self._sign() in ("+", ")")):
            return {frozenset()}
        readings = self._factor()
        self._remarks()
        return readings

    def _factor(self) -> set[Reading]:
        if not self.rest:
            raise _NotOfTheLanguageError
        if self._is("letters"):
            return self._letters_before()
        token = self._take()
        if token["code"]:
            return self._code(token)
        if token["ad"]:
            self.descriptors = True
            return {frozenset()}
        if token["ref"]:
            self._expect("(")
            return self._bracket() | {frozenset()}
        if token["sign"] == "(":
            return self._bracket()
        if token["sign"] == "?":
            self.is_complete = False
            return {frozenset()}
        raise _NotOfTheLanguageError

    def _bracket(self) -> set[Reading]:
        readings = self.expression()
        self._expect(")")
        return readings

    def _code(self, token: re.Match[str]) -> set[Reading]:
        """A code, and the other intensities that follow it: ``10A/B``."""
        codes = [_code_of(token, token["before"], token["level"])]
        while token["level"] and self._is_alternative_level():
            self._take()
            codes.append(_code_of(token, token["before"], self._take()["letters"]))
        self._mark(token)
        return {frozenset({code}) for code in codes}

    def _letters_before(self) -> set[Reading]:
        """Places that share a number: ``A/L12``."""
        letters = [self._take()["letters"]]
        while self._is("either"):
            self._take()
            if not self._is("letters"):
                break
            letters.append(self._take()["letters"])
        if not self._is("code") or not set("".join(letters).upper()) <= set("LRTBA"):
            raise _NotOfTheLanguageError
        token = self._take()
        self._mark(token)
        return {frozenset({_code_of(token, place, token["level"])}) for place in [*letters, token["before"]]}

    def _mark(self, token: re.Match[str]) -> None:
        if token["mark"]:
            self.marked.add(int(token["number"]))

    def _remarks(self) -> bool:
        noted = len(self.remarks)
        while self._is("word"):
            self.remarks.append(self._take()["word"])
        return len(self.remarks) > noted

    def _is_alternative_level(self) -> bool:
        follows = len(self.rest) > 1 and self.rest[0]["either"] == "/"
        return follows and self.rest[1]["letters"] in LEVELS

    def _is(self, kind: str) -> bool:
        return bool(self.rest) and bool(self.rest[0][kind])

    def _sign(self) -> str:
        return (self.rest[0]["sign"] or "") if self.rest else ""

    def _take(self) -> re.Match[str]:
        token, self.rest = self.rest[0], self.rest[1:]
        return token

    def _expect(self, sign: str) -> None:
        if not self.rest or self._take()["sign"] != sign:
            raise _NotOfTheLanguageError


def _code_of(token: re.Match[str], before: str, level: str) -> Code:
    letters = "".join(sorted({*before.upper(), *token["after"].upper()}))
    return Code(int(token["number"]), letters, LEVELS.index(level) + 1 if level else 0)


def _parted(terms: list[set[Reading]], joints: list[str], at: str) -> Iterator[list[set[Reading]]]:
    """The terms, parted at the joints of one kind."""
    group = [terms[0]]
    for joint, term in zip(joints, terms[1:], strict=True):
        if joint == at:
            yield group
            group = []
        group.append(term)
    yield group


def _all(terms: Iterable[set[Reading]]) -> set[Reading]:
    """Readings of all terms at once."""
    readings: set[Reading] = {frozenset()}
    for term in terms:
        readings = _bounded({one | other for one, other in product(readings, term)})
    return readings


def _any(terms: Iterable[set[Reading]]) -> set[Reading]:
    """Readings of one of the terms."""
    return {reading for term in terms for reading in term}


def _bounded(readings: set[Reading]) -> set[Reading]:
    if len(readings) > MOST_READINGS:
        raise _NotOfTheLanguageError
    return readings


# ---------------------------------------------------------------- from readings to what holds in all of them


def _coding(readings: set[Reading], parser: _Parser) -> Coding:
    """What holds in all readings, and what is left open."""
    faces = [_units_of(reading) for reading in readings]
    named = {unit for face in faces for unit in face}
    present = {unit for unit in named if all(unit in face for face in faces)}
    places = {unit: {face[unit].letters for face in faces} for unit in present}
    levels = {unit: {face[unit].level for face in faces} for unit in present}
    return Coding(
        present={unit: min(found) if len(found) == 1 else "" for unit, found in places.items()},
        levels={unit: min(found) for unit, found in levels.items() if len(found) == 1 and min(found) > 0},
        left_open=frozenset(named - present),
        open_places=frozenset(unit for unit, found in places.items() if len(found) > 1),
        open_levels=frozenset(unit for unit, found in levels.items() if len(found) > 1 or min(found) == _TWO_LEVELS),
        marked=frozenset(parser.marked),
        is_complete=parser.is_complete and bool(named or parser.descriptors),
        descriptors=parser.descriptors,
        remarks=tuple(parser.remarks),
    )


def _units_of(reading: Reading) -> dict[int, Code]:
    """One code for each action unit of a reading: the letters of all together, none if one has none; `_TWO_LEVELS` where intensities differ."""
    together: dict[int, list[Code]] = {}
    for code in reading:
        together.setdefault(code.unit, []).append(code)
    return {unit: _merged(unit, codes) for unit, codes in together.items()}


def _merged(unit: int, codes: list[Code]) -> Code:
    levels = {code.level for code in codes if code.level}
    letters = "" if any(not code.letters for code in codes) else "".join(sorted({*"".join(c.letters for c in codes)}))
    return Code(unit, letters, min(levels, default=0) if len(levels) < 2 else _TWO_LEVELS)
