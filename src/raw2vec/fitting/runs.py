"""A run's own folder, `OUT.training`: made, kept as long as there is something in it to go on with, and let go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from raw2vec.bundle import found, read_json
from raw2vec.disk import alone, room, settled, writing
from raw2vec.errors import BadInput
from raw2vec.recipe import Recipe
from raw2vec.resolve import resolve
from raw2vec.train.distributed import Group, open_group
from raw2vec.train.origin import difference
from raw2vec.train.prepare import CHECKPOINT, PREPARED


@contextmanager
def begun(out: Path | None, resume: bool, worth: Sequence[str] = (PREPARED,)) -> Iterator[Path]:
    """The folder that a fit works in: `OUT.training`, or one in passing. It goes when the block ends well.

    Where the block fails, it stays if there is something in it to resume: a checkpoint, what was there already, or,
    of a run that was stopped, one of the files that are `worth` it: the data made ready. Unwritable, with what is kept,
    for a disk that is full. Of several processes the first makes it and lets it go, when all are done.
    """
    open_group()
    group = Group()
    if not group.leads:
        yield Path(group.path(""))
        return group.wait()
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory())) / "model" if out is None else settled(out)
        work = place.with_name(place.name + ".training")

        def started() -> bool:
            return any((work / name).exists() for name in worth)

        older = resume and started()

        def kept() -> str:
            if (work / CHECKPOINT).exists():
                return "The last checkpoint is kept"
            return "What there was before is kept" if older else ""

        stack.enter_context(writing(place, kept))
        stack.enter_context(room(work))
        stack.enter_context(alone(place))
        try:
            yield Path(group.path(str(work)))
            group.wait()
        except BaseException as error:
            stopped = not isinstance(error, Exception) and started()
            if not (older or stopped or (work / CHECKPOINT).exists()):
                shutil.rmtree(work, ignore_errors=True)
            raise
        shutil.rmtree(work, ignore_errors=True)


def finished(out: Path, recipe: Recipe, data: str) -> bool:
    """Whether a run to be resumed is at its end: `out` is its model, and no later run has been begun beside it.

    BadInput where the model is of another recipe or of other data (`data` is their fingerprint).
    """
    out = settled(out)
    place = found(out)
    if not (place / "recipe.json").exists() or (out.with_name(out.name + ".training") / PREPARED).exists():
        return False
    held = {"recipe": read_json(place / "recipe.json"), "data": read_json(place / "report.json").get("data")}
    asked = {"recipe": json.loads(resolve(recipe).json_text()), "data": data}
    if held != asked:
        told = difference(held, asked)
        raise BadInput(f"The model in {out} {told}; run without --resume to replace it, or give another --out.")
    return True
