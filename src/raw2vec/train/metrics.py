"""metrics.jsonl: a line for every step and check of a run, written as they happen."""

import json
from pathlib import Path

from raw2vec.train.base import Progress


class Metrics:
    """A file that a fit writes to. A run that is resumed appends; what it does again then replaces the older line."""

    def __init__(self, path: Path, resume: bool):
        self.path = path
        self.file = open(path, "a" if resume else "w", encoding="utf-8", buffering=1)  # noqa: SIM115 - while it runs

    def add(self, progress: Progress) -> None:
        """One line: what a listener hears."""
        told = vars(progress) | {"scores": None} | progress.scores
        line = {name: value for name, value in told.items() if value not in (None, {})}
        self.file.write(json.dumps(line) + "\n")

    def close(self) -> str:
        """All of it, each step and each check once, in order."""
        self.file.close()
        found: dict[tuple[int, bool], str] = {}
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                held = json.loads(line)
            except ValueError:
                continue  # the line that a crash cut short
            found[held["step"], "held_out" in held] = line
        return "".join(f"{found[place]}\n" for place in sorted(found))
