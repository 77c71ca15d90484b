"""Families of speech models: how each is fed, how many frames it gives, what shares a batch.

Padding, as measured (worst difference between a padded item and the item alone, on valid frames):
models of the wav2vec 2.0 kind are exact with an attention mask when the front end has layer norms;
a group norm takes its statistics over the whole clip, so there the front end runs on each clip at
its own length; convolutions stacked or inside the blocks and not masked again (data2vec-audio,
wav2vec2-conformer), and SEW's pooled mask, leak: equal lengths only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

from cache.timing import FrameTiming, middle
from probing.registry import Registry, own_code

from .errors import BackboneUnsupported
from .library import import_transformers

FrontEnd = Literal["waveform", "log-mel", "filter bank"]
Padding = Literal["exact", "equal"]


# The entries of a config that change a hidden state and that no weight shows.
ARCHITECTURE = (
    "activation_function",
    "attention_bias",
    "conv_bias",
    "conv_depthwise_kernel_size",
    "conv_dim",
    "conv_kernel",
    "conv_pos_batch_norm",
    "conv_pos_kernel_size",
    "conv_stride",
    "do_stable_layer_norm",
    "encoder_attention_heads",
    "encoder_hidden_act",
    "encoder_num_attention_heads",
    "encoder_num_key_value_heads",
    "feat_extract_activation",
    "feat_extract_norm",
    "hidden_act",
    "layer_norm_eps",
    "left_max_position_embeddings",
    "max_bucket_distance",
    "max_relative_positions",
    "max_source_positions",
    "norm_rel_ebd",
    "num_attention_heads",
    "num_buckets",
    "num_conv_pos_embedding_groups",
    "num_conv_pos_embeddings",
    "num_mel_bins",
    "pad_head_dim_to_multiple_of",
    "position_embeddings_type",
    "right_max_position_embeddings",
    "pos_att_type",
    "position_buckets",
    "relative_attention",
    "rope_parameters",
    "rotary_embedding_base",
    "scale_embedding",
    "share_att_key",
    "sliding_windows",
    "squeeze_factor",
    "use_conv_adapter",
)


# Entries of a config that change no hidden state in evaluation, by a part of their names.
IDLE = re.compile(
    r"dropout|layerdrop|mask_|_mask|initializer|_id$|ctc_|loss|vocab|num_hidden_layers|classifier|^tdnn"
)


def architecture_of(config: Any, known: bool) -> dict[str, Any]:
    """The entries of a config that may change a hidden state, for the fingerprint.

    Those that also change a weight are left out, as weights have a hash.

    A model of no known family gives all its entries, but for those that every config has and those
    named as idle.
    """
    if known or not hasattr(config, "to_dict"):  # acoustic features have a plain one
        return {key: getattr(config, key) for key in ARCHITECTURE if hasattr(config, key)}
    common = import_transformers().PreTrainedConfig().to_dict()
    return {
        key: value
        for key, value in config.to_dict().items()
        if key not in common and not IDLE.search(key)
    }


@dataclass(frozen=True)
class FrameRule:
    """Valid frames of a clip: floor((n_samples - window) / hop) + 1, and none below one window.

    A stack of unpadded convolutions, whatever its strides, comes down to this form: nested floors
    of integers compose.
    """

    window: int
    hop: int

    def n_frames(self, n_samples: int) -> int:
        """Count the valid frames of a clip of `n_samples` samples."""
        return max(0, (n_samples - self.window) // self.hop + 1)

    def __str__(self) -> str:
        return f"floor((n_samples - {self.window}) / {self.hop}) + 1"

    @classmethod
    def of_convolutions(cls, kernels: Sequence[int], strides: Sequence[int]) -> FrameRule:
        """Compose unpadded convolutions, first one first."""
        window = 1
        hop = 1
        for kernel, stride in zip(kernels, strides, strict=True):
            window += (kernel - 1) * hop
            hop *= stride
        return cls(window, hop)

    def every(self, factor: int) -> FrameRule:
        """Keep one frame of `factor`: only whole groups count."""
        return FrameRule(self.window + (factor - 1) * self.hop, self.hop * factor)


def _convolutional(config: Any) -> FrameRule:
    return FrameRule.of_convolutions(config.conv_kernel, config.conv_stride)


def _squeezed(config: Any) -> FrameRule:
    """SEW averages `squeeze_factor` frames before its first block.

    So all layers have the lower rate.
    """
    return _convolutional(config).every(config.squeeze_factor)


def _moonshine(_: Any) -> FrameRule:
    return FrameRule.of_convolutions((127, 7, 3), (64, 3, 2))


def _moonshine_streaming(_: Any) -> FrameRule:
    """Frames of 5 ms, then two causal convolutions of stride 2."""
    return FrameRule(80, 320)


def _if_layer_norm(config: Any) -> bool:
    """WavLM and UniSpeech-SAT: those with layer norms in the front end take normalised waveforms.

    These are the large models.
    """
    return bool(config.feat_extract_norm == "layer")


def _never(_: Any) -> bool:
    return False


def _log_mel(_: Any) -> FrameRule:
    """Whisper: frame j is centred on sample 320 j, and valid while that is in the clip.

    Its spectrogram has a hop of 160, and the front end a stride of 2.
    """
    return FrameRule(1, 320)


def _at_the_beginning(_: Any) -> float:
    """Whisper pads the clip, its spectrogram and its convolutions alike on both sides."""
    return 0.0


def _causal(_: Any) -> float:
    """Moonshine streaming: two convolutions of 5 over frames of 80 samples.

    A frame sees 12 frames back and none ahead.
    """
    return (80 - 12 * 80) / 2


def _filter_bank(_: Any) -> FrameRule:
    """25 ms windows every 10 ms, stacked by two; an odd last one is left out.

    The attention mask upstream leaves it out too.
    """
    return FrameRule(400, 160).every(2)


@dataclass(frozen=True)
class Family:
    """How the models of one `model_type` are fed and read.

    `blocks` is the path of the list of transformer blocks in the encoder. `frames` gives the frame
    rule of a config; None means that it must be measured. `decoder_layers` names the config entry
    that counts decoder blocks, which are never built, `block_count` the one that counts the blocks
    themselves. `min_samples` is a floor on the clip length if the frame rule alone would allow
    less. `normalizes` says of a config whether its waveforms were normalised in training, for
    checkpoints without a preprocessor config. Clips are cut to a whole multiple of `multiple`
    samples. `always_masked` models are given an attention mask even if all clips of a batch are of
    one length. `centre` gives, of a config, the middle of what frame 0 sees, in samples from the
    beginning of the clip; None is half a window of `frames`, right for every front end that pads
    nothing.
    """

    model_type: str
    title: str
    front_end: FrontEnd = "waveform"
    padding: Padding = "exact"
    blocks: str = "encoder.layers"
    frames: Callable[[Any], FrameRule] | None = _convolutional
    decoder_layers: str | None = None
    block_count: str = "num_hidden_layers"
    min_samples: int = 1
    normalizes: Callable[[Any], bool] = lambda config: True
    multiple: int = 1
    always_masked: bool = False
    centre: Callable[[Any], float] | None = None

    @property
    def name(self) -> str:
        """Its name in the registry: `model_type` of a config."""
        return self.model_type

    @property
    def help(self) -> str:
        """What people call it."""
        return self.title

    @property
    def known(self) -> bool:
        """Say whether it is one of the families here, and not one that is measured."""
        return self.model_type in FAMILIES

    def blocks_of(self, encoder: Any) -> Any:
        """Its list of transformer blocks.

        Raises:
            BackboneUnsupported: there is none at `blocks`.
        """
        try:
            return reduce(getattr, self.blocks.split("."), encoder)
        except AttributeError:
            raise BackboneUnsupported(
                f"{self.model_type}: the entry of its family says that its blocks are at "
                f"{self.blocks!r}, and a {type(encoder).__name__} has none there. Mend the entry"
            ) from None

    def frame_rule(self, config: Any) -> FrameRule | None:
        """The frame rule of a config; None if it must be measured."""
        with own_code(f"frames of backbone family {self.name}", FAMILIES.is_own(self)):
            return self.frames(config) if self.frames else None

    def timing(self, config: Any, rule: FrameRule) -> FrameTiming | None:
        """When the frames of a model are; None if its front end pads and no `centre` says how."""
        centre = middle(rule.window, rule.hop)
        if self.centre is not None:
            with own_code(f"centre of backbone family {self.name}", FAMILIES.is_own(self)):
                centre = float(self.centre(config))
        return None if centre is None else FrameTiming(rule.hop, centre)

    def normalizes_waveforms(self, config: Any) -> bool:
        """Whether waveforms were normalised in the training of a model of this config."""
        with own_code(f"normalizes of backbone family {self.name}", FAMILIES.is_own(self)):
            return self.normalizes(config)

    def has_decoder(self, config: Any) -> bool:
        """Whether its models have a decoder; of a known family, whatever the config says."""
        return (
            self.decoder_layers is not None
            if self.known
            else bool(getattr(config, "is_encoder_decoder", False))
        )

    def padding_for(self, config: Any) -> Padding:
        """Say whether clips of different length may share a batch in this model."""
        # A batch norm ahead of the positional convolution turns the zeros of the padding into its
        # bias.
        return "equal" if getattr(config, "conv_pos_batch_norm", False) else self.padding


FAMILIES = Registry(
    "backbone family",
    *(
        Family("wavlm", "WavLM", normalizes=_if_layer_norm),
        Family("hubert", "HuBERT"),
        Family("wav2vec2", "wav2vec 2.0"),
        Family("unispeech", "UniSpeech"),
        Family("unispeech-sat", "UniSpeech-SAT", normalizes=_if_layer_norm),
        Family("data2vec-audio", "data2vec-audio", padding="equal"),
        Family("wav2vec2-conformer", "wav2vec 2.0 Conformer", padding="equal"),
        Family("sew", "SEW", padding="equal", frames=_squeezed),
        Family("wav2vec2-bert", "w2v-BERT 2.0", front_end="filter bank", frames=_filter_bank),
        Family(
            "whisper",
            "Whisper",
            front_end="log-mel",
            blocks="layers",
            frames=_log_mel,
            decoder_layers="decoder_layers",
            block_count="encoder_layers",
            min_samples=400,
            centre=_at_the_beginning,
        ),
        Family(
            "moonshine",
            "Moonshine",
            padding="equal",
            blocks="layers",
            frames=_moonshine,
            decoder_layers="decoder_num_hidden_layers",
            block_count="encoder_num_hidden_layers",
            normalizes=_never,
        ),
        Family(
            "moonshine_streaming",
            "Moonshine streaming",
            padding="equal",  # with a mask, padding still leaks 4 to 6 %
            blocks="layers",
            frames=_moonshine_streaming,
            decoder_layers="num_hidden_layers",
            normalizes=_never,
            multiple=80,
            always_masked=True,  # without one its sliding windows are dropped
            centre=_causal,
        ),
    ),
)
