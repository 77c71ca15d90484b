"""Every encoder weight of a checkpoint is used, or the checkpoint is refused; adapters are merged."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from probing.backbones import BackboneMissing, CheckpointIncomplete, HubUnreachable, load_backbone

QUERIES = [f"encoder.layers.{layer}.attention.q_proj.weight" for layer in range(3)]


def rewrite(folder: Path, weights: dict[str, torch.Tensor]) -> Path:
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def reconfigure(folder: Path, **changes: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def lora(rank: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    factors = {}
    for query in QUERIES:
        stem = query.removesuffix(".weight")
        factors[f"{stem}.lora_A.weight"] = torch.randn(rank, 32, generator=generator)
        factors[f"{stem}.lora_B.weight"] = torch.randn(32, rank, generator=generator)
    return factors


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointIncomplete) as error:
        load_backbone(str(folder))
    return str(error.value)


ADDED = {
    "lora_A": lambda weights: {f"{QUERIES[0][:-7]}.lora_A.weight": torch.zeros(4, 32)},
    "DoRA": lambda weights: {f"{QUERIES[0][:-7]}.lora_magnitude_vector": torch.zeros(32)},
    "IA3": lambda weights: {f"{QUERIES[0][:-7]}.ia3_l": torch.ones(32, 1)},
    "bottleneck": lambda weights: {"encoder.layers.0.adapter_layer.linear_1.weight": torch.zeros(16, 32)},
    "wrapped": lambda weights: {"module.encoder.layers.0.attention.q_proj.lora_B.weight": torch.zeros(32, 4)},
    "with a head": lambda weights: {"wavlm.encoder.layers.0.attention.q_proj.lora_B.weight": torch.zeros(32, 4)},
    "scales": lambda weights: {f"{QUERIES[0][:-7]}.weight_scale": torch.ones(32)},
    "GPTQ": lambda weights: {f"{QUERIES[0][:-7]}.qzeros": torch.ones(32)},
}


@pytest.mark.parametrize("kind", ADDED)
def test_a_weight_without_a_place_in_the_encoder_is_refused_and_named(kind, build_tiny) -> None:
    folder = build_tiny("wavlm")
    weights = weights_of(folder)
    added = ADDED[kind](weights)
    message = refusal(rewrite(folder, weights | added))
    assert next(iter(added)).removeprefix("module.").removeprefix("wavlm.") in message
    assert ("merge_and_unload" if kind not in ("scales", "GPTQ") else "dequantise") in message


@pytest.mark.parametrize("model_type", ["wav2vec2", "hubert", "unispeech-sat"])
def test_weights_of_another_architecture_are_refused(model_type, build_tiny) -> None:
    message = refusal(reconfigure(build_tiny("wavlm"), model_type=model_type))
    assert "gru_rel_pos" in message
    assert "model_type" in message


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_weights_in_eight_bits_are_refused_with_and_without_scales(dtype, build_tiny) -> None:
    folder = build_tiny("wavlm")
    weights = weights_of(folder)
    packed = {key: (50 * value).to(dtype) if key in QUERIES else value for key, value in weights.items()}
    scales = {f"{key[:-7]}.SCB": torch.ones(32) for key in QUERIES}
    for content in (packed, packed | scales):
        assert "dequantise" in refusal(rewrite(folder, content))
    (folder / "model.safetensors").unlink()
    torch.save(packed, folder / "pytorch_model.bin")
    assert "3 weights are stored as integers or in 8 bits" in refusal(folder)


def test_an_adapter_beside_the_weights_is_refused(build_tiny) -> None:
    folder = build_tiny("wavlm")
    save_file(lora(), folder / "adapter_model.safetensors")
    assert "adapter_model.safetensors" in refusal(folder)


HEADED = {
    "wavlm": ("WavLMForCTC", "WavLMForXVector", "WavLMForSequenceClassification"),
    "wav2vec2": ("Wav2Vec2ForCTC", "Wav2Vec2ForPreTraining"),
    "hubert-group": ("HubertForSequenceClassification",),
    "unispeech-sat": ("UniSpeechSatForPreTraining",),
    "wav2vec2-bert": ("Wav2Vec2BertForCTC",),
    "whisper": ("WhisperForConditionalGeneration", "WhisperForAudioClassification"),
    "moonshine": ("MoonshineForConditionalGeneration",),
}


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kinds in HEADED.items() for kind in kinds])
def test_heads_decoders_and_quantisers_are_rightly_unused(name, kind, tiny, tmp_path) -> None:
    config = transformers.AutoConfig.from_pretrained(tiny(name))
    config.vocab_size = 50
    torch.manual_seed(0)
    getattr(transformers, kind)(config).save_pretrained(tmp_path / "m", max_shard_size="40KB")
    shutil.copy(tiny(name) / "preprocessor_config.json", tmp_path / "m")
    assert "stored_blocks" not in load_backbone(str(tmp_path / "m")).fingerprint()


@pytest.mark.parametrize(("name", "count"), [("wavlm", "num_hidden_layers"), ("whisper", "encoder_layers")])
def test_fewer_blocks_than_are_stored_are_said_and_in_the_fingerprint(name, count, build_tiny, tiny) -> None:
    stored = load_backbone(str(tiny(name))).n_layers
    backbone = load_backbone(str(reconfigure(build_tiny(name), **{count: stored - 1})))
    assert backbone.n_layers == stored - 1
    assert backbone.fingerprint()["stored_blocks"] == stored
    assert f"counts {stored - 1} blocks of {stored} that are stored" in backbone.notes[0]


def adapter(folder: Path, base: str, weights: dict[str, torch.Tensor], prefix: str = "base_model.model.") -> Path:
    folder.mkdir()
    save_file({prefix + key: value for key, value in weights.items()}, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "task_type": None}
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": base}))
    return folder


@pytest.mark.parametrize("prefix", ["base_model.model.", "base_model.model.wavlm."])
def test_an_adapter_in_a_folder_of_its_own_is_merged(prefix, build_tiny, tmp_path, speech) -> None:
    pytest.importorskip("peft")
    base = build_tiny("wavlm")
    factors = lora()
    weights = weights_of(base)
    for query in QUERIES:
        a, b = (factors[f"{query[:-7]}.lora_{side}.weight"] for side in "AB")
        weights[query] = weights[query] + 2 * b @ a
    by_hand = rewrite(shutil.copytree(base, tmp_path / "by-hand"), weights)
    head = {"classifier.weight": torch.zeros(2, 32)}
    folder = adapter(tmp_path / "tuned", f"../{base.relative_to(tmp_path)}", factors | head, prefix)
    wanted, plain, found = (load_backbone(str(path)) for path in (by_hand, base, folder))
    assert found.name == f"{base.name} + tuned"
    assert found.fingerprint()["weights_sha256"] != plain.fingerprint()["weights_sha256"]
    assert len(found.fingerprint()["adapter_sha256"]) == 64
    states = [backbone.hidden_states([speech[0]]).layers[-1] for backbone in (wanted, plain, found)]
    torch.testing.assert_close(states[2], states[0], rtol=1e-4, atol=1e-4)
    assert (states[2] - states[1]).abs().max() > 0.1


def test_an_adapter_that_does_not_fit_its_base_is_refused(build_tiny, tmp_path) -> None:
    pytest.importorskip("peft")
    base = build_tiny("wavlm")
    factors = {key: value for key, value in lora().items() if ".layers.2." not in key}
    assert "do not fit: 2 weights" in refusal(adapter(tmp_path / "short", str(base), factors))
    strange = {key.replace("q_proj", "z_proj"): value for key, value in lora().items()}
    assert "do not fit" in refusal(adapter(tmp_path / "strange", str(base), strange))


def test_an_adapter_asks_no_hub_for_its_base(tmp_path) -> None:
    folder = adapter(tmp_path / "a", "nobody/no-such-model", lora())
    with pytest.raises(HubUnreachable, match=r"nobody/no-such-model.*was not asked"):
        load_backbone(str(folder))
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(BackboneMissing, match="base_model_name_or_path"):
        load_backbone(str(folder))
