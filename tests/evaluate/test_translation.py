"""Translations scored: sacreBLEU's own figures, on the corpus, on resamples and by length; and the baselines."""

import json
import random
from collections import defaultdict

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from raw2vec.cli.base import console, scores
from raw2vec.errors import BadInput
from raw2vec.evaluate import TRANSLATION, Columns, Report, protocol
from raw2vec.evaluate import translation_baselines as baselines
from raw2vec.evaluate.base import lower_is_better
from raw2vec.evaluate.baselines import tfidf
from raw2vec.evaluate.bootstrap import resample
from raw2vec.evaluate.translation import _measured, score, stutters

OUTPUTS = [
    "Un homme avec un chapeau orange regarde quelque chose.",
    "un terrier de Boston court sur l'herbe verte devant une clôture blanche",
    "Une fille brise, brise un bâton d'un coup de pied !",
    "Cinq personnes en veste d’hiver, avec des casques, sont debout dans la neige (3,5 m).",
    "",
    "Oui",
    "雪の中に立つ人々。",
]
REFERENCES = [
    "Un homme avec un chapeau orange regardant quelque chose.",
    "Un terrier de Boston court sur l'herbe verdoyante devant une clôture blanche.",
    "Une fille en tenue de karaté brisant un bâton avec un coup de pied.",
    "Cinq personnes avec des vestes d'hiver et des casques sont debout dans la neige (3,5 m).",
    "Rien du tout",
    "Oui.",
    "雪の中に人々が立っている。",
]
SENTENCES = st.lists(st.sampled_from(["le", "chat", "Chat", "dort.", "l'été", "é", "3,5", "—", "雪の"]), max_size=9)
PAIRS = st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=6)


def run(outputs: list[str], columns: Columns, train: Columns | None = None) -> Report:
    return TRANSLATION.run(lambda _: outputs, columns, train=train)


def by_sacrebleu(outputs: list[str], references: list[str]) -> dict[str, float]:
    """The legacy score is by text parted beforehand, and not by a pattern."""
    parted = [
        [text.replace("l'", "l' ").replace("d'", "d' ").replace("d’", "d’ ") for text in side]
        for side in (outputs, references)
    ]
    return {
        "bleu": sacrebleu.corpus_bleu(outputs, [references]).score,
        "chrf": sacrebleu.corpus_chrf(outputs, [references]).score,
        "bleu_lowercase_tokenized": sacrebleu.corpus_bleu(parted[0], [parted[1]], lowercase=True).score,
    }


def scored(outputs: list[str], references: list[str]) -> dict[str, float]:
    found = _measured(outputs, references).metrics()
    return {name: found[name] for name in ("bleu", "chrf", "bleu_lowercase_tokenized")}


def test_the_scores_are_sacrebleu_s() -> None:
    expected = by_sacrebleu(OUTPUTS, REFERENCES)
    assert len({round(value) for value in expected.values()}) == 3
    assert min(expected.values()) > 20
    assert scored(OUTPUTS, REFERENCES) == pytest.approx(expected, abs=1e-9)
    for metric in ("bleu", "chrf"):
        assert score(metric, OUTPUTS, REFERENCES) == pytest.approx(expected[metric], abs=1e-9)
    for output, reference in zip(OUTPUTS, REFERENCES, strict=True):
        assert scored([output], [reference]) == pytest.approx(by_sacrebleu([output], [reference]), abs=1e-9)


@settings(max_examples=300, deadline=None)
@given(PAIRS)
def test_the_scores_are_sacrebleu_s_whatever_the_texts(pairs: list[tuple[list[str], list[str]]]) -> None:
    outputs, references = ([" ".join(words) for words in side] for side in zip(*pairs, strict=True))
    assert scored(outputs, references) == pytest.approx(by_sacrebleu(outputs, references), abs=1e-9)


