from dataclasses import replace

import pytest
import torch

from affect_train.methods.meta.meta_rows import split_off_meta_rows


def batch_with_units(make_batch, labelled):
    """A batch of 8 whose first action unit is labelled in these rows."""
    au_mask = torch.zeros(8, 3, dtype=torch.bool)
    au_mask[labelled, 0] = True
    return make_batch(au_mask=au_mask, au=torch.zeros(8, 3))


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, [1, 3, 5]), (0.25, [3]), (0.75, [1, 2, 3, 5]), (0.1, []), (0.9, [1, 2, 3, 4, 5])]
)
def test_meta_rows_are_evenly_spread_over_the_rows_with_action_units(make_batch, share, expected):
    labelled = torch.tensor([0, 2, 3, 4, 6, 7])
    batch = batch_with_units(make_batch, labelled)
    inner, meta = split_off_meta_rows(batch, share, before=0)
    # of the labelled rows those with the numbers 2, 4 and 6 for a half, and so on
    rows = labelled[expected]
    assert meta.au_mask[:, 0].all()
    assert len(meta) == len(expected)
    assert torch.equal((batch.au_mask & ~inner.au_mask).any(dim=1).nonzero().squeeze(1), rows)
    assert torch.equal(meta.pixels, batch.inputs[rows])
    assert torch.equal(inner.expression_mask, batch.expression_mask)


def test_the_parts_of_a_batch_have_the_meta_rows_of_the_whole(make_batch):
    batch = batch_with_units(make_batch, torch.tensor([0, 1, 2, 4, 5, 7]))
    whole, _ = split_off_meta_rows(batch, 0.4, before=0)
    halves = []
    for part in (slice(0, 4), slice(4, 8)):
        before = int(batch.au_mask[: part.start].any(dim=1).sum())
        own = replace(batch, au=batch.au[part], au_mask=batch.au_mask[part], inputs=batch.inputs[part])
        halves.append(split_off_meta_rows(own, 0.4, before)[0].au_mask)
    assert torch.equal(torch.cat(halves), whole.au_mask)


def test_rounding_does_not_lose_a_row(make_batch):
    """Ten times a tenth is one, in floating point too."""
    batch = batch_with_units(make_batch, torch.arange(8))
    assert [len(split_off_meta_rows(batch, 0.1, before=before)[1]) for before in (0, 1, 2, 9, 10)] == [0, 0, 1, 1, 0]
    assert sum(len(split_off_meta_rows(batch, 0.1, before=8 * number)[1]) for number in range(1000)) == 800
