"""Writers and what they are told: row by row as all at once, never a look ahead, and the best draft of all."""

import itertools

import pytest
import torch
from torch import Tensor

from raw2vec.decoders import ConvolutionalWriter, RecurrentWriter, TransformerWriter, Writer
from raw2vec.embedding import TokenEmbedding
from raw2vec.encoders import Recurrent
from raw2vec.errors import BadInput
from raw2vec.latents import Point
from raw2vec.models import Embedder, SequenceToSequence
from raw2vec.ragged import Ragged
from raw2vec.readout import TokenReadout
from raw2vec.use.ensemble import Ensemble
from raw2vec.use.write import Draft, Manner, write

BEGINS, ENDS, TOKENS = 5, 6, 7


def writer(name: str, memory: int) -> Writer:
    """A small one, of three layers at most."""
    if name == "recurrent":
        return RecurrentWriter(5, 4, 8, layers=2, memory=memory, coverage=True)
    if name == "multiplicative":
        return RecurrentWriter(5, 4, 8, cell="gru", memory=memory, score="multiplicative")
    if name == "convolutional":
        return ConvolutionalWriter(5, 4, 8, layers=3, kernel=3, memory=memory, coverage=True)
    if name == "post":
        return TransformerWriter(5, 4, 8, 2, 2, norm_order="post", positions="learned", limit=9, memory=memory)
    if name == "post alone":
        return TransformerWriter(5, 4, 8, 2, 2, norm_order="post-only", positions="sinusoidal", memory=memory)
    if name == "each":
        return TransformerWriter(5, 4, 8, 2, 2, norm_order="pre-each", positions="none", unfold=3, memory=memory)
    return TransformerWriter(5, 4, 8, layers=2, heads=2, positions=name, unfold=3, memory=memory)


NAMES = ("recurrent", "multiplicative", "convolutional", "post", "post alone", "each", "rotary", "sinusoidal")
each = pytest.mark.parametrize("name", NAMES)
looking = pytest.mark.parametrize("memory", [0, 6], ids=["fixed", "looking"])


def model(name: str, memory: int, seed: int = 0) -> SequenceToSequence:
    """Tokens 0 to 6, of which 5 begins a text and 6 ends it; weights far from where they start."""
    torch.manual_seed(seed)
    embedder = Embedder(TokenEmbedding(TOKENS, 4), Recurrent(4, 6), Point(6, 5))
    made = SequenceToSequence(embedder, writer(name, memory), TokenReadout(8, TOKENS, ENDS, BEGINS)).double().eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return made


def texts(*items: list[int]) -> Ragged:
    return Ragged.of([torch.tensor(item) for item in items])


SOURCES = texts([5, 1, 2, 6], [5, 6], [5, 0, 3, 4, 1, 1, 2, 6])
TARGETS = texts([5, 3, 1, 0, 2, 6], [5, 2, 6], [5, 4, 4, 6])


@each
@looking
def test_token_by_token_is_as_all_at_once(name: str, memory: int) -> None:
    made = model(name, memory)
    states, told = made.written(made.read(SOURCES), TARGETS)
    for item, (source, target) in enumerate(zip(SOURCES.items(), TARGETS.items(), strict=True)):
        kept = made.decoder.begin(*made.read(texts(source.tolist())))
        rows = []
        for place, before in enumerate(target[:-1]):
            row, kept = made.step(kept, before[None], place)
            rows.append(row)
        torch.testing.assert_close(torch.cat(rows), states.items()[item])
        assert told.items()[item].tolist() == target[1:].tolist()


@each
@looking
def test_a_later_token_never_changes_an_earlier_state(name: str, memory: int) -> None:
    made, before = model(name, memory), texts([5, 3, 1, 0, 2, 6])
    source = made.read(texts([5, 1, 2, 6]))
    states, _ = made.written(source, before)
    for place in range(1, 5):
        other = before.values.clone()
        other[place] = 4
        changed, _ = made.written(source, before.replace(other))
        assert torch.equal(changed.values[:place], states.values[:place])
        assert not torch.allclose(changed.values[place], states.values[place])


