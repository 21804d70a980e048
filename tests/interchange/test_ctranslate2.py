"""Translators run by CTranslate2: the same tokens at the same likelihoods as here, or nothing is written."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from raw2vec import load
from raw2vec.build import build_model, build_raw
from raw2vec.errors import BadFolder, BadInput, MissingExtra, Raw2VecError
from raw2vec.folder import Model
from raw2vec.interchange.ctranslate2 import Exported, export, is_export, refusal, weights
from raw2vec.models import SequenceToSequence
from raw2vec.presets import recipe as preset
from raw2vec.ragged import Ragged
from raw2vec.raw import Text
from raw2vec.recipe import Recipe
from raw2vec.resolve import resolve
from raw2vec.use.encode import evaluation
from raw2vec.use.exported import drafted
from raw2vec.use.translate import translate
from raw2vec.use.write import Manner, circles, write
from small import texts
from two_scripts import GREEK

ctranslate2 = pytest.importorskip("ctranslate2", reason="needs the extra 'ctranslate2'")

PART = {"name": "transformer", "width": 32, "layers": 2, "heads": 2, "positions": "sinusoidal", "dropout": 0.1}
EACH, POST, ONLY = {"norm_order": "pre-each"}, {"norm_order": "post"}, {"norm_order": "post-only"}
GREEDY = Manner(loops=True)  # its greedy search goes round in circles if it likes
LINES = ["the old ship near a harbour", "", "bread", "one [SEP] of [CLS] these", *texts(20, 3), "  ", "salt " * 60]


def recipe(encoder: dict[str, Any], decoder: dict[str, Any], changes: dict[str, Any] | None = None) -> Recipe:
    made = {
        "kind": "pairs",
        "columns": {"input": "en", "target": "fr"},
        "raw": {"tokenizer": "bpe", "vocabulary": 300, "max_tokens": 24, "long": "chunk"},
        "embedding": {"width": 32},
        "encoder": {**PART, **encoder},
        "decoder": {**PART, "words": "tied", **decoder},
        "stages": [{"objectives": ["translation"]}],
        "training": {"steps": 1},
    }
    return resolve(Recipe.read(made).changed(changes or {}))


def translator(
    encoder: dict[str, Any] = EACH, decoder: dict[str, Any] = EACH, targets: list[str] | None = None
) -> Model:
    """One whose weights are far from where they start, every norm's and bias's as well; and which comes to an end.

    targets: what its second vocabulary is learned from.
    """
    asked = recipe(encoder, decoder, {"raw.vocabularies": "separate"} if targets else {})
    raw = build_raw(asked)
    raw.learn(*([texts(60), targets] if targets else [texts(60)]))
    model = build_model(asked, raw).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
        assert isinstance(model, SequenceToSequence)
        assert isinstance(raw, Text)
        model.readout.linear.bias[[raw.pad, raw.unknown, raw.start, raw.mask]] = -30.0  # as one that has learned
        model.readout.linear.bias[raw.end] = 4.0
    return Model(asked, raw, model, nn.ModuleDict(), golden=(texts(3, 1), None))


@pytest.fixture(scope="module")
def model() -> Model:
    return translator()


@pytest.fixture(scope="module")
def exported(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exports") / "mt"
    export(model, out)
    return out


CASES = [
    (EACH, EACH),
    (POST, POST),
    (EACH | {"activation": "relu"}, EACH | {"activation": "gelu", "words": "own"}),
    (POST | {"activation": "swiglu"}, POST | {"activation": "gelu_tanh"}),
    (EACH | {"activation": "silu", "normalization": "rms"}, EACH | {"activation": "reglu"}),
    (POST | {"normalization": "rms", "activation": "glu"}, POST | {"normalization": "rms", "activation": "tanh"}),
    (EACH | {"positions": "learned", "limit": 24}, EACH | {"positions": "none"}),
    (EACH | {"layers": 3, "heads": 4}, EACH | {"layers": 1, "positions": "learned"}),
    (EACH | {"width": 48}, EACH | {"width": 40}),
    (POST | {"width": 24}, POST | {"width": 48, "activation": "relu"}),
    (ONLY | {"activation": "swish"}, ONLY | {"activation": "relu", "words": "own"}),
]


def likelihoods(parts: Model, folder: Path, sources: Ragged, targets: Ragged) -> tuple[torch.Tensor, torch.Tensor]:
    """Each token's after the first, by plain CTranslate2 and by the model."""
    words = json.loads((folder / "shared_vocabulary.json").read_text())
    named = [[words[i] for i in item.tolist()] for item in sources.items()]
    told = [[words[i] for i in item.tolist()[1:-1]] for item in targets.items()]
    theirs = ctranslate2.Translator(str(folder), intra_threads=1).score_batch(named, told)
    with evaluation(parts.model):
        _, costs = parts.model.costs(parts.model.read(sources), targets)
    return torch.tensor([score for each in theirs for score in each.log_probs]), -costs