@pytest.mark.parametrize(
    ("output", "reference"),
    [
        ("un deux trois", "un deux trois"),  # no run of four words to be had
        ("un x deux y trois z", "un deux trois quatre"),  # matches of the first order only, the others smoothed
        ("rien", "du tout"),
        ("", ""),
        ("un deux", ""),
        ("", "un deux"),
    ],
)
def test_smoothing_and_empty_texts(output: str, reference: str) -> None:
    assert scored([output], [reference]) == pytest.approx(by_sacrebleu([output], [reference]), abs=1e-9)


def test_a_resample_scores_as_its_own_corpus() -> None:
    draws = np.random.default_rng(0).integers(len(OUTPUTS), size=(25, len(OUTPUTS)))
    counts = np.stack([np.bincount(draw, minlength=len(OUTPUTS)) for draw in draws]).astype(np.float64)
    values = _measured(OUTPUTS, REFERENCES).of(counts)
    assert len(set(values["bleu"])) > 10
    for row, draw in enumerate(draws):
        corpus = [OUTPUTS[place] for place in draw], [REFERENCES[place] for place in draw]
        found = {name: values[name][row] for name in ("bleu", "chrf", "bleu_lowercase_tokenized")}
        assert found == pytest.approx(by_sacrebleu(*corpus), abs=1e-9)


def test_shares_and_lengths() -> None:
    outputs = ["a red car", "the the dog runs", "ha ha ha", "", "nous nous lavons"]
    references = ["a red car", "the dog runs", "ha ha", "nothing said at all", "vous vous lavez"]
    report = run(outputs, {"input": ["x"] * 5, "target": references})
    found = {name: report.metrics[name] for name in ("exact", "length_ratio", "repetition")}
    assert found == pytest.approx({"exact": 1 / 5, "length_ratio": 13 / 15, "repetition": 2 / 5})
    assert lower_is_better("repetition")
    assert report.headline == "bleu"


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("", 0),
        ("one", 0),
        ("a man and a man", 0),
        ("a red Red red car", 2),
        ("in the car in the car", 1),
        ("in the car in the car in the car", 4),
        ("one two three four one two three four", 1),
        ("one two three four five one two three four five", 0),
    ],
)
def test_a_stutter_is_a_short_run_that_follows_itself(text: str, times: int) -> None:
    assert stutters(text) == times


def test_speed_is_the_outputs_words_over_the_model_s_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 12.0])
    monkeypatch.setattr("raw2vec.evaluate.translation.perf_counter", lambda: next(clock))
    report = run(["one two three", "four"], {"input": ["a", "b"], "target": ["c", "d"]})
    assert report.metrics["words_per_s"] == pytest.approx(4 / 2)
    assert "words_per_s" not in report.intervals
    assert "words_per_s" not in report.baselines["copy"]


def of_lengths(sizes: list[int]) -> tuple[list[str], dict[str, list[str]]]:
    """Outputs that are wrong in one word of five, and columns whose sources have so many words."""
    draw = random.Random(0)
    sources = [" ".join(draw.choice("abcdefgh") for _ in range(size)) for size in sizes]
    outputs = [" ".join(word if draw.random() < 0.8 else "x" for word in source.split()) for source in sources]
    return outputs, {"input": sources, "target": sources}


def test_bleu_by_the_length_of_the_source() -> None:
    sizes = [5] * 20 + [6] * 19 + [11] * 15 + [15] * 10 + [16] * 3 + [30] * 40 + [31, 60] * 10
    outputs, columns = of_lengths(sizes)
    report = run(outputs, columns)
    assert [(found.words, found.items) for found in report.by_length] == [
        ("1-5", 20),
        ("11-15", 25),
        ("21-30", 40),
        ("31+", 20),
    ]
    for found, rows in zip(report.by_length, [range(20), range(39, 64), range(67, 107), range(107, 127)], strict=True):
        own = [outputs[row] for row in rows], [columns["target"][row] for row in rows]
        assert found.bleu == pytest.approx(sacrebleu.corpus_bleu(own[0], [own[1]]).score, abs=1e-9)
        low, high = np.quantile(resample({"model": _measured(*own)}, 0)["model"]["bleu"], [0.025, 0.975])
        assert found.interval == pytest.approx((low, high))
        assert low < found.bleu < high


