"""Vectors in fewer bytes: those of sentence-transformers, what they stand for, and searches that start from them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from raw2vec.errors import BadInput, WrongSpace
from raw2vec.system import Raw2Vec
from raw2vec.use import base
from raw2vec.use.compact import (
    KINDS,
    Form,
    as_bits,
    as_int8,
    calibrated,
    differing,
    first_numbers,
    from_bits,
    from_int8,
    read_ranges,
    search,
    write_ranges,
)


def drawn(count: int, width: int = 44, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


def test_the_bytes_are_those_of_sentence_transformers() -> None:
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.util.quantization import quantize_embeddings

    vectors, ranges = drawn(300), calibrated(drawn(80, seed=1))
    np.testing.assert_array_equal(as_int8(vectors, ranges), quantize_embeddings(vectors, "int8", ranges=ranges))
    np.testing.assert_array_equal(as_bits(vectors), quantize_embeddings(vectors, "ubinary"))
    own = quantize_embeddings(vectors, "int8")
    np.testing.assert_array_equal(as_int8(vectors, calibrated(vectors)), own)


def test_a_number_comes_back_to_within_half_a_step() -> None:
    vectors = drawn(300)
    ranges = calibrated(vectors)
    away = np.abs(from_int8(as_int8(vectors, ranges), ranges) - vectors)
    assert (away <= (ranges[1] - ranges[0]) / 255 * 0.501).all()
    np.testing.assert_array_equal(from_bits(as_bits(vectors), 44), np.where(vectors > 0, 1, -1))
    still = np.ones((3, 44), np.float32)
    assert np.isfinite(from_int8(as_int8(still, calibrated(np.vstack([still, drawn(1)]))), ranges)).all()


def test_cut_vectors_are_of_length_one_where_whole_ones_are() -> None:
    vectors = drawn(5)
    np.testing.assert_array_equal(first_numbers(vectors, 7), vectors[:, :7])
    np.testing.assert_allclose(np.linalg.norm(first_numbers(vectors, 7, unit=True), axis=1), 1, rtol=1e-6)
    assert first_numbers(vectors, None) is vectors
    for wrong in (0, -1, 45):
        with pytest.raises(BadInput, match="has 44 numbers: it can be cut to 1 of them or more"):
            first_numbers(vectors, wrong)


@pytest.mark.parametrize("kind", ["float32", "float16", "int8"])
def test_a_search_of_numbers_finds_what_a_plain_product_does(kind: str) -> None:
    vectors, queries = drawn(500), drawn(7, seed=2)
    ranges = calibrated(vectors)
    rows, scores = search(queries, Form(kind, ranges=ranges).of(vectors), 5, ranges=ranges)
    expected = queries @ vectors.T
    assert rows.shape == scores.shape == (7, 5)
    np.testing.assert_allclose(scores, np.take_along_axis(expected, rows, 1), atol=0.3 if kind == "int8" else 0.02)
    assert (rows[:, 0] == expected.argmax(axis=1)).mean() > 0.8
    assert (np.diff(scores, axis=1) <= 0).all()


def test_bits_are_told_apart_and_the_best_scored_again() -> None:
    vectors, queries = drawn(800), drawn(20, seed=2)
    bits, truth = as_bits(vectors), (queries @ vectors.T).argmax(axis=1)
    alone, _ = search(queries, bits, 1, rescore=1)
    apart = np.unpackbits(bits[:, None] ^ as_bits(queries), axis=2).sum(axis=2)  # (800, 20)
    np.testing.assert_array_equal(alone[:, 0], apart.argmin(axis=0))
    found, scores = search(queries, bits, 1, rescore=50, finer=vectors)
    assert (found[:, 0] == truth).mean() > (alone[:, 0] == truth).mean()
    np.testing.assert_allclose(scores[:, 0], (queries * vectors[found[:, 0]]).sum(axis=1), rtol=1e-4)
    every, _ = search(queries, bits, 3, rescore=1000, finer=vectors)
    np.testing.assert_array_equal(every[:, 0], truth)


@pytest.mark.parametrize("width", [44, 64, 72, 192])  # bytes that fill no word of eight, one, one and a bit, and three
def test_bits_that_differ_are_counted_one_by_one(width: int) -> None:
    bits, asked = as_bits(drawn(50, width)), as_bits(drawn(1, width, seed=1))[0]
    plainly = np.unpackbits(bits ^ asked, axis=1).sum(axis=1)
    np.testing.assert_array_equal(differing(bits, asked), plainly)
    np.testing.assert_array_equal(differing(bits[::2], asked), plainly[::2])


@pytest.mark.parametrize("small", [np.zeros((0, 2), np.uint8), np.zeros((0, 16), np.float32)])
def test_of_nothing_nothing_is_found(small: NDArray[Any]) -> None:
    rows, scores = search(np.ones((3, 16)), small, k=4)
    assert (rows.shape, scores.shape) == ((3, 0), (3, 0))
    rows, scores = search(np.ones((0, 16)), np.zeros((5, 2), np.uint8), k=4)
    assert (rows.shape, scores.shape) == ((0, 4), (0, 4))


def test_what_does_not_fit_is_said() -> None:
    vectors = drawn(5)
    with pytest.raises(BadInput, match="not 'int4'"):
        Form("int4")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="need ranges"):
        Form("int8")
    with pytest.raises(BadInput, match="ranges are of 44 numbers, and the vectors have 7"):
        as_int8(vectors[:, :7], calibrated(vectors))
    with pytest.raises(BadInput, match="stand for numbers within ranges"):
        search(vectors, as_int8(vectors, calibrated(vectors)))
    with pytest.raises(BadInput, match="44 numbers, and the vectors 8 bits"):
        search(vectors, as_bits(vectors[:, :7]))
    for none in (vectors[:0], np.ones((4, 3), np.float32)):
        with pytest.raises(BadInput, match="told by vectors that differ"):
            calibrated(none)


@pytest.mark.parametrize("place", ["v.npy", "folder"])
def test_ranges_are_kept_beside_the_vectors(tmp_path: Path, place: str) -> None:
    out = tmp_path / place
    if not out.suffix:
        out.mkdir()
    ranges = calibrated(drawn(9))
    write_ranges(out, ranges)
    kept = out / "ranges.npy" if out.is_dir() else tmp_path / "v.ranges.npy"
    np.testing.assert_array_equal(read_ranges(kept, 44), ranges)
    with pytest.raises(BadInput, match=r"floats of \(2, 45\)"):
        read_ranges(kept, 45)
    with pytest.raises(BadInput, match="cannot be read as ranges"):
        read_ranges(tmp_path / "none.npy", 44)


TEXTS = [f"{number} {'red' if number % 2 else 'blue'} cars" for number in range(60)]


@pytest.fixture(scope="module")
def model() -> Raw2Vec:
    return Raw2Vec(steps=3, size="tiny").fit(TEXTS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["v.npy", "folder"])
def test_a_file_is_written_in_each_form(model: Raw2Vec, tmp_path: Path, kind: str, place: str) -> None:
    import pyarrow.parquet as pq

    out = tmp_path / place
    model.embed(TEXTS, out, vectors=kind, truncate_dim=40)
    whole = first_numbers(model.encode(TEXTS), 40, model._unit)
    expected = Form(kind, ranges=calibrated(whole)).of(whole)  # type: ignore[arg-type]
    table = None if out.suffix else pq.read_table(out / "shard-00000.parquet")
    found = np.load(out) if table is None else np.stack(table["vector"].to_numpy())
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    assert (kind == "int8") == bool([*tmp_path.rglob("*ranges.npy")])


def test_ranges_are_of_the_first_items_of_all_files(model: Raw2Vec, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, texts in enumerate([TEXTS[:1], TEXTS[1:40], TEXTS[40:]]):
        (tmp_path / "in" / f"{number}.txt").write_text("\n".join(texts) + "\n")
    model.embed(str(tmp_path / "in"), tmp_path / "v.npy", vectors="int8")
    np.testing.assert_allclose(np.load(tmp_path / "v.ranges.npy"), calibrated(model.encode(TEXTS)), atol=1e-5)


def test_other_forms_do_not_go_on_with_a_folder(
    model: Raw2Vec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "BLOCK_ROWS", 10)

    def stop(items: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.embed(TEXTS, tmp_path / "v", vectors="int8", progress=stop)
    with pytest.raises(BadInput, match="begun with another vectors and ranges"):
        model.embed(TEXTS, tmp_path / "v", resume=True)
    with pytest.raises(BadInput, match="begun with another ranges"):
        model.embed(TEXTS, tmp_path / "v", resume=True, vectors="int8", calibrate=TEXTS[:7])
    assert model.embed(TEXTS, tmp_path / "v", resume=True, vectors="int8").items == 60
    with pytest.raises(BadInput, match="Only int8 is calibrated"):
        model.embed(TEXTS, tmp_path / "w", vectors="binary", calibrate=TEXTS)


def test_a_store_of_cut_vectors_is_asked_by_such(model: Raw2Vec, tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    model.index(TEXTS, tmp_path / "s", truncate_dim=24)
    hits = model.search(tmp_path / "s", TEXTS[:3], k=1)
    assert [hit.row for (hit,) in hits] == [0, 1, 2]
    np.testing.assert_allclose([hit.score for (hit,) in hits], 1, atol=1e-5)
    with pytest.raises(WrongSpace, match="the first 24 numbers"):
        model.index(TEXTS, tmp_path / "s", resume=True)
