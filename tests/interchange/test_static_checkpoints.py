"""model2vec's folders by the formula that its release 0.10 has, and what a static folder is refused for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Tokenizer

import raw2vec
from raw2vec.errors import BadFolder
from raw2vec.interchange import refusal
from tiny_checkpoints import model2vec

TEXTS = ["the ship in the harbour", "鯨魚 the ship 鯨", "鯨 魚", "the ship sails " * 200, "鯨 the ship " * 150, "", "a"]
Tensors = dict[str, torch.Tensor]
pytestmark = [
    pytest.mark.filterwarnings("ignore::raw2vec.system.TruncationWarning"),
    pytest.mark.filterwarnings("ignore::raw2vec.errors.EmptyTextWarning"),
]


def characters(words: Tokenizer, most: int) -> int:
    """Of so many tokens, each as long as the middle one."""
    return most * int(np.median([len(name) for name in words.get_vocab()]))


def by_hand(held: Tensors, words: Tokenizer, text: str, most: int = 512) -> NDArray[np.float32]:
    """The mean of the known among the first tokens of the first characters, of length one."""
    ids = words.encode(text[: characters(words, most)], add_special_tokens=False).ids[:most]
    assert (words.token_to_id("[UNK]") in ids) == ("鯨" in text)
    known = [number for number in ids if number != words.token_to_id("[UNK]")]
    if not known:
        return np.zeros(16, np.float32)
    rows = held["embeddings"].float()[held["mapping"][known] if "mapping" in held else known]
    mean = (rows * held["weights"][known, None] if "weights" in held else rows).mean(0)
    return (mean / mean.norm()).numpy()


@pytest.mark.parametrize("rows", [0, 40], ids=["a row each", "shared rows"])
@pytest.mark.parametrize("most", [512, 5, None], ids=["usual", "short", "endless"])
def test_model2vec_is_the_same(rows: int, most: int | None, tmp_path: Path) -> None:
    """Unknown tokens are left out, after a text was cut: by characters first, as an unknown word has but one token."""
    held, words = model2vec(tmp_path, rows, **({} if most == 512 else {"max_length": most}))
    ours = raw2vec.load(tmp_path)
    assert_allclose(ours.encode(TEXTS), [by_hand(held, words, text, most or 10**6) for text in TEXTS], atol=1e-5)
    if most:
        cut, tokens = ours.encoded(TEXTS).truncated > 0, [words.encode(t, add_special_tokens=False).ids for t in TEXTS]
        assert cut.tolist() == [
            len(text) > characters(words, most) or len(ids) > most for text, ids in zip(TEXTS, tokens, strict=True)
        ]
    ours.save(tmp_path / "ours")
    np.testing.assert_array_equal(raw2vec.load(tmp_path / "ours").encode(TEXTS), ours.encode(TEXTS))
    assert "reads unknown tokens as well" in str(refusal(ours.parts_.recipe))


def test_model2vec_is_the_librarys_own(tmp_path: Path) -> None:
    library = pytest.importorskip("model2vec", minversion="0.10", reason="what is read here is measured against it")
    model2vec(tmp_path, 40)
    assert_allclose(
        raw2vec.load(tmp_path).encode(TEXTS), library.StaticModel.from_pretrained(tmp_path).encode(TEXTS), atol=1e-5
    )


def test_rows_of_bytes_are_rows(tmp_path: Path) -> None:
    """As model2vec quantises: the mean of whole numbers, brought to length one."""
    held, words = model2vec(tmp_path)
    held["embeddings"] = (held["embeddings"] * 30).round().to(torch.int8)
    save_file(held, tmp_path / "model.safetensors")
    assert_allclose(raw2vec.load(tmp_path).encode(TEXTS), [by_hand(held, words, text) for text in TEXTS], atol=1e-5)


def test_its_own_word_on_length_goes_before_modules(tmp_path: Path) -> None:
    """model2vec reads config.json alone."""
    held, words = model2vec(tmp_path, normalize=False)
    listed = [
        {"path": path, "type": f"sentence_transformers.models.{name}"}
        for path, name in ((".", "StaticEmbedding"), ("1_Normalize", "Normalize"))
    ]
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    vector = raw2vec.load(tmp_path).encode(TEXTS[0])
    assert_allclose(vector / np.linalg.norm(vector), by_hand(held, words, TEXTS[0]), atol=1e-5)
    assert abs(np.linalg.norm(vector) - 1) > 0.1


SPOILT: dict[str, tuple[Callable[[Tensors], Any], str]] = {
    "another weight": (lambda held: held.update(bias=torch.ones(3)), "holds the weight 'bias', which a static"),
    "one dimension": (lambda held: held.update(embeddings=torch.ones(40)), "'embeddings' of .* has 1 dimensions"),
    "no table": (lambda held: held.pop("embeddings"), "lacks the weight 'embedding.weight' or 'embeddings'"),
    "rows beyond": (lambda held: held["mapping"].fill_(40), "'mapping' of .* asks for rows .* it has 40"),
    "rows before": (lambda held: held["mapping"].fill_(-1), "'mapping' of .* asks for rows .* it has 40"),
    "no whole numbers": (
        lambda held: held.update(mapping=held["mapping"].float()),
        "'mapping' of .* is not one whole number for each",
    ),
    "a square of numbers": (
        lambda held: held.update(mapping=held["mapping"][:100].view(10, 10).contiguous()),
        "'mapping' of .* is not one whole number for each",
    ),
    "fewer weights": (lambda held: held.update(weights=torch.ones(3)), "'weights' of .* is not one number for each"),
    "whole weights": (lambda held: held.update(weights=held["weights"].int()), "'weights' of .* of the type int32"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_tensors_that_are_not_its_own_are_refused(case: str, tmp_path: Path) -> None:
    spoil, sentence = SPOILT[case]
    held, _ = model2vec(tmp_path, 40)
    spoil(held)
    save_file(held, tmp_path / "model.safetensors")
    with pytest.raises(BadFolder, match=sentence):
        raw2vec.load(tmp_path)


def test_a_static_embedding_has_one_tensor(tmp_path: Path) -> None:
    held, _ = model2vec(tmp_path)
    (tmp_path / "config.json").unlink()
    listed = [{"path": "", "type": "sentence_transformers.models.StaticEmbedding"}]
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    save_file({"embedding.weight": held["embeddings"]}, tmp_path / "model.safetensors")
    assert raw2vec.load(tmp_path).n_features_out_ == 16
    save_file({"embedding.weight": held["embeddings"], "weights": torch.ones(3)}, tmp_path / "model.safetensors")
    with pytest.raises(BadFolder, match="holds the weight 'weights', which a static"):
        raw2vec.load(tmp_path)


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({"auto_map": {"AutoModel": "mine.Model"}}, r"asks for code that came with the checkpoint \(mine\.Model\)"),
        ({"quantization_config": {"quant_method": "awq"}}, r"has a quantization_config \(awq\)"),
        ({"max_length": "long"}, r"config\.json is malformed: its max_length is 'long'"),
    ],
)
def test_what_it_asks_for_is_refused(about: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    model2vec(tmp_path, **about)
    with pytest.raises(BadFolder, match=sentence):
        raw2vec.load(tmp_path)