@each
@looking
def test_several_drafts_of_an_item_are_as_each_by_itself(name: str, memory: int) -> None:
    made = model(name, memory)
    source = made.read(SOURCES)
    twice = torch.arange(3).repeat_interleave(2)
    drafts, alone = made.decoder.begin(*source).take(twice), made.decoder.begin(*source.take(twice))
    for place, last in enumerate(torch.randint(5, (4, 6))):
        together, drafts = made.step(drafts, last, place)
        apart, alone = made.step(alone, last, place)
        torch.testing.assert_close(together, apart)


@each
def test_what_is_looked_at_tells_and_what_is_not_there_does_not(name: str) -> None:
    made = model(name, 6)
    alone, _ = made.written(made.read(texts([5, 1, 2, 6])), texts([5, 3, 1, 6]))
    beside, _ = made.written(made.read(SOURCES), texts([5, 3, 1, 6], [5, 6], [5, 6]))
    torch.testing.assert_close(beside.values[:3], alone.values)
    source = made.read(texts([5, 1, 2, 6]))
    assert source.memory is not None
    moved = source._replace(memory=source.memory._replace(rows=source.memory.rows + 1))
    assert not torch.allclose(made.written(moved, texts([5, 3, 1, 6]))[0].values, alone.values)


def every_text(made: SequenceToSequence, source: Tensor, longest: int, penalty: float) -> list[Draft]:
    """All texts of at most so many tokens, their end included, best first."""
    ids = [list(text) for n in range(longest) for text in itertools.product(range(5), repeat=n)]
    read = made.read(texts(*[source.tolist()] * len(ids)))
    _, costs = made.costs(read, texts(*[[BEGINS, *text, ENDS] for text in ids]))
    lengths = torch.tensor([len(text) + 1 for text in ids])
    total = Ragged(-costs, lengths[:, None]).sum()
    drafts = [Draft(text, log_prob) for text, log_prob in zip(ids, total.tolist(), strict=True)]
    return sorted(drafts, key=lambda draft: -draft.score(penalty))


@pytest.mark.parametrize("name", ["recurrent", "convolutional", "rotary"])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
@torch.no_grad()
def test_a_beam_that_is_wide_enough_finds_the_best_of_all_texts(name: str, penalty: float) -> None:
    made = model(name, 6)
    manner = Manner(beam=125, best=7, length_penalty=penalty, forbidden=(BEGINS,), loops=True)
    found = write(made, made.read(SOURCES), torch.full((3,), 4), manner)
    for drafts, source in zip(found, SOURCES.items(), strict=True):
        expected = every_text(made, source, 4, penalty)[:7]
        assert [draft.ids for draft in drafts] == [draft.ids for draft in expected]
        assert [draft.log_prob for draft in drafts] == pytest.approx([draft.log_prob for draft in expected])


@each
@looking
@pytest.mark.parametrize("beam", [1, 3])
@torch.no_grad()
def test_a_text_is_written_the_same_alone_and_in_any_batch(name: str, memory: int, beam: int) -> None:
    made, manner = model(name, memory), Manner(beam=beam, best=beam, forbidden=(BEGINS,))
    limits = torch.tensor([9, 4, 7])
    together = write(made, made.read(SOURCES), limits, manner)
    for item, source in enumerate(SOURCES.items()):
        alone = write(made, made.read(texts(source.tolist())), limits[item : item + 1], manner)
        assert [draft.ids for draft in together[item]] == [draft.ids for draft in alone[0]]
        scores = [draft.log_prob for draft in together[item]]
        assert scores == pytest.approx([draft.log_prob for draft in alone[0]])
        for draft in together[item]:
            assert len(draft.ids) < int(limits[item])
            _, costs = made.costs(made.read(texts(source.tolist())), texts([BEGINS, *draft.ids, ENDS]))
            assert draft.log_prob == pytest.approx(-float(costs.sum()))


