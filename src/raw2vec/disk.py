"""Writing where there may be no room, no permission or another writer: whole or not at all, and one sentence when it
fails."""

import errno
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from raw2vec.braces import files
from raw2vec.errors import BadInput, Raw2VecError, Unwritable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FULL = (errno.ENOSPC, errno.EFBIG, *([errno.EDQUOT] if hasattr(errno, "EDQUOT") else []))
_RUST = re.compile(r"\(os error (\d+)\)")  # how safetensors and Lance pass on what the operating system said
_NUMPY = re.compile(r"\d+ requested and \d+ written")  # a file that took no more bytes
Kept = Callable[[], str]
"""What of the work is there to go on with, as the beginning of a sentence; '' where there is nothing."""


@contextmanager
def writing(place: Path, kept: Kept = lambda: "") -> Iterator[None]:
    """What stops a write within the block becomes Unwritable: `place`, the reason and what to do.

    `kept` is asked only then, and --resume is spoken of only where it tells of something. Of blocks within each other
    the outermost has the say: it knows what the user asked for. A file of another name that cannot be opened is one
    that was to be read: BadInput.
    """
    try:
        yield
    except Unwritable as error:
        origin = error.__cause__ or error
        raise unwritable(place, origin, kept()) from origin
    except Raw2VecError:
        raise
    except Exception as error:
        if cause(error) is None:
            raise
        if isinstance(error, OSError) and _elsewhere(error, place):
            raise BadInput(f"{error.filename} cannot be read: {error.strerror}.") from error
        raise unwritable(place, error, kept()) from error


def _elsewhere(error: OSError, place: Path) -> bool:
    """Whether it is about a file that neither lies in `place` nor has a name made of its: drafts and locks have."""
    if error.filename is None or error.errno not in (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.EISDIR):
        return False
    names = [part.removeprefix(".") for part in Path(os.fsdecode(error.filename)).parts]
    return not any(name == place.name or name.startswith(f"{place.name}.") for name in names)


def unwritable(place: Path, error: BaseException, kept: str = "") -> Unwritable:
    """The sentence for what stopped a write to `place`."""
    number = cause(error)
    full = number in _FULL
    told = f"{place} cannot be written: {os.strerror(number) if number else error}."
    if kept:
        return Unwritable(f"{told} {kept}: {'make room' if full else 'mend that'} and go on with --resume.")
    return Unwritable(f"{told} {'Make room, or name a place on another disk' if full else 'Name another place'}.")


def cause(error: BaseException) -> int | None:
    """The operating system's number for what stopped a write, however a library words it; None for anything else."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _RUST.search(str(error))
    if found:
        return int(found[1])
    return errno.ENOSPC if _NUMPY.search(str(error)) else None


def refuse_source(out: str | Path, *sources: object) -> None:
    """BadInput where `out` is a file that one of the sources is or, being a folder, holds: it would be lost."""
    place = Path(out)
    if not os.path.isfile(place):
        return
    for source in (file for name in sources if isinstance(name, str | Path) for file in files(name)):
        if os.path.exists(source):
            within = os.path.isdir(source) and Path(source).resolve() in place.resolve().parents
            if within or os.path.samefile(place, source):
                raise BadInput(f"{out} is what is read: it would be written over. Name another file with --out.")


@contextmanager
def room(place: Path) -> Iterator[None]:
    """The folder that `place` is to stand in, made with its parents where it lacks; what was made goes if all fails."""
    made = [folder for folder in place.absolute().parents if not os.path.exists(folder)]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # it was not made, or something is kept in it
                folder.rmdir()
        raise


@contextmanager
def drafts(*paths: Path) -> Iterator[None]:
    """Removes these files where the block fails, so that nothing half-written stays."""
    try:
        yield
    except Exception:
        for path in paths:
            with suppress(OSError):
                path.unlink()
        raise


def replace(path: Path, text: str, draft: Path) -> None:
    """Replaces a small file in one step by way of `draft`, on the disk for good by then: whatever happens, a reader
    finds the old one or the new one, whole."""
    with drafts(draft):
        with open(draft, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)


def to_disk(path: Path) -> None:
    """Has the disk hold a file, or the files of a folder and of those within it, for good before it takes its name."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with open(file, "rb+") as held:
                os.fsync(held.fileno())


def settled(out: Path) -> Path:
    """Where what is written to `out` is to lie: of a symbolic link, which stays, what it points to."""
    return out.resolve() if out.is_symlink() or out.name in ("", "..") else out


@contextmanager
def replacing(out: Path, folder: bool = False) -> Iterator[Path]:
    """A place to write to, which takes the name `out` in one step when the block ends well, or is removed.

    BadInput for a file that is to take the name of a folder.
    """
    out = settled(out)
    if out.is_dir() and not folder:
        raise BadInput(f"{out} is a folder, and a file is written: name one within it.")
    partial = out.with_name(f".{out.name}.partial-{uuid.uuid4().hex[:8]}")
    with writing(out), room(out):
        try:
            if folder:
                partial.mkdir()
            yield partial
            if not folder:  # many small ones, which can be made again
                to_disk(partial)
            os.replace(partial, out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            with suppress(OSError):
                partial.unlink()


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Holds the file's lock, waiting for it; the operating system lets go of it whatever way the process ends.

    Without `wait` BlockingIOError tells that another holds it.
    """
    while True:
        with path.open("ab") as file:
            _hold(file, wait)
            # The one who held it before may have removed it: then the file of this name is another, or none.
            if _is_at(file, path):
                yield
                return


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """A run that writes `out` for longer than a moment, and no other at once. BadInput where one is at it already."""
    path = out.with_name(f".{out.name}.lock")
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path, wait=False))
        except BlockingIOError:
            raise BadInput(f"Another run is writing {out}: wait for its end, or give another --out.") from None
        try:
            yield
        finally:
            with suppress(OSError):  # while it is held: whoever opens it from now on opens another
                path.unlink()


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _hold(file: BinaryIO, wait: bool) -> None:
    if sys.platform == "win32":
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except PermissionError:
            if wait:
                raise
            raise BlockingIOError from None
    else:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
