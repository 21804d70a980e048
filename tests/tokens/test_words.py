"""Ids word by word are the tokenizer's own, whatever a text holds; and who cannot be read so is not."""

import random
import string

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from raw2vec.raw import Text
from raw2vec.tokens.words import _ByWord, reader
from small import texts
from tiny_checkpoints import BERT, ROBERTA, tokenizer

ODD = [
    "",
    " ",
    "a [SEP] mast",
    "Anchor's_mast-- (x) 1.5e3",
    "déjà vu",
    "数据 mast",
    "tab\tand\nline",
    "\x00a\x7f",
    "a" * 300,
]
ODD += ["l’ancre\r\n et “les mâts”…", "a\x85b\u2028c\x1fd \x0be", "ΟΔΟΣ ΣΑΣ", " \u0301a", "数据" * 80]
ODD += ["x " * 500, "[UNK]", "##or", "é", "A\u0301", "\u00a0mast", string.punctuation, string.printable]


def random_texts(count: int) -> list[str]:
    draw = random.Random(0)
    marks = string.ascii_letters + string.digits + string.punctuation + "     é数\t\n’Σ\x85\u0301\u00a0"
    return ["".join(draw.choices(marks, k=draw.randint(0, 60))) for _ in range(count)]


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("whole", [False, True])
def test_the_very_same_ids(lower: bool, whole: bool) -> None:
    made = tokenizer(BERT)
    bert = normalizers.BertNormalizer(lowercase=lower and not whole)
    made.normalizer = normalizers.Sequence([normalizers.NFC(), bert, normalizers.Lowercase()]) if whole else bert
    made.encode_special_tokens = True
    read, items = reader(made), [*texts(50), *ODD, *random_texts(500)]
    assert isinstance(read, _ByWord)
    wanted = [found.ids for found in made.encode_batch(items, add_special_tokens=False)]
    assert read(items) == wanted
    assert read(items) == wanted, "and again, of what is known by now"


def test_vocabularies_of_our_own() -> None:
    for words in ("plain", "identifiers"):
        made = Text(vocabulary=200, case="lower", words=words)
        made.learn(texts(100))
        items = [*texts(20, seed=2), *ODD[2:6]]
        wanted = made._learned().encode_batch(items, add_special_tokens=False)
        assert [ids for _, ids, _ in made._ids(items)] == [found.ids for found in wanted]


def test_what_is_not_read_word_by_word() -> None:
    for made in (tokenizer(ROBERTA), _with_a_token(tokenizer(BERT)), tokenizer(BERT)):
        assert not isinstance(reader(made), _ByWord), "bytes; a token of its own; and special tokens that are obeyed"
        items = ["Anchor mast", "a [SEP] b", "new york"]
        assert reader(made)(items) == [found.ids for found in made.encode_batch(items, add_special_tokens=False)]
    words = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    words.pre_tokenizer, words.encode_special_tokens = pre_tokenizers.Whitespace(), True
    assert not isinstance(reader(words), _ByWord)


def _with_a_token(made: Tokenizer) -> Tokenizer:
    made.add_tokens([AddedToken("new york")])
    made.encode_special_tokens = True
    return made
