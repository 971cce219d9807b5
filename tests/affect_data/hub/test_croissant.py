"""``croissant.json`` as the reference validator reads it, and every number in it from a file."""

import json
from pathlib import Path

import pytest
from loopback_hub import LoopbackHub

from affect_data.databases.base import Tier
from affect_data.hub.publish import plan

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize("tier", [Tier.RECIPE, Tier.FULL])
def test_the_reference_validator_accepts_it(hub: LoopbackHub, built_faces: Path, tier: Tier) -> None:
    import mlcroissant

    staged = plan(built_faces, "anna/faces", tier).staged
    read = mlcroissant.Dataset(jsonld=staged.folder / "croissant.json").metadata
    assert sorted(read.ctx.issues.errors) == []
    # The same dataset gives the same document, so that it has no date.
    assert all("datePublished" in warning for warning in read.ctx.issues.warnings)
    assert read.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.1"
    assert [str(records.name) for records in read.record_sets] == [*staged.published.configs]
    assert "European Union" in read.data_use_cases[0]
    digests = {entry.id: entry.sha256 for entry in read.distribution if entry.id in staged.published.files}
    assert digests == {
        path: facts.sha256 for path, facts in staged.published.files.items() if not path.endswith(".parquet")
    }


def test_types_and_shapes_are_those_of_the_tables(hub: LoopbackHub, built_faces: Path) -> None:
    folder = plan(built_faces, "anna/faces", Tier.FULL).staged.folder
    (default, *_) = json.loads((folder / "croissant.json").read_text())["recordSet"]
    fields = {field["name"]: field for field in default["field"]}
    assert fields["image"]["dataType"] == "sc:ImageObject"
    assert fields["uid"]["dataType"] == "sc:Text"
    assert fields["expression"]["dataType"] == "cr:Int64"
    assert fields["va_mask"]["dataType"] == "sc:Boolean"
    assert (fields["face_box"]["dataType"], fields["face_box"]["arrayShape"]) == ("sc:Float", "4")
