"""Writes Aff-Wild's official layout with demo faces."""

from pathlib import Path
from typing import Final

from affect_data.demo.rated_videos import Form, write_rated_videos
from affect_data.demo.sampler import FaceSampler
from affect_data.demo.style import Style
from affect_data.demo.truth import DemoFiles

STYLE: Final = Style(rotation=6.0, turn=0.6, tint=(1.04, 1.0, 0.95), brightness_spread=0.15, noise=8.0)
"""What sets its pictures apart."""

FORM: Final = Form("annotations/train/{label}/{video}.txt", "{value}", "{number:05d}.jpg", first=1, first_video=105)


def write(root: Path, sampler: FaceSampler, faces: int) -> DemoFiles:
    """The files written under `root` and the truth of their faces. Lines are numbers alone, and frames begin with 1."""
    return write_rated_videos(root, sampler, faces, FORM)
