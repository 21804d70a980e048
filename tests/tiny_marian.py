"""A tiny folder of Marian's as transformers writes it: random weights, and pieces as SentencePiece writes them."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

SCORES = {
    piece: -float(place + 3) / 2 for place, piece in enumerate(["▁a", "▁ship", "▁", "s", "h", "i", "p", "hip", "a"])
}
SCORES |= {"▁the": -2.0, "t": -6.0, "e": -6.5, "he": -5.0, "un": -9.0, "▁>>": -9.0}
OTHER = ["▁un", "▁navire", "▁le", "s'il"]
VOCABULARY = {
    name: place
    for place, name in enumerate(
        ["</s>", "<unk>", *(name for name in SCORES if name != "hip"), *OTHER, ">>fra<<", "<pad>"]
    )
}
SIZE, PAD = len(VOCABULARY), len(VOCABULARY) - 1


def field(number: int, value: int | float | bytes) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", value)
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value) & 0x7F | 0x80, len(value) >> 7]) + value


def spm(scores: dict[str, float] = SCORES, kind: int = 1, special: tuple[bytes, ...] = (b"<s>", b"</s>")) -> bytes:
    """A file as SentencePiece writes it: control symbols, pieces, how it was trained, and how texts are shaped."""
    control = [field(1, field(1, name) + field(2, 0.0) + field(3, 3)) for name in special]
    told = [field(1, field(1, name.encode()) + field(2, score)) for name, score in scores.items()]
    return b"".join([*control, *told, field(2, field(3, kind)), field(3, field(1, b"identity") + field(3, 1))])


def written(folder: Path, scaled: bool = True, **changes: Any) -> Any:
    """A folder as transformers writes it, of random weights."""
    transformers = pytest.importorskip("transformers", reason="parity is measured against transformers itself")
    sides = {f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in (("layers", 2), ("ffn_dim", 24))}
    sides |= {"encoder_attention_heads": 2, "decoder_attention_heads": 4, "max_position_embeddings": 64}
    special = {"pad_token_id": PAD, "decoder_start_token_id": PAD, "eos_token_id": 0, "forced_eos_token_id": None}
    made: dict[str, Any] = {"vocab_size": SIZE, "d_model": 16, "scale_embedding": scaled, **sides, **special}
    model = transformers.MarianMTModel(transformers.MarianConfig(activation_function="swish", **made | changes))
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if weight.requires_grad:  # positions stay what they are
            nn.init.normal_(weight, std=1.0 if "norm.weight" in name else 0.5 if "shared" in name else 0.2)
    model.final_logits_bias.normal_(std=0.5)
    model.eval().save_pretrained(folder)
    (folder / "source.spm").write_bytes(spm())
    (folder / "vocab.json").write_text(json.dumps(VOCABULARY))
    return model
