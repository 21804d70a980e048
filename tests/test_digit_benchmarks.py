"""The benchmarks of digits, on a handful of made-up ones: what they read, what they count, what they print."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from benchmarks import likelihood, mnist
from benchmarks.digits import binary, grey


@pytest.fixture
def pictures() -> np.ndarray:
    """(60, 28, 28): a bright bar at one of 20 heights."""
    made = np.zeros((60, 28, 28), np.uint8)
    for place, picture in enumerate(made):
        picture[place % 20 : place % 20 + 4] = 255
    return made


@pytest.fixture
def grey_file(tmp_path: Path, pictures: np.ndarray) -> Path:
    np.savez(tmp_path / "grey.npz", xtr=pictures, xte=pictures[:20])
    return tmp_path / "grey.npz"


@pytest.fixture
def binary_file(tmp_path: Path, pictures: np.ndarray) -> Path:
    packed = np.packbits(pictures.reshape(60, -1) > 0, axis=1)
    np.savez(tmp_path / "binary.npz", train=packed[:40], valid=packed[40:50], test=packed[50:])
    return tmp_path / "binary.npz"


def test_digits_are_read_as_they_were(grey_file: Path, binary_file: Path, pictures: np.ndarray) -> None:
    assert all(map(np.array_equal, grey(grey_file), (pictures, pictures[:20])))
    assert all(map(np.array_equal, binary(binary_file), (pictures[:40], pictures[40:50], pictures[50:])))


def test_a_missing_file_and_a_file_of_something_else_are_told_in_a_sentence(tmp_path: Path, grey_file: Path) -> None:
    with pytest.raises(typer.BadParameter, match=r"There is no file .*none\.npz; .* holds xtr, xte: MNIST's training"):
        grey(tmp_path / "none.npz")
    with pytest.raises(typer.BadParameter, match=r"grey\.npz has no 'train'; .* eight pixels a byte"):
        binary(grey_file)


def test_the_error_is_a_sum_over_pixels_from_0_to_1(pictures: np.ndarray) -> None:
    others = pictures.astype(np.float64)
    others[:, 0, 0] += 51
    assert mnist.squared_error(pictures, others) == pytest.approx(0.04)
    assert mnist.squared_error(pictures, mnist.by_pca(pictures, pictures, 19)) < 1e-3
    assert mnist.squared_error(pictures, mnist.by_pca(pictures, pictures, 5)) > 1


def test_both_print_their_figures(grey_file: Path, binary_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mnist.main(grey_file, minutes=0.01, latent=3, size="tiny", settings=["training.hold_out=0"])
    found = json.loads(capsys.readouterr().out)
    assert found["judged"] == "the test pictures"
    assert set(found["squared_error"]) == {"raw2vec", "PCA"}
    likelihood.main(binary_file, minutes=0.01, samples=3, settings=["training.hold_out=0"])
    nats = json.loads(capsys.readouterr().out)["nats"]
    assert (nats["samples"], nats["items"]) == (3, 10)
    assert 0 < nats["negative_log_likelihood"] < nats["negative_elbo"] + 5
