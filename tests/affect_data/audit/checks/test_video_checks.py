"""Checks over the frames of a track."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from affect_data.audit.checks.temporal import ConstantRuns, Flicker, Jumps

Find = Callable[..., pl.DataFrame]


def smooth_track(frames: int, track: str, seed: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    phase, pace = rng.uniform(0, 6, 2), rng.uniform(0.01, 0.03, 2)
    return [
        {"uid": f"{track}/{t}", "track": track, "frame": t, "va": tuple(0.6 * np.sin(phase + pace * t))}
        for t in range(frames)
    ]


def test_a_leap_and_its_return_count_once_and_smooth_tracks_never(find: Find) -> None:
    first, second = smooth_track(200, "a", 0), smooth_track(200, "b", 1)
    first[50]["va"] = (1.0, first[50]["va"][1])  # type: ignore[index]
    for frame in range(120, 200):
        second[frame]["va"] = (second[frame]["va"][0], -0.9)  # type: ignore[index]
    found = find(Jumps, {"train": first + second}).sort("uid")
    assert list(zip(found["uid"], [e["dimension"] for e in found["evidence"]], strict=True)) == [
        ("a/50", "valence"),
        ("b/120", "arousal"),
    ]
    assert (found["score"] > 0).all()


def test_a_gap_between_frames_is_no_leap(find: Find) -> None:
    rows = [{"track": "a", "frame": t, "va": (0.0, 0.0)} for t in range(5)]
    rows += [{"track": "a", "frame": t, "va": (0.9, 0.9)} for t in range(7, 12)]
    rows += [{"track": "b", "frame": 12, "va": (-0.9, 0.0)}]
    assert find(Jumps, {"train": rows}).is_empty()


def test_a_run_of_one_value_is_found_on_its_first_frame(find: Find) -> None:
    rows = smooth_track(700, "a", 2)
    for frame in range(100, 500):
        rows[frame]["va"] = (0.25, -0.5)
    still = [{"uid": f"b/{t}", "track": "b", "frame": t, "va": (0.0, 0.0)} for t in range(400)]
    found = find(ConstantRuns, {"train": rows + still})
    assert found["uid"].to_list() == ["a/100"]
    assert found["evidence"][0]["frames"] == 400
    assert found["evidence"][0]["last_frame"] == 499
    assert found["score"].item() == pytest.approx(1 - 300 / 400)


def test_short_runs_between_the_same_label_are_flicker(find: Find) -> None:
    def track(name: str, labels: str, start: int = 0) -> list[dict[str, object]]:
        named = {"h": "happiness", "s": "sadness", "n": "neutral", "-": None}
        return [
            {"uid": f"{name}/{start + t}", "track": name, "frame": start + t, "expression": named[label]}
            for t, label in enumerate(labels)
        ]

    rows = track("one", "hhhhshhhh") + track("two", "hhhsshhh") + track("three", "hhhssshhh")
    rows += (
        track("change", "hhhsnnn") + track("unknown", "hhh-hhh") + track("gap", "hhhs") + track("gap", "hhh", start=9)
    )
    found = find(Flicker, {"train": rows}).sort("uid")
    assert found["uid"].to_list() == ["one/4", "two/3", "two/4"]
    assert found["score"].to_list() == pytest.approx([0.9, 0.65, 0.65])


def test_an_action_unit_that_differs_for_one_frame_flickers_but_a_blink_does_not(find: Find) -> None:
    shown = [0, 0, 1, 0, 0, 1, 1, 0, 0]
    rows = [{"uid": f"a/{t}", "track": "a", "frame": t, "au": {12: on, 45: on}} for t, on in enumerate(shown)]
    found = find(Flicker, {"train": rows})
    assert [(u, e["label"]) for u, e in zip(found["uid"], found["evidence"], strict=True)] == [("a/2", "AU12")]
