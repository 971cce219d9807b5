"""Publishing a run: what goes up, who may see it, and what is refused."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from loopback_hub import Fault, File, LoopbackHub
from safetensors.torch import load_file, save_file

from affect_data.errors import DataError, UnknownNameError, UsageError
from affect_data.hub.client import HubError
from affect_data.hub.history import OtherReferencesError
from affect_data.hub.leaks import LeaksFoundError
from affect_data.hub.publish import RepositoryTakenError
from affect_train.errors import NotAModelError
from affect_train.hub.publish import planned, publish
from affect_train.network.model import load_model

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

Put = Callable[..., str]

FILES = [
    "README.md", "affectkit.json", "config.json", "evaluation.json", "model.onnx", "model.safetensors", "preprocessor_config.json",
    "recipe.yaml", "teacher.yaml",
]  # fmt: skip


def files(hub: LoopbackHub) -> dict[str, File]:
    return hub.repositories["model", "anna/teacher"].files


def test_a_model_goes_up_privately_as_safetensors_and_onnx_with_what_explains_it(
    hub: LoopbackHub, trained: Path, put: Put
) -> None:
    put(trained)
    assert hub.repositories["model", "anna/teacher"].private
    assert sorted(files(hub)) == [".gitattributes", *FILES]
    assert not list(trained.parent.glob(".*"))
    assert files(hub)["model.safetensors"].data == (trained / "model/model.safetensors").read_bytes()
    processor = json.loads(files(hub)["preprocessor_config.json"].data)
    assert processor["image_processor_type"] == "AffectImageProcessor"
    assert "auto_map" not in processor
    said = json.loads(files(hub)["affectkit.json"].data)
    assert sorted(said["files"]) == [name for name in FILES if name not in ("README.md", "affectkit.json")]
    assert said["weights"] == json.loads((trained / "evaluation.json").read_text())["weights"]


def test_publishing_again_sends_only_what_is_new(hub: LoopbackHub, run: Path, put: Put, dataset: Path) -> None:
    first = put(run)
    assert put(run) == first
    (run / "evaluation.json").unlink()
    with planned(run, "anna/teacher", dataset=dataset) as plan:
        assert sorted(plan.upload) == ["README.md", "affectkit.json"]
        assert plan.delete == ("evaluation.json",)
        assert plan.unchanged == 6
    put(run)
    assert "evaluation.json" not in files(hub)
    assert "there is none; evaluate the run again" in files(hub)["README.md"].data.decode()


def test_an_evaluation_of_other_weights_or_thresholds_is_left_out(run: Path, dataset: Path, hub: LoopbackHub) -> None:
    config = json.loads((run / "model/config.json").read_text())
    (run / "model/config.json").write_text(json.dumps({**config, "thresholds": [0.5, 0.5]}))
    with planned(run, "anna/teacher", dataset=dataset) as plan:
        assert plan.staged.published.left_out["evaluation.json"].startswith("it is of other thresholds")
    weights = load_file(run / "model/model.safetensors")
    weights["norm.bias"] = torch.ones_like(weights["norm.bias"])
    save_file(weights, run / "model/model.safetensors", metadata={"format": "pt"})
    with planned(run, "anna/teacher", dataset=dataset) as plan:
        assert plan.staged.published.left_out["evaluation.json"].startswith("it is of other weights")


def test_weights_that_were_replaced_can_be_erased_from_the_hub(
    hub: LoopbackHub, run: Path, put: Put, dataset: Path
) -> None:
    put(run)
    old = files(hub)["model.safetensors"]
    weights = load_file(run / "model/model.safetensors")
    save_file({name: values + 1 for name, values in weights.items()}, run / "model/model.safetensors", {"format": "pt"})
    with planned(run, "anna/teacher", dataset=dataset, erases_history=True) as plan:
        assert plan.old is not None
        assert plan.old.commits == 2
        # The evaluation is left out, and no large file.
        assert plan.old.objects.keys() == {old.sha256, files(hub)["model.onnx"].sha256}
        commit = publish(plan)
    repository = hub.repositories["model", "anna/teacher"]
    assert [found for found, _, _ in repository.commits] == [commit]
    assert old.sha256 not in hub.objects
    assert repository.objects == {file.sha256 for file in repository.files.values() if file.large}


def test_a_tag_keeps_earlier_weights_and_is_named(hub: LoopbackHub, trained: Path, put: Put, dataset: Path) -> None:
    put(trained)
    hub.repositories["model", "anna/teacher"].tags.append("v1")
    with pytest.raises(OtherReferencesError, match="anna/teacher has the tag v1"):
        put(trained, erases_history=True)


def test_a_public_model_needs_a_word_for_each_licence(hub: LoopbackHub, trained: Path, put: Put) -> None:
    with pytest.raises(UsageError) as refused:
        put(trained, public=True, acknowledged=["expw"])
    assert "trained on 1 database(s) whose terms you have to judge:\n  affwild2: academic research only" in str(
        refused.value
    )
    assert str(refused.value).endswith("say so for each: `--acknowledge affwild2`.")
    assert not hub.repositories
    with pytest.raises(UnknownNameError, match="unknown database of this model 'disfa'"):
        put(trained, acknowledged=["disfa"])
    put(trained, public=True, acknowledged=["expw", "affwild2"])
    assert not hub.repositories["model", "anna/teacher"].private


def test_what_is_no_finished_run_is_refused(hub: LoopbackHub, run: Path, put: Put, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is no run folder: the card needs its recipe.yaml and contents.json"):
        put(run / "model")
    shutil.rmtree(run / "model")
    with pytest.raises(NotAModelError, match="the folder does not exist"):
        put(run)


def test_the_dataset_of_the_run_must_be_there_and_the_same(
    hub: LoopbackHub, trained: Path, put: Put, own_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "..")
    with pytest.raises(
        UsageError, match=r"the dataset 'merged' is not here, and the card names .* say where it is by --dataset"
    ):
        put(trained, dataset=None)
    with pytest.raises(DataError, match=r"the run was trained on [0-9a-f]{16}: name that dataset by --dataset"):
        put(trained, dataset=own_dataset)
    assert not hub.repositories


def test_a_path_of_this_machine_is_found_wherever_it_stands(hub: LoopbackHub, run: Path, put: Put) -> None:
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe.replace("output: run", "output: /home/anna/runs/secret"))
    with pytest.raises(LeaksFoundError, match=r"recipe.yaml: line 2: absolute path: /home/anna/runs/secret"):
        put(run)
    (run / "recipe.yaml").write_text(recipe)
    weights = (run / "model/model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", weights[:8])
    header = json.loads(weights[8 : 8 + length])
    header["__metadata__"] = {**header["__metadata__"], "from": "/home/anna/runs/secret"}
    text = json.dumps(header).encode()
    (run / "model/model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + weights[8 + length :])
    with pytest.raises(LeaksFoundError, match=r"model.safetensors: header __metadata__.from: absolute path"):
        put(run)
    assert not hub.repositories


def test_a_repository_of_something_else_and_a_public_one_are_refused(hub: LoopbackHub, trained: Path, put: Put) -> None:
    put(trained)
    repository = hub.repositories["model", "anna/teacher"]
    own = repository.files["affectkit.json"].data
    repository.private = False
    with pytest.raises(RepositoryTakenError, match="anna/teacher is public"):
        put(trained)
    repository.add("others", {"weights.bin": File(b"1", large=True)})
    with pytest.raises(RepositoryTakenError, match=r"anna/teacher holds something else \(weights.bin\)"):
        put(trained)
    repository.add("others", {"affectkit.json": File(b'{"format": "other"}', large=False)})
    with pytest.raises(DataError, match=r"affectkit.json is none of a model that this affectkit reads"):
        put(trained)
    newer = own.replace(b'"format_version": 1', b'"format_version": 2')
    assert newer != own
    repository.add("others", {"affectkit.json": File(newer, large=False)})
    with pytest.raises(DataError, match=r"affectkit.json is none of a model that this affectkit reads"):
        put(trained)


def test_tokens_that_may_not_write_are_refused_before_anything_is_sent(
    hub: LoopbackHub, trained: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    with pytest.raises(HubError, match="the token of 'anna' may only read"):
        put(trained)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match=r"there is no token|no valid token"):
        put(trained)
    with pytest.raises(UsageError, match="'teacher' is no name of a repository"):
        put(trained, "teacher")
    assert not hub.repositories


def test_somebody_elses_change_meanwhile_is_not_overwritten(
    hub: LoopbackHub, run: Path, put: Put, slept: list[float]
) -> None:
    put(run)
    (run / "evaluation.json").unlink()
    hub.faults.append(Fault("POST", "/commit/", status=412))
    with pytest.raises(HubError, match="somebody changed the repository meanwhile"):
        put(run)
    hub.faults.append(Fault("POST", "/commit/", status=503, times=20))
    with pytest.raises(HubError, match="the Hub failed with status 503"):
        put(run)
    hub.faults.clear()
    put(run)
    assert "evaluation.json" not in files(hub)


def test_the_model_that_was_published_is_the_one_that_was_trained(
    hub: LoopbackHub, trained: Path, put: Put, tmp_path: Path
) -> None:
    put(trained)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes(files(hub)[name].data)
    here, there = load_model(tmp_path).state_dict(), load_model(trained / "model").state_dict()
    assert all(torch.equal(values, there[name]) for name, values in here.items())
