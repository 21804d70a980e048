"""Encoders exported for other engines: held against the model, whole or not there, and at work as models are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from drawn_encoders import made
from raw2vec import BadFolder, BadInput, Raw2Vec, Raw2VecError, engines, load
from raw2vec.cli import app
from raw2vec.engines.exports import Opened, export
from raw2vec.folder import fingerprint
from raw2vec.system.exported import Exported
from small import rows, texts
from tiny_checkpoints import model2vec

pytest.importorskip("openvino", reason="needs the extra 'openvino'")
pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")

ENGINES = ("openvino", "onnx")
LINES = [*texts(30, 5), "", "salt " * 60]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, `m`, its two exports, and lines for them."""
    place = tmp_path_factory.mktemp("graphs")
    settings = {"raw.vocabulary": 300, "raw.max_tokens": 24, "encoder.width": 32, "encoder.layers": 2}
    Raw2Vec("masked", "transformer", steps=2, settings=settings).fit(rows()).save(place / "m")
    for engine in ENGINES:
        export(load(place / "m").parts_, place / engine, engine)
    (place / "lines.txt").write_text("\n".join(LINES) + "\n")
    return place


def call(place: Path, *words: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return CliRunner().invoke(app, list(words))


def told(place: Path, *words: str) -> dict:
    result = call(place, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.filterwarnings("ignore::raw2vec.system.TruncationWarning", "ignore::raw2vec.errors.EmptyTextWarning")
@pytest.mark.parametrize("engine", ENGINES)
def test_an_export_gives_the_models_vectors_and_is_of_its_space(engine: str, place: Path) -> None:
    model, exported = load(place / "m"), Exported(place / engine)
    own = model.encode(LINES)
    np.testing.assert_allclose(exported.encode(LINES), own, atol=1e-4)
    np.testing.assert_allclose(exported.encode(LINES[3]), own[3], atol=1e-4)
    assert exported.encode([]).shape == (0, 32)
    assert exported.fingerprint_ == model.fingerprint_ == fingerprint(model.parts_)


@pytest.mark.parametrize("engine", ENGINES)
def test_whoever_has_tokenizers_and_the_engine_needs_nothing_else(engine: str, place: Path) -> None:
    """The card's own lines, run in a folder beside."""
    card = (place / engine / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0].replace('["a text", "another"]', repr(LINES[:4]))
    found: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        exec(code, found)
    np.testing.assert_allclose(found["vectors"], load(place / "m").encode(LINES[:4]), atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_card_leaves_out_unknown_words_where_the_model_does(engine: str, tmp_path: Path) -> None:
    model2vec(tmp_path / "m")
    model = load(tmp_path / "m")
    export(model.parts_, tmp_path / "static", engine)
    card = (tmp_path / "static" / "README.md").read_text()
    lines = ["the ship 数 near a harbour", "数", "bread"]
    code = card.split("```python\n")[1].split("```")[0].replace('["a text", "another"]', repr(lines))
    found: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        exec(code, found)
    np.testing.assert_allclose(found["vectors"], model.encode(lines), atol=1e-4)


def test_what_export_of_an_encoder_answers(place: Path) -> None:
    found = told(place, "export", "m", "--to", "onnx", "--out", "again")
    assert found["metrics"]["worst_cosine"] > 0.99999
    assert (found["engine"], found["quantization"], found["out"]) == ("onnx", "float32", "again")
    assert found["bytes"] == sum(file.stat().st_size for file in (place / "again").iterdir())
    said = call(place, "export", "m", "--to", "onnx", "--out", "again", "--quantization", "int8").stdout
    assert "weights in int8" in said
    assert "next: raw2vec embed again DATA --out vectors" in said
    assert Exported(place / "again").fingerprint_ != Exported(place / "onnx").fingerprint_


def test_int8_has_its_ranges_from_texts_of_ones_own(place: Path) -> None:
    pytest.importorskip("nncf", reason="int8 needs nncf, of the extra 'openvino'")
    words = ("--to", "openvino", "--out", "q", "--quantization", "int8", "--calibrate", "lines.txt")
    found = told(place, "export", "m", *words)
    assert 0.95 < found["metrics"]["worst_cosine"] < 0.99999
    done = told(place, "embed", "q", "lines.txt", "--out", "q.npy")
    assert done["engine"] == "openvino int8"


def test_bfloat16_is_half_of_the_size_and_nearly_the_models_vectors(place: Path) -> None:
    found = told(place, "export", "m", "--to", "openvino", "--out", "half", "--quantization", "bfloat16")
    assert found["metrics"]["worst_cosine"] > 0.999
    weights = [(place / name / "openvino_model.bin").stat().st_size for name in ("half", "openvino")]
    assert weights[0] < 0.6 * weights[1]
    assert '"INFERENCE_PRECISION_HINT": "bf16"' in (place / "half" / "README.md").read_text()
    assert told(place, "embed", "half", "lines.txt", "--out", "half.npy")["engine"] == "openvino bfloat16"
    own = load(place / "m").encode(LINES)
    both = np.load(place / "half.npy")
    lengths = np.linalg.norm(own, axis=1) * np.linalg.norm(both, axis=1)
    assert ((own * both).sum(1) / np.maximum(lengths, 1e-9))[lengths > 0].min() > 0.999
    assert Exported(place / "half").fingerprint_ != Exported(place / "openvino").fingerprint_
    refused = call(place, "export", "m", "--to", "onnx", "--out", "no", "--quantization", "bfloat16")
    assert (refused.exit_code, "bfloat16 is for --to openvino" in refused.stderr) == (2, True)
    assert not (place / "no").exists()


def test_embed_by_every_engine(place: Path) -> None:
    told(place, "embed", "m", "lines.txt", "--out", "own.npy")
    own = np.load(place / "own.npy")
    for number, words in enumerate((["m", "--engine", "onnx"], ["m", "--engine", "openvino"], ["onnx"], ["openvino"])):
        found = told(place, "embed", words[0], "lines.txt", "--out", f"v{number}.npy", *words[1:])
        assert found["engine"] == f"{words[-1]} float32"
        np.testing.assert_allclose(np.load(place / f"v{number}.npy"), own, atol=1e-4)
    assert told(place, "embed", "m", "lines.txt", "--out", "a.npy", "--engine", "torch")["engine"] == "torch"
    np.testing.assert_array_equal(np.load(place / "a.npy"), own)


def test_another_engine_does_not_go_on_with_a_run(place: Path) -> None:
    told(place, "embed", "m", "lines.txt", "--out", "shards", "--engine", "onnx")
    assert told(place, "embed", "m", "lines.txt", "--out", "shards", "--engine", "onnx", "--resume")["new"] == 0
    found = told(place, "embed", "m", "lines.txt", "--out", "shards", "--resume")
    assert (found["new"], found["engine"]) == (0, "onnx float32"), "none asked for is the one that it was begun with"
    result = call(place, "embed", "m", "lines.txt", "--out", "shards", "--resume", "--engine", "openvino")
    assert result.exit_code == 2
    assert "shards was begun with the engine onnx float32" in result.stderr
    told(place, "embed", "m", "lines.txt", "--out", "plain")
    result = call(place, "embed", "m", "lines.txt", "--out", "plain", "--resume", "--engine", "onnx")
    assert "plain was begun with the engine torch" in result.stderr


def test_an_export_fills_and_searches_a_store(place: Path) -> None:
    pytest.importorskip("lancedb", reason="needs the extra 'store'")
    assert told(place, "index", "onnx", "lines.txt", "--store", "s")["items"] == len(LINES)
    mine = told(place, "search", "s", LINES[4], "-k", "1", "--model", "m")["results"][0]["hits"][0]
    assert mine["row"] == 4
    assert told(place, "search", "s", LINES[4], "-k", "1")["results"][0]["hits"][0]["row"] == 4


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["embed", "onnx", "lines.txt", "--out", "x.npy", "--engine", "torch"], "was exported for onnx, which torch"),
        (["embed", "onnx", "lines.txt", "--out", "x.npy", "--precision", "int8"], "was exported in float32"),
        (["embed", "m", "lines.txt", "--out", "x.npy", "--engine", "onx"], "Did you mean 'onnx'?"),
        (
            ["embed", "m", "lines.txt", "--out", "x.npy", "--engine", "onnx", "--precision", "bfloat16"],
            "bfloat16 takes",
        ),
        (["export", "m", "--to", "onnx", "--out", "m"], "m holds a model"),
        (["export", "onnx", "--to", "openvino", "--out", "x"], "was exported and gives vectors alone"),
        (["evaluate", "onnx", "lines.txt"], "was exported and gives vectors alone: raw2vec embed onnx DATA"),
        (["export", "m", "--to", "ctranslate2", "--out", "x"], "CTranslate2 cannot run this model"),
    ],
)
def test_what_an_export_cannot_do(words: list[str], sentence: str, place: Path) -> None:
    before = sorted(place.rglob("*"))
    result = call(place, *words)
    assert result.exit_code == 2, result.output
    assert sentence in " ".join(result.stderr.split())
    assert sorted(place.rglob("*")) == before


def test_what_is_too_far_off_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines.WORST, "float32", 1.1)
    with pytest.raises(Raw2VecError, match="does not give this model's vectors, so nothing was written"):
        export(made("bag"), tmp_path / "o", "onnx")
    with pytest.raises(BadInput, match="its encoder is recurrent"):
        export(made(encoder="recurrent"), tmp_path / "o", "onnx")
    assert not list(tmp_path.iterdir())


def test_a_damaged_export_is_refused(tmp_path: Path) -> None:
    export(made("bag"), tmp_path / "o", "onnx")
    Opened(tmp_path / "o").engine()
    (tmp_path / "o" / "model.onnx").write_bytes(b"")
    with pytest.raises(BadFolder, match=r"model\.onnx is not the file that this folder was saved with"):
        Opened(tmp_path / "o")


def test_without_the_package_nothing_is_exported(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ENGINES:
        monkeypatch.setitem(sys.modules, {"onnx": "onnxruntime"}.get(package, package), None)
        result = call(place, "export", "m", "--to", package, "--out", "o")
        assert result.exit_code == 2
        assert f"pip install 'raw2vec[{package}]'" in result.stderr
        assert not (place / "o").exists()
