"""Optimisers by name, each over all weights, with one learning rate to set."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.layers import LowRank
from raw2vec.models import Embedder
from raw2vec.settings import construct, known
from raw2vec.train.base import cut, placed


class Optimizer:
    """One or more of torch's optimisers stepping together."""

    def __init__(self, *optimizers: torch.optim.Optimizer):
        self.optimizers = [optimizer for optimizer in optimizers if optimizer.param_groups]

    def step(self, learning_rate: float) -> None:
        """One step at this rate; gradients are cleared."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * group.get("rate", 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """The whole state as named tensors, for a checkpoint."""
        return {
            f"{place}.{number}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
            for place, optimizer in enumerate(self.optimizers)
            for number, state in optimizer.state_dict()["state"].items()
            for name, value in state.items()
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The state that `tensors` gave."""
        for place, optimizer in enumerate(self.optimizers):
            whole = optimizer.state_dict()
            whole["state"] = {}
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            for key, value in tensors.items():
                at, number, name = key.split(".", 2)
                if int(at) == place:
                    whole["state"].setdefault(int(number), {})[name] = placed(value, weights[int(number)])
            optimizer.load_state_dict(whole)


def adamw(
    modules: Sequence[nn.Module],
    weight_decay: float = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.98,
    embedding_rate: float = 1.0,
    head_rate: float = 1.0,
    layer_decay: float = 1.0,
) -> Optimizer:
    """AdamW (Loshchilov & Hutter 2019), fused; matrices decay, vectors do not. embedding_rate: tables' own factor.

    head_rate: that of the objectives' heads, which follow the model in `modules` and, where it knows much already,
    have all to learn. layer_decay: the steps of an encoder's layer as a share of those of the layer above it; the last
    one's are this share of the heads', and the embedding comes below the first (Clark et al. 2020; Bao et al. 2022).
    """
    if not 0 < layer_decay <= 1:
        raise BadInput(f"Layer by layer, steps are a share above 0 and at most 1 (layer_decay), not {layer_decay:g}.")
    matrices, kernels, tables, vectors = _sorted(modules)
    vectors += kernels
    heads = {weight for head in modules[1:] for weight in head.parameters()} if head_rate != 1 else set()
    own, new = ([weight for weight in matrices if (weight in heads) == late] for late in (False, True))
    plain, late = ([weight for weight in vectors if (weight in heads) == late] for late in (False, True))
    groups = _paced(
        modules,
        layer_decay,
        (own, {"weight_decay": weight_decay}),
        (tables, {"weight_decay": weight_decay, "rate": embedding_rate}),
        (plain, {"weight_decay": 0.0}),
        (new, {"weight_decay": weight_decay, "rate": head_rate}),
        (late, {"weight_decay": 0.0, "rate": head_rate}),
    )
    return Optimizer(torch.optim.AdamW(groups, lr=0.0, betas=(beta1, beta2), fused=True))


def muon(
    modules: Sequence[nn.Module],
    weight_decay: float = 0.01,
    momentum: float = 0.95,
    embedding_rate: float = 1.0,
    iterations: int = 5,
) -> Optimizer:
    """Muon (Jordan et al. 2024) on the matrices, its updates scaled to AdamW's size; AdamW on everything else.

    A convolution's kernels are a matrix, a row for each feature that they give; those of one input each are none.
    iterations: of Newton and Schulz's, by which an update is made orthogonal; three learn less (docs/log.md).
    """
    matrices, kernels, tables, vectors = _sorted(modules)
    rest = _groups((tables, {"weight_decay": weight_decay, "rate": embedding_rate}), (vectors, {"weight_decay": 0.0}))
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, lr=0.0, betas=(0.9, 0.98), fused=True)]
    options: dict[str, Any] = {"lr": 0.0, "weight_decay": weight_decay, "momentum": momentum, "ns_steps": iterations}
    options["adjust_lr_fn"] = "match_rms_adamw"
    if matrices:
        optimizers.append(Muon(_paced(modules, 1.0, (matrices, {})), **options))
    if kernels:
        optimizers.append(Kernels(kernels, **options))
    return Optimizer(*optimizers)


_MUONS = ("lr", "weight_decay", "ns_coefficients", "eps", "ns_steps", "adjust_lr_fn")


