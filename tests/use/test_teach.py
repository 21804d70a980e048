"""What a teacher says: of texts, in files, as far as there is time; and of lone tokens."""

from pathlib import Path
from time import monotonic

import numpy as np
import pyarrow.parquet as pq
import pytest

import raw2vec
from raw2vec.distilling.students import lift_of, rarity, tokens_of
from raw2vec.errors import NonFinite
from raw2vec.use.teach import lone_tokens, spent, teach
from small import texts
from tiny_checkpoints import written


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> raw2vec.Raw2Vec:
    folder = tmp_path_factory.mktemp("teach") / "teacher"
    written("bert", folder)
    return raw2vec.load(folder)


def test_texts_and_their_vectors(teacher: raw2vec.Raw2Vec, tmp_path: Path) -> None:
    items = texts(1500)
    heard: list[int] = []
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / ".000000000.parquet.partial-1").write_text("torn")
    found = teach(teacher.parts_, items, tmp_path / "t", ("body", "said"), keep=1000, progress=heard.append)
    assert [file.name for file in sorted((tmp_path / "t").iterdir())] == ["000000000.parquet", "000001024.parquet"]
    held = pq.read_table(tmp_path / "t")
    assert spent(tmp_path / "t") > 0
    assert (found.items, found.truncated, heard) == (1500, 0, [1024, 1500])
    assert held.column_names == ["body", "said"]
    assert held["body"].to_pylist() == items
    vectors = np.array(held["said"].to_pylist(), np.float32)
    np.testing.assert_allclose(vectors, teacher.encode(items), atol=1e-5)
    np.testing.assert_array_equal(found.first, vectors[:1024])


def test_time_is_kept_and_one_block_is_done_in_any_case(teacher: raw2vec.Raw2Vec, tmp_path: Path) -> None:
    found = teach(teacher.parts_, texts(3000), tmp_path / "t", ("text", "said"), keep=9, until=monotonic() - 1)
    assert found.items == 1024
    assert pq.read_table(tmp_path / "t").num_rows == 1024


def test_a_lone_token_is_a_text_of_its_own(teacher: raw2vec.Raw2Vec) -> None:
    lone = lone_tokens(teacher.parts_).numpy()
    pieces = teacher.parts_.raw.pieces
    whole = [place for place, piece in enumerate(pieces) if len(piece) > 1 and piece.isalpha()]
    assert len(whole) > 20
    np.testing.assert_allclose(lone[whole], teacher.encode([pieces[place] for place in whole]), atol=1e-5)


def test_a_lone_token_ends_as_texts_do() -> None:
    settings = {"raw.vocabulary": 300, "raw.boundaries": "sep"}
    ends = raw2vec.Raw2Vec(size="tiny", steps=1, settings=settings).fit(texts(60))
    pieces, lone = ends.parts_.raw.pieces, lone_tokens(ends.parts_).numpy()
    whole = [place for place, piece in enumerate(pieces) if ends.parts_.raw.windows([piece]).tokens[0] == 1]
    read = [ends.parts_.raw.windows([pieces[place]]).ragged.values.tolist() for place in whole]
    same = [place for place, ids in zip(whole, read, strict=True) if ids == [place, ends.parts_.raw.end]]
    assert len(same) > 20
    model = ends.parts_.model.eval()
    found = model(ends.parts_.raw.windows([pieces[place] for place in same]).ragged).detach().numpy()
    np.testing.assert_allclose(lone[same], found, atol=1e-5)


def test_tokens_are_weighed_by_how_rare_they_are(teacher: raw2vec.Raw2Vec) -> None:
    counts = np.array([0, 9, 990])
    shares = (counts + 1) / 1002
    np.testing.assert_allclose(rarity(3, counts), 1e-4 / (1e-4 + shares))
    assert (np.diff(rarity(100, None)) > 0).all(), "frequent tokens come first"
    lone = lone_tokens(teacher.parts_)
    tokens = tokens_of(lone, lift_of(lone, 5), teacher.parts_.raw, None)
    assert tokens.vectors.shape == (len(lone), 5)
    assert tokens.vectors.norm(dim=1).mean() == pytest.approx(1, abs=0.05)


def test_a_token_that_is_not_finite_is_named(teacher: raw2vec.Raw2Vec) -> None:
    table = teacher.parts_.model.embedding.table.weight
    kept = table[7].clone()
    table.data[7] = float("nan")
    try:
        with pytest.raises(NonFinite, match="token"):
            lone_tokens(teacher.parts_)
    finally:
        table.data[7] = kept
