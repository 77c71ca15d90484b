"""A backbone with gradients: the same hidden states, gradients of every weight, and back to a usual
backbone.
"""

from __future__ import annotations

import contextlib
import copy
import warnings

import numpy as np
import pytest
import torch
import transformers
from tiny_models import TINY_NAMES
from torch import nn

from probing.backbones import (
    BackboneUnsupported,
    ClipUnusable,
    load_backbone,
    recomputing,
    trainable,
)
from probing.backbones.attention_gradients import TILE
from probing.backbones.layers import relative_differences
from probing.backbones.products import LearningLinear

WAVLM = ("wavlm", "wavlm-group")
SOME = [
    *WAVLM,
    "hubert",
    "data2vec-audio",
    "wav2vec2-conformer",
    "sew-d",
    "wav2vec2-bert",
    "whisper",
    "moonshine",
]
TOLERANCE = 1e-4  # of the largest gradient of a weight


def clips_for(backbone, speech):
    return speech[:3] if backbone.padding == "exact" else [clip[:9_613] for clip in speech[:2]]


def loss_of(states):
    """A number that depends on every layer and every valid frame, with other weights on each."""
    total = torch.zeros(())
    for k, layer in enumerate(states.layers):
        weights = torch.linspace(-1, 1, layer.shape[2]) + 0.1 * k
        for row, n in enumerate(states.n_frames):
            total = total + (layer[row, :n] * weights).tanh().mean() * (row + 1)
    return total


def gradients(model, clips):
    model.zero_grad()
    loss_of(model(clips)).backward()
    return {
        name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None
    }


def worst(found, expected) -> float:
    """Largest difference of a gradient over the largest value of that weight's.

    The bias of the keys moves all scores of a query alike, so that its gradient is 0 but for
    rounding: the scale of a weight is at least a thousandth of the largest.
    """
    assert found.keys() == expected.keys()
    scales = {key: float(gradient.abs().max()) for key, gradient in expected.items()}
    floor = 1e-3 * max(scales.values())
    return max(
        float((found[key] - expected[key]).abs().max()) / max(scales[key], floor)
        for key in expected
    )


@pytest.mark.parametrize("name", TINY_NAMES)
def test_hidden_states_and_names_are_those_of_the_backbone(name, loaded_tiny, speech):
    backbone = loaded_tiny(name).truncate(2)
    model = backbone.trainable()
    clips = clips_for(backbone, speech)
    assert max(relative_differences(model(clips), backbone.hidden_states(clips))) < 5e-5
    assert [n for n, _ in model.named_parameters()] == [
        n for n, _ in backbone._encoder.named_parameters()
    ]
    assert model.state_dict().keys() == backbone._encoder.state_dict().keys()
    assert not any(weight.requires_grad for weight in model.parameters())
    assert not model(clips).layers[-1].requires_grad
    assert (model.n_layers, model.dim, model.n_frames(16000)) == (
        2,
        backbone.dim,
        backbone.n_frames(16000),
    )


@pytest.mark.parametrize("name", SOME)
def test_every_weight_of_every_block_has_a_gradient_and_blocks_can_be_chosen(
    name, loaded_tiny, speech
):
    backbone = loaded_tiny(name)
    model = backbone.trainable(checkpointing=True)
    model.blocks[-1].requires_grad_(True)
    clips = clips_for(backbone, speech)
    last = gradients(model, clips)
    assert last.keys() == {n for n, weight in model.named_parameters() if weight.requires_grad}
    model.requires_grad_(True)
    model.checkpointing = False
    every = gradients(model, clips)
    assert all(torch.isfinite(gradient).all() for gradient in every.values())
    blocks = {
        f"{path}.{n}"
        for path, module in model.named_modules()
        if module is model.blocks
        for n, _ in model.blocks.named_parameters()
    }
    assert blocks <= every.keys()
    assert worst(last, {key: every[key] for key in last}) < TOLERANCE
    front = list(model.front_end.parameters())
    assert len(front) > 0 or name == "wav2vec2-bert"
    model.front_end.requires_grad_(False)
    without = gradients(model, clips)
    assert len(without) < len(every) or not front
    assert worst(without, {key: every[key] for key in without}) < TOLERANCE


