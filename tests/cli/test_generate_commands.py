"""reconstruct, sample, interpolate and score: what they are asked, what they write, and what they refuse."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from raw2vec.cli.generated import Made, interpolated, reconstructed, sampled
from raw2vec.cli.scored import Scored, scored
from raw2vec.errors import BadInput
from raw2vec.system.decoding import Decoding
from raw2vec.use.detect import score_samples
from raw2vec.use.show import EASY, GAP
from tiny_autoencoder import Arrays, doubtful, parts, pictures
from tiny_autoencoder import reconstructed as by_hand


def test_reconstruct_asks_and_tells(run, asked):
    found = json.loads(run("reconstruct", "digits", "digits.npy", "--out", "p.png", "--items", "9", "--json").stdout)
    assert asked("reconstruct") == [{"data": "digits.npy", "column": None, "items": 9, "out": "p.png"}]
    assert (found["items"], found["truncated"], found["out"]) == (32, 3, "p.png")
    assert found["items_per_s"] > 0
    told = run("reconstruct", "digits", "digits.npy", "--out", "p.png").stdout.splitlines()
    assert told == ["p.png: 32 items", "3 items were longer than the model takes, and cut"]


def test_sample_asks_and_tells(run, asked):
    assert run("sample", "digits", "--out", "s.png").stdout == "s.png: 16 items\n"
    run("sample", "digits", "--out", "s.png", "-n", "4", "--seed", "7", "--like", "digits.npy", "--input", "image")
    assert asked("sample") == [
        {"count": 16, "seed": 0, "like": None, "column": None, "out": "s.png"},
        {"count": 4, "seed": 7, "like": "digits.npy", "column": "image", "out": "s.png"},
    ]
    result = run("sample", "digits", "--out", "s.png", "--like", "gone.npy")
    assert (result.exit_code, asked("load")) == (2, ["digits", "digits"]), "what is not there is said before loading"


def test_interpolate_asks(run, asked):
    words = ["--out", "w.png", "--steps", "5", "--from", "3", "--to", "2"]
    assert run("interpolate", "digits", "digits.npy", *words).stdout == "w.png: 5 items\n"
    assert asked("interpolate") == [{"data": "digits.npy", "column": None, "ends": (3, 2), "steps": 5, "out": "w.png"}]
    assert run("interpolate", "digits", "digits.npy", "--out", "w.png", "--steps", "1").exit_code == 2


def test_score_asks_and_tells(run, asked):
    words = ["score", "sensors", "readings.parquet", "--out"]
    found = json.loads(run(*words, "s.csv", "--contamination", "0.2", "--json").stdout)
    assert asked("score") == [{"data": "readings.parquet", "column": None, "contamination": 0.2, "out": "s.csv"}]
    assert [found[name] for name in ("items", "anomalies", "threshold", "truncated", "empty")] == [20, 2, -12.5, 1, 3]
    told = run(*words, "s.npy").stdout.splitlines()
    assert told[0] == "s.npy: 20 rows, 2 anomalies below -12.500 nats"
    assert told[2] == "3 rows are empty and got no score"
    result = run(*words, "s.txt")
    assert result.exit_code == 2
    assert "s.txt: scores are written to a file that ends in .csv, .parquet, .npy." in result.stderr


class Facade(Decoding):
    """A tiny model as the commands are handed one."""

    def __init__(self, **changes: Any):
        self.parts_ = parts(**changes)

    def _parts(self):
        return self.parts_

    def _device(self):
        return torch.device("cpu")


ITEMS = pictures((2, 3), (2, 3), (4, 1), (2, 3), seed=4)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Four pictures in a file, the third of another size; the last row holds none."""
    monkeypatch.chdir(tmp_path)
    column = pa.array([*[item.tolist() for item in ITEMS], None])
    pq.write_table(pa.table({"id": range(5), "image": column, "score": ["old"] * 5}), "items.parquet")
    pq.write_table(pa.table({"image": column[:4]}), "whole.parquet")
    return "items.parquet"


def sheet_of(name: str, size: tuple[int, int]) -> np.ndarray:
    """The sheet in a file, its pictures of one size as they were before they were enlarged."""
    sheet, factor = np.asarray(Image.open(name)).astype(int), EASY // max(size)
    places = [
        np.concatenate([begin + np.arange(0, side * factor, factor) for begin in range(0, whole, side * factor + GAP)])
        for side, whole in zip(size, sheet.shape, strict=True)
    ]
    return sheet[np.ix_(*places)]


def test_originals_stand_above_their_reconstructions(data):
    assert reconstructed(Facade(), "whole.parquet", "image", 2, "pairs.png") == Made(2)
    sheet = sheet_of("pairs.png", (2, 3))
    assert sheet.shape == (4, 6)
    for place, item in enumerate(ITEMS[:2]):
        columns = slice(place * 3, place * 3 + 3)
        np.testing.assert_array_equal(sheet[:2, columns], item)
        assert abs(sheet[2:, columns] - by_hand(item)).max() <= 1


def test_a_sheet_shows_the_first_and_a_folder_all(data):
    rows = pa.array([[[1]]] * 40, pa.list_(pa.list_(pa.uint8())))
    pq.write_table(pa.table({"image": rows}), "many.parquet")
    assert reconstructed(Facade(), "many.parquet", "image", None, "some.png") == Made(32)
    assert reconstructed(Facade(), "many.parquet", "image", None, "all") == Made(40)
    assert len(list(Path("all").iterdir())) == 80


