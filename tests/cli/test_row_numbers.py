"""A bad item is told by its row in the whole file, whichever block or batch it is read in."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from raw2vec.cli import app, predictions, scored
from raw2vec.use import base

PICTURES = [np.full((4, 4), 40 + 150 * (row % 2), np.uint8).tolist() for row in range(60)]
GAP, BAD = 3, 47
COMMANDS = {
    "embed": ("model", "whole.parquet", "--out", "vectors"),
    "index": ("model", "paths.csv", "--store", "store"),
    "score": ("model", "bad.parquet", "--out", "scores.csv"),
    "predict": ("classes", "bad.parquet", "--out", "predicted.csv"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Pictures with a model of each kind; in a file a row without a picture and, far behind it, one of another size."""
    place = tmp_path_factory.mktemp("rows")
    column, kinds = pa.array(PICTURES, pa.list_(pa.list_(pa.uint8()))), ["dark", "light"] * 30
    pq.write_table(pa.table({"image": column, "kind": kinds}), place / "good.parquet")
    bad = [None if row == GAP else [[1, 2]] if row == BAD else picture for row, picture in enumerate(PICTURES)]
    pq.write_table(pa.table({"image": pa.array(bad, column.type)}), place / "bad.parquet")
    whole = [[[1, 2]] if row == BAD else picture for row, picture in enumerate(PICTURES)]
    pq.write_table(pa.table({"image": pa.array(whole, column.type)}), place / "whole.parquet")
    for name, picture in (("good.png", PICTURES[0]), ("small.png", [[1, 2]])):
        Image.fromarray(np.array(picture, np.uint8)).save(place / name)
    names = [str(place / ("small.png" if row == BAD else "good.png")) for row in range(len(PICTURES))]
    (place / "paths.csv").write_text("\n".join(["image", *names]) + "\n")
    words = ["fit", str(place / "good.parquet"), "--kind", "image", "--input", "image", "--size", "tiny"]
    words += ["--steps", "2"]
    for out, more in (
        ("model", ["--objective", "reconstruction"]),
        ("classes", ["--label", "kind", "--encoder", "dense"]),
    ):
        result = CliRunner().invoke(app, [*words, *more, "--out", str(place / out), "--json"])
        assert result.exit_code == 0, result.output
    return place


@pytest.mark.parametrize("command", COMMANDS)
def test_the_number_is_that_of_the_whole_file(place, monkeypatch, command):
    if command == "index":
        pytest.importorskip("lancedb", reason="the embedded store is an extra: pip install 'raw2vec[store]'")
    for module, name in ((base, "BLOCK_ROWS"), (scored, "ROWS"), (predictions, "ROWS")):
        monkeypatch.setattr(module, name, 10)
    monkeypatch.chdir(place)
    model, data, *out = COMMANDS[command]
    result = CliRunner().invoke(app, [command, model, data, "--input", "image", *out, "--json"])
    assert result.exit_code == 2, result.output
    told = json.loads(result.stdout)["error"]
    assert told.startswith(f"Picture {BAD} ")
    assert "is 1 pixels high" in told
