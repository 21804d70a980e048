"""Tiny checkpoints that see, as their own library writes them: ViT, CLIP and SigLIP with random weights."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn

from tiny_checkpoints import TEXTS, drawn

EDGE = 32
PICTURES = [
    np.random.default_rng(number).integers(0, 256, (*shape, 3), np.uint8)
    for number, shape in enumerate(((32, 32), (50, 40), (37, 90), (200, 31), (1, 5)))
]
"""Of the checkpoints' own size and of others."""

_SEES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
_SEES |= {"image_size": EDGE, "patch_size": 8}
_READS = {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}
_SQUARE = {"height": EDGE, "width": EDGE}
START, END = "<|startoftext|>", "<|endoftext|>"


def library() -> Any:
    return pytest.importorskip("transformers", reason="parity is measured against transformers itself")


def processor(kind: str, **options: Any) -> Any:
    """Their processor of pictures that needs no torchvision."""
    name = {"vit": "ViT", "clip": "CLIP", "siglip": "Siglip"}[kind]
    library()
    made = getattr(import_module(f"transformers.models.{kind}.image_processing_pil_{kind}"), f"{name}ImageProcessorPil")
    size = {"size": {"shortest_edge": EDGE}, "crop_size": _SQUARE} if kind == "clip" else {"size": _SQUARE}
    return made(**size | options)


def pixel_values(processor: Any, pictures: Any = PICTURES) -> torch.Tensor:
    return processor([Image.fromarray(picture) for picture in pictures], return_tensors="pt").pixel_values


def vit(folder: Path, labels: int = 3, **changes: Any) -> nn.Module:
    """With a classifier of so many labels, or, of none, without."""
    transformers = library()
    name = "ViTForImageClassification" if labels else "ViTModel"
    names = {"id2label": {number: f"thing {number}" for number in range(labels)}} if labels else {}
    model = drawn(getattr(transformers, name)(transformers.ViTConfig(**_SEES | names | changes)))
    model.save_pretrained(folder)
    processor("vit").save_pretrained(folder)
    return model


def clip(folder: Path, **changes: Any) -> tuple[nn.Module, Any]:
    """Its words end at a token of their own, from which their vector is read."""
    transformers, made = library(), Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>"))
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), bytes_of])
    made.normalizer = normalizers.Lowercase()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    options: dict[str, Any] = {"special_tokens": [START, END], "initial_alphabet": alphabet, "show_progress": False}
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=400, end_of_word_suffix="</w>", **options))
    made.post_processor = processors.RobertaProcessing((END, 1), (START, 0), False, False)
    names = {"bos_token": START, "eos_token": END, "pad_token": END}
    words = {**_READS, "hidden_size": 24, "max_position_embeddings": 20, "eos_token_id": 1, "bos_token_id": 0}
    config = transformers.CLIPConfig(
        text_config={**words, "vocab_size": made.get_vocab_size()}, vision_config=_SEES, projection_dim=16, **changes
    )
    return _written(folder, "clip", transformers.CLIPModel(config), made, names, 20)


def siglip(folder: Path, **changes: Any) -> tuple[nn.Module, Any]:
    """Its words are filled up to the longest text, and the filling is read as well."""
    transformers, made = library(), Tokenizer(models.Unigram())
    made.pre_tokenizer, made.normalizer = pre_tokenizers.Metaspace(), normalizers.Lowercase()
    special = ["<unk>", "</s>"]
    made.train_from_iterator(
        TEXTS,
        trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False),
    )
    made.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 1)])
    names = {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "</s>"}
    words = {**_READS, "hidden_size": 32, "max_position_embeddings": 16, "vocab_size": made.get_vocab_size()}
    config = transformers.SiglipConfig(text_config=words, vision_config=_SEES, **changes)
    return _written(folder, "siglip", transformers.SiglipModel(config), made, names, 16)


def _written(
    folder: Path, kind: str, model: nn.Module, made: Tokenizer, names: dict[str, str], longest: int
) -> tuple[nn.Module, Any]:
    drawn(model).save_pretrained(folder)
    theirs = library().PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=longest, **names)
    theirs.save_pretrained(folder)
    processor(kind).save_pretrained(folder)
    return model, theirs


PAIRS = {"clip": clip, "siglip": siglip}
