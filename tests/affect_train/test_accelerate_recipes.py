"""The configurations of Accelerate that the project offers, read and validated by Accelerate itself."""

import dataclasses
import os
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DeepSpeedPlugin, DistributedType, FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_multi_gpu_env, prepare_simple_launcher_cmd_env

FOLDER = Path(__file__).parents[2] / "recipes/accelerate"
KINDS = {
    "cpu": DistributedType.NO,
    "one_gpu": DistributedType.NO,
    "multi_gpu": DistributedType.MULTI_GPU,
    "fsdp": DistributedType.FSDP,
    "deepspeed": DistributedType.DEEPSPEED,
}


def launched(name: str):
    """What ``accelerate launch`` makes of a configuration."""
    arguments = ["--config_file", str(FOLDER / f"{name}.yaml"), "-m", "affect_train", "recipe.yaml"]
    return _validate_launch_command(launch_command_parser().parse_args(arguments))[0]


def test_every_way_of_launching_has_a_configuration() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_accelerate_reads_it_with_no_key_that_it_does_not_know(name: str) -> None:
    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert config.distributed_type == KINDS[name]
    assert config.use_cpu == (name == "cpu")
    assert config.num_processes == (1 if KINDS[name] == DistributedType.NO else 2)
    # the precision and the accumulation are the training recipe's
    assert config.mixed_precision == "no"


@pytest.mark.parametrize("name", KINDS)
def test_accelerate_launch_takes_it(name: str) -> None:
    arguments = launched(name)
    flags = {"multi_gpu": arguments.multi_gpu, "fsdp": arguments.use_fsdp, "deepspeed": arguments.use_deepspeed}
    assert {flag for flag, is_set in flags.items() if is_set} == ({name} & set(flags))
    assert arguments.use_cpu == (name == "cpu")


def test_the_environment_of_one_process_and_of_several_is_what_it_says() -> None:
    command, environment = prepare_simple_launcher_cmd_env(launched("cpu"))
    assert command[-3:] == ["-m", "affect_train", "recipe.yaml"]
    assert environment["ACCELERATE_USE_CPU"].lower() == "true"
    sharded = prepare_multi_gpu_env(launched("fsdp"))
    assert sharded["ACCELERATE_USE_FSDP"] == "true"
    assert sharded["FSDP_VERSION"] == "2"


def test_accelerate_builds_the_plugin_of_divided_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in prepare_multi_gpu_env(launched("fsdp")).items():
        if key.startswith("FSDP_"):
            monkeypatch.setenv(key, value)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.min_num_params == 1_000_000
    assert plugin.state_dict_type.name == "SHARDED_STATE_DICT"


def test_the_fields_for_deepspeed_are_those_of_its_plugin() -> None:
    values = yaml.safe_load((FOLDER / "deepspeed.yaml").read_text())["deepspeed_config"]
    assert values.keys() <= {field.name for field in dataclasses.fields(DeepSpeedPlugin)}
    assert (values["zero_stage"], values["gradient_accumulation_steps"]) == (2, 1)


def test_none_of_them_changes_the_environment_of_the_tests() -> None:
    assert "ACCELERATE_USE_FSDP" not in os.environ
