import json
import shutil

import numpy as np
import pytest
from labelled_rows import Row, with_other, write_dataset

from affect_data.balance import PLANS, balance, draw, load_weights, make_plan
from affect_data.cli.balance import parse_options
from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.balance import BALANCE
from affect_data.dataset.kinds.base import StaleGroupError
from affect_data.errors import UnknownNameError, UsageError

ROWS = [
    *(Row("expw", "train", expression="neutral") for _ in range(6)),
    *(Row("expw", "train", expression="fear") for _ in range(2)),
    Row("expw", "train", va=(0.5, 0.5)),
    Row("expw", "validation", expression="fear"),
]


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "merged", ROWS)


def test_weights_are_a_column_group_of_the_train_split(dataset):
    report = balance(dataset.path, make_plan("deng2020_expression"), "even")
    folder = open_dataset(dataset.path)
    assert folder.groups("train") == ("balance.even", "labels")
    assert folder.groups("validation") == ("labels",)
    loaded = folder.load("train", ["labels", "balance.even"])
    assert loaded["balance.even.expression"][:] == pytest.approx([1 / 6] * 6 + [1 / 2] * 2 + [0])
    weights = load_weights(dataset.path, "even")
    assert list(weights) == ["expression"]
    assert weights["expression"].dtype == np.float32
    assert report.dataset.manifest.groups == folder.manifest.groups


def test_the_report_counts_the_epoch_that_the_weights_draw(dataset):
    (pool,) = balance(dataset.path, make_plan("deng2020_expression"), "even", seed=5, draws=100).pools
    assert pool.before.expressions == {"neutral": 6, "fear": 2}
    assert pool.planned.expressions == pytest.approx({"neutral": 50, "fear": 50})
    rows = draw(load_weights(dataset.path, "even")["expression"], 100, 5)
    assert pool.realised.expressions == {"neutral": (rows < 6).sum(), "fear": ((rows >= 6) & (rows < 8)).sum()}
    assert pool.realised.expressions["fear"] == pytest.approx(50, abs=1)
    assert (pool.draws, pool.distinct, pool.largest_repeat) == (100, 8, np.bincount(rows).max())


def test_a_database_of_which_no_row_is_drawn_is_named(tmp_path):
    contempt = [Row("affectnet", "train", expression="contempt") for _ in range(3)]
    dataset = write_dataset(tmp_path / "merged", [*ROWS, *contempt])
    (pool,) = balance(dataset.path, make_plan("deng2020_expression"), "even").pools
    assert pool.notes == ("affectnet: none of its 3 labelled rows is drawn",)
    (stated,) = balance(dataset.path, make_plan("deng2020_expression", {"databases": ["expw"]}), "stated").pools
    assert stated.notes == ()


def test_the_repeat_cap_holds_in_the_drawn_epoch(dataset):
    (pool,) = balance(dataset.path, make_plan("deng2020_expression", {"repeat_cap": 1}), "capped").pools
    assert (pool.draws, pool.largest_repeat, pool.repeat_cap) == (8, 1, 1)
    with pytest.raises(UsageError, match="100 draws from 8 rows are more than 1 a row"):
        balance(dataset.path, make_plan("deng2020_expression", {"repeat_cap": 1}), "capped", draws=100)


def test_provenance_says_how_the_weights_came_about(dataset):
    balance(dataset.path, make_plan("deng2020_expression", {"repeat_cap": 4}), "even", seed=2)
    found = BALANCE.read(open_dataset(dataset.path), "even")
    assert (found.plan, found.seed, found.made_from) == (
        "deng2020_expression",
        2,
        {"labels": dataset.manifest.fingerprints.labels},
    )
    assert found.options == {"databases": [], "expressions": "aff_wild2_7", "thin": None, "repeat_cap": 4}
    assert found.pools["expression"]["before"]["expressions"] == {"neutral": 6, "fear": 2}
    assert found.pools["expression"]["realised"]["rows"] == 8
    assert make_plan(found.plan, found.options) == make_plan("deng2020_expression", {"repeat_cap": 4})


