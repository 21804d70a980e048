"""Translators as users have them: learned by heart, they translate; a line in, a line out; vectors to sentences."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import raw2vec
from raw2vec.errors import BadInput
from raw2vec.system import Raw2Vec
from raw2vec.use import translate
from raw2vec.use.explain import explain
from raw2vec.use.protect import protected
from raw2vec.use.write import Manner, beam_for, write

COLOURS = {"red": "rouges", "green": "vertes", "black": "noires", "white": "blanches", "blue": "bleues"}
THINGS = {"cars": "voitures", "doors": "portes", "houses": "maisons", "flowers": "fleurs", "chairs": "chaises"}
PAIRS = [{"en": f"The {a} {b}.", "fr": f"Les {d} {c}."} for a, c in COLOURS.items() for b, d in THINGS.items()]
SOURCES, TARGETS = [row["en"] for row in PAIRS], [row["fr"] for row in PAIRS]


def fitted(steps: int = 60, **settings: Any) -> Raw2Vec:
    """On all pairs, none held out."""
    changes = {
        "raw.vocabulary": 330,
        "training.hold_out": 0.0,
        "training.average": 0.9,
        "stages.0.batch_items": 25,
        "encoder.dropout": 0.0,
        "decoder.dropout": 0.0,
    }
    named = {name.replace("__", "."): value for name, value in settings.items()}
    made = Raw2Vec("translation", kind="pairs", size="tiny", latent=32, steps=steps, settings=changes | named)
    return made.fit(PAIRS, input="en", target="fr")


@pytest.fixture(scope="module")
def through_a_vector() -> Raw2Vec:
    return fitted(90, bridge="fixed", stages__0__objectives__0__autoencode=1.0)


@pytest.fixture(scope="module")
def looking() -> Raw2Vec:
    return fitted()


def test_what_was_learned_by_heart_is_translated(looking: Raw2Vec, tmp_path: Path) -> None:
    assert looking.translate(SOURCES, beam=1) == TARGETS
    assert looking.translate(SOURCES, beam=4) == TARGETS
    assert looking.translate(SOURCES[3]) == TARGETS[3]
    looking.save(tmp_path / "m")
    assert raw2vec.load(tmp_path / "m").translate(SOURCES[::-1]) == TARGETS[::-1]


def test_as_many_drafts_are_followed_as_are_given_and_one_of_drawn_tokens(looking: Raw2Vec) -> None:
    assert [beam_for(1, 0.0), beam_for(8, 0.0), beam_for(1, 0.7)] == [5, 8, 1]
    assert looking.translate(SOURCES[:2], best=8)[0][0][0] == TARGETS[0]
    assert isinstance(looking.translate(SOURCES[0], temperature=0.7, seed=1), str)
    with pytest.raises(BadInput, match="A beam of 1 cannot give 3 drafts: follow 3 or more"):
        looking.translate(SOURCES, beam=1, best=3)


def test_drafts_that_read_the_same_are_given_once(looking: Raw2Vec) -> None:
    for found in translate.translate(looking.parts_, SOURCES[:6], Manner(beam=6, best=4)):
        assert len(set(found.texts)) == len(found.texts) == len(found.scores) == len(found.ids) == 4
    one = translate.Translated(["a b", "a  b", "a b", "c"], [-1.0, -2.0, -3.0, -4.0], ids=[[1], [2], [3], [4]])
    source = protected("cars", looking.parts_.raw, looking.parts_.recipe)
    assert translate._restored(one, source, 3).texts == ["a b", "a  b", "c"]
    assert translate._restored(one, source, 3).ids == [[1], [2], [4]]


def test_a_vector_is_enough_behind_a_fixed_bridge(through_a_vector: Raw2Vec) -> None:
    vectors = through_a_vector.encode(SOURCES)
    assert vectors.shape == (25, 32)
    assert through_a_vector.decode(vectors) == through_a_vector.translate(SOURCES) == TARGETS
    assert through_a_vector.decode(vectors[7]) == TARGETS[7]
    assert through_a_vector.decode(vectors, side="input") == SOURCES


def test_what_a_vector_cannot_say_is_said(looking: Raw2Vec, through_a_vector: Raw2Vec) -> None:
    with pytest.raises(BadInput, match="bridge=fixed"):
        looking.decode(looking.encode(SOURCES[:2]))
    with pytest.raises(BadInput, match=r"shape \(n, 32\)"):
        through_a_vector.decode(np.zeros((2, 5)))
    with pytest.raises(BadInput, match="autoencode=1"):
        fitted(1, bridge="fixed").decode(np.zeros((2, 32)), side="input")
    for ask in (looking.reconstruct, looking.score_samples):
        with pytest.raises(BadInput, match="translation of what it reads"):
            ask(SOURCES)
    with pytest.raises(BadInput, match="does not translate"):
        Raw2Vec(steps=1, size="tiny", settings={"raw.vocabulary": 300}).fit(SOURCES).translate("The red cars.")


def test_a_line_out_for_every_line_in(looking: Raw2Vec) -> None:
    lines = ["", "The red cars.", "   ", "x", "🙂🙂", "12345", "THE RED CARS!!!", " ".join(SOURCES * 4), "\t"]
    found = looking.translate(lines)
    assert len(found) == len(lines)
    assert [found[0], found[2], found[8]] == ["", "", ""]
    assert found[1] == looking.translate("The red cars.")
    assert sum(found[7].count(target) for target in TARGETS) == 100, "a long text is translated sentence by sentence"


def test_drafts_have_scores_and_beginnings_are_kept(looking: Raw2Vec) -> None:
    drafts = looking.translate("The red cars.", beam=4, best=3)
    assert len(drafts) == 3
    assert drafts[0][0] == "Les voitures rouges."
    assert drafts[0][1] > drafts[1][1] > drafts[2][1]
    assert looking.translate("The red cars.", begin="Les portes").startswith("Les portes")
    drawn = [looking.translate(SOURCES, beam=1, temperature=2.0, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("beam", [1, 5])
def test_beginnings_are_kept_whatever_they_are(looking: Raw2Vec, beam: int) -> None:
    for begin in ("Les Les Les Les Les Les", "Les portes rouges " * 12, "数据"):
        found = looking.translate(SOURCES[:2], beam=beam, begin=begin)
        assert all(text.startswith(begin.strip()) for text in found), begin
    assert looking.translate(SOURCES[:2], beam=beam, begin="") == looking.translate(SOURCES[:2], beam=beam)
    assert looking.translate([], beam=beam, begin="Les") == []
    with pytest.raises(BadInput, match=r"The beginning 'Les portes Les portes .*' has [\d,]+ tokens, too many"):
        looking.translate(SOURCES[:2], beam=beam, begin="Les portes " * 400)
    with pytest.raises(BadInput, match="1 beginnings for 2 texts"):
        translate.translate(looking.parts_, SOURCES[:2], Manner(beam=beam), ["Les"])


def test_draws_are_a_text_s_own_however_many_go_at_a_time(looking: Raw2Vec) -> None:
    parts, manner = looking.parts_, Manner(temperature=3.0, seed=1)
    found = [each.text for each in translate.translate(parts, [SOURCES[0]] * 6, manner)]
    assert len(set(found)) > 1
    again = [translate.translate(parts, [SOURCES[0]] * 2, manner, first=first) for first in (0, 2, 4)]
    assert [each.text for block in again for each in block] == found
    long = translate.translate(parts, [" ".join([SOURCES[0]] * 12)], manner)[0]
    assert long.parts > 2
    assert long.text != " ".join([found[0]] * long.parts), "its sentences do not draw alike"


def test_what_no_text_had_is_copied_and_not_read(looking: Raw2Vec, tmp_path: Path) -> None:
    looking.save(tmp_path / "m")
    for made in (looking, raw2vec.load(tmp_path / "m")):
        assert made.translate("The red cars 🙂.") == "Les voitures rouges 🙂."
        assert made.translate(["🙂🙂", "学生", "The 学生 red cars."]) == ["🙂🙂", "学生", "Les 学生 voitures rouges."]
    with pytest.raises(BadInput, match="no character of this text"):
        explain(looking.parts_, "学生")
    spelled = fitted(1, raw__unknown="spell")
    assert spelled.parts_.raw.settings["characters"] == ""


def test_in_int8_it_writes_nearly_the_same(looking: Raw2Vec, through_a_vector: Raw2Vec) -> None:
    for made in (looking, through_a_vector):
        assert made.translate(SOURCES, precision="int8") == TARGETS
    drafts = [looking.translate(SOURCES[0], best=2, precision=name)[0][1] for name in ("float32", "int8")]
    assert drafts[0] != drafts[1] == pytest.approx(drafts[0], abs=0.1)
    with pytest.raises(BadInput, match="float32 or int8"):
        looking.translate(SOURCES[0], precision="int4")  # type: ignore[arg-type]


@pytest.mark.parametrize("beam", [1, 4])
def test_threads_side_by_side_write_the_same(
    looking: Raw2Vec, through_a_vector: Raw2Vec, beam: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With packed weights, too, and other batches."""
    threads, lines = torch.get_num_threads(), [f"{first} {second}" for first in SOURCES[:5] for second in SOURCES]
    models = [({}, looking), ({}, through_a_vector), ({"beside": [through_a_vector]}, looking)]
    alone = [made.translate(lines, beam, **given) for given, made in models]
    monkeypatch.setattr(translate, "_LEAST_TOKENS", 64)
    monkeypatch.setattr(translate, "_MUCH", 0)
    seen: set[str] = set()

    def watched(*given: Any) -> Any:
        seen.add(threading.current_thread().name)
        return write(*given)

    monkeypatch.setattr(translate, "write", watched)
    try:
        torch.set_num_threads(3)
        together = [made.translate(lines, beam, **given) for given, made in models]
    finally:
        torch.set_num_threads(threads)
    assert together == alone
    assert len(seen) > 1
    assert threading.current_thread().name not in seen


