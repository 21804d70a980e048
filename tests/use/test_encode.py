"""Encoding in memory: pooling over chunks, counting what is cut, and batches of any size."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raw2vec.engines.base import batches
from raw2vec.errors import BadInput, EmptyTextWarning, NonFinite
from raw2vec.system import Raw2Vec, TruncationWarning
from raw2vec.use.encode import encode, features
from small import recipe, rows, texts

LONG = " ".join(texts(12))
Fit = Callable[..., Raw2Vec]


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 200), st.none() | st.integers(1, 5))
def test_batches_hold_every_item_once_within_both_budgets(lengths, tokens, items) -> None:
    found = list(batches(torch.tensor(lengths, dtype=torch.long), tokens, items))
    assert sorted(place for part in found for place in part.tolist()) == list(range(len(lengths)))
    for part in found:
        assert sum(lengths[place] for place in part) <= tokens or len(part) == 1
        assert items is None or len(part) <= items
    order = [lengths[place] for part in found for place in part]
    assert order == sorted(lengths, reverse=True), "the longest first: what does not fit shows at once"


def test_a_long_text_in_chunks_is_the_mean_of_its_windows_by_their_tokens(fitted: Fit) -> None:
    model = fitted(raw__long="chunk", training__steps=2).parts_
    windows = model.raw.windows([LONG])
    assert len(windows.owners) > 2
    with torch.inference_mode():
        each = model.model(windows.ragged)
    weights = windows.ragged.lengths.float()[:, None]
    wanted = (each * weights).sum(0) / weights.sum()
    found = encode(model.model, model.raw, ["short one", LONG, "another"])
    np.testing.assert_allclose(found.vectors[1], wanted, atol=1e-6)
    assert found.truncated.tolist() == [0, 0, 0]
    assert found.tokens[1] == int(windows.ragged.lengths.sum())
    alone = encode(model.model, model.raw, [LONG]).vectors[0]
    np.testing.assert_allclose(found.vectors[1], alone, atol=1e-6)


def test_chunks_of_a_unit_space_are_of_length_one(fitted: Fit) -> None:
    model = fitted(raw__long="chunk", training__steps=2, latent={"name": "point", "normalize": "unit"})
    np.testing.assert_allclose(np.linalg.norm(model.encode([LONG, "short"]), axis=1), 1, atol=1e-6)


def test_chunks_of_a_bag_are_the_bag_of_the_whole() -> None:
    """Without layers the vector is the mean of the tokens' vectors, however they are cut."""
    bag = {"name": "dense", "width": 16, "layers": 0}
    made = recipe(training__steps=2, raw__long="chunk").changed({"encoder": bag})
    chunked = Raw2Vec(recipe=made).fit(rows())
    parts = chunked.parts_
    ids = parts.raw.windows([LONG]).ragged.values
    wanted = parts.model.embedding.weight[ids].mean(0).detach()
    np.testing.assert_allclose(chunked.encode(LONG), wanted, atol=1e-6)


def test_what_is_cut_is_counted_and_said(fitted: Fit) -> None:
    model = fitted()
    with pytest.warns(TruncationWarning, match="1 of 2 texts are longer than 24 tokens"):
        found = model.encoded(["short", LONG])
    assert found.truncated[0] == 0
    assert found.tokens[1] - found.truncated[1] == 24
    first = model.parts_.raw.windows([LONG]).ragged
    with torch.inference_mode():
        np.testing.assert_allclose(found.vectors[1], model.parts_.model(first)[0], atol=1e-6)


def test_too_long_is_an_error_when_asked_for(fitted: Fit) -> None:
    model = fitted(raw__long="error", raw__max_tokens=80, training__steps=2)
    with pytest.raises(BadInput, match=r"Text 1 has .* tokens, and a window holds 80"):
        model.encode(["short", LONG])


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_no_batch_size_changes_a_vector(fitted: Fit, size: int) -> None:
    model, items = fitted(encoder="transformer"), texts(20)
    assert np.abs(model.encode(items, batch_size=size) - model.encode(items)).max() < 1e-5


