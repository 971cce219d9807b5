"""How a head is turned, from the five points of its face."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

HEAD: Final = np.array(
    [(-31.5, 0.0, 0.0), (31.5, 0.0, 0.0), (0.0, 36.0, 22.0), (-26.0, 72.7, -3.0), (26.0, 72.7, -3.0)], np.float64
)
"""The five points of a head that looks at the viewer, in millimetres: x to the right of the picture, y down, z towards the viewer.

The pupils of adults are 63 mm apart (Dodgson, Variation and extrema of human interpupillary distance, 2004). Across and
down, the points are those of the common 112 x 112 template of face recognition (InsightFace) in that scale. The depths are
a choice: a nose whose tip is 22 mm before the eyes, and corners of the mouth that are 25 mm behind it.
"""

LEAST_SIZE: Final = 1e-3
"""Points within so many pixels of each other say nothing of a head."""


@dataclass(frozen=True)
class Pose:
    """How a head is turned, in degrees; all 0 looks at the viewer, all NaN is unknown.

    Attributes:
        roll: in (-180, 180]; positive is clockwise in the picture: the eye on the picture's right is the lower one.
        yaw: in [-180, 180]; positive is turned to the right of the picture.
        pitch: in [-90, 90]; positive is turned upwards.
    """

    roll: float
    yaw: float
    pitch: float


UNKNOWN: Final = Pose(float("nan"), float("nan"), float("nan"))


def pose_of(points: NDArray[np.floating] | None) -> Pose:
    """The pose of a face, from scaled orthographic projection: the head of `HEAD` is turned so that it shows the points best.

    The linear map of `HEAD` to the points is found by least squares. Its two rows, made orthogonal and equally long, are the
    first two axes of a rotation; the third is their cross product. The rotation is taken as roll about the line of sight
    after pitch after yaw. A head unlike the generic one gives a pitch that is off by some degrees, the same in all of its
    pictures.

    Args:
        points: float [5, 2], in the order of `detection.POINTS`; None if there are none.

    Source: DeMenthon & Davis, Model-based object pose in 25 lines of code, IJCV 15 (1995), its first step.
    """
    if points is None or not np.isfinite(points).all():
        return UNKNOWN
    seen = np.asarray(points, np.float64)
    seen = seen - seen.mean(axis=0)
    if np.linalg.norm(seen, axis=1).max() < LEAST_SIZE:
        return UNKNOWN
    shown = np.linalg.lstsq(HEAD - HEAD.mean(axis=0), seen, rcond=None)[0].T
    left, lengths, right = np.linalg.svd(shown, full_matrices=False)
    if lengths[1] <= 1e-6 * lengths[0]:
        return UNKNOWN
    across, down = left @ right
    return _angles(np.stack([across, down, np.cross(across, down)]))


def rotation_of(pose: Pose) -> NDArray[np.float64]:
    """The rotation of a head from looking at the viewer into a pose, float64 [3, 3]; the axes are those of `HEAD`."""
    roll, yaw, pitch = np.radians([pose.roll, pose.yaw, pose.pitch])
    turned = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    raised = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    rolled = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(rolled @ raised @ turned)


def _angles(rotation: NDArray[np.float64]) -> Pose:
    """The pose whose rotation this is; see `rotation_of`, whose third row is (-cos pitch sin yaw, sin pitch, cos pitch cos yaw)."""
    pitch = np.arcsin(np.clip(rotation[2, 1], -1.0, 1.0))
    yaw = np.arctan2(-rotation[2, 0], rotation[2, 2])
    roll = np.arctan2(-rotation[0, 1], rotation[1, 1])
    return Pose(*(float(np.degrees(angle)) for angle in (roll, yaw, pitch)))