@pytest.mark.parametrize(("encoder", "decoder"), CASES)
def test_forced_and_chosen_tokens_are_the_model_s(
    encoder: dict[str, Any], decoder: dict[str, Any], tmp_path: Path
) -> None:
    parts = translator(encoder, decoder)
    found = export(parts, tmp_path / "mt")
    assert found.difference < 1e-3
    assert found.agreement == 1
    sources = parts.raw.windows(texts(12, 5)).ragged
    sources = sources.take((sources.lengths <= 20).nonzero().squeeze(1))
    targets = sources.take(torch.arange(len(sources) - 1, -1, -1))
    theirs, ours = likelihoods(parts, tmp_path / "mt", sources, targets)
    torch.testing.assert_close(theirs, ours, atol=1e-3, rtol=0)
    assert ours.std() > 1, "all tokens are as likely: this would show nothing"
    with evaluation(parts.model):
        drafts = write(parts.model, parts.model.read(sources), torch.full((len(sources),), 12), GREEDY)
    runner = Exported(tmp_path / "mt").runner
    chosen = [found[0][0][:11] for found in runner.write(sources, 12, beam_size=1)]
    assert [ids[:-1] if ids[-1] == parts.raw.end else ids for ids in chosen] == [draft[0].ids for draft in drafts]
    assert len({tuple(ids) for ids in chosen}) > 1


