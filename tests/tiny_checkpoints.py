"""Tiny checkpoints of every family as their own library writes them, with random weights and a small vocabulary."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn

from small import texts

TEXTS = [*texts(40), "Anchor!", "a", "The Sailor's mast? " * 9, "a [SEP] mast", "déjà vu, 数据"]
BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")

_SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
_DISTIL = {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48}
_LIMIT = {"max_position_embeddings": 128}
_NOMIC = {"num_hidden_layers": 2, "hidden_act": "silu", "max_position_embeddings": 256}
_MODERN = {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
_WINDOWS = {"local_attention": 8, "global_attn_every_n_layers": 2, **_LIMIT, **_MODERN}
# The name of a case: the model's class without "Model" or "Config", what its config.json says, its special tokens.
CASES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "bert": ("Bert", _SIZES | _LIMIT, BERT),
    "bert, other epsilon": ("Bert", _SIZES | _LIMIT | {"layer_norm_eps": 1e-5, "hidden_act": "relu"}, BERT),
    "roberta": ("Roberta", _SIZES | {"max_position_embeddings": 130, "type_vocab_size": 1}, ROBERTA),
    "xlm-roberta": ("XLMRoberta", _SIZES | {"max_position_embeddings": 130, "type_vocab_size": 1}, ROBERTA),
    "distilbert": ("DistilBert", _DISTIL | _LIMIT, BERT),
    "mpnet": ("MPNet", _SIZES | {"max_position_embeddings": 300, "layer_norm_eps": 1e-5}, ROBERTA),
    "modernbert": ("ModernBert", _SIZES | _WINDOWS, BERT),
    "nomic_bert": ("NomicBert", _SIZES | _NOMIC, BERT),
}


def tokenizer(special: tuple[str, ...], size: int = 150) -> Tokenizer:
    """A small one of the kind that goes with these special tokens: BERT's of words' pieces, RoBERTa's of bytes."""
    if special == BERT:
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        trainer: Any = trainers.WordPieceTrainer(vocab_size=size, special_tokens=list(special), show_progress=False)
        made.decoder = decoders.WordPiece()
    else:
        made = Tokenizer(models.BPE())
        made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer = trainers.BpeTrainer(
            vocab_size=size + 200, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
        )
    made.train_from_iterator(TEXTS, trainer)
    first, last = ("[CLS]", "[SEP]") if special == BERT else ("<s>", "</s>")
    ends = [(name, made.token_to_id(name)) for name in (first, last)]
    made.post_processor = processors.TemplateProcessing(f"{first} $A {last}", f"{first} $A {last} $B {last}", ends)
    return made


def drawn(module: nn.Module) -> nn.Module:
    """Every weight drawn anew: ones and zeros would hide a norm or a bias left out."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            nn.init.normal_(weight, mean=0.05, std=0.2)
    return module.eval()


def written(case: str, folder: Path, **changes: Any) -> tuple[nn.Module, Any]:
    """A checkpoint of the case in `folder`, as transformers writes it; its model and its tokenizer there."""
    transformers = pytest.importorskip("transformers", reason="parity is measured against transformers itself")
    name, config, special = CASES[case]
    made = tokenizer(special)
    configuration = getattr(transformers, f"{name}Config")(vocab_size=made.get_vocab_size(), **config | changes)
    model = drawn(getattr(transformers, f"{name}Model")(configuration))
    model.save_pretrained(folder)
    names = ("pad", "unk", "cls", "sep", "mask") if special == BERT else ("cls", "pad", "sep", "unk", "mask")
    known = {f"{name}_token": token for name, token in zip(names, special, strict=True)}
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=120, **known)
    theirs.save_pretrained(folder)
    return model, theirs


def model2vec(folder: Path, rows: int = 0, **about: Any) -> tuple[dict[str, torch.Tensor], Tokenizer]:
    """A folder of model2vec's, and its tensors and tokenizer.

    rows: that tokens share, each with a weight of its own; 0: a row for each.
    """
    folder.mkdir(exist_ok=True)
    words, draw = tokenizer(BERT), torch.Generator().manual_seed(0)
    size = words.get_vocab_size()
    held = {"embeddings": torch.randn(rows or size, 16, generator=draw)}
    if rows:
        held["mapping"] = torch.randint(rows, (size,), generator=draw)
        held["weights"] = torch.rand(size, generator=draw)
    save_file(held, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True, **about}))
    words.enable_truncation(7)  # which model2vec does not obey
    words.save(str(folder / "tokenizer.json"))
    words.no_truncation()
    return held, words
