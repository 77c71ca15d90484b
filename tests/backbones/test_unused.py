"""Every encoder weight of a checkpoint is used, or the checkpoint is refused; adapters
are merged.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from probing.backbones import BackboneMissing, CheckpointIncomplete, HubUnreachable, load_backbone

# What peft itself calls when an adapter is put on a model and saved.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
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
    "bottleneck": lambda weights: {
        "encoder.layers.0.adapter_layer.linear_1.weight": torch.zeros(16, 32)
    },
    "wrapped": lambda weights: {
        "module.encoder.layers.0.attention.q_proj.lora_B.weight": torch.zeros(32, 4)
    },
    "with a head": lambda weights: {
        "wavlm.encoder.layers.0.attention.q_proj.lora_B.weight": torch.zeros(32, 4)
    },
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
    packed = {
        key: (50 * value).to(dtype) if key in QUERIES else value for key, value in weights.items()
    }
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


@pytest.mark.parametrize(
    "key", ["encoder.layers.0.layer_norm.weight", "encoder.layers.1.attention.q_proj.bias"]
)
def test_weights_of_one_axis_that_are_integers_are_refused(key, build_tiny) -> None:
    folder = build_tiny("wavlm")
    weights = weights_of(folder)
    assert key in refusal(rewrite(folder, weights | {key: (100 * weights[key]).to(torch.int8)}))
    assert key in refusal(rewrite(folder, weights | {key: weights[key] > 0}))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_weights_of_16_bits_or_more_are_loaded(dtype, build_tiny) -> None:
    folder = build_tiny("wavlm")
    weights = {key: value.to(dtype) for key, value in weights_of(folder).items()}
    wanted = load_backbone(
        str(rewrite(folder, {key: value.float() for key, value in weights.items()}))
    )
    assert load_backbone(str(rewrite(folder, weights))).fingerprint() == wanted.fingerprint()


@pytest.mark.parametrize("prefix", ["", "model."])
def test_integers_and_adapters_of_a_decoder_change_nothing(prefix, build_tiny, loaded_tiny) -> None:
    folder = build_tiny("whisper")
    weights = weights_of(folder)
    key = next(
        key for key in weights if key.startswith("decoder.") and key.endswith("q_proj.weight")
    )
    weights |= {
        key: torch.zeros(32, 32, dtype=torch.int8),
        f"{key[:-7]}.lora_A.weight": torch.zeros(4, 32),
    }
    rewrite(folder, {prefix + key: value for key, value in weights.items()})
    assert load_backbone(str(folder)).fingerprint() == loaded_tiny("whisper").fingerprint()


def test_what_an_earlier_version_stored_and_is_computed_now_is_passed_over(
    build_tiny, loaded_tiny
) -> None:
    folder = build_tiny("wavlm")
    rewrite(folder, weights_of(folder) | {"encoder.embeddings.position_ids": torch.arange(8)[None]})
    assert load_backbone(str(folder)).fingerprint() == loaded_tiny("wavlm").fingerprint()


@pytest.mark.parametrize(
    "entry", [{"quant_method": "bitsandbytes", "load_in_8bit": True}, {"quant_method": "fp8"}]
)
def test_a_config_that_says_that_the_model_is_quantised_is_refused(entry, build_tiny) -> None:
    message = refusal(reconfigure(build_tiny("wavlm"), quantization_config=entry))
    assert f"quantization_config ({entry['quant_method']})" in message
    assert "dequantise" in message


def test_an_adapter_of_any_name_beside_the_weights_is_refused(build_tiny) -> None:
    folder = build_tiny("wavlm")
    save_file(lora(), folder / "my-lora.safetensors")
    assert "my-lora.safetensors" in refusal(folder)
    (folder / "my-lora.safetensors").unlink()
    save_file({"optimizer.step": torch.zeros(1)}, folder / "state.safetensors")
    load_backbone(str(folder))


RENAMED = {
    "module.": lambda key: f"module.{key}",
    "_orig_mod.": lambda key: f"_orig_mod.{key}",
    "wavlm.wavlm.": lambda key: f"wavlm.wavlm.{key}",
    "merge_and_unload": lambda key: key.replace("q_proj.", "q_proj.base_layer."),
    "'encoder.' before their names": lambda key: key.removeprefix("encoder."),
    "convert it": lambda key: f"{key}_of_another_library",
}


@pytest.mark.parametrize("advice", RENAMED)
def test_weights_under_other_names_are_refused_with_what_to_do(advice, build_tiny) -> None:
    folder = build_tiny("wavlm")
    message = refusal(
        rewrite(folder, {RENAMED[advice](key): value for key, value in weights_of(folder).items()})
    )
    assert "does not fill the encoder" in message
    assert advice in message


def test_a_training_state_in_place_of_weights_is_refused(build_tiny) -> None:
    folder = build_tiny("wavlm")
    torch.save({"state_dict": weights_of(folder)}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "holds a training state (state_dict)" in refusal(folder)


def test_adapters_of_mms_are_used_or_refused(build_tiny) -> None:
    folder = build_tiny("wav2vec2", adapter_attn_dim=8)
    load_backbone(str(folder))
    assert "adapter_attn_dim" in refusal(reconfigure(folder, adapter_attn_dim=None))


def test_weights_of_a_second_model_in_the_same_file_are_refused(build_tiny) -> None:
    folder = build_tiny("wavlm")
    message = refusal(
        rewrite(folder, weights_of(folder) | {f"teacher.{QUERIES[0]}": torch.zeros(32, 32)})
    )
    assert f"teacher.{QUERIES[0]}" in message
    assert "second model" in message


HEADED = {
    "wavlm": ("WavLMForCTC", "WavLMForXVector", "WavLMForSequenceClassification"),
    "wav2vec2": ("Wav2Vec2ForCTC", "Wav2Vec2ForPreTraining"),
    "hubert-group": ("HubertForSequenceClassification",),
    "unispeech-sat": ("UniSpeechSatForPreTraining",),
    "wav2vec2-bert": ("Wav2Vec2BertForCTC",),
    "whisper": ("WhisperForConditionalGeneration", "WhisperForAudioClassification"),
    "moonshine": ("MoonshineForConditionalGeneration",),
}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, kinds in HEADED.items() for kind in kinds]
)
def test_heads_decoders_and_quantisers_are_rightly_unused(name, kind, tiny, tmp_path) -> None:
    config = transformers.AutoConfig.from_pretrained(tiny(name))
    config.vocab_size = 50
    torch.manual_seed(0)
    getattr(transformers, kind)(config).save_pretrained(tmp_path / "m", max_shard_size="40KB")
    shutil.copy(tiny(name) / "preprocessor_config.json", tmp_path / "m")
    assert "stored_blocks" not in load_backbone(str(tmp_path / "m")).fingerprint()


@pytest.mark.parametrize(
    ("name", "count"), [("wavlm", "num_hidden_layers"), ("whisper", "encoder_layers")]
)
def test_fewer_blocks_than_are_stored_are_said_and_in_the_fingerprint(
    name, count, build_tiny, loaded_tiny
) -> None:
    stored = loaded_tiny(name).n_layers
    backbone = load_backbone(str(reconfigure(build_tiny(name), **{count: stored - 1})))
    assert backbone.n_layers == stored - 1
    assert backbone.fingerprint()["stored_blocks"] == stored
    assert f"counts {stored - 1} blocks of {stored} that are stored" in backbone.notes[0]


def adapter(
    folder: Path, base: str, weights: dict[str, torch.Tensor], prefix: str = "base_model.model."
) -> Path:
    folder.mkdir()
    save_file(
        {prefix + key: value for key, value in weights.items()},
        folder / "adapter_model.safetensors",
    )
    config = {
        "peft_type": "LORA",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj"],
        "task_type": None,
    }
    (folder / "adapter_config.json").write_text(
        json.dumps(config | {"base_model_name_or_path": base})
    )
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


@pytest.mark.parametrize("name", ["whisper", "moonshine"])
def test_an_adapter_of_a_whole_encoder_decoder_model_is_merged_into_its_encoder(
    name, build_tiny, tmp_path, speech
):
    peft = pytest.importorskip("peft")
    base = build_tiny(name)
    adapted = peft.get_peft_model(
        transformers.AutoModel.from_pretrained(base), peft.LoraConfig(target_modules=["q_proj"])
    )
    perturb(adapted)
    adapted.save_pretrained(tmp_path / "tuned")
    assert any(
        ".decoder." in key for key in load_file(tmp_path / "tuned/adapter_model.safetensors")
    )
    assert_merged(adapted, base, tmp_path, speech)


def test_modules_that_an_adapter_holds_whole_replace_those_of_the_base(
    build_tiny, tmp_path, speech
) -> None:
    peft = pytest.importorskip("peft")
    base = build_tiny("wavlm")
    model = transformers.AutoModelForAudioClassification.from_pretrained(base)
    whole = ["feature_projection", "classifier"]
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(target_modules=["q_proj"], modules_to_save=whole)
    )
    perturb(adapted)
    adapted.save_pretrained(tmp_path / "tuned")
    assert_merged(adapted, base, tmp_path, speech)


def test_an_adapter_whose_biases_peft_did_not_save_is_refused(build_tiny, tmp_path, speech) -> None:
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(target_modules=["q_proj"], bias="lora_only")
    adapted = peft.get_peft_model(
        transformers.AutoModel.from_pretrained(build_tiny("wavlm")), config
    )
    perturb(adapted)
    adapted.save_pretrained(tmp_path / "tuned")
    assert "bias='lora_only', but holds no bias" in refusal(tmp_path / "tuned")


def perturb(adapted) -> None:
    generator = torch.Generator().manual_seed(5)
    for weight in adapted.parameters():
        if weight.requires_grad:
            weight.data += 0.2 * torch.randn(weight.shape, generator=generator)


def assert_merged(adapted, base: Path, place: Path, speech) -> None:
    """What is loaded from `tuned` is what peft merged where it was trained, and not the base."""
    adapted.merge_and_unload().save_pretrained(place / "merged")
    shutil.copy(base / "preprocessor_config.json", place / "merged")
    found, wanted, plain = (
        load_backbone(str(folder)) for folder in (place / "tuned", place / "merged", base)
    )
    fingerprint = found.fingerprint()
    assert fingerprint["weights_sha256"] == wanted.fingerprint()["weights_sha256"]
    assert (
        fingerprint["base_sha256"]
        == plain.fingerprint()["weights_sha256"]
        != fingerprint["weights_sha256"]
    )
    last = [backbone.hidden_states(speech[:1]).layers[-1] for backbone in (found, wanted, plain)]
    assert torch.equal(last[0], last[1])
    assert (last[0] - last[2]).abs().max() > 0.1


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
