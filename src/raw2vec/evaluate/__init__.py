"""Named, versioned protocols that set an encoder beside what it has to beat, and the health of its space."""

from functools import partial

from raw2vec.errors import BadInput, nearest
from raw2vec.evaluate.agreement import Agreement
from raw2vec.evaluate.anomaly import Anomaly
from raw2vec.evaluate.array_baselines import (
    bernoulli,
    gaussian,
    histogram,
    isolation_forest,
    mean_item,
    one_deviation,
    pca,
    pca_error,
    pca_reconstruction,
    raw_values,
)
from raw2vec.evaluate.base import Columns, Encode, Protocol, Report, table
from raw2vec.evaluate.baselines import bm25, tfidf, tfidf_svd, word_overlap
from raw2vec.evaluate.bootstrap import compare
from raw2vec.evaluate.classification import Classification, Head, Probes
from raw2vec.evaluate.cross_retrieval import CrossRetrieval
from raw2vec.evaluate.health import Health, Space, health
from raw2vec.evaluate.likelihood import Bounds, Likelihood
from raw2vec.evaluate.masked import Guesses, Masked
from raw2vec.evaluate.masked_patches import MaskedPatches, Patches
from raw2vec.evaluate.neighbours import of_classes, of_numbers, of_several
from raw2vec.evaluate.probes import Classes, Numbers, Several, logistic
from raw2vec.evaluate.rate import RateDistortion
from raw2vec.evaluate.reconstruction import Rebuilt, Reconstruction
from raw2vec.evaluate.retrieval import Retrieval
from raw2vec.evaluate.rewriting import Rewriting, nearest_text
from raw2vec.evaluate.sts import Sts
from raw2vec.evaluate.translation import Translation
from raw2vec.evaluate.translation_baselines import copy, dictionary, nearest_source
from raw2vec.evaluate.zero_shot import ZeroShot

RETRIEVAL = Retrieval({"BM25": bm25, "TF-IDF": tfidf, "TF-IDF+SVD": tfidf_svd}, compare)
STS = Sts({"TF-IDF": tfidf, "word overlap": word_overlap, "TF-IDF+SVD": tfidf_svd}, compare)
OF_TEXTS, OF_ARRAYS = {"TF-IDF": tfidf, "TF-IDF+SVD": tfidf_svd}, {"raw values": raw_values, "PCA": pca}
PROBES: Probes = {"classes": Classes, "numbers": Numbers, "labels": Several}
CLASSIFICATION = Classification(OF_TEXTS, compare, PROBES)
ARRAY_CLASSIFICATION = Classification(OF_ARRAYS, compare, PROBES)
NEAREST: Probes = {
    "classes": partial(Classes, reader=of_classes),
    "numbers": partial(Numbers, reader=of_numbers),
    "labels": partial(Several, reader=of_several),
}
LINEAR: Probes = {**PROBES, "classes": partial(Classes, reader=logistic)}
KNN, ARRAY_KNN = (Classification(each, compare, NEAREST, "knn", 1) for each in (OF_TEXTS, OF_ARRAYS))
LINEAR_PROBE, ARRAY_LINEAR_PROBE = (
    Classification(each, compare, LINEAR, "linear-probe", 1) for each in (OF_TEXTS, OF_ARRAYS)
)
AGREEMENT, ARRAY_AGREEMENT = Agreement({"TF-IDF+SVD": tfidf_svd}, compare), Agreement({}, compare)
MASKED = Masked({}, compare)
MASKED_PATCHES = MaskedPatches({}, compare)
SPACE = Space({}, compare)
RECONSTRUCTION = Reconstruction({"PCA": pca_reconstruction, "mean item": mean_item}, compare)
RATE_DISTORTION = RateDistortion({"PCA": pca_reconstruction}, compare)
REWRITING = Rewriting({"nearest text by TF-IDF+SVD": partial(nearest_text, tfidf_svd)}, compare)
TRANSLATION = Translation({"copy": copy, "dictionary": dictionary, "nearest": partial(nearest_source, tfidf)}, compare)
CROSS_RETRIEVAL = CrossRetrieval({}, compare)
ZERO_SHOT = ZeroShot({}, compare)
ANOMALY = Anomaly({"isolation forest": isolation_forest, "PCA error": pca_error}, compare)
TEXT_ANOMALY = Anomaly({}, compare)

# Nats compare with nats of one kind only: densities, chances of a one, chances of 256 levels.
LIKELIHOOD = Likelihood({"a Gaussian an element": gaussian, "Gaussians of one deviation": one_deviation}, compare)
BINARY_LIKELIHOOD = Likelihood({"a Bernoulli an element": bernoulli}, compare)
LEVELS_LIKELIHOOD = Likelihood({"a histogram an element": histogram}, compare)
TEXT_LIKELIHOOD = Likelihood({}, compare)

PROTOCOLS: dict[str, Protocol] = {
    each.name: each
    for each in (
        RETRIEVAL,
        CROSS_RETRIEVAL,
        ZERO_SHOT,
        STS,
        CLASSIFICATION,
        KNN,
        LINEAR_PROBE,
        MASKED,
        SPACE,
        RECONSTRUCTION,
        RATE_DISTORTION,
        LIKELIHOOD,
        ANOMALY,
        TRANSLATION,
        AGREEMENT,
    )
}


def protocol(name: str) -> Protocol:
    """The protocol of this name, "retrieval" or with its version "retrieval/1"; BadInput names the nearest there is."""
    known = [*PROTOCOLS, *(f"{each.name}/{each.version}" for each in PROTOCOLS.values())]
    if name not in known:
        raise BadInput(f"There is no protocol '{name}', only {', '.join(PROTOCOLS)}.{nearest(name, known)}")
    return PROTOCOLS[name.split("/")[0]]


__all__ = [
    "AGREEMENT",
    "ANOMALY",
    "ARRAY_AGREEMENT",
    "ARRAY_CLASSIFICATION",
    "ARRAY_KNN",
    "ARRAY_LINEAR_PROBE",
    "BINARY_LIKELIHOOD",
    "CLASSIFICATION",
    "CROSS_RETRIEVAL",
    "KNN",
    "LEVELS_LIKELIHOOD",
    "LIKELIHOOD",
    "LINEAR_PROBE",
    "MASKED",
    "MASKED_PATCHES",
    "PROTOCOLS",
    "RATE_DISTORTION",
    "RECONSTRUCTION",
    "RETRIEVAL",
    "REWRITING",
    "SPACE",
    "STS",
    "TEXT_ANOMALY",
    "TEXT_LIKELIHOOD",
    "TRANSLATION",
    "ZERO_SHOT",
    "Bounds",
    "Columns",
    "Encode",
    "Guesses",
    "Head",
    "Health",
    "Patches",
    "Protocol",
    "Rebuilt",
    "Report",
    "health",
    "protocol",
    "table",
]