@torch.no_grad()
def test_a_beam_of_one_token_each_time_is_greedy() -> None:
    made, limits = model("rotary", 6), torch.full((3,), 6)
    found = write(made, made.read(SOURCES), limits, Manner(forbidden=(BEGINS,), loops=True))
    for item, source in enumerate(SOURCES.items()):
        ids: list[int] = []
        while len(ids) < 5:
            states, _ = made.written(made.read(texts(source.tolist())), texts([BEGINS, *ids, ENDS]))
            logits = made.readout.logits(states.values[-1])
            logits[BEGINS] = float("-inf")
            if int(logits.argmax()) == ENDS:
                break
            ids.append(int(logits.argmax()))
        assert found[item][0].ids == ids


@pytest.mark.parametrize("beam", [1, 4])
@torch.no_grad()
def test_a_beginning_is_kept_and_the_end_comes_in_time(beam: int) -> None:
    made = model("recurrent", 6)
    found = write(made, made.read(SOURCES), torch.tensor([5, 2, 4]), Manner(beam=beam), [[4, 4], [3], []])
    assert [drafts[0].ids[:2] for drafts in found[:2]] == [[4, 4], [3]]
    assert [len(drafts[0].ids) < limit for drafts, limit in zip(found, (5, 2, 4), strict=True)] == [True] * 3


@pytest.mark.parametrize("beam", [1, 3])
def test_a_text_begins_as_it_is_to_whatever_may_not_be_written(beam: int) -> None:
    made, limits = model("rotary", 6), torch.full((3,), 12)
    starts = [[4, 4, 4, 4, 4, 4], [3, 3], []]
    found = write(made, made.read(SOURCES), limits, Manner(beam=beam, forbidden=(3,)), starts)
    for (best, *_), start in zip(found, starts, strict=True):
        assert best.ids[: len(start)] == start
        assert torch.tensor(best.log_prob).isfinite()
        assert 3 not in best.ids[len(start) :]
    assert found[0][0].ids[6:7] != [4], "what follows a beginning in circles is no more of it"


@torch.no_grad()
def test_nothing_goes_round_in_circles() -> None:
    made = model("recurrent", 0)
    made.readout.linear.bias[3] += 50
    (loop,), *_ = write(made, made.read(SOURCES), torch.full((3,), 40), Manner(loops=True))
    assert loop.ids == [3] * 39
    for beam in (1, 2):
        (free, *_), *_ = write(made, made.read(SOURCES), torch.full((3,), 40), Manner(beam=beam))
        text = "".join(map(str, free.ids))
        assert "3333" not in text
        assert not any(f"{text[i : i + n]}" * 3 in text for n in (2, 3, 4) for i in range(len(text) - n))


@torch.no_grad()
def test_drawn_texts_follow_the_likelihood_and_the_seed() -> None:
    made, count = model("rotary", 6), 4000
    source, limits = made.read(texts(*[[5, 1, 2, 6]] * count)), torch.full((count,), 2)
    manner = Manner(temperature=1.0, seed=3)
    found = write(made, source, limits, manner)
    first = torch.tensor([drafts[0].ids[0] if drafts[0].ids else ENDS for drafts in found])
    states, _ = made.written(source.take(torch.tensor([0])), texts([BEGINS, ENDS]))
    chances = made.readout.logits(states.values).softmax(-1)[0]
    torch.testing.assert_close(first.bincount(minlength=TOKENS) / count, chances.float(), atol=0.03, rtol=0)
    again = write(made, source.take(torch.arange(5)), limits[:5], manner)
    assert [drafts[0].ids for drafts in again] == [drafts[0].ids for drafts in found[:5]]
    other = write(made, source.take(torch.arange(99)), limits[:99], Manner(temperature=1.0, seed=4))
    assert [drafts[0].ids for drafts in other] != [drafts[0].ids for drafts in found[:99]]