def test_writing_the_same_again_changes_nothing(dataset, digests):
    plan = make_plan("deng2020_expression")
    balance(dataset.path, plan, "even")
    before = digests(dataset.path)
    balance(dataset.path, plan, "even")
    assert digests(dataset.path) == before


def test_weights_of_other_labels_are_refused(dataset):
    balance(dataset.path, make_plan("deng2020_expression"), "even")
    with_other(open_dataset(dataset.path), "labels")
    with pytest.raises(
        StaleGroupError,
        match=r"balancing weights 'even' were made from other labels than the dataset has now\. "
        r"Make them again: `affect-data balance DATASET deng2020_expression --name even`",
    ):
        load_weights(dataset.path, "even")
    with pytest.raises(UnknownNameError, match=r"unknown balancing weights in .* 'odd'; known: even"):
        load_weights(dataset.path, "odd")


def test_a_dataset_without_training_rows_and_a_name_that_is_a_path_are_refused(tmp_path):
    dataset = write_dataset(tmp_path / "merged", ROWS[-1:])
    with pytest.raises(UnknownNameError, match=r"unknown split of .* 'train'; known: validation"):
        balance(dataset.path, make_plan("deng2020_expression"), "even")
    with pytest.raises(UsageError, match=r"balancing weights cannot be called '\.\./even'; use letters"):
        balance(dataset.path, make_plan("deng2020_expression"), "../even")


@pytest.mark.parametrize("plan", sorted(set(PLANS) - {"learned_weights"}))
def test_every_plan_weighs_a_real_build_by_the_command(plan, demo_report, tmp_path, affect_data):
    path = shutil.copytree(demo_report.dataset.path, tmp_path / "merged")
    shown = affect_data("balance", path, plan, "--name", "test", "--seed", 1)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "largest IRLbl" in shown.stdout or "database" in shown.stdout
    assert "wrote" in shown.stdout
    document = json.loads(affect_data("balance", path, plan, "--name", "test", "--seed", 1, "--json").stdout)
    assert document["plan"] == plan
    weights = load_weights(path, "test")
    assert set(document["pools"]) == set(weights)
    for column, pool in document["pools"].items():
        times = np.bincount(draw(weights[column], pool["draws"], 1), minlength=open_dataset(path).rows("train"))
        assert (pool["distinct"], pool["largest_repeat"]) == ((times > 0).sum(), times.max())
        assert pool["realised"]["rows"] == pool["draws"]


def test_the_command_names_what_is_wrong_with_the_call(affect_data, demo_report):
    path = demo_report.dataset.path
    for arguments, message in (
        (["nothing"], "unknown balancing plan 'nothing'; known: database_temperature"),
        (["ml_ros", "--option", "percentage=-1"], "percentage: Input should be greater than 0"),
        (["ml_ros", "--option", "percentage"], "--option percentage: expected KEY=VALUE, each key once"),
        (["deng2020_va", "--option", "thin={"], "--option thin={: the value is no valid YAML"),
    ):
        ended = affect_data("balance", path, *arguments)
        assert ended.returncode == 2
        assert message in ended.stderr


def test_options_are_read_as_yaml():
    assert parse_options(["action_units=1,2,4", "target=2.5", "mode=paper", "thin={affwild2: {neutral: 10}}"]) == {
        "action_units": [1, 2, 4],
        "target": 2.5,
        "mode": "paper",
        "thin": {"affwild2": {"neutral": 10}},
    }
    assert parse_options(["draws=1e3", "mode=no"]) == {"draws": 1000.0, "mode": "no"}
    assert parse_options(["databases=disfa", "action_units=[1, 2]"]) == {"databases": ["disfa"], "action_units": [1, 2]}
