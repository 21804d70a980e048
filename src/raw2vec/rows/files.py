"""A folder of pictures, of sounds or of series as rows: one file each, its sub-folder's name being its label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa

from raw2vec.errors import BadInput
from raw2vec.rows.base import Rows

MEDIA = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"), "image"),
    **dict.fromkeys((".wav", ".flac", ".ogg", ".mp3"), "audio"),
}
"""What each suffix of a file that is an item by itself holds."""
SERIES = {".npy": "series"}
"""The same where series are asked for: an .npy file holds many things."""
_NAMES = {"image": "picture", "audio": "sound", "series": "series"}
_MARKS = {
    **dict.fromkeys((b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*"), "image"),
    **dict.fromkeys((b"fLaC", b"OggS", b"ID3"), "audio"),
}
"""How files begin that are items by themselves; those of RIFF say it a little later."""
_SAMPLED = 64  # files whose beginnings a fingerprint looks at
_BEGINNING = 1 << 16


def media_kind(path: Path) -> str | None:
    """'image' or 'audio' for a file whose suffix says so, else None."""
    return MEDIA.get(path.suffix.lower())


def content_kind(content: bytes) -> str | None:
    """'image' or 'audio' for a file whose first bytes say so, else None."""
    if content[:4] == b"RIFF":
        return {b"WEBP": "image", b"WAVE": "audio"}.get(content[8:12])
    return next((kind for mark, kind in _MARKS.items() if content.startswith(mark)), None)


class Files(Rows):
    """Items by their paths, sorted: the column 'path', and 'label' where the folder has sub-folders.

    The label is the name of the first folder on the way to the file, None for a file beside the folders. Paths begin as
    the folder was given. Nothing is opened here: a damaged file is found by who reads it. Hidden files are passed over.
    suffixes: which files are items, and what they hold.
    """

    names_at = "a folder of files"

    def __init__(self, folder: str | Path, files: Sequence[Path] | None = None, suffixes: Mapping[str, str] = MEDIA):
        self.folder, self.name = Path(folder), str(folder)
        found = _visible_files(self.folder) if files is None else list(files)
        kinds = {path: suffixes.get(path.suffix.lower()) for path in found}
        self.files = sorted(path for path, kind in kinds.items() if kind)
        counts = {kind: list(kinds.values()).count(kind) for kind in ("image", "audio")}
        if all(counts.values()):
            raise BadInput(
                f"{folder} holds {counts['image']} pictures and {counts['audio']} sounds: keep those of one kind, or "
                "name a folder with one."
            )
        self.kind = next(filter(None, kinds.values()), "image")
        no = f"no {_NAMES[self.kind]}"
        self.skipped = [f"{path.relative_to(self.folder)}: {no}" for path, kind in kinds.items() if kind is None]
        self._labels = [_label(path.relative_to(self.folder)) for path in self.files]
        self.columns = ["path", "label"] if any(self._labels) else ["path"]

    def batches(self, rows: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        names = list(self.columns if columns is None else columns)
        for start in range(0, len(self.files), rows):
            part = slice(start, start + rows)
            values = {"path": [str(path) for path in self.files[part]], "label": self._labels[part]}
            yield pa.RecordBatch.from_arrays([pa.array(values[name], pa.string()) for name in names], names=names)

    def where(self, row: int) -> str:
        return str(self.files[row]) if row < len(self.files) else f"{self.name}, past its end"

    def fingerprint(self) -> str:
        """Of every file's name and size, and of the first 64 kB of 64 files, evenly spaced."""
        digest = blake2b(digest_size=16)
        try:
            for place, path in enumerate(self.files):
                digest.update(repr((path.relative_to(self.folder).as_posix(), path.stat().st_size)).encode())
                if place % max(1, -(-len(self.files) // _SAMPLED)) == 0:
                    with open(path, "rb") as file:
                        digest.update(file.read(_BEGINNING))
        except OSError as error:
            raise BadInput(f"{error.filename} cannot be read: {error.strerror}.") from None
        return digest.hexdigest()


def _visible_files(folder: Path) -> list[Path]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def _label(path: Path) -> str | None:
    return path.parts[0] if len(path.parts) > 1 else None
