"""Named, versioned protocols that set an encoder beside what it has to beat, and the health of its space."""

from raw2vec.errors import BadInput, nearest
from raw2vec.evaluate.base import Columns, Encode, Protocol, Report, table
from raw2vec.evaluate.baselines import bm25, tfidf, tfidf_svd, word_overlap
from raw2vec.evaluate.bootstrap import compare
from raw2vec.evaluate.classification import Classification
from raw2vec.evaluate.health import Health, Space, health
from raw2vec.evaluate.masked import Guesses, Masked
from raw2vec.evaluate.probes import Classes, Numbers, Several
from raw2vec.evaluate.retrieval import Retrieval
from raw2vec.evaluate.sts import Sts

RETRIEVAL = Retrieval({"BM25": bm25, "TF-IDF": tfidf, "TF-IDF+SVD": tfidf_svd}, compare)
STS = Sts({"TF-IDF": tfidf, "word overlap": word_overlap, "TF-IDF+SVD": tfidf_svd}, compare)
CLASSIFICATION = Classification(
    {"TF-IDF": tfidf, "TF-IDF+SVD": tfidf_svd}, compare, {"classes": Classes, "numbers": Numbers, "labels": Several}
)
MASKED = Masked({}, compare)
SPACE = Space({}, compare)

PROTOCOLS: dict[str, Protocol] = {each.name: each for each in (RETRIEVAL, STS, CLASSIFICATION, MASKED, SPACE)}


def protocol(name: str) -> Protocol:
    """The protocol of this name, "retrieval" or with its version "retrieval/1"; BadInput names the nearest there is."""
    known = [*PROTOCOLS, *(f"{each.name}/{each.version}" for each in PROTOCOLS.values())]
    if name not in known:
        raise BadInput(f"There is no protocol '{name}', only {', '.join(PROTOCOLS)}.{nearest(name, known)}")
    return PROTOCOLS[name.split("/")[0]]


__all__ = [
    "CLASSIFICATION",
    "MASKED",
    "PROTOCOLS",
    "RETRIEVAL",
    "SPACE",
    "STS",
    "Columns",
    "Encode",
    "Guesses",
    "Health",
    "Protocol",
    "Report",
    "health",
    "protocol",
    "table",
]