@pytest.mark.parametrize("clipping", [slice(1), slice(4)])
@pytest.mark.parametrize("name", WAVLM)
def test_gradients_of_wavlm_are_those_of_transformers(name, clipping, tiny, loaded_tiny, speech):
    backbone = loaded_tiny(name)
    # group norm: no mask
    clips = speech[clipping] if name == "wavlm" else [clip[:9_613] for clip in speech[clipping]]
    stock = transformers.AutoModel.from_pretrained(tiny(name)).eval()
    layers = []
    hooks = [
        block.register_forward_hook(lambda _, __, output: layers.append(output[0]))
        for block in stock.encoder.layers
    ]
    stock.encoder.layers[0].register_forward_pre_hook(lambda _, args: layers.insert(0, args[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stock(**backbone._input(clips, backbone.device))
    states = backbone.hidden_states(clips)
    loss_of(type(states)(layers, states.n_frames)).backward()
    assert len(hooks) == 3
    expected = {n: weight.grad for n, weight in stock.named_parameters() if weight.grad is not None}
    for checkpointing in (False, True):
        model = backbone.trainable(checkpointing=checkpointing).requires_grad_(True)
        found = gradients(model, clips)
        assert any("rel_attn_embed" in key for key in found)
        assert worst(found, expected) < TOLERANCE


@pytest.mark.parametrize("tile", [1, 2**12, 2**30])
def test_gradients_do_not_depend_on_how_many_heads_and_clips_are_computed_at_a_time(
    tile, tiny, speech, monkeypatch
):
    model = load_backbone(str(tiny("wavlm"))).trainable().requires_grad_(True)
    expected = gradients(model, speech[:3])
    monkeypatch.setitem(TILE, "cpu", tile)
    assert worst(gradients(model, speech[:3]), expected) < TOLERANCE


@pytest.mark.parametrize(
    "trained", [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_learning_product_has_the_gradients_of_a_linear_layer(trained):
    generator = torch.Generator().manual_seed(0)
    linear, x = nn.Linear(32, 7), torch.randn(4, 6, 32, generator=generator)
    found = []
    for kind in (nn.Linear, LearningLinear):
        linear.__class__ = kind
        given = [
            tensor.detach().requires_grad_(on)
            for tensor, on in zip((x, *linear.parameters()), trained, strict=True)
        ]
        linear.weight, linear.bias = (
            nn.Parameter(t, requires_grad=t.requires_grad) for t in given[1:]
        )
        product = linear(given[0])
        product.sin().sum().backward()
        found.append([product.detach(), given[0].grad, linear.weight.grad, linear.bias.grad])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected)


def test_norms_activations_and_attention_weights_are_not_kept_for_the_backward_pass(
    loaded_tiny, speech
):
    """What a step keeps of a clip, counted as storages that its graph alone holds."""
    backbone = loaded_tiny("wavlm")
    model = backbone.trainable()
    model.blocks.requires_grad_(True)
    kept: dict[str, int] = {}
    for what, blocks in (("lean", model.blocks), ("plain", nn.ModuleList())):
        sizes: dict[int, int] = {}
        real = torch.autograd.graph.saved_tensors_hooks

        class Counting(real):  # around the hooks of `recomputing`, which it calls
            def __init__(self, pack, unpack, sizes=sizes):
                def count(tensor):
                    packed = pack(tensor)
                    for part in packed if isinstance(packed, tuple) else (packed,):
                        if isinstance(part, torch.Tensor):
                            sizes[part.data_ptr()] = part.numel()
                    return packed

                super().__init__(count, unpack)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recomputing, "saved_tensors_hooks", Counting)
            with recomputing.recomputing(blocks):
                patch.setattr(trainable, "recomputing", lambda _: contextlib.nullcontext())
                states = model(speech[3:])
        kept[what] = sum(sizes.values())
        n, width = states.n_frames[0], backbone.dim
        scores = n * n * backbone._config.num_attention_heads
        assert list(sizes.values()).count(scores) <= 1  # the position bias, one for all blocks
    # In each of three blocks two norms of D values a frame, and a GELU of 2 D.
    assert kept["plain"] - kept["lean"] == 3 * 4 * width * n


@pytest.mark.parametrize("name", ["wavlm", "whisper"])
def test_in_16_bits_layers_and_gradients_stay_near_those_of_float32(name, loaded_tiny, speech):
    backbone = loaded_tiny(name)
    model = backbone.trainable().requires_grad_(True)
    exact = gradients(model, speech[:2])
    with torch.autocast("cpu", torch.bfloat16):
        states = model(speech[:2])
    model.zero_grad()
    loss_of(states).backward()
    expected = backbone.hidden_states(speech[:2])
    for layer, other in zip(states.layers, expected.layers, strict=True):
        assert layer.dtype == torch.float32
        differences = [
            (layer[i, :n] - other[i, :n]).detach() for i, n in enumerate(expected.n_frames)
        ]
        assert (
            float(torch.cat(differences).square().mean().sqrt() / other.square().mean().sqrt())
            < 0.05
        )
    weight = dict(model.named_parameters())
    near = [
        torch.cosine_similarity(weight[key].grad.flatten(), exact[key].flatten(), 0)
        for key in exact
        if key.endswith("_proj.weight")
    ]
    assert min(near) > 0.9


def test_the_copy_is_its_own(loaded_tiny, speech):
    backbone = loaded_tiny("wavlm")
    before = backbone.hidden_states(speech[:1]).layers
    model = backbone.trainable()
    other = copy.deepcopy(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(0.5)
    assert all(
        torch.equal(a, b)
        for a, b in zip(before, backbone.hidden_states(speech[:1]).layers, strict=True)
    )
    assert max(relative_differences(other(speech[:1]), backbone.hidden_states(speech[:1]))) < 5e-5
    assert max(relative_differences(model(speech[:1]), backbone.hidden_states(speech[:1]))) > 0.01


@pytest.mark.parametrize("name", SOME)
def test_what_was_published_of_dropout_is_off_unless_asked_for(name, loaded_tiny, speech):
    backbone = loaded_tiny(name)
    clips = clips_for(backbone, speech)
    model = backbone.trainable().train()
    assert model.regularization == {}
    assert max(relative_differences(model(clips), backbone.hidden_states(clips))) < 5e-5
    noisy = backbone.trainable(dropout=True, layerdrop=True)
    published = backbone._config.to_dict()
    assert noisy.regularization == {key: published[key] for key in noisy.regularization}
    torch.manual_seed(0)
    first = noisy(clips)
    torch.manual_seed(0)
    again = noisy(clips)
    assert len(first.layers) == backbone.n_layers + 1
    assert all(torch.equal(a, b) for a, b in zip(first.layers, again.layers, strict=True))
    changed = max(relative_differences(first, backbone.hidden_states(clips))) > 1e-3
    assert changed == any(noisy.regularization.values())
    noisy.eval()
    assert max(relative_differences(noisy(clips), backbone.hidden_states(clips))) < 5e-5


def test_a_block_left_out_gives_its_input_and_the_count_of_layers_stays(loaded_tiny, speech):
    model = loaded_tiny("wavlm").trainable(layerdrop=True)
    assert model.regularization == {"layerdrop": 0.5}
    torch.manual_seed(0)
    passes = [model(speech[:1]).layers for _ in range(20)]
    same = [torch.equal(layers[k], layers[k + 1]) for layers in passes for k in range(3)]
    assert 15 < sum(same) < 45


def test_masking_is_that_of_the_config_and_follows_the_seed_of_torch(loaded_tiny, speech):
    backbone = loaded_tiny("wavlm")
    model = backbone.trainable(masking=True)
    assert model.regularization == {"mask_time_prob": 0.05, "mask_feature_prob": 0.0}
    np.random.seed(3)
    drawn = np.random.random()
    np.random.seed(3)
    torch.manual_seed(1)
    first = model(speech[:2]).layers[0]
    torch.manual_seed(1)
    assert torch.equal(first, model(speech[:2]).layers[0])
    assert not torch.equal(first, model(speech[:2]).layers[0])
    assert np.random.random() == drawn
    with pytest.raises(ClipUnusable, match=r"2 frames, and the published config masks 10"):
        model([speech[0][:900]])
    assert model.eval()([speech[0][:900]]).n_frames == [2]


@pytest.mark.parametrize(
    "name", ["wavlm", "hubert-group", "data2vec-audio", "whisper", "moonshine"]
)
def test_frozen_again_it_is_a_usual_backbone_with_the_new_weights(
    name, loaded_tiny, speech, tmp_path
):
    backbone = loaded_tiny(name).truncate(2)
    model = backbone.trainable()
    same = model.frozen()
    assert same.fingerprint() == backbone.fingerprint()
    assert same.name == backbone.name
    assert (
        max(
            relative_differences(same.hidden_states(speech[:1]), backbone.hidden_states(speech[:1]))
        )
        < 1e-5
    )
    with torch.no_grad():
        for weight in model.blocks[1].parameters():
            weight.add_(0.05)
    tuned = model.frozen()
    assert tuned.attention == backbone.attention
    assert tuned.name == f"{backbone.name}, tuned"
    assert tuned.fingerprint()["weights_sha256"] != backbone.fingerprint()["weights_sha256"]
    assert (
        max(relative_differences(tuned.hidden_states(speech[:1]), model.eval()(speech[:1]))) < 5e-5
    )
    assert (
        max(
            relative_differences(
                tuned.hidden_states(speech[:1]), backbone.hidden_states(speech[:1])
            )
        )
        > 1e-3
    )
    loaded = load_backbone(str(tuned.save(tmp_path / "tuned")))
    assert loaded.fingerprint() == tuned.fingerprint()
    assert loaded._config.to_dict().get("layerdrop") == backbone._config.to_dict().get("layerdrop")
    model.requires_grad_(True)
    assert gradients(model, speech[:1])  # and training goes on


def test_trained_random_weights_are_no_longer_random(tiny, tmp_path):
    backbone = load_backbone(f"random:{tiny('hubert')}")
    model = backbone.trainable()
    assert model.frozen().random
    with torch.no_grad():
        model.blocks[0].final_layer_norm.bias.add_(1.0)
    tuned = model.frozen()
    assert not tuned.random
    assert tuned.name == f"{tiny('hubert').name}, tuned"
    assert load_backbone(str(tuned.save(tmp_path / "tuned"))).fingerprint() == tuned.fingerprint()


def test_a_batch_norm_keeps_its_statistics(loaded_tiny, speech):
    model = loaded_tiny("wav2vec2-conformer").trainable(dropout=True)
    before = {name: value.clone() for name, value in model.named_buffers()}
    model.requires_grad_(True)
    gradients(model, [clip[:9_613] for clip in speech])
    assert all(torch.equal(before[name], value) for name, value in model.named_buffers())


class LowRank(nn.Module):
    """An adapter by hand, as LoRA is: W x + B A x, with B not zero."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.sin(torch.arange(2.0 * base.in_features)).view(2, -1) / 2)
        self.up = nn.Parameter(torch.linspace(-0.5, 0.5, base.out_features * 2).view(-1, 2))

    def forward(self, x):
        return self.base(x) + x @ self.down.T @ self.up.T


PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj", "intermediate_dense", "output_dense")


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_an_adapter_on_any_projection_changes_the_layers_and_is_trained(
    projection, loaded_tiny, speech
):
    backbone = loaded_tiny("wavlm")
    model = backbone.trainable()
    owner = model.blocks[1].attention if "proj" in projection else model.blocks[1].feed_forward
    base = getattr(owner, projection)
    adapter = LowRank(base)
    setattr(owner, projection, adapter)
    states = model(speech[:1])
    differences = relative_differences(states, backbone.hidden_states(speech[:1]))
    assert max(differences[:2]) < 5e-5
    assert differences[2] > 1e-2
    found = gradients(model, speech[:1])
    assert len(found) == 2
    assert all(gradient.abs().max() > 0 for gradient in found.values())
    with pytest.raises(
        BackboneUnsupported, match=r"has other weights than the published model .*Merge it first"
    ):
        model.frozen()
    setattr(owner, projection, base)
    with torch.no_grad():
        base.weight += adapter.up @ adapter.down
    merged = model.frozen().hidden_states(speech[:1])
    assert max(relative_differences(merged, states)) < 5e-5


def test_adapters_of_peft_are_trained_and_merged(loaded_tiny, speech):
    peft = pytest.importorskip("peft")
    backbone = loaded_tiny("wavlm").truncate(2)
    model = backbone.trainable(checkpointing=True)
    settings = peft.LoraConfig(
        r=2, target_modules=list(PROJECTIONS), init_lora_weights=False, lora_dropout=0.5
    )
    tuner = peft.tuners.lora.LoraModel(model, settings, "default")
    found = gradients(model, speech[:2])
    assert len(found) == 2 * 2 * len(PROJECTIONS)
    assert all("lora" in key and gradient.abs().max() > 0 for key, gradient in found.items())
    # dropout of the adapter
    assert not torch.equal(model(speech[:1]).layers[-1], model(speech[:1]).layers[-1])
    states = model.eval()(speech[:1])
    assert relative_differences(states, backbone.hidden_states(speech[:1]))[-1] > 1e-2
    assert tuner.merge_and_unload() is model
    assert max(relative_differences(model.frozen().hidden_states(speech[:1]), states)) < 5e-5


def test_acoustic_features_have_nothing_to_train():
    with pytest.raises(BackboneUnsupported, match="log-mel has no weights to train"):
        load_backbone("log-mel").trainable()
