"""Maps of stored features: where faces lie, what a rectangle chooses, and what is refused."""

from urllib.parse import parse_qsl

import numpy as np
import pyarrow as pa
import pytest
from stored_features import three_groups, with_features

from affect_data.audit.rows import StoredColumn
from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import UnknownNameError, UsageError
from affect_data.viewing.engine import Engine
from affect_data.viewing.filters import check_view, view_of
from affect_data.viewing.maps import Maps, in_unit_square, methods, neighbour_plane, principal_plane
from affect_data.viewing.table import label_table


def stored(values: np.ndarray) -> StoredColumn:
    flat = pa.array(values.astype(np.float32).reshape(-1))
    return StoredColumn([pa.chunked_array([pa.FixedSizeListArray.from_arrays(flat, values.shape[1])])])


def test_the_principal_plane_is_that_of_a_singular_value_decomposition() -> None:
    values, _ = three_groups(500)
    centred = values - values.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ directions[:2].T
    found = principal_plane(stored(values))
    for axis in (0, 1):
        sign = np.sign(found[:, axis] @ expected[:, axis])
        assert found[:, axis] == pytest.approx(sign * expected[:, axis], abs=1e-3)


def test_one_row_and_one_number_have_a_place() -> None:
    assert in_unit_square(principal_plane(stored(np.ones((1, 5))))).tolist() == [[0.5, 0.5]]
    line = in_unit_square(principal_plane(stored(np.array([[0.0], [1.0], [2.0]]))))
    assert line[:, 0].tolist() == pytest.approx([0, 0.5, 1], abs=2e-3)
    assert line[:, 1].tolist() == [0.5, 0.5, 0.5]


def test_both_directions_have_one_scale_and_far_rows_lie_on_the_border() -> None:
    points = np.stack([np.linspace(0, 10, 5001), np.linspace(0, 1, 5001)], axis=1).astype(np.float32)
    points[0] = (-1e6, 0)
    placed = in_unit_square(points)
    assert placed.min(axis=0)[0] == 0
    assert np.ptp(placed[1:], axis=0) == pytest.approx([1, 0.1], abs=0.01)


def test_a_rectangle_on_the_map_chooses_the_faces_in_it(dataset: DatasetFolder) -> None:
    rows = sum(dataset.rows(split) for split in dataset.splits)
    values, group = three_groups(rows)
    table = label_table(with_features(dataset, values))
    assert "net.pca" in table.maps.names
    points = table.maps.positions("net.pca")
    own = points[group == 1]
    corners = ",".join(map(str, [*(own.min(axis=0) - 1e-4), *(own.max(axis=0) + 1e-4)]))
    chosen = Engine(table).rows(view_of(parse_qsl(f"map=net.pca:{corners}")))
    assert chosen.tolist() == np.flatnonzero(group == 1).tolist()
    both = Engine(table).counts(view_of(parse_qsl(f"map=net.pca:{corners}&database=disfa")))
    code = table.databases.index("disfa")
    assert both["total"] == int(((group == 1) & (table.frame["database"] == code).to_numpy()).sum())
    for address, error, message in (
        ("map=nte.pca:0,0,1,1", UnknownNameError, "unknown map 'nte.pca'.*net.pca"),
        ("map=net.pca:0,0,1", UsageError, "give two corners, for example net.pca:0,0,0.5,0.5"),
        ("map=net.pca:0,0,1,x", UsageError, "'x' is no number"),
    ):
        with pytest.raises(error, match=message):
            check_view(table, address)


def test_features_of_other_pictures_and_no_features_give_no_map(dataset: DatasetFolder) -> None:
    assert Maps(dataset).names == ()
    with pytest.raises(UnknownNameError, match=r"unknown map 'net\.pca'"):
        Maps(dataset).positions("net.pca")


@pytest.mark.skipif("umap" not in methods(), reason="umap-learn is not installed: pip install umap-learn")
@pytest.mark.filterwarnings("ignore")
def test_neighbours_of_the_features_are_neighbours_on_a_map_of_umap() -> None:
    values, group = three_groups(90)
    points = neighbour_plane(stored(values))
    apart = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (group[apart.argmin(axis=1)] == group).all()
    assert (points == neighbour_plane(stored(values))).all()
