"""Text to ids and back: the same vocabulary every time, N in and N out, nothing lost without being counted."""

import inspect
import json
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from raw2vec.errors import BadFolder, BadInput
from raw2vec.raw import Text

KINDS = ("wordpiece", "bpe", "unigram")
CORPUS = [line for module in (json, textwrap, inspect) for line in inspect.getsource(module).splitlines()]


@pytest.fixture(scope="module", params=KINDS)
def text(request: pytest.FixtureRequest) -> Text:
    return learned(tokenizer=request.param)


def learned(**options: Any) -> Text:
    made = Text(**{"vocabulary": 1000, **options})
    made.learn(iter(CORPUS))
    return made


LOSSLESS = learned(tokenizer="bpe")


def pieces(made: Text, text: str) -> list[str]:
    ids = made.windows([text]).ragged.values.tolist()
    names = {i: piece for piece, i in json.loads(made.identity())["model"]["vocab"].items()}
    return [names[i] for i in ids]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_bytes_come_back_whole(texts: list[str]) -> None:
    LOSSLESS.max_tokens = 10_000
    assert LOSSLESS.restore(LOSSLESS.windows(texts).ragged) == texts


@pytest.mark.parametrize("said", ["👩‍👩‍👧‍👦 🇫🇷 e\u0301", "[SEP] is [MASK]ed [PAD]", " \n\t  two  spaces ", "a" * 3000])
def test_bytes_of_odd_texts(said: str) -> None:
    LOSSLESS.max_tokens = 10_000
    assert LOSSLESS.restore(LOSSLESS.windows([said]).ragged) == [said]


def test_words_come_back(text: Text) -> None:
    said = "return the first value of the string"
    assert text.restore(text.windows([said]).ragged) == [said]


def test_as_many_windows_as_texts(text: Text) -> None:
    texts = ["def f(x):", "", "   ", "\u200b", "x " * 500, "é😀你好"]
    found = text.windows(texts)
    assert found.owners.tolist() == list(range(6))
    assert found.ragged.values.dtype == torch.int64
    assert found.ragged.lengths.max() == text.max_tokens
    for item in found.ragged.items():
        assert (item[0], item[-1]) == (text.start, text.end)
    assert found.tokens[1] == 0
    assert (found.tokens - found.truncated + 2).tolist() == found.ragged.lengths.tolist()
    assert found.truncated.nonzero().flatten().tolist() == [4]
    assert len(text.windows([]).ragged) == 0


def test_without_boundaries_nothing_is_one_unknown() -> None:
    for kind in KINDS:
        made = learned(tokenizer=kind, boundaries="none")
        assert made.windows(["", "\n"]).ragged.items()[0].tolist() == [made.unknown]
        assert made.start not in made.windows(["def f(x):"]).ragged.values


def test_a_special_token_in_a_text_is_text(text: Text) -> None:
    ids = text.windows(["a [SEP] b[MASK] [PAD]"]).ragged.values[1:-1].tolist()
    assert not {text.pad, text.start, text.end, text.mask} & set(ids)


def test_the_same_in_any_batch_and_from_any_thread(text: Text) -> None:
    texts = CORPUS[:2500]
    together = text.windows(texts).ragged
    with ThreadPoolExecutor(8) as pool:
        alone = list(pool.map(lambda item: text.windows([item]).ragged.values.tolist(), texts[:300]))
    assert [item.tolist() for item in together.items()[:300]] == alone
    assert len(together) == 2500


LEARN = """
import hashlib, sys, test_text
for kind in test_text.KINDS:
    for words in ("plain", "identifiers"):
        made = test_text.learned(tokenizer=kind, words=words)
        print(hashlib.sha256(made.identity().encode()).hexdigest())
"""


def test_the_same_texts_give_the_same_vocabulary() -> None:
    command = [sys.executable, "-c", LEARN]
    runs = [subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True) for _ in range(2)]
    assert runs[0].stdout.count("\n") == 6, runs[0].stderr
    assert runs[0].stdout == runs[1].stdout


@pytest.mark.parametrize("kind", KINDS)
def test_tiny_corpora(kind: str) -> None:
    made = Text(kind, boundaries="cls-sep")  # type: ignore[arg-type]
    made.learn(["red car", "blue car", "a"])
    found = made.windows(["red car", "green"])
    assert found.ragged.values.max() < made.size
    assert made.unknown not in found.ragged.items()[0]
    assert made.ordinary == range(5, made.size)


def test_an_unbroken_megabyte_is_learned_and_read() -> None:
    for kind in KINDS:
        made = Text(kind, vocabulary=300)  # type: ignore[arg-type]
        made.learn(["a" * 1_000_000, "b c d"])
        assert len(made.windows(["a" * 1_000_000]).ragged) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_identifiers_are_read_as_words(kind: str) -> None:
    made = Text(kind, case="lower", words="identifiers", boundaries="none")  # type: ignore[arg-type]
    made.learn(["get http response 2", "xml parser", "étage"] * 30)
    plain = made.windows(["get http response 2 xml parser étage"]).ragged.values.tolist()
    assert made.windows(["getHTTPResponse2 xml_parser Étage"]).ragged.values.tolist() == plain
    assert made.unknown not in plain


