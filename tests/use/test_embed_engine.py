"""Which engine encodes a file where none is asked for: the quickest for many rows, and on resuming the same again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raw2vec
from raw2vec.engines import engine_for
from raw2vec.system import searching
from raw2vec.use import embed
from small import texts

MANY = searching._MANY


@pytest.fixture(scope="module")
def model() -> raw2vec.Raw2Vec:
    return raw2vec.Raw2Vec(encoder="transformer", steps=1, size="tiny").fit(texts(60))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, model: raw2vec.Raw2Vec) -> list[str]:
    """The names of the engines that are asked for, each time one is made."""
    names: list[str] = []

    def recorded(model: Any, raw: Any, golden: Any, name: str, *more: Any) -> Any:
        names.append(name)
        return engine_for(model, raw, golden, name, *more)

    monkeypatch.setattr(searching, "engine_for", recorded)
    model.__dict__.pop("_engines", None)
    return names


def lines(folder: Path, count: int) -> Path:
    path = folder / f"{count}.txt"
    path.write_text("".join(f"line {number}\n" for number in range(count)))
    return path


def test_many_rows_are_worth_looking_for_the_quickest(model: raw2vec.Raw2Vec, asked: list[str], tmp_path: Path) -> None:
    few = model.embed(lines(tmp_path, MANY - 1), tmp_path / "few.npy")
    assert (few.engine, asked) == ("torch", [])
    many = model.embed(lines(tmp_path, MANY), tmp_path / "many.npy")
    assert asked == ["auto"]
    assert many.engine in ("torch", "torch bfloat16")
    ours, exact = np.load(tmp_path / "many.npy")[:-1], np.load(tmp_path / "few.npy")
    cosines = (ours * exact).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(exact, axis=1)
    assert cosines.min() > 0.9999
    model.embed(lines(tmp_path, MANY), tmp_path / "own.npy", engine="torch")
    assert asked == ["auto", "torch"]


def test_a_store_of_many_rows_as_well(model: raw2vec.Raw2Vec, asked: list[str], tmp_path: Path) -> None:
    pytest.importorskip("lancedb", reason="needs the extra 'store'")
    model.index(lines(tmp_path, MANY), tmp_path / "s")
    assert asked == ["auto"]


def test_a_killed_run_goes_on_by_the_engine_it_began_with(
    model: raw2vec.Raw2Vec, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out, add = lines(tmp_path, 2 * MANY), tmp_path / "v", embed._Manifest.add

    def killed(manifest: Any, *shard: Any) -> None:
        add(manifest, *shard)
        raise KeyboardInterrupt

    monkeypatch.setattr(embed._Manifest, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        model.embed(data, out, precision="bfloat16")
    monkeypatch.undo()
    assert model.embed(data, out, resume=True).engine == "torch bfloat16"
    with pytest.raises(raw2vec.BadInput, match="was begun with the engine torch bfloat16"):
        model.embed(data, out, resume=True, engine="torch")
