"""The recurrence of many LSTMs at once, against one torch.nn.LSTM a model and utterance."""

import pytest
import torch
from torch import Tensor, nn

from probing.heads.recurrence import Packing
from probing.heads.stack import HeadStack, Model

DIM, LENGTHS = 5, (3, 9, 1, 9, 6)


def batch(dtype: torch.dtype, n_layers: int = 4) -> tuple[Tensor, Tensor]:
    """Utterances of several lengths, and their mask."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(
        len(LENGTHS), n_layers, max(LENGTHS), DIM, generator=generator, dtype=torch.float64
    )
    return x.to(dtype), torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]


def stack_of(merge: str, dtype: torch.dtype, n_layers: int = 4) -> HeadStack:
    depths = [n_layers] * 3 if merge == "attentive" else [1, 3, 4]
    stack = HeadStack(
        [Model(merge, "lstm", depth) for depth in depths], n_layers, DIM, True, rank=3
    ).to(dtype)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in stack.parameters():
            scale = min(0.5, value[0, ..., 0].numel() ** -0.5) if value.ndim > 2 else 0.5
            value.copy_(scale * torch.randn(value.shape, generator=generator, dtype=torch.float64))
    return stack


def one_by_one(stack: HeadStack, x: Tensor, mask: Tensor) -> Tensor:
    """Logits (M, B, 2) by PyTorch's LSTM; utterances and models take turns."""
    backend = stack.backend
    logits = []
    lengths = mask.sum(dim=1).tolist()
    for m in range(len(stack.models)):
        lstm = nn.LSTM(DIM, 192, dtype=x.dtype)
        parameters = {
            "weight_ih_l0": backend.input[m].T,
            "weight_hh_l0": backend.hidden[m].T,
            "bias_ih_l0": backend.input_bias[m],
            "bias_hh_l0": backend.hidden_bias[m],
        }
        for i, length in enumerate(lengths):
            merged = stack.merge(x[i : i + 1, :, :length])[m, 0]
            outputs, _ = torch.func.functional_call(lstm, parameters, (merged,))
            logits.append(outputs.mean(dim=0) @ backend.weight[m] + backend.bias[m])
    return torch.stack(logits).view(len(stack.models), len(LENGTHS), 2)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize(
    ("merge", "n_layers"),
    [("weighted-sum", 4), ("sls", 4), ("attentive-compact", 4), ("attentive", 4), ("attentive", 9)],
)
def test_logits_and_gradients_are_those_of_pytorch(
    merge: str, n_layers: int, dtype: torch.dtype, tolerance: float
) -> None:
    found = []
    for way in (HeadStack.__call__, one_by_one):
        stack = stack_of(merge, dtype, n_layers)
        x, mask = batch(dtype, n_layers)
        logits = way(stack, x, mask)
        logits.square().sum().backward()
        found.append(
            {
                "logits": logits.detach(),
                **{name: value.grad for name, value in stack.named_parameters()},
            }
        )
    for name, value in found[1].items():
        largest = float(value.abs().max())
        assert torch.allclose(found[0][name], value, rtol=tolerance, atol=tolerance * largest), name


def test_a_packing_is_frame_by_frame_with_the_longest_utterances_first() -> None:
    x, mask = batch(torch.float32)
    packing = Packing.of(x, mask)
    assert packing.order.tolist() == [1, 3, 4, 0, 2]
    assert packing.counts == (5, 4, 4, 3, 3, 3, 2, 2, 2)
    packed = packing.pack(x.transpose(0, 1))
    expected = [x[i, :, t] for t in range(9) for i in packing.order.tolist() if t < LENGTHS[i]]
    assert torch.equal(packed, torch.stack(expected, dim=1))
    number = packing.spread(torch.arange(5.0).view(1, 5, 1))[0, :, 0].int().tolist()
    assert number == [i for t in range(9) for i in packing.order.tolist() if t < LENGTHS[i]]
    assert packing.unsorted(packing.lengths[None, :, None])[0, :, 0].tolist() == list(LENGTHS)


def test_an_utterance_does_not_depend_on_those_of_its_batch() -> None:
    stack = stack_of("weighted-sum", torch.float64)
    x, mask = batch(torch.float64)
    together = stack(x, mask)
    for i, length in enumerate(LENGTHS):
        alone = stack(x[i : i + 1, :, :length])
        assert torch.allclose(alone[:, 0], together[:, i], rtol=1e-12, atol=1e-12)
