"""What config.json, the tokenizer's files and the tensors say agrees, part by part, or is refused in a sentence."""

import json
from pathlib import Path

import pytest
import torch

import raw2vec
from raw2vec.errors import BadFolder
from spoiling import Spoil, config, weights, written_in
from tiny_checkpoints import written

QUERY = "encoder.layer.1.attention.self.query.weight"
KEY = "encoder.layer.1.attention.self.key.weight"
TYPES = "embeddings.token_type_embeddings.weight"


def wider_query(held: dict[str, torch.Tensor]) -> None:
    """As many rows in all, at other places."""
    held[QUERY], held[KEY] = torch.ones(40, 32), torch.ones(24, 32)


def cut_left(folder: Path) -> None:
    path = folder / "tokenizer.json"
    held = json.loads(path.read_text())
    held["truncation"] = {"direction": "Left", "max_length": 20, "strategy": "LongestFirst", "stride": 0}
    path.write_text(json.dumps(held))


BAD: dict[str, tuple[Spoil, str]] = {
    "an absurd width": (config(hidden_size=10**8), r"is \d+ × 32, and its config.* calls for \d+ × 100000000"),
    "absurd places": (config(max_position_embeddings=10**12), "its max_position_embeddings is 1000000000000, and"),
    "too many places": (config(max_position_embeddings=10**8), r"is 128 × 32, and its config.* 100000000 × 32"),
    "an absurd feed-forward": (config(intermediate_size=10**8), r"is 48 × 32, and its config.* 100000000 × 32"),
    "a share above 1": (
        config(hidden_dropout_prob=2),
        "its hidden_dropout_prob is 2, and should be a number from 0 to",
    ),
    "a list of activations": (config(hidden_act=["gelu"]), r"its hidden_act is \['gelu'\], and should be a text"),
    "no token types": (weights(lambda held: held.pop(TYPES)), rf"lacks the weight '{TYPES}'.*\(type_vocab_size 2\)"),
    "fewer token types": (config(type_vocab_size=3), rf"'{TYPES}' is 2 × 32, and its config.* type_vocab_size of 3"),
    "a table of no token types": (
        weights(lambda held: held.update({TYPES: torch.ones(0, 32)})),
        rf"'{TYPES}' is 0 × 32, and its config.* type_vocab_size of 2",
    ),
    "narrow token types": (weights(lambda held: held.update({TYPES: torch.ones(2, 1)})), "is 2 × 1, of another width"),
    "a wider query": (weights(wider_query), rf"'{KEY}' is 24 × 32, and '{QUERY}' 40 × 32: they should be of one"),
    "a text for the longest": (
        written_in("tokenizer_config.json", model_max_length="abc"),
        r"tokenizer_config\.json is malformed: its model_max_length is 'abc', and should be a number above 0",
    ),
    "cut at the beginning": (
        written_in("tokenizer_config.json", truncation_side="left"),
        r"tokenizer_config\.json has long texts cut on the side 'left' \(truncation_side\)",
    ),
    "cut at the beginning by the tokenizer": (
        cut_left,
        r"tokenizer\.json has long texts cut on the side 'left' \(truncation_side\)",
    ),
    "a special token that is none": (
        written_in("tokenizer_config.json", cls_token="<start>"),
        r"tokenizer_config\.json names the cls_token '<start>', and the tokenizer of .* has no such token",
    ),
    "a special token that is none, as an object": (
        written_in("tokenizer_config.json", pad_token={"content": "<fill>"}),
        "names the pad_token '<fill>'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_one_sentence_says_what_disagrees(case: str, tmp_path: Path) -> None:
    spoil, sentence = BAD[case]
    written("bert", tmp_path)
    raw2vec.load(tmp_path)
    spoil(tmp_path)
    with pytest.raises(BadFolder, match=sentence) as found:
        raw2vec.load(tmp_path)
    assert "\n" not in str(found.value)


def test_a_padding_below_0_is_none(tmp_path: Path) -> None:
    """As some write it. Where positions count from its number, there has to be one."""
    written("bert", tmp_path / "bert")
    before = raw2vec.load(tmp_path / "bert").encode("the ship")
    config(pad_token_id=-1)(tmp_path / "bert")
    assert abs(raw2vec.load(tmp_path / "bert").encode("the ship") - before).max() == 0
    written("roberta", tmp_path / "roberta")
    config(pad_token_id=-1)(tmp_path / "roberta")
    with pytest.raises(BadFolder, match="pad_token_id is -1, and it is the number that its positions count from"):
        raw2vec.load(tmp_path / "roberta")


def test_without_token_types_there_is_no_table_of_them(tmp_path: Path) -> None:
    written("bert", tmp_path)
    config(type_vocab_size=0)(tmp_path)
    weights(lambda held: held.pop(TYPES))(tmp_path)
    assert raw2vec.load(tmp_path).encode("the ship").any()


def test_layer_types_are_as_many_as_layers(tmp_path: Path) -> None:
    written("modernbert", tmp_path)
    config(layer_types=["full_attention"] * 4)(tmp_path)
    with pytest.raises(BadFolder, match="has 3 layers, and 4 layer_types"):
        raw2vec.load(tmp_path)