def test_what_is_cut_is_counted(data):
    pq.write_table(pa.table({"strip": [[1.0, 2, 3], [4.0]]}), "strips.parquet")
    model = Facade(raw=Arrays(dimensions=1, room=2, cut=True), kind="series")
    assert reconstructed(model, "strips.parquet", "strip", None, "s.csv") == Made(2, truncated=1)
    assert pa_csv.read_csv("s.csv").column("item").to_pylist() == [0, 0, 1]


def test_samples_are_written_and_the_seed_tells_them(data):
    model = Facade(raw=Arrays(shape=(2, 3)), latent=doubtful())
    for seed, name in ((0, "a.png"), (0, "b.png"), (1, "c.png")):
        assert sampled(model, 9, seed, None, None, name) == Made(9)
    one, same, other = (sheet_of(name, (2, 3)) for name in ("a.png", "b.png", "c.png"))
    assert one.shape == (3 * 2, 3 * 3)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert sampled(Facade(), 5, 0, "whole.parquet", "image", "d") == Made(5)


def test_a_walk_is_one_row_of_pictures(data):
    assert interpolated(Facade(), "whole.parquet", "image", (3, 0), 4, "walk.png") == Made(4)
    sheet = sheet_of("walk.png", (2, 3))
    assert sheet.shape == (2, 4 * 3)
    assert abs(sheet[:, :3] - by_hand(ITEMS[3])).max() <= 1
    assert abs(sheet[:, -3:] - by_hand(ITEMS[0])).max() <= 1
    with pytest.raises(BadInput, match="has 4 rows, so there is no row 4"):
        interpolated(Facade(), "whole.parquet", "image", (0, 4), 4, "walk.png")


def test_a_wrong_suffix_is_refused_before_anything_slow(data):
    for work in (
        lambda: reconstructed(Facade(), "gone.parquet", "image", None, "a.csv"),
        lambda: sampled(Facade(), 4, 0, "gone.parquet", "image", "a.csv"),
        lambda: interpolated(Facade(), "gone.parquet", "image", (0, 1), 4, "a.csv"),
    ):
        with pytest.raises(BadInput, match="'image' are written to"):
            work()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_scores_stand_beside_the_rows(data, suffix):
    model, seen = Facade(), []
    wanted = score_samples(model.parts_, ITEMS)
    line = float(np.quantile(wanted, 0.3))
    done = scored(model, data, "image", 0.3, f"s{suffix}", seen.append)
    assert done == Scored(5, 1, pytest.approx(line), 0, 1, "nats an element", ["score"])
    assert sum(seen) == 5
    table = (pa_csv.read_csv if suffix == ".csv" else pq.read_table)(f"s{suffix}")
    assert table.column_names == ["id", *(["image"] if suffix == ".parquet" else []), "score", "anomaly"]
    *found, nothing = table.column("score").to_pylist()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert nothing is None
    assert table.column("anomaly").to_pylist() == [*(wanted < line).tolist(), None]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_cells_of_a_csv_are_carried_as_what_they_stand_for(data, suffix):
    class Strips(Arrays):
        def column(self, batch, name):
            return [np.array(cell.split(), np.float32) for cell in batch.column(name).to_pylist()]

    Path("strips.csv").write_text("strip,size,code,day\n1 2,14.23,007,2024-01-02\n3 4,,008,2024-01-03\n")
    model = Facade(raw=Strips(dimensions=1), kind="series")
    scored(model, "strips.csv", "strip", 0.5, f"s{suffix}", lambda items: None)
    if suffix == ".parquet":
        kinds = [pa.string(), pa.float64(), pa.string(), pa.date32(), pa.float64(), pa.bool_()]
        assert pq.read_table("s.parquet").schema.types == kinds
    else:
        first, second = Path("s.csv").read_text().splitlines()[1:]
        assert first.startswith('"1 2",14.23,"007",2024-01-02,')
        assert second.startswith('"3 4",,"008",2024-01-03,')


def test_scores_alone_are_an_array(data):
    scored(Facade(), data, "image", None, "s.npy", lambda items: None)
    found = np.load("s.npy")
    np.testing.assert_allclose(found[:4], score_samples(parts(), ITEMS))
    assert np.isnan(found[4])


def test_the_threshold_is_the_model_s_own_unless_a_share_is_given(data):
    model = Facade()
    model.parts_.report["threshold"] = 1e9
    assert scored(model, data, "image", None, "s.npy", lambda items: None)[1:3] == (4, 1e9)
    assert scored(model, data, "image", 0.5, "s.npy", lambda items: None).anomalies == 2
    with pytest.raises(BadInput, match="contamination is the share"):
        scored(model, data, "image", 0.9, "other.npy", lambda items: None)
    assert not Path("other.npy").exists()


def test_nothing_to_score_is_refused(data):
    pq.write_table(pa.table({"image": pa.array([None], pa.list_(pa.list_(pa.uint8())))}), "none.parquet")
    with pytest.raises(BadInput, match=r"none\.parquet has nothing to score in 'image'"):
        scored(Facade(), "none.parquet", "image", None, "s.csv", lambda items: None)