def test_a_code_alone_is_enough_only_where_the_bridge_is_fixed() -> None:
    codes = torch.zeros(2, 5, dtype=torch.float64)
    assert len(model("rotary", 0).mode(codes, torch.full((2, 1), 4))) == 2
    with pytest.raises(BadInput, match="bridge=fixed"):
        model("rotary", 6).mode(codes, torch.full((2, 1), 4))


@each
@torch.no_grad()
def test_what_leaves_the_source_untold_falls_behind(name: str) -> None:
    made, limits = model(name, 6), torch.full((3,), 5)
    plain = write(made, made.read(SOURCES), limits, Manner(beam=4, best=4))
    found = write(made, made.read(SOURCES), limits, Manner(beam=4, best=4, coverage_penalty=2.0))
    for item, source in enumerate(SOURCES.items()):
        read, scores = made.read(texts(source.tolist())), []
        for draft in plain[item]:
            looks = made.looks(read, texts([BEGINS, *draft.ids, ENDS])).sum(0)
            assert looks.sum().item() == pytest.approx(len(draft.ids) + 1)
            scores.append(draft.score(1.0) + 2 * float(looks.clamp(max=1).log().sum()))
        assert [draft.score(1.0) for draft in found[item]] == pytest.approx(sorted(scores, reverse=True))
        assert {tuple(draft.ids) for draft in found[item]} == {tuple(draft.ids) for draft in plain[item]}


@torch.no_grad()
def test_coverage_needs_a_decoder_that_looks() -> None:
    made = model("rotary", 0)
    with pytest.raises(BadInput, match="vector alone"):
        write(made, made.read(SOURCES), torch.full((3,), 5), Manner(beam=2, coverage_penalty=1.0))


@pytest.mark.parametrize("beam", [1, 3])
@torch.no_grad()
def test_an_ensemble_writes_by_the_mean_of_its_probabilities(beam: int) -> None:
    """Of different builds, one of which looks at no state; twice the same one is that one."""
    one, other = model("rotary", 6), model("recurrent", 0, seed=1)
    made, manner = Ensemble([one, other]), Manner(beam=beam, best=beam)
    for drafts, source in zip(
        write(made, made.read(SOURCES), torch.full((3,), 6), manner), SOURCES.items(), strict=True
    ):
        read = texts(source.tolist())
        for draft in drafts:
            text = texts([BEGINS, *draft.ids, ENDS])
            costs = torch.stack([each.costs(each.read(read), text)[1] for each in (one, other)])
            assert draft.log_prob == pytest.approx(float((-costs).exp().mean(0).log().sum()))
    twice = Ensemble([one, one])
    alone = write(one, one.read(SOURCES), torch.full((3,), 6), manner)
    again = write(twice, twice.read(SOURCES), torch.full((3,), 6), manner)
    assert [[draft.ids for draft in drafts] for drafts in again] == [
        [draft.ids for draft in drafts] for drafts in alone
    ]


@pytest.mark.parametrize(
    ("beam", "best", "temperature", "coverage"),
    [(0, 1, 0.0, 0.0), (2, 3, 0.0, 0.0), (2, 1, 0.5, 0.0), (1, 1, -1.0, 0.0), (1, 1, 0.0, 1.0), (2, 1, 0.0, -1.0)],
)
def test_manners_that_make_no_sense(beam: int, best: int, temperature: float, coverage: float) -> None:
    with pytest.raises(BadInput, match=r"drafts|temperature"):
        Manner(beam=beam, best=best, temperature=temperature, coverage_penalty=coverage)


@each
@looking
def test_gradients_agree_with_finite_differences(name: str, memory: int) -> None:
    made = model(name, memory)
    weights = [weight for weight in made.parameters() if weight.requires_grad]

    def loss(*moved: Tensor) -> Tensor:
        total, _ = made.costs(made.read(SOURCES), TARGETS, 0.1)
        return total

    assert torch.autograd.gradcheck(loss, weights, fast_mode=True)
