"""Text to token ids and back, by a subword vocabulary learned from the user's own texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor

from raw2vec.errors import BadFolder, BadInput, nearest
from raw2vec.ragged import Ragged

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ALIASES = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")  # what other people's tokenizers call the same five
# Between the words of an identifier: getHTTPResponse2 → get HTTP Response 2; underscores go.
_JOINTS = r"_+|(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})|(?<=\p{L})(?=\p{N})|(?<=\p{N})(?=\p{L})"
_RUN = re.compile(r"\S{100}")  # learning time grows with the square of an unbroken run; a megabyte of "a" never ends
_BLOCK = 1024  # texts handed to the tokenizer at once: enough for every core, little memory
_SENTENCE_END = re.compile(r"[.!?。！？…Ċ]$")  # Ċ is how byte-level pieces write a new line


@dataclass(frozen=True)
class Windows:
    """Texts as windows of token ids, ready for an encoder.

    ragged: W windows of ids (N,) int64, boundaries included. owners (W,) int64: the text each window came from, in
    order; W is the number of texts n unless long texts are chunked. tokens (n,) int64: all tokens of each text,
    boundaries not counted. truncated (n,) int64: how many of those are in no window.
    """

    ragged: Ragged
    owners: Tensor
    tokens: Tensor
    truncated: Tensor


class Text:
    """Texts ⇄ token ids. `learn` makes the vocabulary, or `load` brings back one that was saved.

    tokenizer: wordpiece (greedy, words over 100 characters unknown; Schuster & Nakajima 2012), bpe (of bytes, lossless;
    Radford et al. 2019) or unigram (Kudo 2018). vocabulary: most tokens to learn, special ones included; every
    character met gets a token all the same. case: keep or lower. words: plain, or identifiers, which splits camelCase,
    snake_case and digits. boundaries: [CLS] and [SEP] around every window, or none. max_tokens: the longest window,
    boundaries included. long: what happens to a longer text: truncate (and count), error, or chunk into several windows
    that do not overlap.

    A chunked text's vector is the mean of its windows' vectors weighted by their tokens, normalised after: the same as
    pooling over the whole text when the pooling is a mean, and a short last window weighs no more than it says.

    A text without tokens is a window of its boundaries alone; without boundaries it is one [UNK], for it must be a
    window that every encoder can pool, and [PAD] may be masked where padding is.

    Everything that tells the ids lies in tokenizer.json, so that `transformers` gives the same ones. Safe to call from
    several threads: the tokenizer never changes. It uses every core unless TOKENIZERS_PARALLELISM=false says otherwise.
    """

    def __init__(
        self,
        tokenizer: Literal["wordpiece", "bpe", "unigram"] = "wordpiece",
        vocabulary: int = 16000,
        case: Literal["keep", "lower"] = "keep",
        words: Literal["plain", "identifiers"] = "plain",
        boundaries: Literal["cls-sep", "none"] = "cls-sep",
        max_tokens: int = 256,
        long: Literal["truncate", "error", "chunk"] = "truncate",
    ):
        self.settings: dict[str, Any] = {
            "tokenizer": tokenizer,
            "vocabulary": vocabulary,
            "case": case,
            "words": words,
            "boundaries": boundaries,
            "max_tokens": max_tokens,
            "long": long,
        }
        _check(self.settings)
        self.max_tokens, self.long, self.boundaries = max_tokens, long, boundaries
        self._tokenizer: Tokenizer | None = None

    def learn(self, texts: Iterable[str]) -> None:
        """Learns the vocabulary from texts that stream by; the same texts give the same vocabulary.

        Raises BadInput for an item that is no string, by its number, and when there is no text at all.
        """
        found = _Learnable(texts)
        made = _LEARNERS[self.settings["tokenizer"]](iter(found), self.settings)
        if not found.some:
            raise BadInput("There is no text to learn a vocabulary from: every item is empty")
        self._adopt(made)

    def windows(self, texts: Sequence[str | None]) -> Windows:
        """Every text as one window, or several when long texts are chunked: N in, N out, in order.

        Raises BadInput, by its number, for a text that is None or no string, and for one too long when long="error".
        """
        self._learned()
        edges = [[self.start], [self.end]] if self.boundaries == "cls-sep" else [[], []]
        room = self.max_tokens - len(edges[0]) - len(edges[1])
        pieces: list[Sequence[int]] = []
        owners, tokens, kept = [], [], []
        for number, ids in enumerate(self._ids(texts)):
            tokens.append(len(ids))
            spans = [(0, len(ids))] if len(ids) <= room else self._spans(ids, room, number)
            kept.append(spans[-1][1])
            for start, stop in spans:
                pieces.append([*edges[0], *ids[start:stop], *edges[1]] or [self.unknown])
                owners.append(number)
        lengths = torch.tensor([len(piece) for piece in pieces], dtype=torch.long)
        values = np.fromiter(chain.from_iterable(pieces), np.int64, int(lengths.sum()))
        full, used = torch.tensor(tokens, dtype=torch.long), torch.tensor(kept, dtype=torch.long)
        ragged = Ragged(torch.from_numpy(values), lengths[:, None])
        return Windows(ragged, torch.tensor(owners, dtype=torch.long), full, full - used)

    def restore(self, ragged: Ragged) -> list[str]:
        """Each window's text, without its special tokens. Lossless for bpe with case="keep" and words="plain"."""
        special = {self.pad, self.start, self.end, self.mask}
        kept = [[i for i in item.tolist() if i not in special] for item in ragged.items()]
        return [str(text) for text in self._learned().decode_batch(kept, skip_special_tokens=True)]

    @property
    def size(self) -> int:
        """How many tokens the vocabulary holds, special ones included."""
        return int(self._learned().get_vocab_size(with_added_tokens=True))

    def tokenizer_json(self) -> str:
        """What tokenizer.json holds: the whole of what turns a text into ids."""
        return str(self._learned().to_str(pretty=True))

    def save(self, folder: str | Path) -> None:
        """Writes tokenizer.json, and the tokenizer_config.json with which transformers' AutoTokenizer opens it."""
        names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
        known = {name: self._special[place][0] for place, name in enumerate(names) if place in self._special}
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": self.max_tokens,
            "split_special_tokens": True,
            "clean_up_tokenization_spaces": False,
            **known,
        }
        Path(folder, "tokenizer.json").write_text(self.tokenizer_json(), encoding="utf-8")
        Path(folder, "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, settings: Mapping[str, Any]) -> Text:
        """The tokenizer in a folder, with the settings it had. Other people's tokenizer.json will do."""
        path = Path(folder, "tokenizer.json")
        if not path.is_file():
            raise BadFolder(f"{folder} has no tokenizer.json")
        made = cls(**settings)
        try:
            made._adopt(Tokenizer.from_file(str(path)))
        except Exception as error:  # the library raises a bare Exception for whatever is wrong with the file
            raise BadFolder(f"{path} is damaged or not a tokenizer ({error})") from None
        return made

    def _adopt(self, tokenizer: Tokenizer) -> None:
        """Takes a tokenizer as it is, but for padding and truncation, which are done here."""
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True  # a text that says "[SEP]" means those five characters
        self._special: dict[int, tuple[str, int]] = {}
        for place, name in chain(enumerate(_ALIASES), enumerate(SPECIAL)):
            if (known := tokenizer.token_to_id(name)) is not None:
                self._special[place] = (name, known)
        self.pad, self.unknown, self.start, self.end, self.mask = (self._special.get(i, ("", 0))[1] for i in range(5))
        self._tokenizer = tokenizer
        self._ends = _sentence_ends(tokenizer)
        # The ids that stand for text: what a masked token may be replaced by.
        size, ids = self.size, {pair[1] for pair in self._special.values()}
        self.ordinary = range(
            max((i for i in ids if i < size // 2 or i < len(SPECIAL)), default=-1) + 1,
            min((i for i in ids if i >= size // 2 and i >= len(SPECIAL)), default=size),
        )

    def _learned(self) -> Tokenizer:
        if self._tokenizer is None:
            raise BadInput("This Text has no vocabulary yet: call learn(texts) or load(folder, settings) first")
        return self._tokenizer

    def _ids(self, texts: Sequence[str | None]) -> Iterator[list[int]]:
        tokenizer = self._learned()
        for start in range(0, len(texts), _BLOCK):
            block = list(texts[start : start + _BLOCK])
            for number, text in enumerate(block, start):
                _check_text(number, text)
            for encoding in tokenizer.encode_batch_fast(block, add_special_tokens=False):
                yield encoding.ids

    def _spans(self, ids: list[int], room: int, number: int) -> list[tuple[int, int]]:
        """Which parts of a text too long for one window become windows."""
        if self.long == "error":
            raise BadInput(
                f"Text {number} has {len(ids)} tokens, and a window holds {room} (max_tokens is {self.max_tokens}, "
                "boundaries included). Shorten it, raise max_tokens, or choose long='truncate' or long='chunk'"
            )
        return [(0, room)] if self.long == "truncate" else _chunks(self._ends[ids], room)


def _chunks(ends: NDArray[np.bool_], room: int) -> list[tuple[int, int]]:
    """Consecutive spans of at most `room` tokens, cut after a sentence end where the second half of a span has one."""
    spans, start = [], 0
    while len(ends) - start > room:
        half = start + (room + 1) // 2
        late = ends[half : start + room].nonzero()[0]
        stop = half + int(late[-1]) + 1 if len(late) else start + room
        spans.append((start, stop))
        start = stop
    return [*spans, (start, len(ends))]


def _check(settings: Mapping[str, Any]) -> None:
    """Each setting among the values it may have."""
    for name, hint in get_type_hints(Text.__init__).items():
        allowed, value = get_args(hint), settings.get(name)
        if allowed and value not in allowed:
            close = nearest(str(value), allowed)
            raise BadInput(f"Text has no {name} '{value}'.{close} It knows: {', '.join(allowed)}.")
    fewest = 3 if settings["boundaries"] == "cls-sep" else 1
    if settings["max_tokens"] < fewest:
        raise BadInput(f"max_tokens is {settings['max_tokens']}, and a window needs at least {fewest}")
    if settings["vocabulary"] <= len(SPECIAL):
        raise BadInput(f"vocabulary is {settings['vocabulary']}, and {len(SPECIAL)} are special tokens: give it more")


def _check_text(number: int, text: object) -> None:
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
        for number, text in enumerate(self.texts):
            _check_text(number, text)
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
    return tokenizer


def _sentence_ends(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Whether each token ends a sentence, (V,) bool: by its last character, which is near enough to cut there."""
    ends = np.zeros(tokenizer.get_vocab_size(with_added_tokens=True), np.bool_)
    ends[[i for piece, i in tokenizer.get_vocab().items() if i < len(ends) and _SENTENCE_END.search(piece)]] = True
    return ends
