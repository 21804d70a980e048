"""Raw2Vec, the facade, and the abilities it is made of, each in a file."""

from raw2vec.system.facade import Raw2Vec, TruncationWarning, fit, load, model_of, usual_mode

__all__ = ["Raw2Vec", "TruncationWarning", "fit", "load", "model_of", "usual_mode"]
