"""Subword vocabularies, learned from texts by the `tokenizers` library: the same texts give the same vocabulary."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from raw2vec.errors import BadFolder, BadInput, nearest, numbered

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ALIASES = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")  # what other people's tokenizers call the same five
# Between the words of an identifier: getHTTPResponse2 → get HTTP Response 2; underscores go.
_JOINTS = r"_+|(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})|(?<=\p{L})(?=\p{N})|(?<=\p{N})(?=\p{L})"
_RUN = re.compile(r"\S{100}")  # learning time grows with the square of an unbroken run; a megabyte of "a" never ends


def learned(texts: Iterable[str], settings: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that raw/text's `settings` ask for. BadInput for an item that is no string, or no text at all."""
    if settings["tokenizer"] not in _LEARNERS:
        raise BadInput(
            "A tokenizer that is given cannot be learned: begin from a checkpoint that has one, with --from."
        )
    found = _Learnable(texts)
    made = _LEARNERS[settings["tokenizer"]](iter(found), settings)
    if not found.some:
        raise BadInput("There is no text to learn a vocabulary from: every item is empty")
    return made


def opened(path: Path) -> Tokenizer:
    """The tokenizer in a file; BadFolder where there is none."""
    if not path.is_file():
        raise BadFolder(f"{path.parent} has no {path.name}")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises a bare Exception for whatever is wrong with the file
        raise BadFolder(f"{path} is damaged or not a tokenizer ({error})") from None


def edges(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The ids that a tokenizer puts before and after every text, by what it makes of a letter."""
    found = tokenizer.encode("a", add_special_tokens=True)
    own = [place for place, special in enumerate(found.special_tokens_mask) if not special]
    return (found.ids[: own[0]], found.ids[own[-1] + 1 :]) if own else (found.ids, [])


def specials(tokenizer: Tokenizer) -> dict[int, tuple[str, int]]:
    """The names and ids of those of the five special tokens that are there, by their places in SPECIAL."""
    found: dict[int, tuple[str, int]] = {}
    for place, name in chain(enumerate(_ALIASES), enumerate(SPECIAL)):
        if (known := tokenizer.token_to_id(name)) is not None:
            found[place] = (name, known)
    before, after = edges(tokenizer)
    if len(before) <= len(after) == 1:  # a checkpoint's own, whatever it calls them
        own = {2: before, 3: after}
        found |= {place: (str(tokenizer.id_to_token(i)), i) for place, ids in own.items() for i in ids}
    return found


def unknown_of(tokenizer: Tokenizer) -> int | None:
    """What its model gives for what it has no piece for; None where there is no such token."""
    model = json.loads(tokenizer.to_str())["model"]
    if (name := model.get("unk_token")) is not None:
        found = tokenizer.token_to_id(name)
        return None if found is None else int(found)
    number = model.get("unk_id")
    return None if number is None else int(number)


def ordinary(tokenizer: Tokenizer, special: set[int]) -> range:
    """The ids that stand for text, between special ones: what a masked token may be replaced by."""
    size = int(tokenizer.get_vocab_size(with_added_tokens=True))
    return range(
        max((i for i in special if i < size // 2 or i < len(SPECIAL)), default=-1) + 1,
        min((i for i in special if i >= size // 2 and i >= len(SPECIAL)), default=size),
    )


def merges(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Of which two tokens each was merged, (V, 2); -1 for those that were not, or of which none is known."""
    model = json.loads(tokenizer.to_str())["model"]
    found = np.full((tokenizer.get_vocab_size(with_added_tokens=True), 2), -1)
    if model["type"] == "BPE":
        ids = model["vocab"]
        for left, right in reversed(model["merges"]):  # of several ways to a token the first one counts
            found[ids[left + right]] = ids[left], ids[right]
    return found


def check_settings(settings: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """BadInput for a setting of raw/text's that is not among the values that its type, in `hints`, allows."""
    for name, hint in hints.items():
        allowed, value = get_args(hint), settings.get(name)
        if allowed and value not in allowed:
            close = nearest(str(value), allowed)
            raise BadInput(f"Text has no {name} '{value}'.{close} It knows: {', '.join(allowed)}.")
    fewest = {"cls-sep": 3, "sep": 2, "none": 1}[settings["boundaries"]]
    if settings["max_tokens"] < fewest:
        raise BadInput(f"max_tokens is {settings['max_tokens']}, and a window needs at least {fewest}")
    if settings["max_characters"] < 0:
        raise BadInput(f"max_characters is {settings['max_characters']}: it is a number of them, or 0 for no limit")
    if settings["vocabularies"] == "shared" and settings["tokenizer"] != "given":
        raise BadInput(
            "Shared vocabularies are a checkpoint's, with pieces for each language: choose joint or separate."
        )
    if settings["vocabulary"] <= len(SPECIAL):
        raise BadInput(f"vocabulary is {settings['vocabulary']}, and {len(SPECIAL)} are special tokens: give it more")


def check_text(number: int, text: object) -> None:
    """BadInput for an item that is no text, by its number."""
    if not isinstance(text, str):
        what = "missing (None)" if text is None else f"a {type(text).__name__}, not a string"
        raise BadInput(f"Text {number} is {what}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadInput(f"Text {number} holds half a character (a lone surrogate) at {error.start}") from None


class _Learnable:
    """Texts on their way to a trainer: checked, and unbroken runs of characters cut at every hundredth."""

    def __init__(self, texts: Iterable[str]):
        self.texts, self.some = texts, False

    def __iter__(self) -> Iterator[str]:
        for number, text in numbered(self.texts):
            check_text(number, text)
            self.some = self.some or bool(text.strip())
            yield _RUN.sub(r"\g<0> ", text) if len(text) > 100 else text


def _normalizer(settings: Mapping[str, Any], last: Sequence[normalizers.Normalizer]) -> normalizers.Normalizer | None:
    """Words of identifiers first, for they show by their case; then what the kind of tokenizer wants."""
    steps = list(last)
    if settings["words"] == "identifiers":
        steps.insert(0, normalizers.Replace(Regex(_JOINTS), " "))
    if settings["case"] == "lower":
        steps.append(normalizers.Lowercase())
    return normalizers.Sequence(steps) if steps else None


def _wordpiece(texts: Iterator[str], settings: Mapping[str, Any]) -> Tokenizer:
    """WordPiece by way of a BPE whose words begin with a mark.

    The library's own trainer numbers the pieces within words in the order of a hash table, another one each run, and
    ties fall out by number. Here a piece with the mark begins a word, any other continues one.
    """
    bert = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    normalizer = _normalizer(settings, [normalizers.NFC(), bert])
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizer
    mark = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    learner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), mark])
    size = settings["vocabulary"] + 1
    learner.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, show_progress=False))
    pieces = [piece for piece, _ in sorted(learner.get_vocab().items(), key=lambda pair: pair[1])]
    letters = [piece for piece in pieces if len(piece) == 1 and piece != "▁"]
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    inner = [f"##{c}" for c in letters if len(split(bert.normalize_str(c + c))) == 1]  # punctuation stands alone
    longer = [piece[1:] if piece.startswith("▁") else f"##{piece}" for piece in pieces if len(piece) > 1]
    alphabet = list(dict.fromkeys([*SPECIAL, *letters, *inner]))
    whole = list(dict.fromkeys([*alphabet, *longer]))[: max(settings["vocabulary"], len(alphabet))]
    made = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(whole)}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    return _finished(made, settings)


