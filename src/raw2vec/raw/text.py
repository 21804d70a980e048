"""Text to token ids and back, by a subword vocabulary learned from the user's own texts."""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_type_hints

import numpy as np
import pyarrow as pa
import torch
from tokenizers import Tokenizer
from torch import Tensor

from raw2vec.errors import BadInput, Numbered, numbered
from raw2vec.ragged import Ragged
from raw2vec.raw.base import Form, Raw, Windows, listed
from raw2vec.rows import text_column
from raw2vec.tokens.sentences import Cuts, chunks, exceeded, kept, sentence_spans
from raw2vec.tokens.subwords import (
    SPECIAL,
    check_settings,
    check_text,
    learned,
    merges,
    opened,
    ordinary,
    specials,
    unknown_of,
)
from raw2vec.tokens.unknown import Known, Met, known
from raw2vec.tokens.words import reader

_BLOCK = 1024  # texts handed to the tokenizer at once: enough for every core, little memory


class Text(Raw):
    """Texts ⇄ token ids. `learn` makes the vocabulary, or `load` brings back one that was saved.

    tokenizer: wordpiece (greedy, words over 100 characters unknown; Schuster & Nakajima 2012), bpe (of bytes, lossless;
    Radford et al. 2019) or unigram (Kudo 2018); or given: a checkpoint's own, which is never learned, and knows best
    what case and words are to it. vocabulary: most tokens to learn, special ones included; every character met gets a
    token all the same. Of those given, tokens from there on are read as the unknown. case: keep or lower. words: plain,
    or identifiers, which splits camelCase, snake_case and digits. boundaries: [CLS] and [SEP] around every window,
    [SEP] after it, or none. max_tokens: the longest window, boundaries included. long: what happens to a longer text:
    truncate (and count), error, or chunk into several windows that do not overlap. usual and sentences: the tokens, and
    the sentences, that one in a thousand of the texts learned
    from exceeds; beyond either, windows may be asked to cut at every sentence end. 0: found by `learn`, where long is
    chunk. unknown: words with characters or numbers that no text learned from has are spelled, or, by a translator,
    copied, as addresses are; or tokens that are the unknown are dropped from every window, as Model2Vec does.
    max_characters: what a text is cut to before it is read; 0: nothing is cut. characters, numbers: those that such
    texts have; "": found by `learn`, where unknown words are copied. vocabularies: joint, or of pairs in two languages
    separate: `target` then is a Text of its own, with as many tokens to learn; or shared: each language is cut into
    pieces of its own, of one vocabulary that is given (Marian's), and `target` cuts its side.

    Separate vocabularies are one space of ids: the target's come first, the input's follow, and the five special ones
    are the same. So one table of embeddings has a row for each, and what is written is told among the first of them.

    A chunked text's vector is the mean of its windows' vectors weighted by their tokens, normalised after: the same as
    pooling over the whole text when the pooling is a mean, and a short last window weighs no more than it says.

    A text without tokens is a window of its boundaries alone; without boundaries it is one [UNK], for it must be a
    window that every encoder can pool, and [PAD] may be masked where padding is.

    Everything that tells the ids lies in tokenizer.json, so that `transformers` gives the same ones, but for those that
    follow a target's. Safe to call from several threads: the tokenizer never changes. It uses every core unless
    TOKENIZERS_PARALLELISM=false says otherwise.
    """

    nothing = ""
    target: Text | None = None

    def __init__(
        self,
        tokenizer: Literal["wordpiece", "bpe", "unigram", "given"] = "wordpiece",
        vocabulary: int = 16000,
        case: Literal["keep", "lower"] = "keep",
        words: Literal["plain", "identifiers"] = "plain",
        boundaries: Literal["cls-sep", "sep", "none"] = "cls-sep",
        max_tokens: int = 256,
        long: Literal["truncate", "error", "chunk"] = "truncate",
        usual: int = 0,
        sentences: int = 0,
        unknown: Literal["spell", "copy", "drop"] = "spell",
        characters: str = "",
        numbers: str = "",
        vocabularies: Literal["joint", "separate", "shared"] = "joint",
        max_characters: int = 0,
    ):
        self.settings: dict[str, Any] = {
            "tokenizer": tokenizer,
            "vocabulary": vocabulary,
            "case": case,
            "words": words,
            "boundaries": boundaries,
            "max_tokens": max_tokens,
            "long": long,
            "usual": usual,
            "sentences": sentences,
            "unknown": unknown,
            "characters": characters,
            "numbers": numbers,
            "vocabularies": vocabularies,
            "max_characters": max_characters,
        }
        check_settings(self.settings, get_type_hints(Text.__init__))
        self.max_tokens, self.long, self.boundaries = max_tokens, long, boundaries
        self._tokenizer: Tokenizer | None = None

    def learn(self, texts: Iterable[str], targets: Iterable[str] | None = None) -> None:
        """Learns the vocabulary from texts that stream by; the same texts give the same vocabulary.

        targets: what they are translated to, where vocabularies are separate. BadInput, by its number, for no string.
        """
        if (targets is not None) != self.separate:
            raise BadInput("Separate vocabularies are learned from inputs and from targets, a joint one from all texts")
        some: list[str] = []
        met = Met()
        read = Numbered(kept(numbered(texts), some)) if self.long == "chunk" else texts
        read = Numbered(met.passing(numbered(read))) if self.settings["unknown"] == "copy" else read
        self._adopt(learned(read, self.settings))
        if self.settings["unknown"] == "copy":
            self.settings |= {name: self.settings[name] or what for name, what in met.told().items()}
        if some:
            told = [ids for _, ids, _ in self._ids(some)]
            counts = (len(self._sentences(ids, len(ids))) for ids in told if ids)
            found = {"usual": exceeded(map(len, told)), "sentences": exceeded(counts)}
            self.settings |= {name: self.settings[name] or count for name, count in found.items()}
        if targets is not None:
            target = Text(**self.settings | {"vocabularies": "joint"})
            target.learn(targets)
            self._follow(target)

    def windows(self, texts: Iterable[str | None], sentences: bool = False) -> Windows:
        """Every text as one window, or several when long texts are chunked: N in, N out, in order.

        sentences: a text of more tokens or sentences than usual is cut at the end of each. BadInput, by its number, for
        a text that is None or no string, and for one too long when long="error".
        """
        self._learned()
        edges = [[self.start] * (self.boundaries == "cls-sep"), [self.end] * (self.boundaries != "none")]
        room = self.max_tokens - len(edges[0]) - len(edges[1])
        read, lengths = array("i"), list[int]()  # four bytes a token: a list of numbers takes nine times as much
        owners, tokens, kept = [], [], []
        for place, (number, ids, beyond) in enumerate(self._ids(texts)):
            tokens.append(len(ids) + beyond)
            spans = [(0, len(ids))] if len(ids) <= room else self._spans(ids, room, number)
            if sentences and self.settings["usual"]:
                apart = self._sentences(ids, room)
                spans = apart if self._unusual(len(ids), len(apart)) else spans
            kept.append(spans[-1][1])
            for start, stop in spans:
                read.extend(piece := [*edges[0], *self._told(ids[start:stop]), *edges[1]] or [self.unknown])
                lengths.append(len(piece))
                owners.append(place)
        values = np.array(read, np.int64)
        values[values >= len(SPECIAL)] += self._shift
        values[values >= self.size] = self.unknown
        of, full, used, sizes = (torch.tensor(each, dtype=torch.long) for each in (owners, tokens, kept, lengths))
        return Windows(Ragged(torch.from_numpy(values), sizes[:, None]), of, full, full - used)

    @property
    def form(self) -> Form:
        written = (self.target or self).size
        if self.boundaries == "none":
            return Form(self.size, written)
        return Form(self.size, written, beginning=self.start, ending=self.end, longest=self.max_tokens)

    def column(self, batch: pa.RecordBatch | pa.Table, name: str) -> list[str | None]:
        return text_column(batch, name)

    def items(self, inputs: Any) -> tuple[list[Any], bool]:
        return ([inputs], True) if isinstance(inputs, str) else (listed(inputs), False)

    def freeze(self, item: str, number: int | None = None) -> Tensor:
        return torch.tensor(list(item.encode()), dtype=torch.uint8)

    def thaw(self, tensor: Tensor) -> str:
        return tensor.numpy().tobytes().decode()

    def restore(self, ragged: Ragged) -> list[str]:
        """Each window's text, without its special tokens. Lossless for bpe with case="keep" and words="plain"."""
        special = {self.pad, self.start, self.end, self.mask}
        kept = [[i for i in item.tolist() if i not in special] for item in ragged.items()]
        if self.target is not None and self._shift:
            return [self._restored(ids, self.target) for ids in kept]
        return [str(text) for text in self._learned().decode_batch(kept, skip_special_tokens=True)]

    @property
    def size(self) -> int:
        """How many tokens there are, special ones included; of separate vocabularies those of both."""
        held = int(self._learned().get_vocab_size(with_added_tokens=True))
        return min(held, self.settings["vocabulary"]) if self.settings["tokenizer"] == "given" else held + self._shift

    @property
    def separate(self) -> bool:
        """Whether the target's ids are others than the input's."""
        return self.settings["vocabularies"] == "separate"

    @property
    def pieces(self) -> list[str]:
        """Every token as its vocabulary spells it, by id."""
        tokenizer = self._learned()
        own = [str(tokenizer.id_to_token(place)) for place in range(self.size - self._shift)]
        return [*self.target.pieces, *own[len(SPECIAL) :]] if self.target is not None and self.separate else own

    @property
    def merges(self) -> Tensor:
        """Of which two tokens each was merged, (V, 2) int64; -1 for those that were not, or of which none is known."""
        found = merges(self._learned())
        found[found >= len(SPECIAL)] += self._shift
        own = torch.from_numpy(found)
        if self.target is None or not self.separate:
            return own[: self.size]
        return torch.cat([self.target.merges, own[len(SPECIAL) :]])

    @property
    def unwritten(self) -> tuple[int, ...]:
        """The ids that no text is written with, its end aside: padding, the unknown, the beginning, the mask."""
        return tuple(sorted({self.pad, self.unknown, self.start, self.mask} - {self.end}))

    @property
    def masks(self) -> bool:
        """Whether there is a token for what is masked."""
        self._learned()
        return len(SPECIAL) - 1 in self._special

    @property
    def readable(self) -> Known | None:
        """What may be read, where words with anything else are to be copied; None: all."""
        settings = self.settings
        return known(settings["characters"], settings["numbers"]) if settings["unknown"] == "copy" else None

    def identity(self) -> str:
        """What tokenizer.json holds, and target_tokenizer.json after it: the whole of what turns a text into ids."""
        return "".join(self._files().values())

    def save(self, folder: str | Path) -> None:
        """Writes tokenizer.json, and the tokenizer_config.json with which transformers' AutoTokenizer opens it.

        Beside them, where vocabularies are separate, target_tokenizer.json.
        """
        names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
        known = {name: self._special[place][0] for place, name in enumerate(names) if place in self._special}
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": self.max_tokens,
            "split_special_tokens": True,
            "clean_up_tokenization_spaces": False,
            **known,
        }
        for name, held in self._files().items():
            Path(folder, name).write_text(held, encoding="utf-8")
        Path(folder, "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, settings: Mapping[str, Any]) -> Text:
        """The tokenizer in a folder, with the settings it had. Other people's tokenizer.json will do."""
        made = cls(**settings)
        made._adopt(opened(Path(folder, "tokenizer.json")))
        if made.settings["vocabularies"] != "joint":
            target = Text(**made.settings | {"vocabularies": "joint", "boundaries": "cls-sep"})
            target._adopt(opened(Path(folder, "target_tokenizer.json")))
            made._follow(target)
        return made

    def _adopt(self, tokenizer: Tokenizer) -> None:
        """Takes a tokenizer as it is, but for padding and truncation, which are done here."""
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True  # a text that says "[SEP]" means those five characters
        self._special = specials(tokenizer)
        self.pad, self.unknown, self.start, self.end, self.mask = (self._special.get(i, ("", 0))[1] for i in range(5))
        self.start = self.pad if self.boundaries == "sep" else self.start  # what T5 and Marian begin to write with
        self._dropped = unknown_of(tokenizer) if self.settings["unknown"] == "drop" else None
        self.unknown = self.unknown if self._dropped is None else self._dropped
        self._tokenizer, self._read = tokenizer, reader(tokenizer)
        self._cuts = Cuts(tokenizer)
        self.ordinary = ordinary(tokenizer, {known for _, known in self._special.values()})

    def _files(self) -> dict[str, str]:
        """What turns a text into ids, by the file that holds it."""
        own = {"tokenizer.json": str(self._learned().to_str(pretty=True))}
        return own if self.target is None else own | {"target_tokenizer.json": self.target.identity()}

    def _follow(self, target: Text) -> None:
        """From now on the target's ids come first, where they are others."""
        self.target = target
        self.ordinary = range(len(SPECIAL), self.size) if self.separate else self.ordinary

    @property
    def _shift(self) -> int:
        """What ids that are not special have here, more than the tokenizer says."""
        return self.target.size - len(SPECIAL) if self.target is not None and self.separate else 0

    def _restored(self, ids: list[int], target: Text) -> str:
        """The text that ids of one side are; of special ones alone there is none."""
        if max(ids, default=0) < target.size:
            return str(target._learned().decode(ids, skip_special_tokens=True))
        own = [i - self._shift for i in ids if i >= target.size]
        return str(self._learned().decode(own, skip_special_tokens=True))

    def _learned(self) -> Tokenizer:
        if self._tokenizer is None:
            raise BadInput("This Text has no vocabulary yet: call learn(texts) or load(folder, settings) first")
        return self._tokenizer

    def _ids(self, texts: Iterable[str | None]) -> Iterator[tuple[int, list[int], int]]:
        """Each text's number, its ids, and how many tokens lie beyond its most characters."""
        self._learned()
        stream, most = iter(numbered(texts)), self.settings["max_characters"] or sys.maxsize
        while block := list(islice(stream, _BLOCK)):
            for number, text in block:
                check_text(number, text)
            found = self._read([str(text)[:most] for _, text in block])
            for (number, text), ids in zip(block, found, strict=True):
                yield number, ids, len(self._read([rest])[0]) if (rest := str(text)[most:]) else 0

    def _told(self, ids: list[int]) -> list[int]:
        """Ids without the unknown, where it is dropped."""
        return [i for i in ids if i != self._dropped] if self._dropped is not None else ids

    def _sentences(self, ids: list[int], room: int) -> list[tuple[int, int]]:
        """The sentences of a text, those that are too long for a window in several parts."""
        return sentence_spans(self._cuts.sentences(ids), self._cuts.words(ids), room)

    def _unusual(self, tokens: int, sentences: int) -> bool:
        """Whether a text has more of either than nearly all learned from; models of old know no number of sentences."""
        return tokens > self.settings["usual"] or 0 < self.settings["sentences"] < sentences

    def _spans(self, ids: list[int], room: int, number: int) -> list[tuple[int, int]]:
        """Which parts of a text too long for one window become windows."""
        if self.long == "error":
            raise BadInput(
                f"Text {number} has {len(ids)} tokens, and a window holds {room} (max_tokens is {self.max_tokens}, "
                "boundaries included). Shorten it, raise max_tokens, or choose long='truncate' or long='chunk'"
            )
        if self.long == "truncate":
            return [(0, room)]
        return chunks(self._cuts.sentences(ids), self._cuts.words(ids), room)