def test_case() -> None:
    assert pieces(learned(case="lower"), "THE the") == ["[CLS]", "the", "the", "[SEP]"]
    assert pieces(learned(case="keep"), "The") != pieces(learned(case="keep"), "the")


def test_long_texts_are_refused_on_request(text: Text) -> None:
    made = learned(max_tokens=8, long="error")
    with pytest.raises(BadInput, match=r"Text 1 has 20 tokens, and a window holds 6 \(max_tokens is 8"):
        made.windows(["short", "the " * 20])


@pytest.mark.parametrize("boundaries", ["cls-sep", "none"])
def test_chunks_hold_every_token_once(boundaries: Any) -> None:
    whole = learned(boundaries=boundaries, max_tokens=10_000)
    made = learned(boundaries=boundaries, max_tokens=20, long="chunk")
    texts = ["short", "The value of the string is the first. " * 30, "", "x " * 100, "the value. " * 60]
    found, edge = made.windows(texts), 1 if boundaries == "cls-sep" else 0
    assert found.ragged.lengths.max() <= 20
    assert found.truncated.tolist() == [0] * len(texts)
    assert found.owners.tolist() == sorted(found.owners.tolist())
    for number, expected in enumerate(whole.windows(texts).ragged.items()):
        parts = [item for item, owner in zip(found.ragged.items(), found.owners, strict=True) if owner == number]
        body = [i for part in parts for i in part.tolist()[edge : len(part) - edge]]
        assert body == expected.tolist()[edge : len(expected) - edge]
    sentences = [item for item, owner in zip(found.ragged.items(), found.owners, strict=True) if owner == 1]
    stop = made.windows(["."]).ragged.values[edge]
    assert all(item[-1 - edge] == stop for item in sentences), "cut where a sentence ends"
    assert found.ragged.lengths[found.owners == 4][:-1].min() >= 18, "as late as a sentence ends"


@pytest.mark.parametrize("words", ["plain", "identifiers"])
def test_saved_and_loaded(tmp_path: Path, text: Text, words: Any) -> None:
    made = learned(tokenizer=text.settings["tokenizer"], words=words, max_tokens=50)
    made.save(tmp_path)
    again = Text.load(tmp_path, made.settings)
    assert again.settings == made.settings
    assert again.windows(CORPUS).ragged.values.equal(made.windows(CORPUS).ragged.values)
    assert (again.size, again.mask, again.ordinary) == (made.size, made.mask, made.ordinary)
    assert again.identity() == made.identity()


@pytest.mark.parametrize("boundaries", ["cls-sep", "none"])
def test_transformers_gives_the_same_ids(tmp_path: Path, text: Text, boundaries: Any) -> None:
    transformers = pytest.importorskip("transformers", reason="an optional peer (extra 'peers')")
    made = learned(tokenizer=text.settings["tokenizer"], words="identifiers", case="lower", boundaries=boundaries)
    made.save(tmp_path)
    texts = [*CORPUS[:200], "getHTTPResponse é 😀", "a [SEP] b", "x " * 400]
    ours = made.windows(texts).ragged.items()
    for theirs in (
        transformers.AutoTokenizer.from_pretrained(tmp_path),
        transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(tmp_path / "tokenizer.json"), split_special_tokens=True
        ),
    ):
        found = theirs(texts, truncation=True, max_length=made.max_tokens)["input_ids"]
        differing = [said for said, a, b in zip(texts, ours, found, strict=True) if a.tolist() != b and len(b)]
        assert not differing


def test_other_peoples_tokenizers(tmp_path: Path) -> None:
    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "hello": 4, "<mask>": 5}
    foreign = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    foreign.pre_tokenizer = pre_tokenizers.Whitespace()
    foreign.enable_padding(length=16)
    foreign.enable_truncation(3)
    foreign.save(str(tmp_path / "tokenizer.json"))
    made = Text.load(tmp_path, {"max_tokens": 8})
    assert made.windows(["hello there hello hello"]).ragged.values.tolist() == [0, 4, 3, 4, 4, 2]
    assert (made.pad, made.mask, made.ordinary) == (1, 5, range(4, 5))


