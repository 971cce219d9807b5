"""What a run keeps of what it reads."""

from pathlib import Path

from affect_train.recipe.recipe import Recipe, recipe_from
from affect_train.training.contents import folder_digest, portable


def recipe(**values: object) -> Recipe:
    made = {"dataset": "merged", "output": "run", "tasks": {"action_units": [1]}, "model": {"backbone": "owner/name"}}
    return recipe_from(made | values)


def test_absolute_paths_are_kept_by_their_last_name_and_others_as_they_are(tmp_path: Path) -> None:
    places = {"dataset": str(tmp_path / "merged"), "output": str(tmp_path / "run")}
    assert portable(recipe(**places, model={"backbone": str(tmp_path / "tiny")})) == recipe(model={"backbone": "tiny"})
    assert portable(recipe(dataset="../b/merged")) == recipe(dataset="../b/merged")
    source = {"columns": {"action_units": {1: "AU01"}}, "streaming": True}
    steps = {"batches": {"steps_per_epoch": 2, "sampler": "uniform"}}
    named = {"dataset": {"path": str(tmp_path / "faces"), **source}, **steps}
    assert str(tmp_path) not in portable(recipe(**named)).to_yaml()
    assert portable(recipe(**named)) == recipe(dataset={"path": "faces", **source}, **steps)


def test_a_folder_is_told_by_the_names_and_bytes_of_its_files(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"weights")
    (other / ".lock").touch()
    assert folder_digest(one) == folder_digest(other)
    (other / "model.safetensors").write_bytes(b"weightS")
    assert folder_digest(one) != folder_digest(other)
    (other / "model.safetensors").rename(other / "other.safetensors")
    (one / "model.safetensors").write_bytes(b"weightS")
    assert folder_digest(one) != folder_digest(other)