def _bpe(texts: Iterator[str], settings: Mapping[str, Any]) -> Tokenizer:
    """BPE over bytes: no text is unknown to it. No unicode normalisation, so that nothing is lost."""
    made = Tokenizer(models.BPE())
    if (normalizer := _normalizer(settings, [])) is not None:
        made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=settings["words"] == "identifiers")
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings["vocabulary"],
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return _finished(made, settings)


def _unigram(texts: Iterator[str], settings: Mapping[str, Any]) -> Tokenizer:
    """Unigram pieces over words with their space, punctuation by itself (so that no piece spells a special token).

    Training adds up in no fixed order and differs by about 1e-10: scores rounded to 1e-3 nats make runs agree.
    """
    made = Tokenizer(models.Unigram())
    made.normalizer = _normalizer(settings, [normalizers.NFC()])
    spaced = [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
    made.pre_tokenizer, made.decoder = pre_tokenizers.Sequence(spaced), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=settings["vocabulary"], special_tokens=list(SPECIAL), unk_token="[UNK]", show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    learned = json.loads(made.to_str())["model"]["vocab"]
    pieces = sorted((-round(score, 3), piece) for piece, score in learned if piece not in SPECIAL)
    made.model = models.Unigram([*((name, 0.0) for name in SPECIAL), *((p, -cost) for cost, p in pieces)], unk_id=1)
    return _finished(made, settings)


_LEARNERS = {"wordpiece": _wordpiece, "bpe": _bpe, "unigram": _unigram}


def _finished(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> Tokenizer:
    """The special tokens named as such, and the boundaries for whoever else opens the file."""
    tokenizer.add_special_tokens(list(SPECIAL))
    if settings["boundaries"] == "cls-sep":
        ends = [(name, SPECIAL.index(name)) for name in ("[CLS]", "[SEP]")]
        pair = "[CLS] $A [SEP] $B:1 [SEP]:1"
        tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", pair, ends)
    if settings["boundaries"] == "sep":
        end = [("[SEP]", SPECIAL.index("[SEP]"))]
        tokenizer.post_processor = processors.TemplateProcessing("$A [SEP]", "$A [SEP] $B:1 [SEP]:1", end)
    return tokenizer