def test_bad_input(tmp_path: Path, text: Text) -> None:
    for texts, sentence in (
        (["a", None], r"Text 1 is missing \(None\)"),
        ([3], "Text 0 is a int, not a string"),
        (["a", "b\ud800"], r"Text 1 holds half a character \(a lone surrogate\) at 1"),
    ):
        with pytest.raises(BadInput, match=sentence):
            text.windows(texts)  # type: ignore[arg-type]
        with pytest.raises(BadInput, match=sentence):
            Text(text.settings["tokenizer"]).learn(texts)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="There is no text to learn a vocabulary from"):
        Text(text.settings["tokenizer"]).learn(["", " "])
    with pytest.raises(BadInput, match="no vocabulary yet"):
        Text().windows(["a"])
    with pytest.raises(BadFolder, match=r"has no tokenizer\.json"):
        Text.load(tmp_path, {})
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(BadFolder, match="is damaged or not a tokenizer"):
        Text.load(tmp_path, {})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tokenizer": "wordpeice"}, r"no tokenizer 'wordpeice'\. Did you mean 'wordpiece'\?"),
        ({"long": "chunks"}, r"no long 'chunks'\. Did you mean 'chunk'\?"),
        ({"max_tokens": 2}, "max_tokens is 2, and a window needs at least 3"),
        ({"max_characters": -1}, "max_characters is -1: it is a number of them, or 0 for no limit"),
        ({"vocabulary": 5}, "vocabulary is 5, and 5 are special tokens"),
    ],
)
def test_bad_options(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        Text(**options)


def test_unknown_tokens_are_dropped_and_characters_are_cut(tmp_path: Path) -> None:
    """After a window was cut; where nothing is left it is one unknown, as of an empty text."""
    learned = Text(vocabulary=60)
    learned.learn(["a ship and a mast"])
    learned.save(tmp_path)
    plain = Text.load(tmp_path, learned.settings | {"boundaries": "none"})
    settings = plain.settings | {"unknown": "drop", "max_tokens": 4, "max_characters": 13}
    text = Text.load(tmp_path, settings)
    assert plain.unknown == text.unknown == 1
    windows = text.windows(["a ☃ ship and a mast", "☃ ☃", "☃ a ☃", ""])
    ids = [item.tolist() for item in windows.ragged.items()]
    a, ship, space = (plain.windows([word]).ragged.values.tolist() for word in ("a", "ship", "and"))
    assert ids == [[*a, *ship, *space], [1], a, [1]]
    assert windows.tokens.tolist() == [6, 2, 3, 0]
    assert windows.truncated.tolist() == [2, 0, 0, 0], "tokens beyond the characters as well"
    text.save(tmp_path)
    again = Text.load(tmp_path, text.settings)
    assert again.windows(["☃ a ☃"]).ragged.values.tolist() == a


def test_texts_longer_than_usual_are_cut_at_every_sentence_end() -> None:
    made = Text(tokenizer="bpe", vocabulary=400, long="chunk", max_tokens=40)
    made.learn([f"It is {n} o'clock." for n in range(1000)])
    assert 5 < made.settings["usual"] < 20
    text = "It is 3.5 o'clock. " * 9 + "No. And one that has no end for a very long time " + "and on " * 30
    cut, whole = made.windows([text, "It is 7 o'clock."], sentences=True), made.windows([text])
    told = [part.strip() for part in made.restore(cut.ragged)]
    assert told[:9] == ["It is 3.5 o'clock."] * 9
    assert told[-1] == "It is 7 o'clock."
    assert "".join(made.restore(cut.ragged)[:-1]) == text == "".join(made.restore(whole.ragged))
    assert max(cut.ragged.lengths.tolist()) <= 40
    assert len(whole.ragged) < len(cut.ragged)
    assert Text(usual=7, long="chunk").settings["usual"] == 7
    short = Text(tokenizer="bpe", vocabulary=400)
    short.learn(["It is late."])
    assert short.settings["usual"] == short.settings["sentences"] == 0


def test_texts_of_more_sentences_than_usual_are_cut_however_short(tmp_path: Path) -> None:
    learnt = [f"There is a dog on the lawn of house {n}." for n in range(999)] + ["It is late. Go home. Sleep well."]
    made = Text(tokenizer="bpe", vocabulary=400, long="chunk")
    made.learn(learnt)
    assert made.settings["sentences"] == 1
    told = made.restore(made.windows(["It is late. Go home.", "Go home, 3.5 dogs!"], sentences=True).ragged)
    assert told == ["It is late.", " Go home.", "Go home, 3.5 dogs!"]
    pairs = Text(tokenizer="bpe", vocabulary=400, long="chunk")
    pairs.learn([*learnt, "It is late. Go home."])
    assert pairs.settings["sentences"] == 2
    assert len(pairs.windows(["It is late. Go home."], sentences=True).owners) == 1
    made.save(tmp_path)
    old = Text.load(tmp_path, {name: value for name, value in made.settings.items() if name != "sentences"})
    assert len(old.windows(["It is late. Go home."], sentences=True).owners) == 1


@pytest.mark.parametrize(
    "table",
    [
        {"text": ["a ship", "the tide"]},
        pa.table({"text": ["a ship", "the tide"]}),
        pa.table({"text": ["a ship", "the tide"]}).column("text"),
    ],
    ids=["dict", "table", "column"],
)
def test_the_items_of_a_table_are_those_of_its_only_column(table: Any) -> None:
    assert Text().items(table) == (["a ship", "the tide"], False)


def test_a_frame_is_no_list_of_its_columns_names() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["a ship", "the tide"], "n": [1, 2]})
    assert Text().items(frame[["text"]]) == (["a ship", "the tide"], False)
    with pytest.raises(BadInput, match="A table with the columns text, n is given for the items: give one of them"):
        Text().items(frame)
