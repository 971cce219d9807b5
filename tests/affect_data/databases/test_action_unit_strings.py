"""Strings of FACS codes: what is certain is read, what alternatives leave open is not chosen, and nothing else is taken for a code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.databases.action_unit_strings import MOST_TOKENS, Code, read_codes


@pytest.mark.parametrize(
    ("text", "present", "levels"),
    [
        # Strings of the real workbooks and lists.
        ("1+4+25", {1: "", 4: "", 25: ""}, {}),
        ("R12", {12: "R"}, {}),
        ("7B", {7: ""}, {7: 2}),
        ("43E", {43: ""}, {43: 5}),
        ("A12", {12: "A"}, {}),
        ("A12B", {12: "A"}, {12: 2}),
        ("T18+B22", {18: "T", 22: "B"}, {}),
        ("4+7+9+17+t23", {4: "", 7: "", 9: "", 17: "", 23: "T"}, {}),
        ("BL18+25", {18: "BL", 25: ""}, {}),
        ("L6+L9+L10+L12L+25", {6: "L", 9: "L", 10: "L", 12: "L", 25: ""}, {}),
        (" 1 + 2 ", {1: "", 2: ""}, {}),
        ("56+4", {56: "", 4: ""}, {}),
        # One action unit twice.
        ("L12+R12", {12: "LR"}, {}),
        ("L12+12", {12: ""}, {}),
        ("12B+12", {12: ""}, {12: 2}),
    ],
)
def test_codes_are_read_with_place_and_intensity(text: str, present: dict[int, str], levels: dict[int, int]) -> None:
    coding = read_codes(text)
    assert coding is not None
    assert (coding.present, coding.levels, coding.left_open, coding.is_complete) == (present, levels, frozenset(), True)


@pytest.mark.parametrize(
    ("text", "present", "left_open"),
    [
        ("L12 or L14", set(), {12, 14}),
        ("4+(R6 or R12)", {4}, {6, 12}),
        ("R14A or 17A or 24A", set(), {14, 17, 24}),
        ("4/5", set(), {4, 5}),
        ("4+ref(7B)", {4}, {7}),
        ("10A/B", {10}, set()),
        ("A/L12", {12}, set()),
        ("L12 or R12", {12}, set()),
        # 1 and either 2 or 4? Or 1 and 2, or else 4?
        ("1+2 or 4", set(), {1, 2, 4}),
        ("(1+2) or (1+4)", {1}, {2, 4}),
        ("12+(12 or 14)", {12}, {14}),
    ],
)
def test_only_what_all_alternatives_share_is_present(text: str, present: set[int], left_open: set[int]) -> None:
    coding = read_codes(text)
    assert coding is not None
    assert (set(coding.present), coding.left_open) == (present, left_open)


def test_alternatives_leave_an_intensity_or_a_place_open() -> None:
    level, place, twice = read_codes("10A/B"), read_codes("A/L12"), read_codes("12B+12C")
    assert level is not None
    assert (level.open_levels, level.levels, level.open_places) == ({10}, {}, frozenset())
    assert place is not None
    assert (place.open_places, place.present, place.open_levels) == ({12}, {12: ""}, frozenset())
    assert twice is not None
    assert (twice.open_levels, twice.levels) == ({12}, {})


@pytest.mark.parametrize(
    ("text", "is_complete", "marked", "descriptors", "remarks"),
    [
        ("?", False, set(), False, ()),
        ("4+?", False, set(), False, ()),
        ("4?", True, {4}, False, ()),
        ("9+AD19+24", True, set(), True, ()),
        ("AD19", True, set(), True, ()),
        ("soft focus", False, set(), False, ("soft", "focus")),
        ("12 soft focus", True, set(), False, ("soft", "focus")),
        ("soft focus + 4", True, set(), False, ("soft", "focus")),
    ],
)
def test_marks_descriptors_and_remarks_are_told_apart(
    text: str, is_complete: bool, marked: set[int], descriptors: bool, remarks: tuple[str, ...]
) -> None:
    coding = read_codes(text)
    assert coding is not None
    said = (coding.is_complete, coding.marked, coding.descriptors, coding.remarks)
    assert said == (is_complete, marked, descriptors, remarks)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "12+",
        "+12",
        "12 14",
        "X12",
        "123",
        "12 or",
        "(12",
        "12)",
        "ref 7B",
        "12F",
        "L",
        "A/B",
        "12,14",
        "45021.5",
        "F12/3",
    ],
)
def test_what_is_not_of_the_language_is_not_read(text: str) -> None:
    assert read_codes(text) is None


@pytest.mark.parametrize("text", ["(" * 5000, "12+" * MOST_TOKENS + "12", "+".join(["(1 or 2 or 3)"] * 40 + ["4"])])
def test_a_string_without_bounds_is_not_read(text: str) -> None:
    assert read_codes(text) is None or len(text) < 1000


CODES = st.builds(
    Code,
    st.integers(1, 65),
    st.sampled_from(["", "L", "R", "T", "B", "A", "BL"]),
    st.integers(0, 5),
)
SUMS = st.lists(CODES, min_size=1, max_size=6, unique_by=lambda code: code.unit)


def spelt(code: Code) -> str:
    return f"{code.letters}{code.unit}{' ABCDE'[code.level].strip()}"


@given(SUMS, st.randoms())
def test_every_sum_of_codes_is_read_in_any_order(codes: list[Code], rng: object) -> None:
    shuffled = codes.copy()
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    for text in ("+".join(map(spelt, codes)), " + ".join(map(spelt, shuffled))):
        coding = read_codes(text)
        assert coding is not None
        assert coding.present == {code.unit: code.letters for code in codes}
        assert coding.levels == {code.unit: code.level for code in codes if code.level}
        assert coding.left_open == coding.open_levels == coding.open_places == frozenset()


@given(SUMS, SUMS)
def test_alternatives_say_no_more_than_each_of_them(one: list[Code], other: list[Code]) -> None:
    sums = ["+".join(map(spelt, codes)) for codes in (one, other)]
    alone = [read_codes(text) for text in sums]
    together = read_codes(" or ".join(f"({text})" for text in sums))
    assert together is not None
    for coding in alone:
        assert coding is not None
        assert together.present.keys() <= coding.present.keys()
        assert together.levels.items() <= coding.levels.items()
        for unit, letters in together.present.items():
            assert unit in together.open_places or letters == coding.present[unit]
    assert together.units == {code.unit for code in (*one, *other)}


@given(st.text(st.sampled_from("0123456789LRTBADEor/+()?ef sfX"), max_size=30))
def test_no_text_is_an_error_and_nothing_is_both_present_and_open(text: str) -> None:
    coding = read_codes(text)
    if coding is not None:
        assert not coding.left_open & coding.present.keys()
        assert coding.levels.keys() | coding.open_levels | coding.open_places <= coding.present.keys()
        assert all(str(unit) in text for unit in coding.units)