def test_several_translators_write_together(looking: Raw2Vec, through_a_vector: Raw2Vec) -> None:
    """Of one vocabulary, which their seeds do not touch; of another one it is refused."""
    assert looking.translate(SOURCES[:5], beside=[through_a_vector]) == TARGETS[:5]
    with pytest.raises(BadInput, match="Model 2 of the ensemble has another vocabulary"):
        looking.translate(SOURCES[:5], beside=[fitted(1, raw__vocabulary=300)])
    rows = [{"en": f"{row['en']} {n}", "fr": f"{row['fr']} {n}"} for row in PAIRS for n in ("one", "two")]
    seeds = ({"seed": 1}, {"seed": 2}, {"seed": 2, "settings": {"training.hold_out_seed": 1}})
    tokens = []
    for given in seeds:
        settings = {"raw.vocabulary": 330, "training.hold_out": 0.5, **given.pop("settings", {})}
        made = Raw2Vec("translation", steps=1, size="tiny", settings=settings, **given).fit(
            rows, input="en", target="fr"
        )
        tokens.append(made.parts_.raw.identity())
    assert tokens[0] == tokens[2] != tokens[1]


def test_it_is_inspected_as_it_writes_what_it_is_to_write(looking: Raw2Vec, through_a_vector: Raw2Vec) -> None:
    for model in (looking, through_a_vector):
        found = model.inspect(PAIRS, input="en", target="fr")
        assert {"embedding", "encoder", "latent", "decoder"} <= {part.name for part in found.parts}
        with pytest.raises(BadInput, match="inspected on pairs: give DATA with both columns"):
            model.inspect(SOURCES)