def test_the_length_is_the_source_s_and_empty_lines_have_none() -> None:
    columns = {"input": ["a b c"] * 20 + [" "] * 20, "target": ["a b c d e f g h"] * 20 + [""] * 20}
    assert [found.words for found in run(["a b c"] * 20 + [""] * 20, columns).by_length] == ["1-5"]


def test_the_report_says_how_it_counted_and_is_json() -> None:
    outputs, columns = of_lengths([8] * 40)
    report = run(outputs, columns)
    bleu, chrf = report.signature.split(" ")
    assert bleu.startswith("BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert chrf.startswith("chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")
    plain = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert plain["protocol"] == "translation/1"
    assert {"bleu", "chrf"} < set(plain["metrics"])
    assert plain["signature"] == report.signature
    assert plain["by_length"][0] | {"bleu": 0, "interval": 0} == {
        "words": "6-10",
        "items": 40,
        "bleu": 0,
        "interval": 0,
    }
    assert protocol("translation") is TRANSLATION


def test_the_command_line_shows_lengths_and_signature(capsys: pytest.CaptureFixture[str]) -> None:
    outputs, columns = of_lengths([8] * 40)
    report = run(outputs, columns)
    for part in scores(report.as_dict()):
        console().print(part)
    shown = capsys.readouterr().out
    assert "words of the source" in shown
    assert f"6-10   {report.by_length[0].bleu:.3f}" in shown
    assert report.signature in shown


def test_no_one_is_ahead_by_length() -> None:
    ahead = run(["a b"], {"input": ["a"], "target": ["a b c"]}).ahead["copy"]
    assert "bleu" in ahead
    assert "length_ratio" not in ahead


def test_without_training_pairs_the_source_is_copied_and_nothing_learnt() -> None:
    columns = {"input": ["a red car", "Paris, 1999."], "target": ["une voiture rouge", "Paris, 1999."]}
    alone = run(["x", "y"], columns)
    assert list(alone.baselines) == ["copy"]
    assert alone.baselines["copy"]["exact"] == 0.5
    assert "no training pairs were at hand for a baseline to learn from" in alone.notes
    taught = run(["x", "y"], columns, train=columns)
    assert list(taught.baselines) == ["copy", "dictionary", "nearest"]
    assert taught.baselines["nearest"]["exact"] == 1
    assert not any("training pairs" in note for note in taught.notes)


@pytest.mark.parametrize(
    ("outputs", "columns", "sentence"),
    [
        (["a", "b"], {"input": ["a"], "target": ["b"]}, "2 translations of 1 texts"),
        ([], {"input": ["a"], "target": ["b"]}, "0 translations of 1 texts"),
        (["a", "so"], {"input": ["a", " "], "target": ["b", ""]}, "made 'so' of item 1, which is an empty line"),
        (["a", None], {"input": ["a", "b"], "target": ["b", "c"]}, "Of the outputs, item 1 is a NoneType"),
        (["a", "b"], {"input": ["a", "b"], "target": ["b", None]}, "Of the targets, item 1 is a NoneType"),
    ],
)
def test_what_cannot_be_scored_is_refused(outputs: list[str], columns: Columns, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        run(outputs, columns)


def test_empty_lines_and_references_are_no_trouble() -> None:
    columns = {"input": ["", "a b"], "target": ["", ""]}
    report = run(["", "c d"], columns, train={"input": ["a b", ""], "target": ["c d", "e"]})
    assert report.metrics["bleu"] == 0
    assert report.metrics["exact"] == 0.5
    assert report.baselines["nearest"]["exact"] == 0.5  # nothing is made of the empty line


# -- baselines ----------------------------------------------------------------------------------------------------

ENGLISH = ["the", "red", "dog", "cat", "sees", "a", "house", "small", "runs", "old"]
TOY = dict(
    zip(ENGLISH, ["le", "rouge", "chien", "chat", "voit", "un", "maison", "petit", "court", "vieux"], strict=True)
)


def toy(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Sentences of a language, and of another that says the same the other way round."""
    draw = random.Random(seed)
    sources = [draw.choices(ENGLISH, k=draw.randint(2, 7)) for _ in range(count)]
    return [" ".join(words) for words in sources], [" ".join(TOY[word] for word in words[::-1]) for words in sources]


def test_a_dictionary_is_learnt_from_pairs() -> None:
    translate = baselines.dictionary(*toy(300))
    assert [translate([word])[0] for word in ENGLISH] == [TOY[word] for word in ENGLISH]
    assert translate(["The red dog, Snoopy,  sees 3 cat-houses!", ""]) == [
        "Le rouge chien, Snoopy,  voit 3 cat-houses!",
        "",
    ]


def by_the_textbook(sources: list[list[str]], targets: list[list[str]]) -> dict[str, dict[str, float]]:
    """IBM model 1 as its paper has it, loop by loop: source word → target word → chance."""
    chance: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(lambda: 1.0))
    for _ in range(baselines.ITERATIONS):
        expected: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for source, target in zip(sources, targets, strict=True):
            for made in target:
                total = sum(chance[word][made] for word in source)
                for word in source:
                    expected[word][made] += chance[word][made] / total
        chance = defaultdict(
            dict, {w: {g: n / sum(row.values()) for g, n in row.items()} for w, row in expected.items()}
        )
    return chance


@pytest.mark.parametrize("seed", range(10))
def test_the_dictionary_is_that_of_the_textbook(seed: int) -> None:
    draw = random.Random(seed)
    sources = [draw.choices("abcdefghij", range(1, 11), k=draw.randint(1, 9)) for _ in range(40)]
    targets = [draw.choices("qrstuvwxyz", range(1, 11), k=draw.randint(1, 9)) for _ in range(40)]
    chance = by_the_textbook(sources, targets)
    translate = baselines.dictionary([" ".join(words) for words in sources], [" ".join(words) for words in targets])
    for word, row in chance.items():
        assert row[translate([word])[0]] == pytest.approx(max(row.values()), rel=1e-9)
        assert len(set(row.values())) > 1


def test_a_long_lesson_is_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sources, targets = toy(3000)
    sizes = [len(source.split()) ** 2 for source in sources]
    monkeypatch.setattr(baselines, "LINKS", sum(sizes) // 10)
    lesson: list[int] = []
    inner = baselines._links
    monkeypatch.setattr(baselines, "_links", lambda *given: lesson.append(len(given[0])) or inner(*given))
    assert baselines.dictionary(sources, targets)(ENGLISH) == list(TOY.values())
    assert lesson == [pytest.approx(300, abs=30)]


@pytest.mark.parametrize("pairs", [([], []), ([""], ["un"]), (["one"], ["…"])])
def test_a_dictionary_of_nothing_copies(pairs: tuple[list[str], list[str]]) -> None:
    assert baselines.dictionary(*pairs)(["one Two"]) == ["one Two"]


def test_the_nearest_sentence_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = ["a red car", "two dogs run over a hill", "the sea at night", "an old man reads"]
    targets = ["une voiture rouge", "deux chiens courent", "la mer, la nuit", "un vieil homme lit"]
    translate = baselines.nearest_source(tfidf, sources, targets)
    asked = ["dogs on hills run", "", "the night", "a man reads", "cars are red"]
    expected = [targets[1], "", targets[2], targets[3], targets[0]]
    assert translate(asked) == expected
    monkeypatch.setattr(baselines, "SCORES", 8)
    assert baselines.nearest_source(tfidf, sources, targets)(asked) == expected
    assert translate([]) == []


def test_a_copy_is_a_copy() -> None:
    assert baselines.copy([], [])(["A b.", ""]) == ["A b.", ""]
