"""Translators for CTranslate2 (https://opennmt.net/CTranslate2), which runs transformers fast, and without PyTorch.

A folder that `export` writes holds its files and ours beside them: enough to translate with, and with it alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch

from raw2vec.bundle import bind, bound_by, found, replacing
from raw2vec.errors import BadFolder, BadInput, nearest
from raw2vec.folder import EXPORTED, Model, fingerprint
from raw2vec.interchange.ctranslate2.base import Runner, library
from raw2vec.interchange.ctranslate2.parity import Parity, alike
from raw2vec.interchange.ctranslate2.weights import refusal, save
from raw2vec.raw import Text
from raw2vec.recipe import Recipe

__all__ = ["QUANTIZATIONS", "Exported", "Parity", "export", "is_export", "refusal"]

QUANTIZATIONS = ("float32", "int8")
_TOKENIZERS = ("tokenizer.json", "target_tokenizer.json")
_VOCABULARIES = ("shared_vocabulary.json", "source_vocabulary.json", "target_vocabulary.json")
_FILES = ("recipe.json", *_TOKENIZERS, "model.bin", "config.json", *_VOCABULARIES)
_CARD = """# A translator for CTranslate2
Exported by raw2vec, its weights in {quantization}. `raw2vec translate {name} FILE` translates every line of a file,
long ones part by part. Without raw2vec:

```python
import ctranslate2, tokenizers

translator = ctranslate2.Translator("{name}", inter_threads=2, intra_threads=1)
tokenizer = tokenizers.Tokenizer.from_file("{name}/tokenizer.json")
source = tokenizer.encode("a text").tokens  # {begins} and {ends} around it; {longest} at most
made = translator.translate_batch([source], beam_size=5, max_decoding_length={longest})[0].hypotheses[0]
{reopened}print(tokenizer.decode([tokenizer.token_to_id(token) for token in made]))
```
"""


def export(parts: Model, out: Path, quantization: str = "float32") -> Parity:
    """Writes a folder that CTranslate2 opens, whole and in one step, and tells how near it is to the model.

    quantization: "int8" rounds the weights, to a quarter of the size. BadInput for a model that CTranslate2 does not
    run; Raw2VecError, and nothing written, where it turns out not to write as the model does.
    """
    raw, version = parts.raw, library().__version__
    _refuse(parts, out, quantization)
    assert isinstance(raw, Text)
    with replacing(out) as partial, torch.inference_mode():
        parts.model.eval()
        save(parts, partial, "float32")
        parity = alike(parts, partial, rounded=False)
        if quantization != "float32":
            save(parts, partial, quantization)
            parity = alike(parts, partial, rounded=True)
        raw.save(partial)
        (partial / "recipe.json").write_text(parts.recipe.json_text(), encoding="utf-8")
        (partial / "README.md").write_text(_card(parts, out.name, quantization), encoding="utf-8")
        report = {"engine": "ctranslate2", "version": version, "quantization": quantization, "parity": asdict(parity)}
        report |= {"model": fingerprint(parts)}
        (partial / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        bind(partial, {"settings": raw.settings, "weights": EXPORTED, "labels": None}, _FILES)
    return parity


def is_export(folder: Path) -> bool:
    """Whether a folder is one that `export` wrote."""
    return (found(folder) / "model.bin").is_file() and (found(folder) / "raw.json").is_file()


class Exported:
    """A translator that was exported: what turns texts into windows, and what translates these."""

    def __init__(self, folder: Path):
        """As many workers as PyTorch would have threads. BadFolder for a folder that is damaged or no export."""
        if not is_export(folder):
            raise BadFolder(f"{folder} holds no translator for CTranslate2: raw2vec export makes one.")
        folder = found(folder)
        held = bound_by(folder)
        self.recipe = Recipe.read(folder / "recipe.json")
        self.raw = Text.load(folder, held["settings"])
        self.runner = Runner(folder, self.raw, torch.get_num_threads())


def _refuse(parts: Model, out: Path, quantization: str) -> None:
    if quantization == "bfloat16":
        raise BadInput("ctranslate2 takes float32 or int8: bfloat16 is for --to openvino.")
    if quantization not in QUANTIZATIONS:
        known = " or ".join(QUANTIZATIONS)
        raise BadInput(f"Weights are {known}, not '{quantization}'.{nearest(quantization, QUANTIZATIONS)}")
    if why := refusal(parts.recipe):
        raise BadInput(
            f"CTranslate2 cannot run this model: {why}, and it takes transformers alone that translate by the bridge "
            "cross-attention, with positions sinusoidal, learned or none, and norm_order pre-each, post or post-only. "
            "translate --precision int8 is quicker for every translator."
        )
    if (found(out) / "recipe.json").exists() and not is_export(out):
        raise BadInput(f"{out} holds a model, which the export would take the place of: name another folder.")


def _card(parts: Model, name: str, quantization: str) -> str:
    raw = parts.raw
    assert isinstance(raw, Text)
    names, told = raw.pieces, {"name": name, "quantization": quantization, "longest": raw.max_tokens}
    own = raw.separate and f'tokenizer = tokenizers.Tokenizer.from_file("{name}/target_tokenizer.json")\n'
    return _CARD.format(**told, begins=names[raw.start], ends=names[raw.end], reopened=own or "")
