"""A translation explained: names that are the text's own tokens, shares, and vectors that are those of `encode`."""

from functools import cache

import numpy as np
import pytest
from PIL import Image

from raw2vec.errors import BadInput
from raw2vec.system import Raw2Vec
from raw2vec.use.explain import BEGIN, END, Growth, Looks, explain
from raw2vec.use.heat_map import CELL, heat_map
from raw2vec.use.translate import translate
from raw2vec.use.write import Manner
from small import texts

TEXT = "the old ship near %(harbour)s, rain"


@cache
def fitted(writer: str, bridge: str, encoder: str = "recurrent", **more: object) -> Raw2Vec:
    """A translator of sentences into themselves turned round, after hardly any training."""
    pairs = [{"input": f"{text} %s", "target": f"%s {text[::-1]}"} for text in texts(60)]
    settings = {"encoder.width": 16, "decoder.width": 16, "embedding.width": 16, "bridge": {"name": bridge}}
    settings |= {
        "raw.vocabulary": 300,
        "raw.max_tokens": 40,
        "raw.unknown": "spell",
        "stages.0.batch_tokens": 512,
        **more,
    }
    model = Raw2Vec("translation", encoder, writer, latent=8, size="tiny", steps=2, settings=settings)
    return model.fit(pairs, input="input", target="target")


@pytest.mark.parametrize("writer", ["recurrent", "convolutional", "transformer"])
def test_what_is_looked_at_has_the_names_of_the_tokens(writer: str) -> None:
    bridge = "cross-attention" if writer == "transformer" else "attention"
    parts = fitted(writer, bridge).parts_
    found = explain(parts, TEXT)
    assert isinstance(found, Looks)
    assert found.translation == translate(parts, [TEXT], Manner(beam=5))[0].text
    assert (found.source[0], found.source[-1], found.written[-1]) == (BEGIN, END, END)
    assert "".join(found.source[1:-1]).replace("␣", "") == TEXT.replace(" ", "")
    assert "".join(found.written[:-1]).replace("␣", "") == "".join(found.translation.split())
    assert found.shares.shape == (len(found.written), len(found.source))
    np.testing.assert_allclose(found.shares.sum(1), 1, rtol=1e-5)
    for name, (best, share), row in zip(found.written, found.strongest, found.shares, strict=True):
        assert share == row.max(), name
        assert found.source[int(row.argmax())] == best


def test_a_growing_vector_is_that_of_the_beginnings() -> None:
    model = fitted("recurrent", "fixed")
    found = explain(model.parts_, TEXT)
    assert isinstance(found, Growth)
    assert found.words == TEXT.split()
    starts = [" ".join(found.words[: count + 1]) for count in range(len(found.words))]
    np.testing.assert_allclose(found.cosines, model.similarity(model.encode(starts), model.encode(starts)), atol=1e-5)
    assert found.near[-1] == pytest.approx(1)
    assert found.moved[0] is None
    assert found.moved[1:] == pytest.approx([1 - found.cosines[i, i + 1] for i in range(len(starts) - 1)])


def test_the_line_nearest_to_each_beginning_is_told() -> None:
    parts = fitted("recurrent", "fixed").parts_
    words = TEXT.split()
    starts = [" ".join(words[: count + 1]) for count in range(len(words))]
    found = explain(parts, TEXT, among=["", *reversed(starts), *texts(20)])
    assert isinstance(found, Growth)
    assert [line for line, _ in found.nearest] == starts
    np.testing.assert_allclose([cosine for _, cosine in found.nearest], 1, atol=1e-5)
    assert found.as_dict()["nearest"][0]["text"] == starts[0]
    assert explain(parts, TEXT).nearest == []
    with pytest.raises(BadInput, match="no one vector that a line could be near to"):
        explain(fitted("recurrent", "attention").parts_, TEXT, among=starts)


def test_protected_placeholders_are_named_as_they_are() -> None:
    parts = fitted("recurrent", "attention", placeholders="protect").parts_
    found = explain(parts, TEXT)
    assert isinstance(found, Looks)
    assert any("%(harbour)s" in name for name in found.source)
    assert not any("①" in name for name in (*found.source, *found.written))
    grown = explain(fitted("recurrent", "fixed", placeholders="protect").parts_, TEXT)
    assert isinstance(grown, Growth)
    assert grown.words == TEXT.split()


@pytest.mark.parametrize(("text", "told"), [(" \n", "no text"), ("ship " * 60, "translated part by part")])
def test_what_cannot_be_explained_is_refused(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        explain(fitted("recurrent", "attention").parts_, text)


def test_an_encoder_of_one_state_leaves_nothing_to_see() -> None:
    with pytest.raises(BadInput, match="none of them is a word's own"):
        explain(fitted("recurrent", "attention", "dense").parts_, TEXT)


def test_a_heat_map_is_darkest_where_the_share_is_greatest(tmp_path) -> None:
    shares = np.array([[0.05, 0.9, 0.05], [0.0, 0.02, 0.98]], np.float32)
    out = tmp_path / "map.png"
    heat_map(out, [BEGIN, "schöne", "a" * 80], ["œuvre", END], shares)
    with Image.open(out) as picture:
        grey = np.asarray(picture.convert("L")).astype(int)
    assert 2 * CELL < grey.shape[0] < 500
    assert 3 * CELL < grey.shape[1] < 500
    right, bottom = grey.shape[1] - 14, grey.shape[0] - 14  # the last cell's last pixels, which no figure covers
    corners = grey[[bottom - 41, bottom]][:, [right - 82, right - 41, right]]
    assert [int(row.argmin()) for row in corners] == [1, 2]
    assert corners[1, 0] > corners[0, 0] > corners[0, 1]
    assert (grey[:60] < 128).any(), "names stand above"
    assert (grey[-80:, :60] < 128).any(), "and beside"
