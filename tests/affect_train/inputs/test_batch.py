import torch

from affect_train.inputs.batch import FaceBatch


def test_some_faces_of_a_batch_keep_all_that_belongs_to_them() -> None:
    batch = FaceBatch(
        torch.tensor([7, 3, 5]),
        ["g", "c", "e"],
        torch.arange(6.0).reshape(3, 2),
        torch.tensor([1, 0, 1]),
        torch.arange(3),
    )
    part = batch.select(torch.tensor([2, 0]))
    assert (part.rows.tolist(), part.uids) == ([5, 7], ["e", "g"])
    assert part.inputs.tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert part.pools is not None
    assert part.places is not None
    assert (part.pools.tolist(), part.places.tolist()) == ([1, 1], [2, 0])
    alone = FaceBatch(batch.rows, batch.uids, batch.inputs).select(torch.tensor([1]))
    assert (alone.rows.tolist(), alone.pools, alone.places) == ([3], None, None)


def test_what_a_model_is_shown_moves_to_the_device_and_the_rows_stay() -> None:
    batch = FaceBatch(torch.tensor([0]), ["a"], torch.zeros(1, 2), None, torch.zeros(1, dtype=torch.int64))
    moved = batch.to("meta")
    assert moved.places is not None
    assert {moved.inputs.device.type, moved.places.device.type} == {"meta"}
    assert moved.rows.device.type == "cpu"
