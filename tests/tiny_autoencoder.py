"""Autoencoders so small that every answer is known by hand: an item's code is its mean and its first value."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from raw2vec.decoders import Decoder
from raw2vec.embedding import Embedding
from raw2vec.folder import Model
from raw2vec.latents import Gaussian, Latent, Point
from raw2vec.models import Embedder, GridAutoencoder
from raw2vec.ragged import Ragged
from raw2vec.raw import Form, Raw, Windows
from raw2vec.readout import Readout
from small import recipe

LOG_2PI = float(np.log(2 * np.pi))


class Arrays(Raw):
    """Pictures, uint8 (H, W), or strips of numbers, float32 (T,); strips longer than `room` become several windows."""

    def __init__(self, dimensions: int = 2, shape: tuple[int, ...] | None = None, room: int = 10**9, cut: bool = False):
        self.settings = {"rate": 8000}
        self.dimensions, self.shape, self.room, self.cut = dimensions, shape, room, cut

    @property
    def form(self) -> Form:
        return Form(channels=1, dimensions=self.dimensions, shape=self.shape, usual=(3, 5)[: self.dimensions])

    def windows(self, items: Sequence[Any]) -> Windows:
        whole = [torch.as_tensor(np.asarray(item)) for item in items]
        parts = [item.split(self.room)[: 1 if self.cut else None] for item in whole]
        owners = [place for place, part in enumerate(parts) for _ in part]
        ragged = Ragged.of([window[..., None] for part in parts for window in part], self.dimensions)
        tokens = torch.tensor([item.numel() for item in whole])
        kept = torch.tensor([sum(window.numel() for window in part) for part in parts])
        return Windows(ragged, torch.tensor(owners), tokens, tokens - kept)

    def restore(self, ragged: Ragged) -> list[Any]:
        return [item.squeeze(-1).numpy() for item in ragged.items()]

    def items(self, inputs: Any) -> tuple[list[Any], bool]:
        single = isinstance(inputs, np.ndarray) and inputs.ndim == self.dimensions
        return ([inputs], True) if single else (list(inputs), False)

    def column(self, batch: Any, name: str) -> list[Any]:
        kind = np.uint8 if self.dimensions == 2 else np.float32
        return [None if item is None else np.array(item, kind) for item in batch.column(name).to_pylist()]

    def learn(self, items: Iterable[Any]) -> None: ...

    def freeze(self, item: Any) -> Tensor:
        return torch.as_tensor(item)

    def thaw(self, tensor: Tensor) -> Any:
        return tensor.numpy()

    def identity(self) -> str:
        return ""

    def save(self, folder: str | Path) -> None: ...

    @classmethod
    def load(cls, folder: str | Path, settings: Mapping[str, Any]) -> Self:
        return cls()


class Values(Embedding):
    """Rows (N, 2): the row's own value, in 255ths for pixels, and its item's first one."""

    width = 2

    def forward(self, items: Ragged) -> Ragged:
        values = _numbers(items.values)
        return items.replace(torch.cat([values, items.spread(values[items.offsets[:-1]])], dim=1))

    def grids(self, shapes: Tensor) -> Tensor:
        return shapes


class Same(nn.Module):
    """An encoder that does nothing."""

    width = 2

    def forward(self, rows: Ragged) -> Ragged:
        return rows


def doubtful(deviation: float = 0.1) -> Gaussian:
    """The mean of the rows, known up to normal noise of one deviation."""
    latent = Gaussian(inputs=2, width=2)
    with torch.no_grad():
        latent.project.weight.copy_(torch.eye(4, 2))
        latent.project.bias[2:] = 10 * torch.tensor(2 * np.log(deviation) / 10).atanh()
    return latent


class Constant(Decoder):
    """The first number of the code everywhere, the second one in the first place."""

    def __init__(self) -> None:
        super().__init__(latent=2, width=1)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, codes: Tensor, shapes: Tensor, before: Ragged | None = None) -> Ragged:
        grid = Ragged.bare(shapes, codes.device)
        values = grid.spread(codes[:, :1]).index_copy(0, grid.offsets[:-1], codes[:, 1:])
        return grid.replace(values * self.scale)


class Unit(Readout):
    """Normal with deviation one about the states."""

    def __init__(self, pixels: bool):
        super().__init__()
        self.pixels = pixels

    def log_prob(self, states: Ragged, items: Ragged) -> Tensor:
        values = _numbers(items.values)
        nats = -0.5 * ((values - states.values).square() + LOG_2PI)
        return nats.masked_fill(values.isnan(), 0.0).sum(1)

    def mode(self, states: Ragged, shapes: Tensor) -> Ragged:
        if not self.pixels:
            return states
        return states.replace((states.values * 255).round().clamp(0, 255).to(torch.uint8))

    def sample(self, states: Ragged, shapes: Tensor, luck: Tensor) -> Ragged:
        return self.mode(states, shapes)


def parts(raw: Arrays | None = None, latent: Latent | None = None, kind: str = "image") -> Model:
    """A whole model: of pictures of any size unless said otherwise, its latent a point."""
    raw = raw or Arrays()
    embedder = Embedder(Values(), Same(), latent or Point(2))  # type: ignore[arg-type]
    model = GridAutoencoder(embedder, Constant(), Unit(pixels=raw.dimensions == 2))
    return Model(recipe().model_copy(update={"kind": kind}), raw, model.eval(), nn.ModuleDict())


def embedder_only() -> Model:
    """A model that has no way back."""
    whole = parts()
    whole.model = whole.model.embedder
    return whole


def pictures(*sizes: tuple[int, int], seed: int = 0) -> list[np.ndarray]:
    """Random pictures of these sizes."""
    draw = np.random.default_rng(seed)
    return [draw.integers(0, 256, size, dtype=np.uint8) for size in sizes]


def reconstructed(picture: np.ndarray) -> np.ndarray:
    """What the model must make of a picture: its mean everywhere, its first pixel in its place."""
    made = np.full_like(picture, np.round(picture.mean()))
    made.flat[0] = picture.flat[0]
    return made


def _numbers(values: Tensor) -> Tensor:
    return values.float() / 255 if values.dtype == torch.uint8 else values
