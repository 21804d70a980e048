"""Where embeddings start: at what the training texts already tell, before a single step.

Tokens that keep the same company start near each other (latent semantic analysis, Deerwester et al. 1990), and a token
that stands in every text starts with little weight (inverse document frequency, Spärck Jones 1972).
"""

import numpy as np
import scipy.sparse as sparse
import torch
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from raw2vec.corpus import Corpus
from raw2vec.embedding import TokenEmbedding
from raw2vec.objectives import Distillation
from raw2vec.seeding import generator, key

LARGEST = 200_000  # texts that are looked at
TAUGHT = 20_000  # and vectors of a teacher's, whose directions are soon told


def begin(embedding: TokenEmbedding, corpus: Corpus, start: str, seed: int) -> None:
    """Puts the start into the embedding: its weights, if it learns them, and with `start` "lsa" its table.

    A single text tells nothing of which tokens keep company, and a width of 1 has no half to tell it in: there the
    table stays as it was drawn.
    """
    if start != "lsa" and embedding.log_weights is None:
        return
    counts = _counts(corpus, len(embedding.table.weight))
    present = np.asarray((counts > 0).sum(axis=0)).ravel()
    rarity = np.log(counts.shape[0] / np.maximum(present, 1)) + 0.1
    with torch.no_grad():
        if embedding.log_weights is not None:
            # The square root: both sides of a product are weighted, and IDF itself scored 0.015 less (docs/log.md).
            embedding.log_weights.copy_(torch.from_numpy(0.5 * np.log(np.maximum(rarity, 0.1))))
        rank = min(embedding.width // 2, min(counts.shape) - 1)
        if start == "lsa" and rank > 0:
            embedding.table.weight.copy_(_table(counts, rarity, rank, embedding.width, seed))


def begin_lifts(objectives: nn.ModuleDict, corpus: Corpus, given: nn.ModuleDict | None) -> None:
    """Puts what leads into a teacher's space into the objectives that follow one: of those `given`, whose shape it is,
    or what the teacher's vectors of the training rows tell."""
    for name, objective in objectives.items():
        if not isinstance(objective, Distillation) or corpus.labels is None:
            continue
        known = given[name].lift if given is not None and name in given else None
        if isinstance(known, Tensor) and known.shape == objective.lift.shape:
            objective.lift.copy_(known)
            continue
        rows = np.flatnonzero(~corpus.held)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), TAUGHT)).astype(np.int64)]
        objective.follow(torch.from_numpy(np.asarray(corpus.labels[rows])))


def _counts(corpus: Corpus, vocabulary: int) -> sparse.csr_matrix:
    """Training texts by tokens, (n, V): how often each token stands in each text."""
    there = (corpus.lengths > 0) & ~corpus.held[:, None]
    rows, columns = (places[:LARGEST] for places in there.nonzero())
    ids = corpus.gather(rows, columns)
    ones = np.ones(len(ids.values), np.float32)
    return sparse.csr_matrix((ones, (ids.owners.numpy(), ids.values.numpy())), (len(rows), vocabulary))


def _table(counts: sparse.csr_matrix, rarity: NDArray[np.float64], rank: int, width: int, seed: int) -> Tensor:
    """(V, width), rows of length one: their first `rank` numbers from the texts, the others drawn."""
    scaled = counts.copy()
    scaled.data = 1 + np.log(scaled.data)
    scaled = scaled @ sparse.diags(rarity.astype(np.float32))
    lengths = np.sqrt(np.asarray(scaled.multiply(scaled).sum(axis=1)).ravel())
    scaled = sparse.diags(1 / np.maximum(lengths, 1e-9)) @ scaled
    # Transposed, so that its orthogonal factors are as long as the vocabulary and not as the corpus.
    right = randomized_svd(scaled.tocsr(), rank, n_iter=2, transpose=True, random_state=key(seed, "lsa") % 2**32)[2]
    known = torch.nn.functional.normalize(torch.from_numpy(right.T.astype(np.float32)), dim=1)
    drawn = torch.randn(len(known), width - rank, generator=generator(seed, "lsa")) / (width - rank) ** 0.5
    return torch.nn.functional.normalize(torch.cat([known, drawn], dim=1), dim=1)
