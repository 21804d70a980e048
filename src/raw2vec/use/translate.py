"""Texts to their translations: long ones part by part, batches of like length, every line answered in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from raw2vec.engines.base import batches
from raw2vec.errors import BadInput, numbered
from raw2vec.folder import Model
from raw2vec.interchange.ctranslate2 import Exported
from raw2vec.layers.int8 import in_int8
from raw2vec.layers.packed import packed
from raw2vec.models import SequenceToSequence
from raw2vec.ragged import Ragged
from raw2vec.raw import Text, Windows
from raw2vec.tokens.placeholders import Restored, with_marks
from raw2vec.tokens.subwords import check_text
from raw2vec.use.base import is_empty
from raw2vec.use.encode import evaluation
from raw2vec.use.ensemble import Ensemble, refuse_strangers
from raw2vec.use.exported import drafted
from raw2vec.use.protect import Protected, protected
from raw2vec.use.write import Draft, Manner, write
from raw2vec.workers import side_by_side

# Source tokens a batch: so many at most, and so many over the drafts of each; over those where CTranslate2 writes.
BATCH_TOKENS, BATCH_DRAFTS, BATCH_EXPORTED = 4096, 8192, 2048
_TURNS, _LEAST_TOKENS = 4, 1024  # batches for each worker, and the tokens below which they are cut no smaller
_MUCH = 2048  # tokens over the drafts from which on it pays to lay the weights out anew


@dataclass(frozen=True)
class Translated:
    """A text's translation and its other drafts, best first: `texts`, with the `scores` that they are compared by.

    parts: how many parts it was cut into, at the ends of sentences, because it is longer than those learned from;
    truncated: the tokens that the model did not read at all. lost: the placeholders that the best has at its end, where
    they were put because the model had left them out. ids: of a text of one part, the tokens of each draft.
    """

    texts: list[str]
    scores: list[float]
    parts: int = 1
    truncated: int = 0
    lost: list[str] = field(default_factory=list)
    ids: list[list[int]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The best."""
        return self.texts[0]


def translate(
    parts: Model | Exported,
    texts: Sequence[str],
    manner: Manner = Manner(),  # noqa: B008 - it never changes
    prefixes: Sequence[str] | None = None,
    progress: Callable[[int], None] = lambda texts: None,
    beside: Sequence[Model] = (),
    first: int = 0,
) -> list[Translated]:
    """One translation a text, in their order; an empty text gives an empty one.

    prefixes: what each translation is to begin with. progress hears how many texts were just done. beside: models that
    write together with this one, an ensemble. first: the number of the first text among those of several calls, for
    no two draw alike. Of several drafts, those that read the same are given once. A text of several parts gives their
    best drafts alone. Where the recipe
    protects placeholders, drafts that have all of them come first; where it copies words that cannot be read, they
    stand about where they stood. BadInput for a model that does not translate or does
    not go with the others, by its number for an item that is no text.
    """
    author = _author(parts, beside)
    raw = parts.raw
    assert isinstance(raw, Text), "translators read text"
    for number, text in numbered(texts):
        check_text(number, text)
    if prefixes is not None and len(prefixes) != len(texts):
        raise BadInput(f"There are {len(prefixes)} beginnings for {len(texts)} texts: give one for each.")
    if not len(texts):
        return []
    sources = [protected(text, raw, parts.recipe) for text in texts]
    if prefixes is not None:
        prefixes = [with_marks(prefix, source.marked.pieces) for prefix, source in zip(prefixes, sources, strict=True)]
    several = parts.recipe.placeholders or manner.best > 1  # of which some are left out, or read the same
    every = replace(manner, best=manner.beam) if several else manner
    found = _translated(parts, author, [source.text for source in sources], every, prefixes, progress, first)
    return [_restored(one, source, manner.best) for one, source in zip(found, sources, strict=True)]


def greedily(model: SequenceToSequence, raw: Text, sources: Ragged) -> list[str]:
    """What is written of texts that are tokens already, the likeliest each time: one text each, in their order."""
    manner, each = _lawful(Manner(), raw), torch.arange(len(sources))
    windows = Windows(sources, each, sources.lengths, torch.zeros_like(each))
    drafts = _drafts(model, windows, _limits(sources, raw, None), manner, None, lambda texts: None)
    return [found.text for found in _joined(raw, each, drafts, len(sources), manner)]


