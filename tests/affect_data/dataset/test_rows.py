"""One action unit of one row, in every form that a row has."""

import numpy as np
import pytest

import affect_data
from affect_data.build.build import BuildReport
from affect_data.dataset.rows import ActionUnit
from affect_data.errors import UnknownNameError
from affect_data.vocabulary import ACTION_UNITS


def test_a_row_gives_the_same_in_every_form(demo_report: BuildReport) -> None:
    dataset = demo_report.dataset
    frame = dataset.labels("train")
    loaded = affect_data.load_dataset(dataset.path, "train").remove_columns("image")
    as_arrays = loaded.with_format("numpy")
    units, intensities = frame["au"].to_numpy(), frame["au_intensity"].to_numpy()
    coded = 0
    for index in range(0, len(frame), 7):
        row, forms = loaded[index], (frame.row(index, named=True), as_arrays[index], frame[index].to_dicts()[0])
        for number in (1, 12, 25, 45):
            found = affect_data.action_unit(row, number)
            slot = ACTION_UNITS.index(number)
            occurrence, intensity = int(units[index, slot]), float(intensities[index, slot])
            assert found.occurrence == (None if occurrence < 0 else occurrence)
            assert found.intensity == (None if np.isnan(intensity) else intensity)
            assert [affect_data.action_unit(form, number) for form in forms] == [found] * 3
            coded += found.occurrence is not None
    assert coded > 20


def test_what_a_row_has_no_place_for_is_missing() -> None:
    assert affect_data.action_unit({}, 12) == ActionUnit(12)
    assert affect_data.action_unit({"au": {"AU1": 1}}, 12) == ActionUnit(12, None, None, None)
    row = {"au": {"AU12": 1}, "au_intensity": {"AU12": -1}, "au_side": {"AU12": 3}}
    assert affect_data.action_unit(row, 12) == ActionUnit(12, 1, None, "top")
    assert affect_data.action_unit({"au": {"AU12": np.int8(0)}, "au_side": {"AU12": 3}}, 12) == ActionUnit(12, 0)


def test_an_unknown_number_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown action unit 3; did you mean 2 or 4\? known: 1, 2, 4, 5, "):
        affect_data.action_unit({"au": {}}, 3)
    with pytest.raises(UnknownNameError, match=r"unknown action unit 122; did you mean 43 or 45\?"):
        affect_data.action_unit({"au": {}}, 122)
