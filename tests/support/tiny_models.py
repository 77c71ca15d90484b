"""Small random-weight models of every family, written to disk as save_pretrained does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers

ROOT = Path(__file__).resolve().parents[2]

WAVEFORM = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "do_normalize": True,
    "feature_size": 1,
    "return_attention_mask": True,
    "sampling_rate": 16000,
}
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
# Large initial weights: with the usual 0.02 a block hardly changes its input, and a leak would go
# unseen.
SMALL |= {"initializer_range": 0.2, "layerdrop": 0.5, "hidden_dropout": 0.1}
CONVOLUTIONS = {
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
LAYER = SMALL | CONVOLUTIONS | {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
GROUP = SMALL | CONVOLUTIONS | {"feat_extract_norm": "group", "do_stable_layer_norm": False}
MOONSHINE = {"hidden_size": 32, "intermediate_size": 64, "initializer_range": 0.2, "vocab_size": 50}
MOONSHINE |= {f"{part}num_hidden_layers": 2 for part in ("encoder_", "decoder_")}
MOONSHINE |= {f"{part}num_attention_heads": 4 for part in ("encoder_", "decoder_")}
WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "init_std": 0.2,
}
FRAMES_OF_30_S = {"max_source_positions": 1500}  # as published; the small one has 3 s, for speed
WHISPER |= {"max_source_positions": 150}
WHISPER |= {
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "vocab_size": 50,
}
WHISPER |= {f"{token}_token_id": 1 for token in ("pad", "bos", "eos", "decoder_start")}
SQUEEZED = SMALL | CONVOLUTIONS | {"squeeze_factor": 2, "feat_extract_norm": "group"}
SQUEEZED |= {"conv_kernel": (10, 3, 3, 3, 3, 2, 2), "conv_stride": (5, 2, 2, 2, 2, 2, 2)}
SEW_D = SQUEEZED | {"max_position_embeddings": 64, "position_buckets": 32, "layer_norm_eps": 1e-5}
BERT = SMALL | {"position_embeddings_type": "relative_key", "conv_depthwise_kernel_size": 7}

STREAMING = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
}
STREAMING |= {"encoder_config": STREAMING | {"num_hidden_layers": 3, "initializer_range": 0.2}}
STREAMING["encoder_config"]["sliding_windows"] = [[16, 4], [8, 2], [16, 0]]

# name -> (config class, config, preprocessor config)
TINY: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "wavlm": ("WavLMConfig", LAYER, WAVEFORM),
    "wavlm-group": ("WavLMConfig", GROUP, WAVEFORM | {"do_normalize": False}),
    "hubert": ("HubertConfig", LAYER, WAVEFORM),
    "hubert-group": ("HubertConfig", GROUP, WAVEFORM),
    "wav2vec2": ("Wav2Vec2Config", LAYER, WAVEFORM),
    "wav2vec2-group": ("Wav2Vec2Config", GROUP, WAVEFORM),
    "unispeech": ("UniSpeechConfig", LAYER, WAVEFORM),
    "unispeech-group": ("UniSpeechConfig", GROUP, WAVEFORM),
    "unispeech-sat": ("UniSpeechSatConfig", LAYER, WAVEFORM),
    "unispeech-sat-group": ("UniSpeechSatConfig", GROUP, WAVEFORM),
    "data2vec-audio": (
        "Data2VecAudioConfig",
        SMALL | CONVOLUTIONS | {"conv_pos_kernel_size": 5},
        WAVEFORM,
    ),
    "wav2vec2-conformer": (
        "Wav2Vec2ConformerConfig",
        LAYER | {"position_embeddings_type": "relative"},
        WAVEFORM,
    ),
    "hubert-batch-norm": ("HubertConfig", LAYER | {"conv_pos_batch_norm": True}, WAVEFORM),
    "sew": ("SEWConfig", SQUEEZED, WAVEFORM),
    "sew-d": ("SEWDConfig", SEW_D, WAVEFORM),
    "wav2vec2-bert": (
        "Wav2Vec2BertConfig",
        BERT,
        {"feature_extractor_type": "SeamlessM4TFeatureExtractor"},
    ),
    "whisper": ("WhisperConfig", WHISPER, {"feature_extractor_type": "WhisperFeatureExtractor"}),
    "moonshine-streaming": (
        "MoonshineStreamingConfig",
        STREAMING,
        WAVEFORM | {"do_normalize": False},
    ),
    "moonshine": ("MoonshineConfig", MOONSHINE, WAVEFORM | {"do_normalize": False}),
}
TINY_NAMES = list(TINY)


def build(name: str, folder: Path, **overrides: Any) -> Path:
    """Write a small model of a family with random weights, as save_pretrained does."""
    config_class, settings, preprocessor = TINY[name]
    config = getattr(transformers, config_class)(**settings | overrides)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        transformers.AutoModel.from_config(config).save_pretrained(folder)
    if hasattr(config, "max_source_positions"):  # the window, in seconds
        preprocessor = preprocessor | {"chunk_length": config.max_source_positions // 50}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder
