"""The pose of a head from five points."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affect_data.faces.pose import HEAD, Pose, pose_of, rotation_of


def seen(rotation: np.ndarray, scale: float = 2.0) -> np.ndarray:
    """The five points of a turned head, from far away."""
    return (HEAD @ rotation.T)[:, :2] * scale + (300, 200)


def about(axis: int, degrees: float) -> np.ndarray:
    """A rotation by the textbook: from the first other axis towards the second."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    first, second = [other for other in range(3) if other != axis]
    found = np.eye(3)
    found[first, first] = found[second, second] = cosine
    found[second, first], found[first, second] = sine, -sine
    return found


@given(st.floats(-170, 170), st.floats(-80, 80), st.floats(-80, 80), st.floats(0.1, 50))
def test_the_angles_of_a_turned_head_come_back(roll: float, yaw: float, pitch: float, scale: float) -> None:
    found = pose_of(seen(rotation_of(Pose(roll, yaw, pitch)), scale))
    assert np.allclose((found.roll, found.yaw, found.pitch), (roll, yaw, pitch), atol=1e-4)


def test_each_angle_is_a_turn_about_one_axis() -> None:
    assert np.allclose(rotation_of(Pose(30, 0, 0)), about(2, 30))
    assert np.allclose(rotation_of(Pose(0, 30, 0)), about(1, -30))  # from depth towards the right
    assert np.allclose(rotation_of(Pose(0, 0, 30)), about(0, 30))


def test_signs_are_as_a_person_sees_them() -> None:
    straight = seen(np.eye(3))
    left_eye, right_eye, _ = seen(rotation_of(Pose(20, 0, 0)))[:3]
    assert right_eye[1] > left_eye[1]  # the eye on the right is lower
    nose = seen(rotation_of(Pose(0, 20, 0)))[2]
    assert nose[0] > straight[2][0]  # the nose points to the right
    nose = seen(rotation_of(Pose(0, 0, 20)))[2]
    assert nose[1] < straight[2][1]  # and upwards


def test_the_common_template_of_face_recognition_looks_at_the_viewer() -> None:
    template = [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
    found = pose_of(np.array(template))
    assert max(map(abs, (found.roll, found.yaw, found.pitch))) < 0.5


@pytest.mark.parametrize(
    "points",
    [None, np.full((5, 2), np.nan), np.ones((5, 2)), np.c_[np.arange(5.0), np.arange(5.0)]],
    ids=["none", "not finite", "all in one place", "on a line"],
)
def test_points_that_show_no_head_have_no_pose(points: np.ndarray | None) -> None:
    found = pose_of(points)
    assert all(map(math.isnan, (found.roll, found.yaw, found.pitch)))