class Muon(torch.optim.Muon):
    """Muon, also on matrices that are cut up over processes: an update is made orthogonal whole, in each of them."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if cut(weight) and weight.grad is not None:
                    self._move(weight, weight.grad, group)
                    weight.grad = None
        super().step()  # those that are whole

    def _move(self, weight: Any, grad: Tensor, group: dict[str, Any]) -> None:
        buffer = self.state[weight].setdefault("momentum_buffer", torch.zeros_like(grad))
        buffer.lerp_(grad, 1 - group["momentum"])
        update: Any = grad.lerp(buffer, group["momentum"])
        whole = nn.Parameter(weight.full_tensor())
        whole.grad = update.full_tensor()
        options = {name: value for name, value in group.items() if name in _MUONS}
        torch.optim.Muon([whole], momentum=0.0, nesterov=False, **options).step()  # the momentum is in it already
        weight.copy_(placed(whole.detach(), weight))


class Kernels(Muon):
    """Muon on kernels (out, in, …) as the matrices (out, in · …) that they are."""

    def __init__(self, kernels: list[nn.Parameter], **options: Any):
        self.kernels = kernels
        super().__init__([nn.Parameter(kernel.detach().flatten(1)) for kernel in kernels], **options)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        matrices = [matrix for group in self.param_groups for matrix in group["params"]]
        for kernel, matrix in zip(self.kernels, matrices, strict=True):
            matrix.data = kernel.detach().flatten(1)  # whatever has become of it since, an average say
            matrix.grad = None if kernel.grad is None else kernel.grad.flatten(1)
        super().step()
        for kernel, matrix in zip(self.kernels, matrices, strict=True):
            kernel.copy_(matrix.view_as(kernel))

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none)
        for kernel in self.kernels:
            kernel.grad = None


OPTIMIZERS = {"adamw": adamw, "muon": muon}


def optimizer(name: str, settings: dict[str, Any], modules: list[nn.Module]) -> Optimizer:
    """The optimiser by its name and settings, over the modules' weights that ask for gradients."""
    made: Optimizer = construct(
        known(OPTIMIZERS, name, "optimizer"), settings, f"The optimizer '{name}'", modules=modules
    )
    return made


def _sorted(modules: Iterable[nn.Module]) -> tuple[list[nn.Parameter], ...]:
    """Weights that ask for gradients: matrices of linear maps, kernels of convolutions, tables of embeddings (tied ones
    too), and all others, to which depthwise kernels belong."""
    found: tuple[list[nn.Parameter], ...] = ([], [], [], [])
    matrices, kernels, tables, vectors = found
    seen: set[nn.Parameter] = set()
    for module in (inner for outer in modules for inner in outer.modules()):
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad or parameter in seen:
                continue
            seen.add(parameter)
            if isinstance(module, nn.Embedding):
                tables.append(parameter)
            elif parameter.dim() == 2:
                matrices.append(parameter)
            elif parameter.dim() > 2 and _mixes(module):
                kernels.append(parameter)
            else:
                vectors.append(parameter)
    return found


def _mixes(module: nn.Module) -> bool:
    """Whether it is a convolution of several inputs that all count for every output."""
    return isinstance(module, nn.Conv1d | nn.Conv2d) and module.groups == 1 < module.in_channels


def _paced(
    modules: Sequence[nn.Module], decay: float, *groups: tuple[list[nn.Parameter], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The groups, parted where adapters and layers have a rate of their own."""
    paces = _paces(modules, decay)
    parted = []
    for parameters, options in groups:
        for weight in parameters:
            pace = paces.get(weight, 1.0)
            parted.append(([weight], options if pace == 1 else {**options, "rate": options.get("rate", 1.0) * pace}))
    return _groups(*parted)


def _paces(modules: Sequence[nn.Module], decay: float) -> dict[nn.Parameter, float]:
    """The factors of weights that have one: of adapters, and of each encoder's layers by how deep they are."""
    every = [inner for outer in modules for inner in outer.modules()]
    paces: dict[nn.Parameter, float] = {}
    for inner in every if decay < 1 else ():
        if isinstance(inner, Embedder):
            encoder, depth = inner.encoder, len(inner.encoder.layers)
            final = getattr(encoder, "final", None)
            last = [*final.parameters()] if isinstance(final, nn.Module) else []
            entry = dict.fromkeys([*inner.embedding.parameters(), *encoder.parameters()], decay ** (depth + 1))
            layers = [
                dict.fromkeys(layer.parameters(), decay ** (depth - place))
                for place, layer in enumerate(encoder.layers)
            ]
            for found in (entry, *layers, dict.fromkeys(last, 1.0)):
                paces |= found
    for inner in every:
        if isinstance(inner, LowRank):
            paces |= {weight: inner.rate * paces.get(weight, 1.0) for weight in (inner.down, inner.up)}
    return paces


def _groups(*groups: tuple[list[nn.Parameter], dict[str, Any]]) -> list[dict[str, Any]]:
    """As torch takes them; those of equal options are one, for each is a pass of its own."""
    found: dict[tuple[tuple[str, Any], ...], list[nn.Parameter]] = {}
    for parameters, options in groups:
        found.setdefault(tuple(options.items()), []).extend(parameters)
    return [{"params": parameters, **dict(options)} for options, parameters in found.items() if parameters]
