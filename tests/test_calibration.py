"""Ranges kept in a model's folder: right for whole and for cut vectors, taken by `embed` and `encode`, never lost."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import raw2vec
from files_at_most import files_at_most
from raw2vec.calibration import Calibration, calibrated, first_numbers, read, write
from raw2vec.errors import BadFolder, BadInput, Raw2VecError
from raw2vec.system import Raw2Vec
from raw2vec.use.compact import DTYPES, Form

TEXTS = [f"{number} {'red' if number % 2 else 'blue'} cars" for number in range(60)]
OTHERS = [f"{number} green {'hats' if number % 3 else 'coats'}" for number in range(40)]


def drawn(count: int, width: int = 12) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, width)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> Raw2Vec:
    return Raw2Vec(steps=3, size="tiny").fit(TEXTS)


@pytest.fixture
def folder(fitted: Raw2Vec, tmp_path: Path) -> Path:
    fitted.save(tmp_path / "m")
    return tmp_path / "m"


def test_vectors_of_every_length_have_ranges_of_their_own(tmp_path: Path) -> None:
    vectors = first_numbers(drawn(30), 12, unit=True)
    unit, plain = Calibration.found(vectors, True, "thirty"), Calibration.found(vectors, False, "thirty")
    for count in (1, 5, 11, 12):
        np.testing.assert_allclose(unit.of(count), calibrated(first_numbers(vectors, count, unit=True)), atol=1e-6)
        np.testing.assert_array_equal(plain.of(count), calibrated(vectors[:, :count]))
    assert (unit.of(5) != plain.of(5)).all(), "cut vectors that are brought to length one have larger numbers"
    assert unit.of().shape == (2, 12)
    write(tmp_path, {"input": unit, "target": plain})
    again = read(tmp_path / "ranges.safetensors")
    assert (again["input"].told, again["target"].width, again["input"].items) == ("thirty", 12, 30)
    np.testing.assert_array_equal(again["input"].of(7), unit.of(7))
    np.testing.assert_array_equal(again["target"].of(7), plain.of(7))
    with pytest.raises(BadInput, match="told by vectors that differ"):
        Calibration.found(np.ones((4, 3), np.float32), True, "four")


def test_a_folder_keeps_them_and_all_else_stays(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    model = raw2vec.load(folder)
    model.calibrate(TEXTS, out=folder)
    after = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {"ranges.safetensors", "raw.json", "report.json"}
    again = raw2vec.load(folder)
    assert again.fingerprint_ == model.fingerprint_
    assert again.report["ranges"] == {"input": "60 items of the data"}
    np.testing.assert_array_equal(again.parts_.ranges["input"].held, model.parts_.ranges["input"].held)
    again.save(folder.with_name("copy"))
    assert raw2vec.load(folder.with_name("copy")).parts_.ranges["input"].told == "60 items of the data"
    file = folder / "ranges.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(BadFolder, match=r"ranges\.safetensors is not the file that this folder was saved with"):
        raw2vec.load(folder)


def test_where_there_is_no_room_nothing_is_lost(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    model = raw2vec.load(folder)
    with files_at_most(1000), pytest.raises(Raw2VecError):
        model.calibrate(TEXTS, out=folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["m"]


@pytest.mark.parametrize("numbers", [None, 24])
def test_embed_takes_them_for_any_data_and_says_so(folder: Path, tmp_path: Path, numbers: int | None) -> None:
    raw2vec.load(folder).calibrate(TEXTS, out=folder)
    model = raw2vec.load(folder)
    done = model.embed(OTHERS, tmp_path / "v.npy", vectors="int8", truncate_dim=numbers)
    ranges = model.parts_.ranges["input"].of(numbers)
    expected = calibrated(first_numbers(model.encode(TEXTS), numbers, unit=True))
    np.testing.assert_allclose(ranges, expected, atol=1e-6)
    cut = first_numbers(model.encode(OTHERS), numbers, unit=True)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), Form("int8", ranges=ranges).of(cut))
    np.testing.assert_array_equal(np.load(tmp_path / "v.ranges.npy"), ranges)
    assert done.ranges == "the model's own ranges, of 60 items of the data"
    other = model.embed(OTHERS, tmp_path / "w.npy", vectors="int8", truncate_dim=numbers, calibrate=OTHERS)
    assert other.ranges == "the ranges of the first 40 items of others"
    assert not np.array_equal(np.load(tmp_path / "v.npy"), np.load(tmp_path / "w.npy"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("numbers", [None, 16])
def test_encode_gives_the_bytes_of_sentence_transformers(fitted: Raw2Vec, dtype: str, numbers: int | None) -> None:
    quantization = pytest.importorskip("sentence_transformers.util.quantization", reason="needs the extra 'peers'")
    fitted.calibrate(TEXTS + OTHERS)
    vectors = first_numbers(fitted.encode(OTHERS), numbers, unit=True)
    found = fitted.encode(OTHERS, output_dtype=dtype, truncate_dim=numbers)
    if dtype == "float16":
        expected = vectors.astype(np.float16)
    else:
        ranges = fitted.parts_.ranges["input"].of(numbers)
        expected = quantization.quantize_embeddings(vectors, dtype, ranges=ranges)
    assert found.dtype == expected.dtype
    differing = np.abs(found.astype(np.float64) - expected) if found.dtype != np.uint8 or dtype == "uint8" else None
    assert (found != expected).sum() == 0 or (differing is not None and differing.max() <= 1)
    assert fitted.encode(OTHERS[0], output_dtype=dtype, truncate_dim=numbers).shape == expected.shape[1:]
    assert str(fitted.encode(OTHERS, output_dtype=dtype, convert_to_tensor=True).dtype) == f"torch.{expected.dtype}"


def test_what_cannot_be_given_is_said(fitted: Raw2Vec, tmp_path: Path) -> None:
    fitted.parts_.ranges.clear()
    for options, said in (
        ({"output_dtype": "int8"}, "keeps none for its inputs.*raw2vec calibrate"),
        ({"output_dtype": "int4"}, "not 'int4'.*Did you mean 'int8'"),
    ):
        with pytest.raises(BadInput, match=said):
            fitted.encode(TEXTS, **options)
    with pytest.raises(BadInput, match="differ"):
        fitted.calibrate(TEXTS[:1])


def test_a_translator_that_looks_at_every_word_has_no_vectors_to_spare() -> None:
    pairs = {"en": TEXTS, "fr": [text[::-1] for text in TEXTS]}
    options = {"input": "en", "target": "fr", "objective": "translation", "steps": 1, "size": "tiny"}
    model = raw2vec.fit(pairs, settings={"bridge": "cross-attention"}, **options)
    for ask in (lambda: model.calibrate(TEXTS, input="0"), lambda: model.encode(TEXTS, output_dtype="binary")):
        with pytest.raises(BadInput, match="looks at every word"):
            ask()


def test_an_export_keeps_them(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
    pytest.importorskip("onnx", reason="needs the extra 'onnx'")
    from raw2vec.engines.exports import export
    from raw2vec.system.exported import Exported

    model = raw2vec.load(folder)
    model.calibrate(TEXTS)
    export(model.parts_, tmp_path / "x", "onnx")
    other = Exported(tmp_path / "x")
    assert other.encode(OTHERS, output_dtype="int8", truncate_dim=8).shape == (40, 8)
    other.calibrate(OTHERS, out=tmp_path / "x")
    assert Exported(tmp_path / "x").opened.parts.ranges["input"].told == "40 items of the data"


def test_each_side_of_a_pair_is_calibrated_by_what_it_reads(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for number in range(30):
        Image.fromarray(draw.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    data = tmp_path / "pairs.csv"
    rows = [f"{text},{number}.png" for number, text in enumerate(TEXTS[:30])]
    data.write_text("\n".join(["caption,path", *rows]))
    model = Raw2Vec("contrastive", kind="pairs", steps=2, size="tiny").fit(data, input="caption", target="path")
    for column in ("caption", "path"):  # texts, and then pictures
        out = tmp_path / f"{column}.npy"
        model.embed(data, out, input=column, vectors="int8", calibrate=data)
        assert np.load(out).shape[0] == 30
    model.calibrate(data, input="caption")
    with pytest.raises(BadInput, match="calibrate"):
        model.encode([tmp_path / "0.png"], side="target", output_dtype="int8")
