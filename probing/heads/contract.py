"""The contract of merges and back-ends: what a stack relies on, tried before any training."""

from __future__ import annotations

import torch
from torch import Tensor

from probing.registry import RegistryError, own_code

from .kinds import BACKENDS, MERGES, MergeKind, split_head
from .stack import HeadStack, Model

LENGTHS = (4, 2, 3)
N_LAYERS = 4
DIM = 6


def check_own(head: str, frames: bool) -> None:
    """Try a head whose merge or back-end is a user's on random layers of a few utterances.

    Args:
        head: MERGE+BACKEND.
        frames: whether it is to see every frame.

    Raises:
        RegistryError: it fails, or does not keep to what `merges.Merge` and `backends.BackEnd` say.
    """
    merge, backend = split_head(head)
    merge_kind = MERGES.find(merge)
    backend_kind = BACKENDS.find(backend)
    own = [merge_kind.path] if MERGES.is_own(merge_kind) else []
    own += [backend_kind.path] if BACKENDS.is_own(backend_kind) else []
    if not own:
        return
    if backend_kind.needs_frames and not frames:
        raise RegistryError(
            f"{backend_kind.path}: needs every frame, and the "
            "pooled tier has one vector an utterance"
        )
    with own_code(f"{' and '.join(own)}, tried on small layers"):
        fault = _fault(merge_kind, merge, backend, frames)
    if fault:
        raise RegistryError(f"{' and '.join(own)}: {fault}")


@torch.no_grad()
def _fault(kind: MergeKind, merge: str, backend: str, frames: bool) -> str:
    depths = [1, 3, N_LAYERS] if kind.depth_groups else [N_LAYERS] * 3
    models = [Model(merge, backend, depth, seed) for seed, depth in enumerate(depths)]
    stack, again = (HeadStack(models, N_LAYERS, DIM, frames) for _ in range(2))
    for made in (stack, again):
        made.start()
    for (name, value), other in zip(stack.learned().items(), again.learned().values(), strict=True):
        if value.ndim == 0 or len(value) != len(models):
            return (
                f"parameter {name} of shape {tuple(value.shape)}; "
                f"expected M = {len(models)} models first"
            )
        if not torch.equal(value, other):
            return (
                f"parameter {name} differs from one start to the "
                "next; draw it in start, by the generators"
            )
    named = [f"merge.{name}" for name in stack.merge_kind.decays]
    named += [f"backend.{name}" for name in stack.backend_kind.decays]
    unknown = set(named) - set(dict(stack.named_parameters()))
    if unknown:
        return f"decays names {', '.join(sorted(unknown))}, and there is no such parameter"
    generator = torch.Generator().manual_seed(0)
    for value in stack.parameters():
        # many would make scores that no tolerance fits
        n_inputs = value[0, ..., 0].numel() if value.ndim > 2 else 1
        value.copy_(min(0.5, n_inputs**-0.5) * torch.randn(value.shape, generator=generator))
    x, mask = _utterances(frames, generator)
    gates = stack.merge.gates(x, mask)
    expected: tuple[int, ...] = (len(models), len(x), N_LAYERS)
    if gates.shape != expected:
        return (
            f"gates of shape {tuple(gates.shape)}; expected "
            f"{expected}, of models, utterances, layers"
        )
    merged = stack.merge(x, mask)
    expected = (len(models), len(x), x.shape[2], DIM)
    if merged.shape != expected:
        return (
            f"merged layers of shape {tuple(merged.shape)}; expected "
            f"{expected}, of models, utterances, frames, dim"
        )
    tail = torch.randn(len(models), DIM, 2, generator=generator)
    if not torch.allclose(
        stack.merge(x, mask, tail), torch.einsum("mbtd,mdo->mbto", merged, tail), atol=1e-4
    ):
        return "merged layers behind a tail are not the merged layers times the tail"
    logits = stack(x, mask)
    if (
        logits.shape[:2] != (len(models), len(x))
        or logits.ndim != 3
        or logits.shape[2] not in (1, 2)
    ):
        return f"logits of shape {tuple(logits.shape)}; expected {(len(models), len(x))} and 1 or 2"
    return _leak(stack, x, mask)


def _leak(stack: HeadStack, x: Tensor, mask: Tensor | None) -> str:
    """What scores depend on that they must not."""
    scores = stack.score(x, mask)
    if not torch.isfinite(scores).all():
        return "scores that are not finite numbers"
    for m, model in enumerate(stack.models):
        above = x.clone()
        above[:, model.depth :] = 50.0
        if not torch.allclose(stack.score(above, mask)[m], scores[m], atol=1e-4):
            return (
                f"a model of depth {model.depth} is changed by the layers "
                "above; multiply its gates by self.seen"
            )
        alone = stack.take(m).score(x[:, : model.depth], mask)[0]
        if not torch.allclose(alone, scores[m], atol=1e-4):
            return (
                f"a model of depth {model.depth} alone scores otherwise than in a stack of several"
            )
    if mask is not None:
        after = torch.where(mask[:, None, :, None], x, torch.full_like(x, 50.0))
        if not torch.allclose(stack.score(after, mask), scores, atol=1e-4):
            return "scores are changed by frames after the end of an utterance; see the mask"
    stack.backend.shift(1.0)
    if not torch.allclose(stack.score(x, mask), scores + 1, atol=1e-4):
        return "its bias, added to the logits last, does not shift the score"
    return ""


def _utterances(frames: bool, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
    n_frames = max(LENGTHS) if frames else 1
    x = torch.randn(len(LENGTHS), N_LAYERS, n_frames, DIM, generator=generator)
    return x, torch.arange(n_frames) < torch.tensor(LENGTHS)[:, None] if frames else None
