import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open

from affect_train.methods.meta.weight_network import WeightNetwork, WeightRecord, doubts, write_network, write_table
from affect_train.recipe.methods.meta_auxiliary import WeightNetworkOptions as Options

CPU = torch.device("cpu")


def network_of(seed=0, **options):
    return WeightNetwork(5, Options(**options), seed)


def test_weights_lie_between_nothing_and_all():
    weights = network_of()(torch.randn(100, 5) * 100, torch.rand(100) * 50)
    assert weights.shape == (100,)
    assert weights.dtype == torch.float32
    assert ((weights >= 0) & (weights <= 1)).all()
    assert weights.std() > 0


@pytest.mark.parametrize(("kind", "by_loss", "by_feature"), [("loss", 1, 0), ("feature", 0, 1), ("both", 1, 1)])
def test_the_network_sees_what_the_option_names(kind, by_loss, by_feature):
    network = network_of(input=kind)
    features, losses = torch.randn(4, 5), torch.rand(4)
    before = network(features, losses)
    assert torch.equal(before, network(features, losses + 1)) is not bool(by_loss)
    assert torch.equal(before, network(features.flip(1), losses)) is not bool(by_feature)


def test_no_gradient_flows_back_into_features_and_losses():
    features, losses = torch.randn(4, 5, requires_grad=True), torch.rand(4, requires_grad=True)
    network = network_of()
    network(features, losses).sum().backward()
    assert features.grad is None
    assert losses.grad is None
    assert all(one.grad is not None for one in network.parameters())


def test_a_seed_gives_the_same_network_and_draws_nothing_else():
    state = torch.random.get_rng_state()
    one, same, other = network_of(3), network_of(3), network_of(4)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.layers[0].weight, other.layers[0].weight)


def test_the_record_keeps_the_mean_of_the_last_epoch_in_which_a_row_came():
    record = WeightRecord(5, CPU)
    record.add(0, torch.tensor([0, 1, 1]), torch.tensor([0.5, 0.2, 0.4]), torch.tensor([1.0, 2.0, 4.0]))
    record.add(0, torch.tensor([3]), torch.tensor([0.9]), torch.tensor([8.0]))
    record.add(1, torch.tensor([3, 0]), torch.tensor([0.1, 0.7]), torch.tensor([5.0, 6.0]))
    record.add(1, torch.tensor([3]), torch.tensor([0.3]), torch.tensor([7.0]))
    record.add(1, torch.tensor([], dtype=torch.int64), torch.tensor([]), torch.tensor([]))
    table = record.table(pa.chunked_array([["a", "b"], ["c", "d", "e"]])).to_pydict()
    assert table["uid"] == ["a", "b", "d"]
    assert table["weight"] == pytest.approx([0.7, 0.3, 0.2])
    assert table["loss"] == [6.0, 3.0, 6.0]
    assert table["times"] == [1, 2, 2]
    assert table["epoch"] == [1, 0, 1]


@pytest.mark.writes_pickles
def test_a_record_goes_on_from_its_state(tmp_path):
    one, other = WeightRecord(4, CPU), WeightRecord(4, CPU)
    one.add(0, torch.tensor([0, 2]), torch.tensor([0.5, 0.25]), torch.tensor([1.0, 2.0]))
    torch.save(one.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(torch.load(tmp_path / "state.pt"))
    for record in (one, other):
        record.add(0, torch.tensor([2]), torch.tensor([0.75]), torch.tensor([4.0]))
    uids = pa.chunked_array([list("abcd")])
    assert other.table(uids).equals(one.table(uids))
    write_table(tmp_path / "weights.parquet", one.table(uids))
    assert pq.read_table(tmp_path / "weights.parquet")["weight"].to_pylist() == [0.5, 0.5]


def table_of(weights, losses):
    return pa.table({"weight": np.array(weights, np.float32), "loss": np.array(losses, np.float32)})


def test_weights_that_rise_with_the_loss_are_doubted():
    (line,) = doubts(table_of([0.1, 0.3, 0.2, 0.4, 0.5], [0.0, 1.0, 2.0, 3.0, 9.0]), "run/weights.parquet")
    # ranks 1 3 2 4 5 against 1 2 3 4 5: 1 - 6 · 2 / (5 · 24)
    assert (
        "in 'run/weights.parquet' rows weigh more the larger their loss is (rank correlation +0.90 over 5 rows)" in line
    )
    assert "do not draw rows by these weights" in line


@pytest.mark.parametrize(
    ("weights", "losses"),
    [
        ([0.5, 0.3, 0.4, 0.1], [0.0, 1.0, 2.0, 3.0]),
        ([0.5, 0.5, 0.5], [0.0, 1.0, 2.0]),
        ([0.5], [1.0]),
        ([], []),
    ],
)
def test_weights_that_fall_or_say_nothing_are_not_doubted(weights, losses):
    assert doubts(table_of(weights, losses), "weights.parquet") == []


def test_the_network_is_written_with_what_it_sees(tmp_path):
    network = network_of(input="feature", hidden=7)
    write_network(tmp_path / "network.safetensors", network)
    with safe_open(tmp_path / "network.safetensors", "pt") as file:
        assert file.metadata() == {"input": "feature", "features": "5"}
        assert torch.equal(file.get_tensor("layers.0.weight"), network.layers[0].weight)
    assert [path.name for path in tmp_path.iterdir()] == ["network.safetensors"]
