import torch

from affect_train.inputs.augment import Augmentation, augmentation_key
from affect_train.inputs.batch import AffectBatch, FaceBatch, SoftTargets
from affect_train.inputs.sending import sent_together


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


def test_labels_are_sent_in_one_piece_and_are_there_what_they_were() -> None:
    tensors = {
        "mask": torch.tensor([[True, False, True]]),
        "row": torch.tensor([2**40, -1]),
        "none": torch.empty(0, 4),
        "logits": torch.arange(6.0).reshape(2, 3).T,
    }
    there = sent_together(tensors, "cpu")
    assert len({one.untyped_storage().data_ptr() for one in there.values()}) == 1
    for name, tensor in tensors.items():
        assert there[name].dtype == tensor.dtype
        assert torch.equal(there[name], tensor)


def test_a_batch_is_augmented_where_it_is_sent_and_only_once() -> None:
    augmentation = Augmentation(flip=True, shift=0.1, contrast=0.3)
    keys = [augmentation_key(0, 0, 0, uid) for uid in "abc"]
    pixels = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shown, drawn = augmentation.shown(pixels, keys, later=True)
    mask, numbers = torch.ones(3, dtype=torch.bool), torch.zeros(3)
    soft = SoftTargets(au=torch.ones(3, 1))
    batch = AffectBatch(
        shown, list("abc"), torch.arange(3), numbers[:, None], mask[:, None], torch.arange(3), mask, numbers, numbers, mask,
        soft={"teacher": soft}, drawn=drawn,
    )  # fmt: skip
    sent = batch.to("cpu")
    assert torch.equal(sent.inputs, augmentation(pixels, keys))
    assert not torch.equal(sent.inputs, pixels)
    assert sent.drawn is None
    assert sent.to("cpu") is sent
    faces = FaceBatch(batch.rows, batch.uids, shown, drawn=drawn)
    assert torch.equal(faces.to("cpu").inputs, sent.inputs)
    chosen = torch.tensor([2, 0])
    assert torch.equal(faces.select(chosen).to("cpu").inputs, sent.inputs[chosen])
    elsewhere = batch.to("meta")
    assert {one.device.type for one in elsewhere.tensors()} == {"meta"}
    assert (elsewhere.inputs.dtype, elsewhere.inputs.shape) == (torch.uint8, pixels.shape)
    assert elsewhere.drawn is None
