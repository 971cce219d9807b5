import numpy as np
import pytest
import torch

from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS
from affect_train.tasks import TaskSet, expression_set


def test_slots_point_at_the_named_action_units_of_the_dataset():
    tasks = TaskSet(action_units=(12, 1, 45))

    assert [ACTION_UNITS[slot] for slot in tasks.au_slots()] == [12, 1, 45]


def test_the_lookup_maps_dataset_classes_to_head_classes_by_name():
    lookup = TaskSet(expressions=("happiness", "neutral")).expression_lookup()

    happy, neutral, fear = (EXPRESSIONS.index(name) for name in ("happiness", "neutral", "fear"))
    assert lookup[torch.tensor([happy, neutral, fear, -1])].tolist() == [0, 1, -1, -1]


def test_bin_centres_lie_halfway_between_the_edges():
    edges = np.linspace(-1, 1, 21)

    centres = TaskSet(valence_arousal_bins=20).bin_centres().numpy()

    np.testing.assert_allclose(centres, (edges[1:] + edges[:-1]) / 2, atol=1e-6)


def test_every_centre_falls_into_its_own_bin_and_the_ends_into_the_first_and_last():
    tasks = TaskSet(valence_arousal_bins=20)

    assert tasks.bins(tasks.bin_centres()).tolist() == list(range(20))
    assert tasks.bins(torch.tensor([-1.0, 1.0, 0.0, -0.001])).tolist() == [0, 19, 10, 9]


def test_bins_agree_with_numpy_digitize():
    values = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)

    bins = TaskSet(valence_arousal_bins=7).bins(torch.from_numpy(values)).numpy()

    np.testing.assert_array_equal(bins, np.digitize(values, np.linspace(-1, 1, 8)) - 1)


def test_a_task_set_survives_plain_values():
    tasks = TaskSet((1, 2), ("neutral", "anger"), 20)

    assert TaskSet.from_dict(tasks.to_dict()) == tasks
    assert tasks.names == ("au", "expression", "va")
    assert TaskSet(action_units=(4,)).names == ("au",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action_units": (3,)}, "AU3 is no action unit"),
        ({"action_units": (1, 2, 1)}, "action unit 1 is named twice"),
        ({"expressions": ("Happy", "anger")}, "'Happy' is no expression"),
        ({"expressions": ("anger", "anger")}, "expression anger is named twice"),
        ({"expressions": ("anger",)}, "two classes at least"),
        ({"valence_arousal_bins": 1}, "two bins at least"),
        ({}, "there is no task"),
    ],
)
def test_impossible_task_sets_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TaskSet(**arguments)


def test_class_sets_come_by_name_or_from_a_list_in_any_spelling():
    assert expression_set("aff_wild2_8")[-1] == "other"
    assert expression_set(["Happy", "sad"]) == ("happiness", "sadness")
    with pytest.raises(ValueError, match="'aff_wild_8' is no expression set; known: aff_wild2_7"):
        expression_set("aff_wild_8")