def test_two_tellings_teach_what_one_does_but_for_dropout() -> None:
    def learned(consistency: float, dropout: float) -> torch.Tensor:
        dropped = {f"{part}__dropout": dropout for part in ("embedding", "encoder", "decoder")}
        made = fitted(3, stages__0__objectives__0__consistency=consistency, training__precision="float32", **dropped)
        return torch.from_numpy(made.encode(SOURCES))

    alone = learned(0.0, 0.0)
    torch.testing.assert_close(learned(5.0, 0.0), alone, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(learned(5.0, 0.3), learned(0.0, 0.3), rtol=1e-2)


def test_a_report_sets_the_translator_beside_its_baselines() -> None:
    report = fitted(2, training__hold_out=0.9).report
    assert (report["protocol"], set(report["baselines"])) == ("translation/1", {"copy", "dictionary", "nearest"})
    assert {"bleu", "chrf"} <= set(report["metrics"])
    found = fitted(2).evaluate(PAIRS, input="en", target="fr")
    assert (found.protocol, found.items) == ("translation/1", 25)
    assert found.signature.startswith("BLEU|")


def test_columns_that_are_exchanged_are_noted_and_baselines_are_taught(looking: Raw2Vec) -> None:
    notes = [" ".join(looking.evaluate(PAIRS, input=a, target=b).notes) for a, b in (("en", "fr"), ("fr", "en"))]
    assert ["exchanged" in note for note in notes] == [False, True]
    found = looking.evaluate(PAIRS, input="en", target="fr", train=PAIRS, beam=1)
    assert set(found.baselines) == {"copy", "dictionary", "nearest"}
    with pytest.raises(BadInput, match="--beam is for --protocol translation"):
        looking.evaluate(PAIRS, "space", input="en", beam=2)


def test_pairs_that_teach_nothing_are_left_out_and_counted() -> None:
    rows = [*PAIRS, *[PAIRS[0]] * 1000, {"en": "", "fr": "rien"}, {"en": "a copy of it all", "fr": "a copy of it all"}]
    made = Raw2Vec("translation", steps=1, size="tiny", settings={"raw.vocabulary": 300})
    report = made.fit(rows, input="en", target="fr").report
    assert report["items"] == 25
    assert any("1,000 repeated" in note or "1,000 duplicates" in note for note in report["notes"])


def test_translations_are_of_pairs_only() -> None:
    with pytest.raises(BadInput, match="pairs"):
        Raw2Vec("translation", kind="text", steps=1).fit(SOURCES)
    with pytest.raises(BadInput, match="'translation'"):
        Raw2Vec("translation", kind="image", steps=1).fit(np.zeros((30, 4, 4), np.uint8))
    with pytest.raises(BadInput, match="knows no bridge 'attention'"):
        fitted(1, bridge="attention")
    with pytest.raises(BadInput, match="no bridge 'glass'"):
        fitted(1, bridge="glass")
    with pytest.raises(BadInput, match="comes by its vector alone"):
        Raw2Vec("reconstruction", steps=1, settings={"bridge": "attention"}).fit(SOURCES)
    with pytest.raises(BadInput, match="Filters leave out pairs"):
        Raw2Vec("contrastive", steps=1, settings={"filters.ratio": 2}).fit(PAIRS, input="en", target="fr")


def test_a_pair_too_long_to_be_read_whole_is_left_out_and_counted() -> None:
    """Half a text is no translation of half of another."""
    long = {"en": "The red cars and " * 30, "fr": "Les voitures rouges et " * 30}
    made = Raw2Vec("translation", steps=1, size="tiny", settings={"raw.vocabulary": 300, "raw.max_tokens": 40})
    report = made.fit([*PAIRS, long], input="en", target="fr").report
    assert (report["items"], report["truncated"], report["task"]) == (26, 2, "translation")
