"""A dataset through the Hub's own command: downloaded, used, and uploaded again by somebody who has no affectkit."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import Features, load_dataset
from loopback_hub import LoopbackHub
from published_faces import add_teacher

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.databases.base import Tier
from affect_data.dataset.folder import open_dataset
from affect_data.hub.publish import plan, publish
from affect_data.hub.rebuild import published_recipe, rebuild
from affect_data.hub.repository import open_repository
from affect_data.hub.verify import verify

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

Hf = Callable[..., str]


def test_features_agree_after_each_publishing_with_more_columns_and_one_more_database_sends_only_its_tables(
    hub: LoopbackHub, hf: Hf, faces: Path, faces_root: Path, demo_roots: dict[str, Path], tmp_path: Path
) -> None:
    publish(plan(faces, "anna/faces", Tier.FULL))
    add_teacher(faces, "second")
    publish(plan(faces, "anna/faces", Tier.FULL))
    roots = {"expw": faces_root, "disfa": demo_roots["disfa"]}
    recipe = recipe_from({"databases": {"expw": {"holdout": 0.3}, "disfa": {}}, "shard_rows": 8}, "two")
    build(recipe, roots, faces, overwrite=True)
    add_teacher(faces, "fourth")
    planned = plan(faces, "anna/faces", Tier.FULL)
    sent = [path for path in planned.upload if path.startswith("data/")]
    assert sent
    assert all("/disfa-" in path for path in sent)
    before = hub.uploaded.total()
    publish(planned)
    assert hub.uploaded.total() - before == planned.bytes
    folder = tmp_path / "downloaded"
    hf("download", "anna/faces", "--repo-type", "dataset", "--local-dir", folder)
    source = open_dataset(faces)
    for config in (None, "soft-fourth"):
        loaded = load_dataset(str(folder), config, split="train", cache_dir=str(tmp_path / "cache"))
        table = next((folder / (config or "data") / "train").glob("*.parquet"))
        assert loaded.features == Features.from_arrow_schema(pq.read_schema(table))
        assert loaded["uid"][:] == source.labels("train", ("uid",))["uid"].to_list()


def test_a_dataset_is_downloaded_loaded_rebuilt_and_uploaded_again(
    hub: LoopbackHub, hf: Hf, built_faces: Path, faces_root: Path, tmp_path: Path
) -> None:
    publish(plan(built_faces, "anna/faces", Tier.FULL))
    folder = tmp_path / "downloaded"
    hf("download", "anna/faces", "--repo-type", "dataset", "--local-dir", folder)
    assert list(verify(str(folder), deep=True).findings) == []
    loaded = load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    source = open_dataset(built_faces)
    assert loaded["uid"][:] == source.labels("train", ("uid",))["uid"].to_list()
    opened = open_repository(str(folder))
    report = rebuild(opened, published_recipe(opened), {"expw": faces_root}, tmp_path / "again")
    assert (report.differences, report.attached) == ((), ("soft.teacher", "folds.cv"))
    hf("upload", "anna/copy", folder, ".", "--repo-type", "dataset", "--private", "--exclude", ".cache/*")
    assert hub.repositories["dataset", "anna/copy"].private
    assert list(verify("hf://anna/copy", deep=True).findings) == []
