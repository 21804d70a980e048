"""The demo's questions answered by all-MiniLM-L6-v2 without any training: a pretrained peer on the very same split.

Needs sentence-transformers and the model's folder: `python -m benchmarks.minilm FOLDER`.
"""

import sys
from typing import Any

from sentence_transformers import SentenceTransformer

from raw2vec.demos.code import library, split
from raw2vec.evaluate import RETRIEVAL


def main(folder: str, seed: int = 0) -> None:
    """Prints MRR@10 and recall@10 on the demo's held-out functions."""
    asked, _ = split(library(), seed)
    model = SentenceTransformer(folder, device="cpu", local_files_only=True)

    def encode(texts: Any, role: str) -> Any:
        return model.encode(list(texts), show_progress_bar=False)

    found = RETRIEVAL.run(encode, {"input": asked["query"].to_pylist(), "target": asked["code"].to_pylist()}, seed)
    print(found.metrics, found.items)


if __name__ == "__main__":
    main(sys.argv[1])
