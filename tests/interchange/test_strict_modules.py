"""What a sentence-transformers folder says is done as there, to prompts and old names, or refused in a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import load_file, save_file

import raw2vec
from raw2vec.errors import BadFolder
from tiny_checkpoints import TEXTS, drawn, written

sentence_transformers = pytest.importorskip("sentence_transformers", reason="needs the extra 'peers'")
modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules", reason="needs version 6")
pytestmark = pytest.mark.filterwarnings("ignore::raw2vec.system.TruncationWarning")
WHOLE = "config_sentence_transformers.json"
WORDS = [text for text in TEXTS if "[SEP]" not in text][:12]


def said(path: Path, **changes: Any) -> None:
    """Changes of a JSON file; Ellipsis takes a key away."""
    held = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in held.items() if value is not ...}))


def pooling(mode: str) -> Any:
    return modules.Pooling(32, pooling_mode=mode)


def dense(width: int, activation: Any, bias: bool = True) -> Any:
    return drawn(modules.Dense(32, width, activation_function=activation, bias=bias))


def saved(folder: Path, *rest: Any, **options: Any) -> Any:
    """A folder of theirs: a tiny BERT and these modules."""
    written("bert", folder / "bert")
    first = modules.Transformer(str(folder / "bert"), max_seq_length=20)
    made = sentence_transformers.SentenceTransformer(modules=[first, *rest], device="cpu", **options)
    made.save(str(folder / "m"))
    return made


def there(folder: Path) -> Any:
    return sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.mark.parametrize("numbers", [5, 8, 32, 100])
@pytest.mark.parametrize("rest", [list, lambda: [dense(8, torch.nn.Tanh())]], ids=["plain", "dense"])
def test_vectors_are_cut_as_there(rest: Any, numbers: int, tmp_path: Path) -> None:
    saved(tmp_path, pooling("mean"), *rest(), truncate_dim=numbers)
    ours, theirs = raw2vec.load(tmp_path / "m"), there(tmp_path / "m")
    assert_allclose(ours.encode(WORDS), theirs.encode(WORDS), atol=1e-5)
    ours.save(tmp_path / "ours")
    assert_allclose(there(tmp_path / "ours").encode(WORDS), theirs.encode(WORDS), atol=1e-5)


def test_a_cut_after_normalize_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, pooling("mean"), modules.Normalize(), truncate_dim=5)
    with pytest.raises(BadFolder, match=r"cuts vectors to 5 numbers \(truncate_dim\) after Normalize.*--truncate 5"):
        raw2vec.load(tmp_path / "m")
    said(tmp_path / "m" / WHOLE, truncate_dim=32)
    assert raw2vec.load(tmp_path / "m").n_features_out_ == 32


@pytest.mark.parametrize("kind", ["roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"])
def test_old_names_of_a_file_are_read_as_there(kind: str, tmp_path: Path) -> None:
    saved(tmp_path, pooling("mean"))
    (tmp_path / "m" / "sentence_bert_config.json").write_text("{}")
    (tmp_path / "m" / f"sentence_{kind}_config.json").write_text('{"max_seq_length": 6, "do_lower_case": true}')
    (tmp_path / "m" / "sentence_xlnet_config.json").write_text('{"max_seq_length": 6}')
    ours = raw2vec.load(tmp_path / "m")
    assert_allclose(ours.encode(WORDS), there(tmp_path / "m").encode(WORDS), atol=1e-5)
    assert ours.parts_.raw.settings["max_tokens"] == 6


@pytest.mark.parametrize(
    "prompts",
    [
        {"document": "", "passage": "harbour, "},
        {"passage": "harbour, "},
        {"corpus": "harbour, ", "document": "ship "},
        {"query": None, "odd": "old "},
        {"odd": "old ", "query": "sailor: "},
    ],
    ids=str,
)
@pytest.mark.parametrize("default", [None, "odd"])
def test_prompts_of_each_purpose_are_those_that_are_found_there(
    default: str | None, prompts: dict[str, str | None], tmp_path: Path
) -> None:
    saved(tmp_path, pooling("mean"))
    said(tmp_path / "m" / WHOLE, prompts=prompts, default_prompt_name=default if "odd" in prompts else None)
    ours, theirs = raw2vec.load(tmp_path / "m"), there(tmp_path / "m")
    for name in ("encode", "encode_query", "encode_document"):
        assert_allclose(getattr(ours, name)(WORDS), getattr(theirs, name)(WORDS), atol=1e-5)


def test_a_prompt_that_stands_before_nothing_is_told_of(tmp_path: Path) -> None:
    saved(tmp_path, pooling("mean"))
    said(tmp_path / "m" / WHOLE, prompts={"query": "q: ", "passage": "p: "})
    assert any(
        "its prompt 'passage' stands before no document" in note
        for note in raw2vec.load(tmp_path / "m").report["notes"]
    )
    said(tmp_path / "m" / WHOLE, prompts={"query": "q: ", "document": "d: ", "passage": "p: "})
    assert not any("passage" in note for note in raw2vec.load(tmp_path / "m").report["notes"])


def test_a_default_prompt_that_is_none_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, pooling("mean"), prompts={"query": "q: "})
    said(tmp_path / "m" / WHOLE, default_prompt_name="querry")
    with pytest.raises(BadFolder, match=r"has the default_prompt_name 'querry', and its prompts are .*'query'"):
        raw2vec.load(tmp_path / "m")


def config(module: str = "2_Dense", **changes: Any) -> Callable[[Path], None]:
    return lambda folder: said(folder / module / "config.json", **changes)


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        held = load_file(folder / "2_Dense" / "model.safetensors")
        change(held)
        save_file(held, folder / "2_Dense" / "model.safetensors")

    return spoil


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "no bias": (tensors(lambda held: held.pop("linear.bias")), "lacks the weight 'linear.bias', which its config"),
    "a bias too many": (config(bias=False), "holds the weight 'linear.bias', and its config.json has no bias"),
    "a tensor too many": (tensors(lambda held: held.update(x=torch.ones(2))), "holds the weight 'x', and its config"),
    "a short bias": (tensors(lambda held: held.update({"linear.bias": torch.ones(3)})), "not one number for each of"),
    "fewer numbers": (config(out_features=7), "has out_features 7, and its weight 'linear.weight' gives 8 numbers"),
    "other states": (config(in_features=31), "has in_features 31, and its weight 'linear.weight' takes 32 numbers"),
    "another width": (
        lambda folder: (
            config(in_features=16)(folder),
            tensors(lambda held: held.update({"linear.weight": torch.ones(8, 16)}))(folder),
        )[0],
        "weight 'linear.weight' of .*2_Dense takes 16 numbers, and the states that come before it have 32",
    ),
    "a vector": (tensors(lambda held: held.update({"linear.weight": torch.ones(8)})), "has 1 dimensions"),
    "others' code": (config(activation_function="mine.Tanh"), "'mine.Tanh', which is none of torch.nn's, and code"),
    "no activation": (config(activation_function="NoneType"), "'NoneType', which is none of torch.nn's"),
    "no class": (config(activation_function="torch.nn.init"), "'torch.nn.init', which is none of torch.nn's"),
    "other pooling": (config("1_Pooling", embedding_dimension=64), "as its embedding_dimension, 64 numbers, and the"),
    "old pooling": (
        config("1_Pooling", embedding_dimension=..., word_embedding_dimension=64),
        "as its word_embedding_dimension, 64 numbers",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_a_module_says_and_holds_agrees(case: str, tmp_path: Path) -> None:
    spoil, sentence = BAD[case]
    saved(tmp_path, pooling("mean"), dense(8, torch.nn.Tanh()))
    raw2vec.load(tmp_path / "m")
    spoil(tmp_path / "m")
    with pytest.raises(BadFolder, match=sentence):
        raw2vec.load(tmp_path / "m")


def test_a_dense_without_a_bias_is_obeyed(tmp_path: Path) -> None:
    theirs = saved(tmp_path, pooling("mean"), dense(8, torch.nn.GELU(), bias=False))
    assert_allclose(raw2vec.load(tmp_path / "m").encode(WORDS), theirs.encode(WORDS), atol=1e-5)
