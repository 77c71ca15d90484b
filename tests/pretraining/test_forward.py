from __future__ import annotations

import torch
from torch import nn

from probing.provenance.pretraining.forward import front_end, hidden_states, strided_convolution
from probing.provenance.pretraining.run import Run, embedded_architecture
from probing.provenance.pretraining.training import new_model


def drawn(model):
    """Give every weight a value of its own, also those that begin at 0 or 1."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return model.eval()


@torch.inference_mode()
def test_every_hidden_state_is_that_of_the_stock_model(fresh: Run, speech: torch.Tensor):
    for model in (drawn(fresh.training.model), drawn(new_model(embedded_architecture()))):
        stock = model(speech, output_hidden_states=True)
        ours = hidden_states(model, speech)
        assert len(ours) == model.config.num_hidden_layers + 2
        for one, other in zip(ours[:-2], stock.hidden_states[:-1], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5 * float(other.abs().max()))
        torch.testing.assert_close(ours[-1], stock.last_hidden_state, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_masked_frames_are_those_of_the_stock_model(fresh: Run, speech: torch.Tensor):
    model = drawn(fresh.training.model)
    model.config.apply_spec_augment = True
    mask = torch.rand(2, 97, generator=torch.Generator().manual_seed(0)) < 0.5
    stock = model(speech, mask_time_indices=mask).last_hidden_state
    torch.testing.assert_close(hidden_states(model, speech, mask)[-1], stock, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(hidden_states(model, speech)[-1], stock, atol=1e-2)


def test_gradients_are_those_of_the_stock_model(fresh: Run, speech: torch.Tensor):
    model = drawn(fresh.training.model)
    model(speech).last_hidden_state.square().mean().backward()
    stock = {
        name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None
    }
    model.zero_grad()
    hidden_states(model, speech)[-1].square().mean().backward()
    for name, weight in model.named_parameters():
        if name in stock:
            torch.testing.assert_close(weight.grad, stock[name], rtol=1e-3, atol=1e-6, msg=name)


def test_the_front_end_gives_as_many_frames_at_every_length(fresh: Run, speech: torch.Tensor):
    for n in (400, 719, 720, 721, 5_000, 31_337):
        expected = fresh.training.model.feature_extractor(speech[:, :n]).transpose(1, 2)
        torch.testing.assert_close(
            front_end(fresh.training.model.feature_extractor, speech[:, :n]), expected
        )


def test_a_strided_convolution_is_the_convolution_for_every_kernel_and_stride(speech: torch.Tensor):
    state = speech[:, :600].reshape(2, 200, 3)
    for kernel, stride in ((10, 5), (3, 2), (2, 2), (4, 3), (1, 1), (2, 3)):
        conv = nn.Conv1d(3, 4, kernel, stride)
        expected = conv(state.transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(strided_convolution(state, conv), expected, rtol=1e-4, atol=1e-5)
