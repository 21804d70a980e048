"""An encoder of texts as a graph that other engines run: rectangles of ids and a mask in, vectors out.

Our own layers run over Ragged rows, which no exchange format knows. Here the same layers, with the very same weights,
see items side by side; padding is masked wherever items meet. What it does not know, `refusal` has to name.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize, scaled_dot_product_attention

from raw2vec.embedding import TokenEmbedding
from raw2vec.encoders import Dense, Transformer
from raw2vec.latents import Gaussian, Latent, Point
from raw2vec.layers import Learned, Rotary, SelfAttention, Sinusoidal, TransformerBlock
from raw2vec.layers.packed import exchanged
from raw2vec.layers.pooling import Pooling
from raw2vec.models import DualEncoder, Embedder
from raw2vec.raw import Raw, Text

_POOLED = ("mean", "first", "last", "max", "attention")
_NEVER = -30_000.0  # added to a score that is not to count: far enough, and a number in every precision


class Padded(nn.Module):
    """ids (B, T) and mask (B, T), 1 where there is a token, both int64, to vectors (B, L) float32."""

    def __init__(self, model: Embedder):
        super().__init__()
        assert isinstance(model.embedding, TokenEmbedding), "an embedder of texts"
        self.table = nn.Parameter(model.embedding.weight.detach(), requires_grad=False)
        self.encoder, self.latent = exchanged(model.encoder, _spelled), model.latent

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        present = mask.to(self.table.dtype)
        rows = embedding(ids, self.table)
        if isinstance(self.encoder, Dense):
            return _coded(self.latent, _bag(self.encoder, rows, present))
        assert isinstance(self.encoder, Transformer)
        states = _states(self.encoder, rows, present)
        return _coded(self.latent, _pooled(self.latent.pool, states, present))  # type: ignore[arg-type]


class _RMSNorm(nn.Module):
    """The same norm in sums and products, for formats that have no name for it."""

    def __init__(self, norm: nn.RMSNorm):
        super().__init__()
        self.weight, self.eps = norm.weight, norm.eps or 0.0

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(dim=-1, keepdim=True) + self.eps).rsqrt() * self.weight


def _spelled(part: nn.Module) -> nn.Module:
    return _RMSNorm(part) if isinstance(part, nn.RMSNorm) else part


def refusal(model: Embedder | DualEncoder, raw: Raw) -> str | None:
    """Why no graph can be made of the encoder, or None where one can."""
    if not isinstance(model, Embedder):
        return "it has an encoder for each side of a pair"
    if not isinstance(model.embedding, TokenEmbedding) or not isinstance(raw, Text):
        return "its data are no texts"
    if raw.separate:
        return "its two languages have a vocabulary each"
    if not isinstance(model.encoder, Transformer | Dense):
        return f"its encoder is {type(model.encoder).__name__.lower()}"
    if model.embedding.filled:
        return "its texts are filled up to one length (embedding.filled)"
    if model.encoder.class_tokens:
        return "class tokens stand before its texts (encoder.class_tokens)"
    if not isinstance(model.latent, Point | Gaussian):
        return f"its latent is {type(model.latent).__name__.lower()}"
    pooling = model.latent.pool.pooling
    return None if pooling in _POOLED else f"its latent.pooling is {pooling}"


def _states(encoder: Transformer, rows: Tensor, present: Tensor) -> Tensor:
    """The last states (B, T, D) of rows (B, T, inputs)."""
    places = torch.arange(rows.shape[1], device=rows.device)
    x = encoder.normalization(_placed(encoder.positions, encoder.project(rows), places))
    blocked = ((1 - present) * _NEVER)[:, None, None, :]
    if encoder.distances is not None:
        blocked = blocked + encoder.distances(rows.shape[1])
    if encoder.causal:
        blocked = blocked + (places > places[:, None]).float() * _NEVER
    rotations = {near: None if r is None else _rotation(r, places) for near, r in _rotary(encoder).items()}
    for layer, window in zip(encoder.layers, encoder.windows, strict=True):
        seen = blocked + _band(places, window) if window and not encoder.causal else blocked
        x = _block(layer, x, seen, rotations[window > 0])  # type: ignore[arg-type]
    last: Tensor = encoder.final(x)
    return last


def _block(block: TransformerBlock, x: Tensor, blocked: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
    if block.pre:
        x = x + _attended(block.attention, block.attention_norm(x), blocked, rotation)
        thought: Tensor = x + block.feed_forward(block.feed_forward_norm(x))
        return thought
    x = block.attention_norm(x + _attended(block.attention, x, blocked, rotation))
    normed: Tensor = block.feed_forward_norm(x + block.feed_forward(x))
    return normed


def _attended(attention: SelfAttention, x: Tensor, blocked: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
    query, key, value = attention.enter(x).unflatten(-1, (3, attention.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
    if rotation is not None:
        query, key = _turned(query, rotation), _turned(key, rotation)
    mixed = scaled_dot_product_attention(query, key, value, attn_mask=blocked)
    left: Tensor = attention.leave(mixed.transpose(1, 2).flatten(2))
    return left


def _placed(positions: nn.Module, rows: Tensor, places: Tensor) -> Tensor:
    if isinstance(positions, Learned):
        # A length that was rounded may go beyond the last place: what stands there is padding.
        return rows + embedding(places.clamp(max=positions.limit - 1), positions.table.weight)
    if isinstance(positions, Sinusoidal):
        angles = _angles(places, positions.width // 2, 10_000.0)
        return rows + positions.scale * torch.cat((angles.sin(), angles.cos()), dim=1)
    return rows


def _rotary(encoder: Transformer) -> dict[bool, Rotary | None]:
    return {False: encoder.global_rotary, True: encoder.local_rotary}


def _rotation(rotary: Rotary, places: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, W), the sines' first half negated, as layers.Rotation has them."""
    angles = _angles(places, rotary.width // 2, rotary.base)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=1), torch.cat((-sin, sin), dim=1)


def _turned(heads: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Queries or keys (B, H, T, W), turned."""
    near, far = heads.chunk(2, dim=-1)
    return heads * rotation[0] + torch.cat((far, near), dim=-1) * rotation[1]


def _angles(places: Tensor, pairs: int, base: float) -> Tensor:
    return places[:, None].float() / base ** (torch.arange(pairs, device=places.device).float() / pairs)


def _band(places: Tensor, window: int) -> Tensor:
    """What keeps rows from looking further than half a window, (T, T)."""
    return ((places[:, None] - places).abs() > window // 2).float() * _NEVER


def _bag(encoder: Dense, rows: Tensor, present: Tensor) -> Tensor:
    weights = present
    if encoder.places is not None:
        places = torch.arange(rows.shape[1], device=rows.device)
        weights = present * encoder.weights_at(places)
    x = (rows * weights[:, :, None]).sum(dim=1) / present.sum(dim=1, keepdim=True).clamp(min=1)
    for layer in encoder.layers:
        x = layer(x)
    return x


def _pooled(pool: Pooling, states: Tensor, present: Tensor) -> Tensor:
    """(B, T, D) to (B, D)."""
    kept = present[:, :, None]
    if pool.pooling == "first":
        return states[:, 0]
    if pool.pooling == "max":
        return (states + (1 - kept) * _NEVER).amax(dim=1)
    if pool.pooling == "last":
        later = torch.cat((present[:, 1:], torch.zeros_like(present[:, :1])), dim=1)
        return (states * (present - later)[:, :, None]).sum(dim=1)
    if pool.pooling == "attention":
        scores = (states * pool.query).sum(dim=-1) * pool.inputs**-0.5 + (1 - present) * _NEVER
        return (states * scores.softmax(dim=1)[:, :, None]).sum(dim=1)
    return (states * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)


def _coded(latent: Latent, pooled: Tensor) -> Tensor:
    """The code (B, L) of what was pooled."""
    if isinstance(latent, Gaussian):
        return latent.project(pooled)[:, : latent.width]
    assert isinstance(latent, Point)
    vector: Tensor = latent.activation(latent.project(pooled))
    return normalize(vector, dim=-1) if latent.normalize == "unit" else vector
