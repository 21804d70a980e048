"""What a checkpoint is refused for before it is built: code of its own, quantised weights, another one's tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from raw2vec.errors import BadFolder
from raw2vec.interchange.checkpoints.base import CONFIG, READERS, read
from raw2vec.tokens.subwords import specials

_TOKENIZER, _TOKENS = "tokenizer_config.json", "special_tokens_map.json"
_CODED = (CONFIG, _TOKENIZER, "preprocessor_config.json", "processor_config.json", *READERS)
_KNOWN_CODE = ("nomic_bert",)  # what asks for its authors' code, and is here without it

_FAIRSEQ = ("roberta", "xlm-roberta", "camembert", "mpnet")  # whose positions are counted from the padding's number on
_PADDING = ("<pad>", "[PAD]")
_ROLES = {"pad": "padding", "cls": "class token", "sep": "separator", "mask": "mask", "unk": "unknown token"}
# The padding that transformers writes where nobody sets one, which tells nothing: 0, but of these.
_USUAL = {**dict.fromkeys((*_FAIRSEQ, "marian"), None), "siglip": 1}
# The tokens that each family's texts are made of; what is named, and is not in the tokenizer, transformers would add.
_ENDS = ("cls", "sep", "pad", "unk")
_NEEDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("bert", "distilbert", "nomic_bert"), _ENDS),
    **dict.fromkeys(_FAIRSEQ, (*_ENDS, "bos", "eos")),
    "modernbert": ("cls", "sep", "pad"),
    "clip": ("bos", "eos", "pad"),
    "siglip": ("eos", "pad"),
    "marian": ("eos",),
}
_SILENT = ("modernbert", "clip")  # whose numbers are often another model's, and none of which moves a vector
_LEGACY_END = 2  # CLIP's first config.json said so, and then the largest number in a text is its end


def refuse_code(folder: Path) -> None:
    """BadFolder where a file asks for code that came with the checkpoint, which transformers would run."""
    known = read(folder / CONFIG).get("model_type") in _KNOWN_CODE
    for name in _CODED:
        if known and name in (CONFIG, *READERS):
            continue
        if (code := next(_code(read(folder / name)), None)) is not None:
            raise BadFolder(
                f"{folder / name} asks for code that came with the checkpoint ({code}), which is never run here: take "
                "a checkpoint of an architecture that is known without it."
            )


def _code(held: Mapping[str, Any]) -> Iterator[str]:
    """What a config names as code of its own, also one within it."""
    if asked := held.get("auto_map"):
        first = next(iter(asked.values()), "") if isinstance(asked, Mapping) else asked
        yield str(next((name for name in first if name), "") if isinstance(first, list) else first)
    if held.get("trust_remote_code"):
        yield "trust_remote_code"
    for inner in held.values():
        if isinstance(inner, Mapping):
            yield from _code(inner)


def refuse_quantised(folder: Path) -> None:
    """BadFolder for a config.json that says how its weights were quantised."""
    held = read(folder / CONFIG)
    for inner in (held, *(value for value in held.values() if isinstance(value, Mapping))):
        if how := inner.get("quantization_config"):
            told = how.get("quant_method", "") if isinstance(how, Mapping) else how
            raise BadFolder(
                f"{folder / CONFIG} has a quantization_config ({told}), and quantised weights are not taken over: take "
                "the checkpoint that it was made from, in float32, float16 or bfloat16."
            )


def refuse_strange(found: Tokenizer, folder: Path, about: Mapping[str, Any], rows: int) -> None:
    """BadFolder where config.json and the folder's tokenizer or table certainly contradict each other.

    about: config.json, or the part of it that is of words, with the whole's model_type. rows: of the table.
    """
    where, kind = folder / CONFIG, str(about.get("model_type"))
    if (said := about.get("vocab_size")) is not None and said != rows:
        raise BadFolder(f"{where} has a vocab_size of {said:,}, and the table of embeddings has {rows:,} rows.")
    _refuse_lacking(found, folder, kind)
    tokens = _tokens(found, folder)
    for role, name in () if kind in _SILENT else _ROLES.items():
        said, own = about.get(f"{role}_token_id"), tokens.get(role)
        if said is None or said < 0 or own is None or own[1] == said:  # below 0 there is none, as some write it
            continue
        if role == "pad" and (said == _USUAL.get(kind, 0) or found.id_to_token(said) in _PADDING):
            continue  # nobody set it; or one was added for batches, and the old one is there
        raise BadFolder(
            f"{where} has the {name} at number {said} ({role}_token_id), and the tokenizer of {folder} has "
            f"'{own[0]}' at {own[1]}: they do not belong together."
        )
    _refuse_end(found, folder, about, tokens.get("eos", tokens.get("sep")))


def _refuse_lacking(found: Tokenizer, folder: Path, kind: str) -> None:
    """BadFolder for a tokenizer without a special token that the file beside it names and the model needs."""
    held = read(folder / _TOKENIZER)
    for role in _NEEDED.get(kind, ()):
        name = _named(held, role)
        if name is not None and found.token_to_id(name) is None:
            raise BadFolder(
                f"{folder / _TOKENIZER} names the {role}_token '{name}', and the tokenizer of {folder} has no such "
                "token: they do not belong together."
            )


def _refuse_end(found: Tokenizer, folder: Path, about: Mapping[str, Any], own: tuple[str, int] | None) -> None:
    """The token at which a CLIP reads its vector, and a Marian ends what it writes."""
    said = about.get("eos_token_id")
    if own is None or not isinstance(said, int) or about.get("model_type") not in ("clip", "marian"):
        return
    if about["model_type"] == "clip" and said == _LEGACY_END:
        said = max(own[1], *found.get_vocab(with_added_tokens=False).values())
    if said != own[1]:
        raise BadFolder(
            f"{folder / CONFIG} has the end of a text at number {said} (eos_token_id), and the tokenizer of {folder} "
            f"has '{own[0]}' at {own[1]}: they do not belong together."
        )


def _tokens(found: Tokenizer, folder: Path) -> dict[str, tuple[str, int]]:
    """The special tokens that a tokenizer has, by their roles: as files beside it name them, else as they usually are.

    Names and numbers.
    """
    usual = specials(found)
    roles = ("pad", "unk", "cls", "sep", "mask")
    tokens = {roles[place]: token for place, token in usual.items()}
    for file in (_TOKENS, _TOKENIZER):
        held = read(folder / file)
        for role in (*_ROLES, "eos"):
            name = _named(held, role)
            if name is not None and (number := found.token_to_id(name)) is not None:
                tokens[role] = (name, number)
    return tokens


def _named(held: Mapping[str, Any], role: str) -> str | None:
    """The token that a file names for a role."""
    name = held.get(f"{role}_token")
    name = name.get("content") if isinstance(name, Mapping) else name
    return name if isinstance(name, str) else None
