"""A checkpoint's own tokenizer as our Text: taken as it is, and refused where its numbers are not the table's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from raw2vec.errors import BadFolder
from raw2vec.interchange.checkpoints.base import read
from raw2vec.raw import Text
from raw2vec.tokens.subwords import SPECIAL, edges, opened

_TOKENIZER, _WRITTEN, _ABOUT, _WORDS = "tokenizer.json", "target_tokenizer.json", "tokenizer_config.json", "vocab.txt"
_PADDING = 128  # rows that a table may have more than there are tokens: they fill it up to a round number
_FAR = 10**6  # a longest text beyond this is no limit: "as long as you like" is written as 1e30
ENDLESS = 1 << 20  # tokens, where nothing limits a text


def tokenizer(folder: Path, lower: bool) -> Tokenizer:
    """The tokenizer of a folder, as its library has it. lower: texts are put in lower case before it sees them."""
    if (folder / _TOKENIZER).exists():
        found = opened(folder / _TOKENIZER)
    elif (folder / _WORDS).exists():
        found = _bert(folder)
    else:
        raise BadFolder(
            f'{folder} has no {_TOKENIZER}: write it once with transformers: python -c "from transformers import '
            f"AutoTokenizer as T; T.from_pretrained('{folder}').save_pretrained('{folder}')\""
        )
    if lower:
        steps = [normalizers.Lowercase(), *([found.normalizer] if found.normalizer else [])]
        found.normalizer = normalizers.Sequence(steps)
    return found


def _bert(folder: Path) -> Tokenizer:
    """BERT's first tokenizer, of which there is but a list of words."""
    about = read(folder / _ABOUT)
    words = (folder / _WORDS).read_text(encoding="utf-8").splitlines()
    found = Tokenizer(models.WordPiece({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    lower, strip = bool(about.get("do_lower_case", True)), about.get("strip_accents")
    found.normalizer = normalizers.BertNormalizer(lowercase=lower, strip_accents=strip)
    found.pre_tokenizer, found.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    found.add_special_tokens([name for name in SPECIAL if name in words])
    ends = [(name, words.index(name)) for name in ("[CLS]", "[SEP]") if name in words]
    if len(ends) == 2:
        found.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ends)
    return found


def text_of(
    found: Tokenizer,
    folder: Path,
    rows: int,
    most: int,
    bag: bool = False,
    long: str = "truncate",
    beyond: bool = False,
    written: Tokenizer | None = None,
    said: Mapping[str, Any] | None = None,
) -> Text:
    """Our Text of a tokenizer, for a table of `rows` and at most `most` tokens. bag: without boundaries. long: what
    becomes of a longer text. beyond: pieces that the table has no row for are the unknown. written: what cuts
    translations into pieces of the same vocabulary, where another tokenizer does. said: other settings of the Text."""
    limit = (found.truncation or {}).get("max_length", ENDLESS) if bag else most
    if long == "truncate" and min(most, limit) < ENDLESS:
        _refuse_left(found, folder, bag)
    found.no_padding()
    found.no_truncation()
    ids = found.get_vocab(with_added_tokens=True).values()
    size = max(ids, default=-1) + 1
    whole, size = size, min(size, rows) if beyond else size
    if size > rows or rows - size >= _PADDING:
        raise BadFolder(
            f"The tokenizer of {folder} has {size:,} tokens and its table of embeddings {rows:,} rows: they do not "
            "belong together."
        )
    if len(set(ids)) != whole:
        raise BadFolder(
            f"The tokenizer of {folder} leaves out some of the numbers below {size:,}, which is not known here."
        )
    before, after = ([], []) if bag else edges(found)
    boundaries = {(1, 1): "cls-sep", (0, 1): "sep", (0, 0): "none"}.get((len(before), len(after)))
    if boundaries is None:
        raise BadFolder(
            f"The tokenizer of {folder} puts {len(before)} tokens before a text and {len(after)} after it: here it is "
            "one each, one after it, or none."
        )
    settings: dict[str, Any] = {"tokenizer": "given", "vocabulary": size, "boundaries": boundaries}
    settings |= {**(said or {}), "max_tokens": min(most, limit), "long": long}
    with TemporaryDirectory() as place:
        found.save(str(Path(place, _TOKENIZER)))
        if written is not None:
            settings["vocabularies"] = "shared"
            written.save(str(Path(place, _WRITTEN)))
        return Text.load(place, settings)


def _refuse_left(found: Tokenizer, folder: Path, bag: bool) -> None:
    """BadFolder for a tokenizer that cuts long texts at their beginning. bag: the file beside it is not read for it."""
    own = (found.truncation or {}).get("direction", "right")
    side = own if bag else read(folder / _ABOUT).get("truncation_side", own)
    if side != "right":
        where = folder / (_TOKENIZER if side == own else _ABOUT)
        raise BadFolder(
            f"{where} has long texts cut on the side {side!r} (truncation_side), and here they are cut at their end, "
            "on the 'right'."
        )


def longest(folder: Path, said: int | None, limit: int) -> int:
    """How many tokens a text may have: what is said, else what the tokenizer tells, and never over `limit`."""
    if said is None:
        about = read(folder / _ABOUT).get("model_max_length", _FAR)
        said = int(about) if isinstance(about, int | float) and about < _FAR else limit
    return min(int(said), limit)


def without(table: torch.Tensor, size: int) -> torch.Tensor:
    """A table without the rows that fill it up."""
    return table[:size].contiguous()
