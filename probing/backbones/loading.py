"""From a model's name to a backbone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cache.errors import argument
from probing.devices import find_device

from .checkpoint import FEATURES, RANDOM, Checkpoint, check_spec, open_checkpoint
from .errors import BackboneUnsupported
from .families import FAMILIES, Family, FrameRule
from .inputs import SAMPLING_RATE, WaveformInput, input_of
from .library import first_line, import_transformers
from .packaged import EMBEDDED, hidden_folder

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .backbone import Backbone

ATTENTION = ("auto", "stock")


def load_backbone(
    spec: str = EMBEDDED,
    *,
    revision: str | None = None,
    device: str = "auto",
    seed: int = 0,
    normalize: str = "auto",
    attention: str = "auto",
    precision: str = "float32",
    fetch: bool = True,
) -> Backbone:
    """Load a speech encoder whose hidden layers can be read.

    Args:
        spec: `embedded` (a small pretrained WavLM) or `moonshine` (a speech recogniser's encoder,
            not self-supervised), which need no download; a hub id such as `microsoft/wavlm-large`,
            a local folder, or `random:` and one of these for the same architecture with random
            weights, a control; or `log-mel` or `lfcc`, acoustic features as a baseline.
        revision: branch, tag or commit on the hub; by default the latest.
        device: `auto` (a GPU if there is one), `cpu`, `cuda`, `cuda:1`, `mps`.
        seed: of the random weights, where there are any.
        normalize: `auto`, as the model's preprocessor config says; `on` or `off` to decide.
        attention: `auto`, the fastest that gives the same numbers: a fused kernel for WavLM,
            compared with the stock module on every hidden state before it is used; on a CPU
            channels last in convolutions with layer norms, compared too, and oneDNN for linear
            layers if it beats BLAS; `stock` for the modules of transformers as they are.
        precision: `float32`; `bf16` or `fp16`, products in 16 bits; `auto`, float32 on a CPU, and
            on a GPU 16 bits if no layer moves by more than 3 % of its root mean square.
        fetch: whether the hub may be asked for a model that was not downloaded before.

    Raises:
        BackboneMissing: no such model.
        BackboneUnsupported: not a speech encoder, or one whose layers cannot be read.
        CheckpointIncomplete: the checkpoint leaves an encoder weight unset.
        HubUnreachable: offline, and the model was not downloaded before.
        DeviceUnavailable: no such device.
        LibraryBroken: transformers does not import.

    >>> load_backbone("embedded", device="cpu").n_layers
    12
    """
    check_spec(spec, revision)
    import_transformers()
    from .backbone import Backbone
    from .front_end import use_fast_front_end
    from .precision import use_precision
    from .products import bound_primitives, use_fast_products
    from .weights import load_encoder, random_encoder

    if attention not in ATTENTION:
        raise BackboneUnsupported(
            f"{argument('attention', attention)}: expected "
            f"{' or '.join(ATTENTION)}. Leave it out for auto."
        )
    place = find_device(device)
    bound_primitives()
    if spec.removeprefix(RANDOM) in FEATURES:
        return _acoustic(spec, normalize, place)
    drawn = spec.startswith(RANDOM)
    checkpoint = open_checkpoint(
        spec.removeprefix(RANDOM), revision, weights=not drawn, fetch=fetch
    )
    family = _family(checkpoint)
    peculiar: dict[str, str | int] = {}
    if drawn:
        encoder = random_encoder(checkpoint, family, seed)
    else:
        encoder, peculiar = load_encoder(checkpoint, family)
    encoder.eval()
    blocks = _blocks(encoder, family, checkpoint)
    rule = family.frame_rule(checkpoint.config)
    audio_input = input_of(
        family,
        checkpoint.config,
        preprocessor=checkpoint.preprocessor,
        normalize=normalize,
        rule=rule,
        name=checkpoint.name,
    )
    if attention == "auto":
        use_fast_products(encoder, place)
        use_fast_front_end(encoder, place)
    backbone = Backbone(
        encoder,
        blocks,
        family=family,
        rule=rule or _measured(encoder, blocks, audio_input, checkpoint),
        audio_input=audio_input,
        name=f"random weights: {checkpoint.name}" if drawn else checkpoint.name,
        spec=spec,
        device=place,
        revision=checkpoint.revision,
        seed=seed if drawn else None,
        peculiar=peculiar,
    )
    if checkpoint.preprocessor is None and normalize == "auto" and family.front_end == "waveform":
        backbone.notes.append(
            f"{checkpoint.name} has no preprocessor_config.json: taken as its family is, "
            f"normalisation {audio_input.normalization}. If it was "
            "trained otherwise, set normalize to on or off"
        )
    backbone.notes += _notes(spec, checkpoint.name, len(blocks), peculiar.get("stored_blocks"))
    if attention == "auto" and family.model_type == "wavlm":
        from .attention import use_fused_attention

        backbone.attention = "fused" if use_fused_attention(backbone) else "stock"
    backbone.precision_note = use_precision(backbone, precision)
    return backbone


def _notes(spec: str, name: str, n_blocks: int, n_stored: str | int | None) -> list[str]:
    """Sentences on a model that a folder has the name of, and on blocks that are not used."""
    notes = []
    if folder := hidden_folder(spec.removeprefix(RANDOM)):
        prefix = RANDOM if spec.startswith(RANDOM) else ""
        advice = f"for the one in the folder of that name type {prefix}{folder}"
        notes.append(f"{spec} is the model in the package; {advice}")
    if n_stored:
        notes.append(f"{name}: config.json counts {n_blocks} blocks of {n_stored} that are stored")
    return notes


def _acoustic(spec: str, normalize: str, device: torch.device) -> Backbone:
    from .acoustic import acoustic_backbone

    if spec.startswith(RANDOM):
        raise BackboneUnsupported(
            f"{spec}: {spec.removeprefix(RANDOM)} has no weights to draw. Type it without random:"
        )
    if normalize == "on":
        raise BackboneUnsupported(
            f"{spec}: computed from the waveform as it is. Leave normalize at 'auto'."
        )
    return acoustic_backbone(spec, device)


def _family(checkpoint: Checkpoint) -> Family:
    """Find the family of a model; an unknown one must take a waveform, by its preprocessor."""
    model_type = checkpoint.config.model_type
    if model_type in FAMILIES:
        return FAMILIES[model_type]
    extractor = (checkpoint.preprocessor or {}).get("feature_extractor_type")
    if extractor != "Wav2Vec2FeatureExtractor":
        found = (
            f"a preprocessor of type {extractor}"
            if extractor
            else "no preprocessor config for audio"
        )
        raise BackboneUnsupported(
            f"{checkpoint.name} is not a speech encoder this project can read: model_type "
            f"{model_type!r} with {found}; expected one of {', '.join(sorted(FAMILIES))}, or a "
            "preprocessor_config.json that asks for a waveform (Wav2Vec2FeatureExtractor). "
            "Choose another model, such as microsoft/wavlm-base."
        )
    return Family(model_type, model_type, padding="equal", blocks="", frames=None)


def _blocks(encoder: nn.Module, family: Family, checkpoint: Checkpoint) -> nn.ModuleList:
    """Find the transformer blocks, by the family, or by the number of them in the config.

    In an unknown model they are the only list of as many modules as the config counts.
    """
    from torch import nn

    if family.blocks:
        found: nn.ModuleList = family.blocks_of(encoder)
        return found
    expected = getattr(encoder.config, "num_hidden_layers", None)
    candidates = [
        module
        for module in encoder.modules()
        if isinstance(module, nn.ModuleList) and len(module) == expected
    ]
    taken = getattr(encoder, "main_input_name", None)
    if taken != "input_values":
        raise BackboneUnsupported(
            f"{checkpoint.name} ({family.model_type}) is not of a known family, and its encoder "
            f"takes {taken}; expected one that takes a waveform, "
            "input_values. Choose another model."
        )
    if len(candidates) != 1:
        raise BackboneUnsupported(
            f"{checkpoint.name} ({family.model_type}) is not of a known family, and "
            f"{len(candidates)} of its module lists have the {expected} blocks that its config "
            "counts; expected one. Choose another model."
        )
    return candidates[0]


def _measured(
    encoder: nn.Module, blocks: nn.ModuleList, audio_input: Any, checkpoint: Checkpoint
) -> FrameRule:
    """Measure the frame rule of an unknown model's front end."""
    import numpy as np
    import torch

    from .layers import frames_entering, measured_frame_rule

    assert isinstance(audio_input, WaveformInput)

    def n_frames(n_samples: int, strict: bool = False) -> int:
        clip = np.random.default_rng(0).normal(0, 0.05, n_samples).astype(np.float32)
        inputs = audio_input([clip], torch.device("cpu"))
        forward: Callable[[], Any] = lambda: encoder(**inputs)  # noqa: E731
        with torch.inference_mode():
            return frames_entering(blocks[0], forward, strict)

    try:
        n_frames(SAMPLING_RATE, strict=True)
        rule = measured_frame_rule(n_frames)
    except Exception as error:
        raise BackboneUnsupported(
            f"{checkpoint.name}: cannot run a waveform through it "
            f"({first_line(error)}). Choose another model."
        ) from error
    if rule is None:
        raise BackboneUnsupported(
            f"{checkpoint.name}: the number of frames it gives does not follow the clip's length "
            "in steps of equal size; expected floor((n_samples - "
            "window) / hop) + 1. Choose another model."
        )
    return rule
