"""`raw2vec export`, and the engines of `raw2vec translate`: as they are typed, on a small model."""

import json
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from raw2vec import Raw2Vec
from raw2vec.cli import app, export, translate

for package, extra in (("ctranslate2", "ctranslate2"), ("onnxruntime", "onnx"), ("sentence_transformers", "peers")):
    pytest.importorskip(package, reason=f"needs the extra '{extra}'")

ROWS = [{"en": f"the {a} {b}", "fr": f"les {b}s {a}s"} for a in ("red", "old", "blue") for b in ("car", "door", "hat")]
LINES = ["the red door", "", "the old hat", "a blue car and an old door"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a translator, `mt`, two that write with it, one called as an encoder is, and lines."""
    place = tmp_path_factory.mktemp("export")
    settings = {"raw.vocabulary": 300, "raw.max_tokens": 32, "training.hold_out": 0.0}
    made = Raw2Vec("translation", kind="pairs", size="tiny", latent=8, steps=20, settings=settings)
    made.fit(ROWS, input="en", target="fr")
    for name in ("mt", "mt.second", "mt.third"):
        made.save(place / name)
    bag = {**settings, "encoder.positions": "none", "encoder.width": 16, "embedding.width": 16}
    Raw2Vec("contrastive", size="tiny", steps=3, settings=bag).fit([row["en"] for row in ROWS]).save(place / "tickets")
    (place / "news.txt").write_text("\n".join(LINES) + "\n")
    (place / "news.en").write_text("\n".join(LINES) + "\n")
    return place


def call(place: Path, *words: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return CliRunner().invoke(app, list(words))


def told(place: Path, *words: str) -> dict:
    result = call(place, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def exported(place: Path) -> dict:
    return told(place, "export", "mt", "--to", "ctranslate2", "--out", "mt.ct2")


def test_what_export_answers(place: Path, exported: dict) -> None:
    assert exported["metrics"]["difference"] < 1e-3
    assert exported["metrics"]["agreement"] == 1
    assert (exported["engine"], exported["quantization"], exported["out"]) == ("ctranslate2", "float32", "mt.ct2")
    assert exported["bytes"] == sum(file.stat().st_size for file in (place / "mt.ct2").iterdir())
    said = call(place, "export", "mt", "--to", "ctranslate2", "--out", "mt.int8", "--quantization", "int8").stdout
    assert "weights in int8" in said
    assert "next: raw2vec translate mt.int8 FILE" in said
    assert (place / "mt.int8/model.bin").stat().st_size < 0.5 * (place / "mt.ct2/model.bin").stat().st_size


def test_every_engine_gives_a_line_for_a_line_and_the_same_ones(place: Path, exported: dict) -> None:
    ours = told(place, "translate", "mt", "news.en", "--beam", "1")
    assert ours["engine"] == "torch"
    assert len(ours["translations"]) == len(LINES)
    assert ours["translations"][1] == ""
    assert all(text for place, text in enumerate(ours["translations"]) if place != 1)
    for words in (["mt.ct2"], ["mt", "--engine", "ctranslate2"], ["mt.ct2", "--engine", "auto"]):
        found = told(place, "translate", words[0], "news.en", "--beam", "1", *words[1:])
        assert found["engine"] == "ctranslate2"
        assert found["translations"] == ours["translations"]
    assert call(place, "translate", "mt.ct2", "news.en", "--beam", "1", "--out", "news.fr").exit_code == 0
    assert (place / "news.fr").read_text().split("\n") == [*ours["translations"], ""]
    best = told(place, "translate", "mt.ct2", "news.en", "--beam", "4", "--best", "2")
    assert [len(drafts) for drafts in best["translations"]] == [2, 1, 2, 2]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["translate", "mt.ct2", "news.en", "--engine", "torch"], "was exported for CTranslate2, and PyTorch cannot"),
        (["translate", "mt.ct2", "news.en", "--beam", "1", "--temperature", "1"], "or with the engine torch"),
        (["translate", "mt", "news.en", "--engine", "onnx"], "there is no 'onnx', only auto, torch, ctranslate2."),
        (
            ["embed", "mt.ct2", "news.en", "--out", "v.npy"],
            "only translates: raw2vec translate mt.ct2 FILE.",
        ),
        (
            ["export", "mt", "--to", "onx", "--out", "o"],
            "only openvino, onnx, ctranslate2, transformers, sentence-transformers. Did you mean 'onnx'?",
        ),
        (
            ["export", "mt", "--to", "onnx", "--out", "o", "--calibrate", "news.en"],
            "--calibrate goes with --to openvino",
        ),
        (["export", "mt", "--to", "ctranslate2", "--out", "o", "--quantization", "int4"], "Did you mean 'int8'?"),
        (
            ["export", "mt", "--to", "ctranslate2", "--out", "o", "--quantization", "bfloat16"],
            "ctranslate2 takes float32 or int8: bfloat16 is for --to openvino.",
        ),
        (["export", "mt", "--to", "ctranslate2", "--out", "mt"], "mt holds a model"),
        (
            ["export", "mt", "--to", "transformers", "--out", "o"],
            "the nearest, Marian, has encoder.norm_order post-only, not pre-each",
        ),
        (["export", "tickets", "--to", "transformers", "--out", "o"], "--to sentence-transformers takes it"),
        (
            ["export", "mt", "--to", "transformers", "--out", "o", "--quantization", "int8"],
            "transformers takes weights in float32: leave out --quantization.",
        ),
        (["export", "nt", "--to", "ctranslate2", "--out", "o"], "There is no file or folder 'nt'."),
        (["export", "mt.ct2", "--to", "ctranslate2", "--out", "o"], "was exported and only translates"),
    ],
)
def test_what_cannot_be_done(words: list[str], sentence: str, place: Path, exported: dict) -> None:
    before = sorted(place.rglob("*"))
    result = call(place, *words)
    assert result.exit_code == 2, result.output
    assert sentence in " ".join(result.stderr.split())
    assert sorted(place.rglob("*")) == before


def test_a_folder_for_a_library(place: Path) -> None:
    answer = told(place, "export", "tickets", "--to", "sentence-transformers", "--out", "tickets.too")
    assert answer["family"] == "SentenceTransformer"
    assert answer["metrics"]["difference"] < 1e-5
    assert told(place, "embed", "tickets.too", "news.txt", "--out", "too.npy")["items"] == len(LINES)


def test_without_the_package_one_is_told_how_to_get_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    result = call(place, "export", "mt", "--to", "ctranslate2", "--out", "o")
    assert result.exit_code == 2
    assert "pip install 'raw2vec[ctranslate2]'" in result.stderr
    assert not (place / "o").exists()


@pytest.mark.parametrize("name", ["export", "translate"])
def test_help_fits_and_its_examples_run(name: str, place: Path) -> None:
    result = call(place, name, "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    lines = ((export if name == "export" else translate).__doc__ or "").splitlines()
    examples = [shlex.split(line)[1:] for line in lines if line.strip().startswith("raw2vec ")]
    assert len(examples) >= 2
    for words in examples:
        done = call(place, *words)
        assert done.exit_code == 0, done.output


def test_an_export_keeps_its_precision(place: Path, exported: dict) -> None:
    result = call(place, "translate", "mt.ct2", "news.en", "--precision", "int8")
    assert result.exit_code == 2
    assert "export with --quantization int8" in result.stderr