@pytest.mark.parametrize("encoder", ["dense", "transformer"])
def test_an_empty_text_is_like_nothing_and_is_told_of_once(fitted: Fit, encoder: str) -> None:
    model = fitted(encoder=encoder, latent={"name": "point", "normalize": "unit"})
    items = ["one", "", "two words", " \n\t", "\u200b", "three"]
    with pytest.warns(EmptyTextWarning, match=r"3 of 6 texts are empty \(the first is item 1\)") as said:
        found = model.encoded(items)
    assert len(said) == 1
    assert found.empty == [1, 3, 4]
    assert not found.vectors[[1, 3, 4]].any()
    assert not model.similarity(found.vectors[1], found.vectors).any()
    np.testing.assert_allclose(np.linalg.norm(found.vectors[[0, 2, 5]], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found.vectors[[0, 2, 5]], model.encode(["one", "two words", "three"]), atol=1e-6)
    with pytest.warns(EmptyTextWarning, match="1 of 1 texts is empty"):
        assert not model.encode("").any()


@pytest.mark.parametrize("size", [0, -3])
def test_a_batch_of_nothing_is_refused(fitted: Fit, size: int) -> None:
    for items in (texts(3), "one", []):
        with pytest.raises(BadInput, match=f"batch_size of 1 or more, not {size}"):
            fitted().encode(items, batch_size=size)


def test_progress_counts_every_window(fitted: Fit) -> None:
    parts = fitted().parts_
    seen: list[tuple[int, int]] = []
    encode(parts.model, parts.raw, texts(20), batch_size=3, progress=lambda done, total: seen.append((done, total)))
    assert sum(done for done, _ in seen) == 20
    assert max(done for done, _ in seen) == 3
    assert {total for _, total in seen} == {20}


def test_the_progress_bar_is_on_standard_error_when_asked_for(fitted: Fit, capsys: pytest.CaptureFixture[str]) -> None:
    model, items = fitted(), texts(20)
    quiet = model.encode(items)
    assert capsys.readouterr() == ("", "")
    assert np.array_equal(model.encode(items, show_progress_bar=True), quiet)
    drawn = capsys.readouterr()
    assert "Encoding" in drawn.err
    assert "20/20" in drawn.err
    assert drawn.out == ""
    model.encode([], show_progress_bar=True)
    chunked = fitted(raw__long="chunk", training__steps=2)
    capsys.readouterr()
    chunked.encode(["short", LONG], show_progress_bar=True)
    windows = len(chunked.parts_.raw.windows(["short", LONG]).owners)
    assert f"{windows}/{windows}" in capsys.readouterr().err


def test_a_vector_that_is_not_finite_is_named_by_its_text(fitted: Fit) -> None:
    parts = fitted(seed=3).parts_
    row = int(parts.raw.windows(["anchor"]).ragged.values[0])
    with torch.no_grad():
        parts.model.embedding.table.weight[row] = float("inf")
    clean = [text for text in texts(60) if row not in parts.raw.windows([text]).ragged.values][:3]
    with pytest.raises(NonFinite, match=r"not finite for item 1, 3"):
        encode(parts.model, parts.raw, [clean[0], "anchor", clean[1], "anchor anchor"])
    encode(parts.model, parts.raw, clean)


def test_the_model_is_left_as_it_was(fitted: Fit) -> None:
    parts = fitted().parts_
    parts.model.train()
    encode(parts.model, parts.raw, texts(3))
    assert parts.model.training
    parts.model.eval()


@pytest.mark.parametrize("layer", [99, -99])
def test_a_layer_that_is_not_there_is_refused(fitted: Fit, layer: int) -> None:
    model = fitted(encoder="transformer")
    last = len(model.parts_.model.states(model.parts_.raw.windows(["one"]).ragged)) - 1
    with pytest.raises(BadInput, match=rf"no layer {layer}: 0 is .* {last} \(or -1\)"):
        model.features("one", layer=layer)
    model.features("one", layer=last)


@pytest.mark.parametrize("width", [0, -1, 1000])
def test_a_vector_is_not_cut_to_more_than_it_has(fitted: Fit, width: int) -> None:
    model = fitted()
    with pytest.raises(BadInput, match=f"has {model.n_features_out_} numbers: .*, not {width}"):
        model.encode("one", truncate_dim=width)
    assert model.encode("one", truncate_dim=model.n_features_out_).shape == (model.n_features_out_,)


@pytest.mark.parametrize("encoder", ["dense", "transformer"])
def test_features_are_the_states_of_a_layer_text_by_text(fitted: Fit, encoder: str) -> None:
    model = fitted(encoder=encoder)
    parts, items = model.parts_, texts(70)
    windows = parts.raw.windows(items)
    with torch.inference_mode():
        wanted = parts.model.states(windows.ragged)[0].items()
    for states, theirs in zip(features(parts.model, parts.raw, items, 0), wanted, strict=True):
        np.testing.assert_allclose(states, theirs, atol=1e-5)
    last = features(parts.model, parts.raw, items, -1)
    np.testing.assert_allclose(last[69], model.features(items[69]), atol=1e-5)
    assert len(features(parts.model, parts.raw, [], -1)) == 0
