"""The demo of digits: short, from beginning to end, and what it leaves behind."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import raw2vec
from raw2vec.demos import DEMOS
from raw2vec.demos.digits import LATENT, SHEETS, real_digits
from raw2vec.errors import BadInput


def test_the_digits_are_whole_and_split_by_the_seed() -> None:
    pictures, labels, held = real_digits(0)
    assert pictures.shape == (1797, 8, 8)
    assert set(np.unique(pictures)) == set(range(0, 241, 15))
    assert 0.17 < held.mean() < 0.23
    assert not (held == real_digits(1)[2]).all()
    assert len(labels) == len(held)


def test_from_beginning_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("raw2vec.demos.digits"), "STEPS", 60)
    console = Console(record=True, width=120)
    out = tmp_path / "demo"
    found = DEMOS["digits"](out, None, 0, console, lambda event: None)
    assert found["metrics"]["mse"] < found["baselines"]["mean item"]["mse"]
    assert {"nats", "bits_per_dim", "accuracy", "elbo", "kl"} <= set(found["metrics"])
    assert 0 < found["metrics"]["active_units"] <= LATENT
    for name in SHEETS:
        with Image.open(out / name) as sheet:
            assert sheet.width > 300, "small pictures are enlarged"
    assert raw2vec.load(out / "model").encode(np.zeros((8, 8), np.uint8)).shape == (LATENT,)
    assert "PCA" in console.export_text()
    with pytest.raises(BadInput, match="already"):
        DEMOS["digits"](out, None, 0, console, lambda event: None)
