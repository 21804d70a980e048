"""From a file to an answer with nothing stood in for: the commands as users type them, on small models."""

import json
import os
import random
import shlex
import signal
import subprocess
import sys
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from raw2vec.cli import app

KINDS = {"fire": "smoke flames burning alarm heat", "money": "invoice refund charged price amount"}
SMALL = ("--encoder", "dense", "--size", "tiny", "--set", "raw.vocabulary=300", "--set", "training.hold_out=0.2")


def call(*words: str) -> dict:
    """The one JSON object of a command that goes well."""
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with 300 rows of text, three kinds of label, one empty row; and models of the labels."""
    place = tmp_path_factory.mktemp("journeys")
    draw = random.Random(0)
    with open(place / "rows.csv", "w") as file:
        file.write("id,body,kind,tags,price\n")
        for row in range(300):
            kind = draw.choice(list(KINDS))
            words = " ".join(draw.choices(KINDS[kind].split(), k=6))
            body = "" if row == 7 else f"{words} number {row}"
            price = (50 if kind == "fire" else 10) + row / 100
            file.write(f"{row},{body},{kind},{kind}|new,{price}\n")
    for name, label in (("classes", "kind"), ("labels", "tags"), ("numbers", "price")):
        words = ["fit", str(place / "rows.csv"), "--input", "body", "--label", label, "--steps", "40", *SMALL]
        report = call(*words, "--out", str(place / name))
        assert report["steps"] == 40
        assert report["items_per_s"] > 0
        assert report["protocol"].startswith("classification")
    return place


def test_after_a_fit_on_labels_the_next_thing_is_to_predict_however_few_were_held_out(place):
    words = ["fit", str(place / "rows.csv"), "--input", "body", "--label", "kind", "--steps", "2", *SMALL]
    told = CliRunner().invoke(app, [*words, "--out", str(place / "few"), "--set", "training.hold_out=0.01"]).stdout
    assert "too little was held out to measure anything" in told
    assert f"next: raw2vec predict {place / 'few'} {place / 'rows.csv'} --input body" in told


def test_predicting_classes_to_every_format(place):
    for suffix, read in ((".csv", pa_csv.read_csv), (".jsonl", pa_json.read_json), (".parquet", pq.read_table)):
        out = place / f"predicted{suffix}"
        found = call("predict", str(place / "classes"), str(place / "rows.csv"), "--out", str(out))
        assert (found["items"], found["empty"], found["out"]) == (300, 1, str(out))
        table = read(out)
        assert table.column_names == ["id", "body", "kind", "tags", "price", "prediction", "probability"]
        rows = table.to_pylist()
        assert [int(row["id"]) for row in rows] == list(range(300))
        assert rows[7]["prediction"] in (None, "")
        assert rows[7]["probability"] is None
        told = [row for row in rows if int(row["id"]) != 7]
        assert np.mean([row["prediction"] == row["kind"] for row in told]) > 0.95
        assert all(0.5 <= row["probability"] <= 1 for row in told)
    assert not list(place.glob("*.partial"))


def test_predicting_again_replaces_the_older_predictions(place):
    out = place / "again.parquet"
    call("predict", str(place / "classes"), str(place / "rows.csv"), "--out", str(out))
    call("predict", str(place / "classes"), str(out), "--input", "body", "--out", str(place / "twice.parquet"))
    assert pq.read_table(place / "twice.parquet").equals(pq.read_table(out))


def test_predictions_that_cannot_be_finished_leave_nothing(place, monkeypatch):
    def full(table, file, options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pa_csv, "write_csv", full)
    words = ["predict", str(place / "classes"), str(place / "rows.csv"), "--out", str(place / "never.csv")]
    assert CliRunner().invoke(app, words).exit_code == 2
    assert not list(place.glob("never*"))


def test_predicting_several_labels(place):
    found = call("predict", str(place / "labels"), str(place / "rows.csv"))["predictions"]
    assert found[7]["prediction"] is None
    assert all("new" in row["prediction"] for row in found if row["row"] != 7)
    call("predict", str(place / "labels"), str(place / "rows.csv"), "--out", str(place / "several.csv"))
    assert pa_csv.read_csv(place / "several.csv")["prediction"][0].as_py() == "|".join(found[0]["prediction"])


def test_predicting_numbers(place):
    found = call("predict", str(place / "numbers"), str(place / "rows.csv"))["predictions"]
    assert found[0].keys() == {"row", "body", "prediction"}
    assert all(isinstance(row["prediction"], float) for row in found if row["row"] != 7)


def test_predicting_classes_of_pictures(tmp_path):
    """The last picture is missing; a file's bytes are carried along where there is room for them."""
    draw = np.random.default_rng(0)
    bright = [bool(row % 2) for row in range(80)]
    pixels = [draw.integers(128 * light, 128 + 128 * light, (8, 8), np.uint8) for light in bright]
    files = [{"bytes": png(picture), "path": None} for picture in pixels]
    data, model = str(tmp_path / "pictures.parquet"), str(tmp_path / "m")
    pq.write_table(pa.table({"picture": [*files[:-1], None], "bright": bright, "tags": [["a", "b"]] * 80}), data)
    words = ["--input", "picture", "--label", "bright", "--kind", "image", "--size", "tiny", "--steps", "60"]
    call("fit", data, *words, "--out", model)
    carried = {".csv": ["bright", "tags"], ".jsonl": ["bright", "tags"], ".parquet": ["picture", "bright", "tags"]}
    for suffix, read in ((".csv", pa_csv.read_csv), (".jsonl", pa_json.read_json), (".parquet", pq.read_table)):
        out = str(tmp_path / f"predicted{suffix}")
        found = call("predict", model, data, "--input", "picture", "--out", out)
        assert (found["items"], found["empty"]) == (80, 1)
        table = read(out)
        assert table.column_names == [*carried[suffix], "prediction", "probability"]
        assert table["prediction"].to_pylist()[:79] == bright[:79]
        assert table["probability"][79].as_py() is None
    assert call("predict", model, data)["predictions"][3].keys() == {"row", "prediction", "probability"}