@pytest.mark.parametrize(
    ("decoder", "targets"),
    [(EACH, GREEK), (EACH | {"width": 40}, GREEK), (EACH | {"words": "own"}, GREEK[:9]), (EACH, texts(60))],
    ids=["tied", "narrowed", "apart", "one language"],
)
def test_two_vocabularies_are_two_there_as_well(
    decoder: dict[str, Any],
    targets: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = translator(EACH, decoder, targets)
    found = export(parts, tmp_path / "mt")
    assert found.difference < 1e-3
    assert found.agreement == 1
    names = {path.name.split("_")[0] for path in tmp_path.glob("mt/*_vocabulary.json")}
    assert names == ({"source", "target"} if targets[0] in GREEK else {"shared"})
    engine = Exported(tmp_path / "mt")
    for manner, starts in ((GREEDY, None), (Manner(), None), (GREEDY, ["αβγ"] * len(LINES))):
        ours = translate(parts, LINES, manner, starts)
        assert [each.text for each in translate(engine, LINES, manner, starts)] == [each.text for each in ours]
    assert any(letter in ours[0].text for letter in "αβγ")
    monkeypatch.chdir(tmp_path)
    code = (tmp_path / "mt/README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(code.replace('"a text"', '"the old ship near a harbour"'), {})
    told = translate(engine, ["the old ship near a harbour"], Manner(beam=5, loops=True))[0].text
    assert capsys.readouterr().out.strip().startswith(told.strip()), "it may be longer"


def test_int8_is_smaller_and_near_and_leaves_the_model_as_it_is(model: Model, exported: Path, tmp_path: Path) -> None:
    before = {name: weight.clone() for name, weight in model.model.state_dict().items()}
    found = export(model, tmp_path / "mt", "int8")
    assert found.difference > 1e-3
    assert found.mean < 0.4
    assert all(torch.equal(weight, before[name]) for name, weight in model.model.state_dict().items())
    assert (tmp_path / "mt/model.bin").stat().st_size < 0.5 * (exported / "model.bin").stat().st_size
    assert json.loads((tmp_path / "mt/report.json").read_text())["quantization"] == "int8"
    made = translate(Exported(tmp_path / "mt"), LINES, GREEDY)
    same = [a.text == b.text for a, b in zip(made, translate(model, LINES, GREEDY), strict=True)]
    assert sum(same) / len(same) > 0.3, "weights this wild are rounded far"


def test_a_tied_table_is_stored_once(exported: Path, tmp_path: Path) -> None:
    parts = translator(EACH, EACH | {"words": "own"})
    export(parts, tmp_path / "mt")
    table = 4 * parts.model.embedding.weight.numel()
    more = (tmp_path / "mt/model.bin").stat().st_size - (exported / "model.bin").stat().st_size
    assert more == pytest.approx(table, abs=200)


@pytest.mark.parametrize("name", ["_places", "_told", "_feed_forward", "_norm"])
@pytest.mark.parametrize("quantization", ["float32", "int8"])
def test_weights_in_the_wrong_place_are_found_out(
    name: str, quantization: str, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(weights, name)

    def wrong(*given: Any) -> Any:
        made = right(*given)
        if name == "_places":
            return made[::-1].copy()
        if name == "_told":
            given[0].bias = given[0].bias[::-1].copy()
        if name == "_feed_forward":
            given[0].linear_0, given[0].linear_0_noact = given[0].linear_0_noact, given[0].linear_0
        if name == "_norm":
            given[0].gamma = given[0].gamma[::-1].copy()
        return None

    monkeypatch.setattr(weights, name, wrong)
    with pytest.raises(Raw2VecError, match=r"nothing was written: its tokens' log-likelihoods are [\d.e+]+ nats off"):
        export(model, tmp_path / "deep/mt", quantization)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("encoder", "decoder", "changes", "reason"),
    [
        ({"norm_order": "pre"}, EACH, {}, r"encoder\.norm_order is pre"),
        (EACH, EACH | {"positions": "rotary"}, {}, r"decoder\.positions is rotary"),
        (EACH | {"window": 4}, EACH, {}, r"encoder\.window is 4"),
        (EACH, EACH | {"activation": "mish"}, {}, r"decoder\.activation is mish"),
        (EACH | {"normalization": "none"}, EACH, {}, r"encoder\.normalization is none"),
        (EACH, EACH | {"positions": "learned", "limit": 20}, {}, r"decoder\.limit is below raw\.max_tokens"),
        (EACH, POST, {}, r"encoder\.norm_order is not decoder\.norm_order"),
        (EACH, EACH, {"bridge": "fixed"}, "bridge is fixed"),
        (EACH, EACH, {"decoder": {"name": "recurrent", "width": 32}}, "its decoder recurrent"),
        (EACH, EACH, {"encoder": {"name": "convolutional", "width": 32}}, "its encoder is convolutional"),
    ],
)
def test_what_it_cannot_run_is_refused(
    encoder: dict[str, Any], decoder: dict[str, Any], changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    parts = translator()
    parts.recipe = recipe(encoder, decoder, changes)
    with pytest.raises(
        BadInput, match=rf"{reason}.*, and it takes transformers alone .* norm_order pre-each, post or post-only\."
    ):
        export(parts, tmp_path / "mt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_a_translator_by_default_can_be_exported(size: str) -> None:
    columns = {"input": "en", "target": "fr"}
    made = resolve(preset("pairs", columns, objective="translation", size=size, steps=1))
    assert refusal(made) is None
    other = resolve(preset("pairs", columns, objective="contrastive", size=size, steps=1))
    assert refusal(other) == "it does not translate"


@pytest.mark.parametrize("manner", [GREEDY, Manner()], ids=["in circles", "guarded"])
def test_a_line_for_a_line_whatever_its_neighbours(manner: Manner, model: Model, exported: Path) -> None:
    engine = Exported(exported)
    found, ours = translate(engine, LINES, manner), translate(model, LINES, manner)
    assert [each.text for each in found] == [each.text for each in ours]
    assert [each.parts for each in found] == [each.parts for each in ours]
    assert found[1].text == found[-2].text == ""
    assert found[-1].parts > 1
    assert [translate(engine, [line], manner)[0].text for line in LINES] == [each.text for each in found]
    assert len({each.text for each in found}) > 10


def test_circles_are_what_our_own_guard_forbids(model: Model) -> None:
    sources = model.raw.windows(LINES).ragged
    limits = torch.full((len(sources),), 24)
    with evaluation(model.model):
        free = write(model.model, model.model.read(sources), limits, GREEDY)
        guarded = write(model.model, model.model.read(sources), limits, Manner())
    assert not any(circles(drafts[0].ids) for drafts in guarded)
    different = [one[0].ids != other[0].ids for one, other in zip(free, guarded, strict=True)]
    assert different == [bool(circles(drafts[0].ids)) for drafts in free]
    assert 0 < sum(different) < len(different)
    assert circles([7, 1, 2, 1, 2, 1, 9]) == [(1, 2, 1, 2, 1)]
    assert circles([3, 3, 3, 3]) == [(3, 3, 3, 3)]


def test_scores_are_likelihoods_over_length(model: Model, exported: Path) -> None:
    lines = [line for line in texts(60, 7) if len(model.raw.windows([line]).owners) == 1]
    end, engine = model.raw.form.ending, Exported(exported)
    sources = model.raw.windows(lines).ragged
    drafts = engine.runner.write(sources, 24, beam_size=3, num_hypotheses=3, length_penalty=0.7)
    ended = [(place, *draft) for place, found in enumerate(drafts) for draft in found if draft[0][-1] == end]
    assert len(ended) > 9
    places, ids, scores = zip(*ended, strict=True)
    targets = Ragged.of([torch.tensor([model.raw.form.beginning, *text]) for text in ids])
    with evaluation(model.model):
        _, costs = model.model.costs(model.model.read(sources.take(torch.tensor(places))), targets)
    lengths = targets.lengths - 1
    ours = Ragged(-costs, lengths[:, None]).sum() / lengths**0.7
    torch.testing.assert_close(torch.tensor(scores), ours, atol=1e-3, rtol=0)
    told, whole = translate(engine, lines, Manner(beam=3, best=3, length_penalty=0.7, loops=True)), 0
    for each, found in zip(told, drafts, strict=True):
        assert len(set(each.texts)) == len(each.texts) <= 3
        assert each.scores == sorted(each.scores, reverse=True)
        if len(each.texts) == 3 and all(text[-1] == end for text, _ in found):
            whole += 1
            assert each.scores == pytest.approx([score for _, score in found], abs=1e-3)
    assert whole > 3, "some of which no two drafts read the same"


def test_a_beginning_is_kept(model: Model, exported: Path) -> None:
    lines, starts = ["the old ship", "bread"], ["salt", "a soup of"]
    found = translate(Exported(exported), lines, GREEDY, starts)
    assert [each.text for each in found] == [each.text for each in translate(model, lines, GREEDY, starts)]
    assert all(each.text.startswith(start) for each, start in zip(found, starts, strict=True))


def test_a_circle_of_one_text_forbids_nothing_to_others(model: Model) -> None:
    asked: list[tuple[list[int], list[tuple[int, ...]]]] = []

    class Runner:
        def write(self, windows: Ragged, limit: int, *, never: list[tuple[int, ...]], **_: Any) -> Any:
            """A circle of each one's own number, unless that is forbidden."""
            places = windows.values.tolist()
            asked.append((places, never))
            return [[([7, model.raw.end] if (i,) * 4 in never else [i] * 4, -1.0)] for i in places]

    windows, limits = texts_of([11], [12], [11]), torch.full((3,), 20)
    stub = SimpleNamespace(runner=Runner(), raw=model.raw)
    found = drafted(stub, windows, limits, Manner(forbidden=(3,)), None, 100)  # type: ignore[arg-type]
    assert [drafts[0].ids for drafts in found] == [[7], [7], [7]]
    assert asked[1:] == [([11, 11], [(3,), (11,) * 4]), ([12], [(3,), (12,) * 4])]
    asked.clear()
    found = drafted(stub, windows, limits, Manner(), [[11] * 4, [], [11] * 4], 100)  # type: ignore[arg-type]
    assert [drafts[0].ids for drafts in found] == [[11] * 4, [7], [11] * 4], "a beginning may be one"


def texts_of(*ids: list[int]) -> Ragged:
    return Ragged.of([torch.tensor(each) for each in ids])


def test_no_draft_holds_a_special_token(tmp_path: Path) -> None:
    parts = translator()
    with torch.no_grad():
        parts.model.readout.linear.bias[parts.raw.unknown] = 30.0
    export(parts, tmp_path / "mt")
    found = translate(Exported(tmp_path / "mt"), LINES[:3], GREEDY)
    assert [each.text for each in found] == [each.text for each in translate(parts, LINES[:3], GREEDY)]
    assert "[UNK]" not in found[0].text


def test_tokens_are_drawn_by_the_model_alone(exported: Path) -> None:
    with pytest.raises(BadInput, match="temperature 0"):
        translate(Exported(exported), ["bread"], Manner(temperature=0.5))


def test_what_the_readme_says_runs(
    exported: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(exported.parent)
    code = (exported / "README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(code.replace('"a text"', '"the old ship near a harbour"'), {})
    expected = translate(Exported(exported), ["the old ship near a harbour"], Manner(beam=5))[0]
    assert capsys.readouterr().out.strip() == expected.text.strip()
    assert expected.text.strip()


def test_folders_that_are_none(model: Model, exported: Path, tmp_path: Path) -> None:
    assert is_export(exported)
    with pytest.raises(BadFolder, match="holds no translator for CTranslate2"):
        Exported(tmp_path)
    with pytest.raises(BadFolder, match=r"was exported and only translates: raw2vec translate .*mt FILE"):
        load(exported)
    export(model, tmp_path / "mt")
    export(model, tmp_path / "mt")  # an older export gives way
    (tmp_path / "mt/model.bin").write_bytes((tmp_path / "mt/model.bin").read_bytes()[:-1] + b"x")
    with pytest.raises(BadFolder, match=r"model\.bin is not the file"):
        Exported(tmp_path / "mt")
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained/recipe.json").write_text("{}")
    with pytest.raises(BadInput, match="holds a model, which the export would take the place of"):
        export(model, tmp_path / "trained")
    with pytest.raises(BadInput, match=r"Weights are float32 or int8, not 'int9'\. Did you mean 'int8'"):
        export(model, tmp_path / "other", "int9")


def test_the_package_is_asked_for_by_its_extra(
    model: Model, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    for work in (lambda: export(model, tmp_path / "mt"), lambda: Exported(exported)):
        with pytest.raises(MissingExtra, match=r"pip install 'raw2vec\[ctranslate2\]'"):
            work()


def test_an_export_that_is_opened_leaves_torch_its_threads(exported: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        Exported(exported)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