def _restored(found: Translated, source: Protected, best: int) -> Translated:
    """The best drafts with everything in them, those that read the same as one: first those to which the model gave all
    of the source's placeholders."""
    different: dict[str, tuple[int, Restored]] = {}
    for place in sorted(range(len(found.texts)), key=lambda place: source.missing(found.texts[place])):
        if len(different) < best:
            whole = source.restored(found.texts[place])
            different.setdefault(whole.text, (place, whole))
    order = [place for place, _ in different.values()]
    lost = next(iter(different.values()))[1].lost
    scores, ids = [found.scores[place] for place in order], [found.ids[place] for place in order if found.ids]
    return replace(found, texts=list(different), scores=scores, lost=lost, ids=ids)


def _author(parts: Model | Exported, beside: Sequence[Model]) -> SequenceToSequence | Ensemble | None:
    """Who writes here; nobody, where the export does."""
    if isinstance(parts, Exported):
        if beside:
            raise BadInput("What was exported for CTranslate2 writes by itself: name the models of an ensemble.")
        return None
    own = translator(parts)
    refuse_strangers(parts, beside)
    return Ensemble([own, *map(translator, beside)]) if beside else own


def _translated(
    parts: Model | Exported,
    author: SequenceToSequence | Ensemble | None,
    texts: Sequence[str],
    manner: Manner,
    prefixes: Sequence[str] | None,
    progress: Callable[[int], None],
    first: int,
) -> list[Translated]:
    raw = parts.raw
    assert isinstance(raw, Text)
    windows = raw.windows(texts, sentences=True)
    manner = _lawful(manner, raw)
    starts = _prefixes(raw, prefixes, windows.owners) if prefixes is not None else None
    limits = _limits(windows.ragged, raw, starts)
    if author is None:
        assert isinstance(parts, Exported), "else somebody writes here"
        drafts = drafted(parts, windows.ragged, limits, manner, starts, max(BATCH_EXPORTED // manner.beam, 1))
        progress(len(drafts))
    else:
        drafts = _drafts(author, windows, limits, manner, starts, progress, first)
    joined = _joined(raw, windows.owners, drafts, len(texts), manner)
    cut = windows.truncated.tolist()
    return [
        Translated([""], [0.0]) if is_empty(text) else replace(joined[place], truncated=cut[place])
        for place, text in enumerate(texts)
    ]


def _drafts(
    author: SequenceToSequence | Ensemble,
    windows: Windows,
    limits: Tensor,
    manner: Manner,
    starts: list[list[int]] | None,
    progress: Callable[[int], None],
    first: int = 0,
) -> list[list[Draft]]:
    """Each window's."""
    numbers = _numbers(windows.owners, first)
    drafts: list[list[Draft]] = [[] for _ in range(len(windows.ragged))]
    models = author.models if isinstance(author, Ensemble) else [author]
    tokens = int(windows.ragged.lengths.sum())
    workers = torch.get_num_threads() if author.device.type == "cpu" else 1
    budget = min(BATCH_TOKENS, BATCH_DRAFTS // manner.beam)
    if workers > 1:  # several batches for each, so that none is long alone at work
        budget = min(budget, max(tokens // (_TURNS * workers), _LEAST_TOKENS // manner.beam))
    places = list(batches(windows.ragged.lengths, max(budget, 1)))
    with ExitStack() as stack:
        for model in models:
            stack.enter_context(evaluation(model))
        writer = _packed(author) if tokens * manner.beam >= _MUCH else author

        def written(part: Tensor) -> list[list[Draft]]:
            source = writer.read(windows.ragged.take(part).to(writer.device))
            begun = None if starts is None else [starts[place] for place in part.tolist()]
            return write(writer, source, limits[part], manner, begun, numbers[part])

        work = stack.enter_context(closing(side_by_side(written, places, workers)))
        for part, made in zip(places, work, strict=True):
            for place, found in zip(part.tolist(), made, strict=True):
                drafts[place] = found
            progress(len(part))
    return drafts


def _packed(author: SequenceToSequence | Ensemble) -> SequenceToSequence | Ensemble:
    return Ensemble([packed(model) for model in author.models]) if isinstance(author, Ensemble) else packed(author)


def translator(parts: Model) -> SequenceToSequence:
    """The model, if it translates; BadInput for another."""
    if not parts.recipe.translates or not isinstance(parts.model, SequenceToSequence):
        raise BadInput("This model does not translate: fit pairs of texts with --objective translation.")
    return parts.model


def rounded(parts: Model) -> Model:
    """The same model with its linear maps in int8, which CPUs multiply faster; see layers/int8.py."""
    return replace(parts, model=in_int8(parts.model))


def _lawful(manner: Manner, raw: Text) -> Manner:
    """The manner with all ids forbidden that no text holds."""
    return replace(manner, forbidden=tuple(sorted({*manner.forbidden, *raw.unwritten})))


def _numbers(owners: Tensor, first: int) -> Tensor:
    """What each window draws by: its text's number and, above all bits of that, its own within the text."""
    counts = owners.bincount()
    within = torch.arange(len(owners)) - (counts.cumsum(0) - counts)[owners]
    return first + owners + (within << 40)


def _limits(windows: Ragged, raw: Text, starts: list[list[int]] | None) -> Tensor:
    """The most tokens of each translation, its end included: three times as many as the source has, and a few; at
    least what it begins with."""
    limits = (3 * windows.lengths + 8).clamp(max=raw.max_tokens)
    return limits if starts is None else limits.maximum(torch.tensor([len(ids) + 1 for ids in starts]))


def _prefixes(raw: Text, prefixes: Sequence[str], owners: Tensor) -> list[list[int]]:
    """The ids that the first window of each text begins with; BadInput where there are more than a text may have."""
    begun = {prefix: _begun(raw, prefix) for prefix in set(prefixes)}
    first = torch.cat([torch.ones(1, dtype=torch.bool), owners[1:] != owners[:-1]]).tolist()
    return [begun[prefixes[owner]] if begins else [] for owner, begins in zip(owners.tolist(), first, strict=True)]


def _begun(raw: Text, prefix: str) -> list[int]:
    if is_empty(prefix):
        return []
    reader = raw.side("target")
    assert isinstance(reader, Text)
    windows = reader.windows([prefix])
    before, after = int(reader.boundaries == "cls-sep"), int(reader.boundaries != "none")
    tokens, ids = int(windows.tokens[0]), windows.ragged.values.tolist()
    if tokens >= reader.max_tokens or len(windows.ragged) > 1 or windows.truncated.any():
        raise BadInput(
            f"The beginning {prefix[:40]!r} has {tokens:,} tokens, too many for a translation, which has at most "
            f"{reader.max_tokens:,} with its end: begin with less."
        )
    return ids[before : len(ids) - after]


def _joined(raw: Text, owners: Tensor, drafts: list[list[Draft]], count: int, manner: Manner) -> list[Translated]:
    """Each text's drafts as texts with their scores, and of how many parts it was."""
    told = [[draft.ids for draft in found] for found in drafts]
    flat = [ids for found in told for ids in found]
    shapes = torch.tensor([[len(ids)] for ids in flat], dtype=torch.long).view(-1, 1)
    texts = iter(raw.restore(Ragged(torch.tensor([i for ids in flat for i in ids], dtype=torch.long), shapes)))
    written = [[next(texts) for _ in found] for found in told]
    groups: list[list[int]] = [[] for _ in range(count)]
    for place, owner in enumerate(owners.tolist()):
        groups[owner].append(place)
    made = []
    for group in groups:
        scores = [[draft.score(manner.length_penalty) for draft in drafts[place]] for place in group]
        if len(group) == 1:
            made.append(Translated(written[group[0]], scores[0], ids=told[group[0]]))
        else:
            whole = " ".join(written[place][0].strip() for place in group)
            made.append(Translated([whole], [sum(score[0] for score in scores) / len(group)], len(group)))
    return made