def test_predicting_classes_of_a_table_s_rows(tmp_path):
    """The columns of a csv are carried along as the numbers and dates that they are."""
    data, model, out = (str(tmp_path / name) for name in ("rows.csv", "m", "out.parquet"))
    with open(data, "w") as file:
        file.write("size,code,day,class\n")
        file.writelines(f"{row % 7 + 100 * (row % 2)}.50,00{row},2024-01-02,{'ab'[row % 2]}\n" for row in range(80))
    words = ["--kind", "table", "--label", "class", "--size", "tiny", "--steps", "60"]
    call("fit", data, *words, "--out", model)
    call("predict", model, data, "--out", out)
    table = pq.read_table(out)
    assert table["prediction"].to_pylist() == table["class"].to_pylist() == list("ab") * 40
    kinds = [pa.float64(), pa.string(), pa.date32(), pa.string(), pa.string(), pa.float64()]
    assert table.schema.types == kinds
    with open(data) as file:
        found = CliRunner().invoke(app, ["predict", model, "-", "--json"], input=file.read())
    assert [row["prediction"] for row in json.loads(found.stdout)["predictions"]] == list("ab") * 40
    call("predict", model, data, "--out", str(tmp_path / "out.csv"))
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith('0.5,"000",2024-01-02,"a","a",')


def png(pixels) -> bytes:
    to = BytesIO()
    Image.fromarray(pixels).save(to, "PNG")
    return to.getvalue()


def test_embedding_indexing_searching_measuring_and_looking_inside(place):
    model, rows = str(place / "classes"), str(place / "rows.csv")
    vectors = place / "v.npy"
    found = call("embed", model, rows, "--input", "body", "--out", str(vectors))
    assert (found["items"], found["empty"]) == (300, 1)
    assert np.load(vectors).shape[0] == 300
    assert call("index", model, rows, "--input", "body", "--store", str(place / "store"))["items"] == 300
    hits = call("search", str(place / "store"), "a refund of the price", "-k", "3")["results"][0]["hits"]
    assert [hit["columns"]["kind"] for hit in hits] == ["money"] * 3
    measured = call("evaluate", model, rows, "--input", "body", "--label", "kind")
    assert measured["metrics"]["accuracy"] > 0.9
    assert "TF-IDF" in measured["baselines"]
    assert call("inspect", model)["parameters"] > 0


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["predict", "classes", "rows.csv", "--input", "boddy"], "Did you mean 'body'?"),
        (["embed", "rows.csv", "rows.csv", "--out", "w"], "rows.csv"),
        (["predict", "store-of-nothing", "rows.csv"], "There is no file or folder"),
        (["fit", "rows.csv", "--label", "kind", "--out", "w", "--set", "encoder.layer=2"], "Did you mean 'layers'?"),
    ],
)
def test_what_is_unusable_is_said_in_a_sentence(place, words, part, monkeypatch):
    monkeypatch.chdir(place)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1].startswith("raw2vec: ")
    assert part in result.stderr.splitlines()[-1]


def test_a_fit_that_is_stopped_goes_on_as_it_said(place, monkeypatch):
    monkeypatch.chdir(place)
    words = ["fit", "rows.csv", "--input", "body", "--label", "kind", "--steps", "600", "--out", "later", *SMALL]
    words += ["--set", "training.checks=30"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "raw2vec", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    next(line for line in process.stderr if "held out" in line)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1].splitlines()[-1]
    assert process.returncode == 130
    assert not (place / "later").exists()
    go_on = shlex.split(said.split("Go on with: ")[1])
    assert go_on == ["raw2vec", *words, "--resume"]
    assert call(*go_on[1:])["steps"] == 600
    assert (place / "later" / "model.safetensors").exists()


def test_fitting_several_files(place, monkeypatch):
    monkeypatch.chdir(place)
    found = call("fit", "rows.csv", "rows.csv", "--input", "body", "--steps", "3", "--out", "double", *SMALL)
    assert found["items"] == 600
