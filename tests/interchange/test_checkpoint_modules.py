"""sentence-transformers folders are obeyed module by module, beside what sentence-transformers makes of them itself."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import raw2vec
from raw2vec.errors import BadFolder, BadInput
from tiny_checkpoints import BERT, TEXTS, drawn, tokenizer, written

sentence_transformers = pytest.importorskip("sentence_transformers", reason="needs the extra 'peers'")
modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules", reason="needs version 6")
pytestmark = pytest.mark.filterwarnings("ignore::raw2vec.system.TruncationWarning")


def saved(folder: Path, *rest: Any, length: int | None = 20, **options: Any) -> Any:
    """A folder of theirs: a tiny BERT and these modules."""
    written("bert", folder / "bert")
    first = modules.Transformer(str(folder / "bert"), **({"max_seq_length": length} if length else {}))
    made = sentence_transformers.SentenceTransformer(modules=[first, *rest], device="cpu", **options)
    made.save(str(folder / "m"))
    return made


def pooling(mode: str, **options: Any) -> Any:
    return modules.Pooling(32, pooling_mode=mode, **options)


def dense(width: int, activation: Any, taken: int = 32) -> Any:
    made = modules.Dense(taken, width, activation_function=activation)
    drawn(made)
    return made


@pytest.mark.parametrize(
    "rest",
    [
        lambda: [pooling("mean"), modules.Normalize()],
        lambda: [pooling("cls")],
        lambda: [pooling("max")],
        lambda: [pooling("lasttoken"), modules.Normalize()],
        lambda: [pooling("mean"), dense(12, torch.nn.Tanh()), modules.Normalize()],
        lambda: [pooling("cls"), dense(8, torch.nn.Identity())],
        lambda: [pooling("mean"), dense(8, torch.nn.Identity()), dense(6, torch.nn.Tanh(), 8), modules.Normalize()],
    ],
    ids=["mean", "cls", "max", "last", "dense-tanh", "dense", "two-dense"],
)
def test_the_same_vectors_here_and_there_and_back(rest: Any, tmp_path: Path) -> None:
    theirs = saved(tmp_path, *rest())
    ours = raw2vec.load(tmp_path / "m")
    texts = [text for text in TEXTS if "[SEP]" not in text]  # which are words here, and a boundary there
    assert_allclose(ours.encode(texts), theirs.encode(texts), atol=1e-5)
    assert int((ours.encoded(texts).truncated > 0).sum()) > 0, "a limit below the texts' lengths"
    ours.save(tmp_path / "ours")
    back = sentence_transformers.SentenceTransformer(str(tmp_path / "ours"), device="cpu", local_files_only=True)
    assert_allclose(back.encode(texts), theirs.encode(texts), atol=1e-5)
    np.testing.assert_array_equal(raw2vec.load(tmp_path / "ours").encode(texts), ours.encode(texts))


def test_of_several_dense_only_the_last_has_an_activation(tmp_path: Path) -> None:
    saved(tmp_path, pooling("mean"), dense(8, torch.nn.Tanh()), dense(6, torch.nn.Identity(), 8))
    with pytest.raises(BadFolder, match="follows a Dense with the activation 'tanh'"):
        raw2vec.load(tmp_path / "m")


def test_files_are_embedded_after_a_prompt(tmp_path: Path) -> None:
    """By its name or in words; a run that goes on with another is refused."""
    saved(tmp_path, pooling("mean"), prompts={"query": "sailor: ", "odd": "old "}, default_prompt_name="odd")
    ours, out = raw2vec.load(tmp_path / "m"), tmp_path / "v.npy"
    told = {None: "old ", "query": "sailor: ", "a ship: ": "a ship: ", "": ""}
    for prompt, words in told.items():
        ours.embed(TEXTS[:9], out, prompt=prompt)
        np.testing.assert_array_equal(np.load(out), ours.encode(TEXTS[:9], prompt=words))
        out.unlink()
    with pytest.raises(
        BadInput,
        match=r"no prompt named 'querry', it has .*; give the words themselves in its place\. Did you mean 'query'",
    ):
        ours.embed(TEXTS[:9], out, prompt="querry")
    ours.embed(TEXTS[:9], tmp_path / "shards", prompt="query")
    with pytest.raises(BadInput, match="was begun with another prompt"):
        ours.embed(TEXTS[:9], tmp_path / "shards", resume=True)


def test_prompts_stand_before_texts(tmp_path: Path) -> None:
    prompts = {"query": "sailor: ", "document": "harbour, ", "odd": "old "}
    theirs = saved(tmp_path, pooling("mean"), prompts=prompts, default_prompt_name="odd")
    ours = raw2vec.load(tmp_path / "m")
    for name in ("encode", "encode_query", "encode_document"):
        assert_allclose(getattr(ours, name)(TEXTS[:9]), getattr(theirs, name)(TEXTS[:9]), atol=1e-5)
    for options in ({"prompt_name": "query"}, {"prompt": "a ship "}):
        assert_allclose(ours.encode(TEXTS[:9], **options), theirs.encode(TEXTS[:9], **options), atol=1e-5)
    assert not ours.encode_query("").any(), "an empty text stays empty, whatever stands before it"
    with pytest.raises(BadInput, match=r"no prompt named 'querry', it has .*odd.*Did you mean 'query'"):
        ours.encode("x", prompt_name="querry")
    ours.index(TEXTS[:9], tmp_path / "s")
    hit = ours.search(tmp_path / "s", [TEXTS[3]], k=9)[0]
    found = ours.similarity(ours.encode_query(TEXTS[3]), ours.encode_document(TEXTS[:9]))[0]
    assert_allclose([row.score for row in hit], np.sort(found)[::-1], atol=1e-5)


def test_lower_case_is_obeyed(tmp_path: Path) -> None:
    theirs = saved(tmp_path, pooling("mean"))
    cased = tmp_path / "m" / "tokenizer.json"
    held = json.loads(cased.read_text())
    held["normalizer"]["lowercase"] = False
    cased.write_text(json.dumps(held))
    assert np.abs(raw2vec.load(tmp_path / "m").encode("The Sailor") - theirs.encode("The Sailor")).max() > 0.01
    about = tmp_path / "m" / "sentence_bert_config.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "do_lower_case": True}))
    assert_allclose(raw2vec.load(tmp_path / "m").encode("The Sailor"), theirs.encode("The Sailor"), atol=1e-5)


def test_a_list_of_words_is_tokenizer_enough(tmp_path: Path) -> None:
    """As BERT's folders were before tokenizer.json."""
    saved(tmp_path, pooling("mean"))
    before = raw2vec.load(tmp_path / "m").encode(TEXTS)
    words = json.loads((tmp_path / "m" / "tokenizer.json").read_text())["model"]["vocab"]
    (tmp_path / "m" / "vocab.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    (tmp_path / "m" / "tokenizer.json").unlink()
    np.testing.assert_array_equal(raw2vec.load(tmp_path / "m").encode(TEXTS), before)


def test_static_embeddings(tmp_path: Path) -> None:
    words = tokenizer(BERT)
    words.no_truncation()
    static = modules.StaticEmbedding(words, embedding_dim=16)
    theirs = sentence_transformers.SentenceTransformer(modules=[static, modules.Normalize()], device="cpu")
    theirs.save(str(tmp_path / "m"))
    ours = raw2vec.load(tmp_path / "m")
    texts = [text for text in TEXTS if "[SEP]" not in text]
    assert_allclose(ours.encode(texts), theirs.encode(texts), atol=1e-5)
    ours.save(tmp_path / "ours")
    back = sentence_transformers.SentenceTransformer(str(tmp_path / "ours"), device="cpu", local_files_only=True)
    assert_allclose(back.encode(texts), theirs.encode(texts), atol=1e-5)


def test_model2vec_with_weights_and_shared_rows(tmp_path: Path) -> None:
    """Their three tensors stand for one table: each token's row, times the token's weight."""
    from safetensors.torch import save_file

    words = tokenizer(BERT)
    size, generator = words.get_vocab_size(), torch.Generator().manual_seed(0)
    rows, weights = torch.randn(40, 16, generator=generator), torch.rand(size, generator=generator)
    mapping = torch.randint(40, (size,), generator=generator)
    save_file({"embeddings": rows.half(), "weights": weights, "mapping": mapping}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True}))
    words.save(str(tmp_path / "tokenizer.json"))
    text = "the ship in the harbour"
    ids = words.encode(text, add_special_tokens=False).ids
    mean = (rows.half().float()[mapping[ids]] * weights[ids, None]).mean(0)
    assert_allclose(raw2vec.load(tmp_path).encode(text), (mean / mean.norm()).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        (lambda: [pooling("weightedmean")], "asks for pooling weightedmean: here there is mean, cls, lasttoken, max"),
        (lambda: [modules.Pooling(32, pooling_mode=("mean", "max"))], "asks for pooling mean and max"),
        (lambda: [pooling("mean"), modules.LayerNorm(32)], "asks for '.*LayerNorm': here there is Transformer"),
        (lambda: [pooling("mean"), modules.Normalize(), dense(8, torch.nn.Tanh())], "an order that is not known here"),
        (lambda: [pooling("mean"), dense(8, torch.nn.Softmax())], "has the activation 'Softmax'"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(rest: Any, sentence: str, tmp_path: Path) -> None:
    saved(tmp_path, *rest())
    with pytest.raises(BadFolder, match=sentence):
        raw2vec.load(tmp_path / "m")


def test_a_prompt_left_out_of_the_pooling_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, pooling("mean", include_prompt=False), prompts={"query": "q: "})
    with pytest.raises(BadFolder, match="leaves prompts out of the pooling"):
        raw2vec.load(tmp_path / "m")
