from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ncbounds.data.fashion_mnist import (
    FASHION_MNIST_ENV,
    FASHION_MNIST_FOLDER,
    POOL_SEED,
    fashion_mnist,
)
from ncbounds.data.npz import load_npz
from ncbounds.errors import DataError
from ncbounds.zoo import fashion14 as task

SHIPPED = Path(__file__).parents[2] / "data" / "fashion14.npz"
SHA256 = "c2e9c00e2a6e8df680915879defad5190bc51ff5c9ecff56726f91729b36387e"

needs_idx = pytest.mark.skipif(
    not (FASHION_MNIST_FOLDER / "train-images-idx3-ubyte.gz").exists(),
    reason="needs the idx files of Debian's dataset-fashion-mnist",
)


def test_shipped_arrays_are_the_ones_that_were_made() -> None:
    arrays = load_npz(SHIPPED, ("images", "labels", "rows"))
    assert arrays["images"].shape == (26_000, 14, 14)
    assert arrays["images"].dtype == arrays["labels"].dtype == np.uint8
    assert arrays["rows"].dtype == np.int32
    permutation = np.random.RandomState(POOL_SEED).permutation(70_000)
    np.testing.assert_array_equal(arrays["rows"], permutation[: task.FASHION14_ROWS])
    assert task.digest(arrays) == SHA256


def test_classes_are_spread_as_in_a_draw_from_a_balanced_pool() -> None:
    labels = load_npz(SHIPPED)["labels"]
    for role, rows in task.FASHION14_ROLES.items():
        counts = np.bincount(labels[slice(*map(int, rows.split(":")))], minlength=10)
        spread = np.sqrt(counts.sum() * 0.1 * 0.9)
        assert np.all(np.abs(counts - counts.sum() / 10) < 5 * spread), role


def test_roles_tile_the_rows() -> None:
    slices = [tuple(map(int, rows.split(":"))) for rows in task.FASHION14_ROLES.values()]
    assert slices[0][0] == 0
    assert slices[-1][1] == task.FASHION14_ROWS
    assert all(a[1] == b[0] for a, b in pairwise(slices))
    assert [stop - start for start, stop in slices] == [4000, 4000, 4000, 4000, 10_000]


@needs_idx
def test_idx_files_give_the_shipped_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FASHION_MNIST_ENV, str(FASHION_MNIST_FOLDER))
    assert task.digest(task.fashion14()) == task.digest(load_npz(SHIPPED))


@needs_idx
def test_pool_is_balanced_and_complete() -> None:
    images, labels, rows = fashion_mnist(FASHION_MNIST_FOLDER)
    assert images.shape == (70_000, 28, 28)
    np.testing.assert_array_equal(np.bincount(labels), np.full(10, 7000))
    np.testing.assert_array_equal(np.sort(rows), np.arange(70_000))


@needs_idx
def test_script_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "f.npz"
    task.main(["--idx", str(FASHION_MNIST_FOLDER), "--out", str(out)])
    assert SHA256 in capsys.readouterr().out
    assert task.digest(load_npz(out)) == SHA256


def test_blocks_by_hand() -> None:
    image = np.array([[0, 1, 255, 255], [0, 1, 255, 254], [1, 2, 0, 0], [3, 4, 0, 1]], np.uint8)
    # sums 2, 1019, 10, 1 -> (2+2)//4, (1019+2)//4, (10+2)//4, (1+2)//4
    np.testing.assert_array_equal(task.halve(image[None]), [[[1, 255], [3, 0]]])


def test_missing_folder_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FASHION_MNIST_ENV, str(tmp_path))
    with pytest.raises(DataError, match=r"dataset-fashion-mnist.*NCBOUNDS_FASHION_MNIST"):
        fashion_mnist()


def test_digest_sees_names_types_and_shapes() -> None:
    arrays = [
        {"a": np.zeros(4, np.uint8)},
        {"b": np.zeros(4, np.uint8)},
        {"a": np.zeros(4, np.int8)},
        {"a": np.zeros((2, 2), np.uint8)},
        {"a": np.ones(4, np.uint8)},
    ]
    assert len({task.digest(a) for a in arrays}) == len(arrays)
