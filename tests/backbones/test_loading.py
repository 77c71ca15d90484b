from __future__ import annotations

import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_models import FRAMES_OF_30_S, TINY_NAMES

from cache.errors import ProbeError
from probing.backbones import (
    BackboneMissing,
    BackboneUnsupported,
    CheckpointIncomplete,
    load_backbone,
)
from probing.devices import DeviceUnavailable


def weights_hash(folder):
    return load_backbone(str(folder)).fingerprint()["weights_sha256"]


def rewrite(folder, change):
    """Apply a change to the weights of a folder."""
    weights = load_file(folder / "model.safetensors")
    save_file(change(weights), folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("wavlm", "encoder.layers.1.attention.q_proj.weight"),
        ("wav2vec2-bert", "feature_projection.projection.bias"),
        ("whisper", "encoder.layers.0.fc1.weight"),
        ("moonshine", "encoder.conv2.bias"),
    ],
)
def test_a_checkpoint_without_an_encoder_weight_is_refused(name, weight, build_tiny):
    folder = build_tiny(name)
    rewrite(folder, lambda weights: {key: value for key, value in weights.items() if key != weight})
    with pytest.raises(CheckpointIncomplete, match=f"1 missing \\({weight}\\)"):
        load_backbone(str(folder))


def test_a_checkpoint_with_a_weight_of_another_shape_is_refused(build_tiny):
    folder = build_tiny("hubert")
    weight = "encoder.layers.2.feed_forward.output_dense.bias"
    rewrite(folder, lambda weights: weights | {weight: torch.zeros(7)})
    with pytest.raises(CheckpointIncomplete, match=f"1 of another shape \\({weight}\\)"):
        load_backbone(str(folder))


def test_weights_of_another_model_are_refused(build_tiny, tiny):
    folder = build_tiny("hubert")
    shutil.copy(tiny("whisper") / "model.safetensors", folder)
    with pytest.raises(CheckpointIncomplete, match="missing"):
        load_backbone(str(folder))


def test_weights_without_influence_may_be_missing(build_tiny):
    folder = build_tiny("wav2vec2")
    before = weights_hash(folder)
    rewrite(
        folder,
        lambda weights: {
            key: value for key, value in weights.items() if key != "masked_spec_embed"
        },
    )
    assert weights_hash(folder) == before == weights_hash(folder)


@pytest.mark.parametrize("name", ["whisper", "moonshine"])
def test_a_decoder_is_neither_needed_nor_hashed(name, build_tiny):
    folder = build_tiny(name)
    before = weights_hash(folder)
    rewrite(
        folder,
        lambda weights: {
            key: value for key, value in weights.items() if key.startswith("encoder.")
        },
    )
    assert weights_hash(folder) == before


def test_a_model_with_a_head_is_the_same_encoder(tiny, tmp_path):
    base = transformers.AutoModel.from_pretrained(tiny("wav2vec2"))
    headed = transformers.Wav2Vec2ForCTC(base.config)
    headed.wav2vec2.load_state_dict(base.state_dict())
    headed.save_pretrained(tmp_path)
    shutil.copy(tiny("wav2vec2") / "preprocessor_config.json", tmp_path)
    assert weights_hash(tmp_path) == weights_hash(tiny("wav2vec2"))


@pytest.mark.parametrize("name", ["wavlm", "hubert-group"])
def test_an_old_bin_file_is_the_same_model(name, build_tiny, tiny, speech):
    folder = build_tiny(name)
    weights = load_file(folder / "model.safetensors")
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        key = f"encoder.pos_conv_embed.conv.parametrizations.weight.{new}"
        weights[f"encoder.pos_conv_embed.conv.{old}"] = weights.pop(key)
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    old, new = load_backbone(str(folder)), load_backbone(str(tiny(name)))
    assert old.fingerprint() == new.fingerprint()
    assert torch.equal(old.hidden_states(speech[:1]).clip(0), new.hidden_states(speech[:1]).clip(0))


def test_a_bin_file_that_would_run_code_is_refused(build_tiny):
    class Payload:
        def __reduce__(self):
            return print, ("ran",)

    folder = build_tiny("wavlm")
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Payload()}, folder / "pytorch_model.bin")
    with pytest.raises(ProbeError, match="cannot load"):
        load_backbone(str(folder))


def test_the_dtype_on_disk_does_not_matter_while_values_agree(build_tiny):
    folder = build_tiny("wavlm")
    rewrite(folder, lambda weights: {key: value.half() for key, value in weights.items()})
    half = weights_hash(folder)
    rewrite(folder, lambda weights: {key: value.float() for key, value in weights.items()})
    assert weights_hash(folder) == half


def test_one_changed_weight_changes_the_hash(build_tiny):
    folder = build_tiny("wavlm")
    before = weights_hash(folder)
    weight = "encoder.layers.0.layer_norm.bias"
    rewrite(folder, lambda weights: weights | {weight: weights[weight] + 1e-6})
    assert weights_hash(folder) != before


@pytest.mark.parametrize("name", TINY_NAMES)
def test_loading_leaves_the_callers_random_state_alone(name, tiny):
    before = torch.get_rng_state()
    for spec in (str(tiny(name)), f"random:{tiny(name)}"):
        load_backbone(spec)
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["wavlm", "whisper", "sew-d"])
def test_random_weights_follow_the_seed(name, tiny, speech):
    spec = f"random:{tiny(name)}"
    torch.manual_seed(5)
    one, same = load_backbone(spec, seed=3), load_backbone(spec, seed=3)
    other, trained = load_backbone(spec, seed=4), load_backbone(str(tiny(name)))
    assert torch.equal(
        one.hidden_states(speech[:1]).clip(0), same.hidden_states(speech[:1]).clip(0)
    )
    assert one.fingerprint() == same.fingerprint()
    hashes = {backbone.fingerprint()["weights_sha256"] for backbone in (one, other, trained)}
    assert len(hashes) == 3
    assert (one.random, one.fingerprint()["seed"]) == (True, 3)
    assert (trained.random, trained.fingerprint()["seed"]) == (False, None)


def test_random_weights_need_no_file_of_weights_and_say_so(build_tiny):
    folder = build_tiny("wavlm")
    (folder / "model.safetensors").unlink()
    assert load_backbone(f"random:{folder}").name == "random weights: wavlm"
    with pytest.raises(CheckpointIncomplete, match=r"no model\.safetensors.*random:"):
        load_backbone(str(folder))


def test_a_fingerprint_names_no_place(tiny):
    backbone = load_backbone(str(tiny("wavlm")), device="cpu")
    written = json.dumps(backbone.fingerprint())
    assert str(tiny("wavlm")) not in written
    assert "cpu" not in written


def test_a_fingerprint_shows_a_change_of_architecture_that_no_weight_shows(build_tiny, tiny):
    folder = build_tiny("wavlm", num_attention_heads=2)
    shutil.copy(tiny("wavlm") / "preprocessor_config.json", folder)
    fewer = load_backbone(f"random:{folder}").fingerprint()
    more = load_backbone(f"random:{tiny('wavlm')}").fingerprint()
    assert {key for key in more if more[key] != fewer[key]} >= {"architecture"}


def test_a_folder_without_config_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(
        BackboneMissing, match=r"no config\.json in .*found: notes\.txt.*save_pretrained"
    ) as caught:
        load_backbone(str(tmp_path))
    assert isinstance(caught.value, FileNotFoundError)


def test_an_unknown_name_is_refused_with_a_guess():
    with pytest.raises(
        BackboneMissing, match=r"unknown model 'wavlm-larg'.*`microsoft/wavlm-large`"
    ):
        load_backbone("wavlm-larg")


def test_a_text_model_is_refused(tmp_path):
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=20
    )
    config.save_pretrained(tmp_path)
    with pytest.raises(BackboneUnsupported, match=r"not a speech encoder.*'bert'.*wavlm"):
        load_backbone(f"random:{tmp_path}")


def test_a_model_type_that_transformers_does_not_know_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "wavelm"}')
    with pytest.raises(BackboneUnsupported, match=r"'wavelm'.*wavlm"):
        load_backbone(str(tmp_path))


def test_a_damaged_config_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": ')
    with pytest.raises(BackboneUnsupported, match="not valid JSON"):
        load_backbone(str(tmp_path))


def test_damaged_weights_are_refused(build_tiny):
    folder = build_tiny("wavlm")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(BackboneUnsupported, match="cannot load this model"):
        load_backbone(str(folder))


def test_weights_that_are_not_finite_are_refused(build_tiny):
    folder = build_tiny("wavlm")
    weight = "encoder.layers.0.layer_norm.bias"
    rewrite(folder, lambda weights: weights | {weight: weights[weight] * float("nan")})
    with pytest.raises(BackboneUnsupported, match="not finite"):
        load_backbone(str(folder))


def test_another_sampling_rate_is_refused(build_tiny):
    folder = build_tiny("wavlm")
    (folder / "preprocessor_config.json").write_text(
        '{"sampling_rate": 24000, "do_normalize": true}'
    )
    with pytest.raises(BackboneUnsupported, match="24000 Hz"):
        load_backbone(str(folder))


def test_a_missing_preprocessor_config_falls_back_on_the_family_and_is_recorded(build_tiny, speech):
    for name in ("wavlm", "wav2vec2-bert", "whisper"):
        folder = build_tiny(name, **FRAMES_OF_30_S if name == "whisper" else {})
        stated = load_backbone(str(folder))
        (folder / "preprocessor_config.json").unlink()
        guessed = load_backbone(str(folder))
        assert guessed.fingerprint()["normalization_source"] == "family default"
        assert any("set normalize" in note for note in guessed.notes) == (name == "wavlm")
        assert not stated.notes
        assert torch.equal(
            guessed.hidden_states(speech[:1]).clip(0), stated.hidden_states(speech[:1]).clip(0)
        )


@pytest.mark.parametrize(
    "name", ["moonshine", "moonshine-streaming", "wavlm-group", "unispeech-sat-group"]
)
def test_a_missing_preprocessor_config_of_models_that_take_the_waveform_as_it_is(
    name, build_tiny, speech
):
    folder = build_tiny(name)
    (folder / "preprocessor_config.json").unlink()
    assert load_backbone(str(folder)).fingerprint()["normalization"] == "none"
    decided = load_backbone(str(folder), normalize="on")
    assert decided.fingerprint()["normalization"] != "none"
    assert not decided.notes


def test_a_preprocessor_inside_a_processor_config_is_read(build_tiny):
    folder = build_tiny("wavlm-group")
    (folder / "processor_config.json").write_text('{"feature_extractor": {"do_normalize": false}}')
    (folder / "preprocessor_config.json").unlink()
    assert load_backbone(str(folder)).fingerprint()["normalization"] == "none"


@pytest.mark.parametrize("spec", ["embedded", "folder"])
def test_a_revision_belongs_to_the_hub(spec, tiny):
    with pytest.raises(BackboneUnsupported, match="has no revisions"):
        load_backbone(str(tiny("wavlm")) if spec == "folder" else spec, revision="main")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(DeviceUnavailable, match=r"device=cuda.*device=cpu"):
        load_backbone(device="cuda")


def test_a_device_that_does_not_exist_is_refused():
    with pytest.raises(DeviceUnavailable, match="unknown device 'gpu'"):
        load_backbone(device="gpu")


def test_an_audio_model_that_takes_no_waveform_is_refused(tmp_path):
    transformers.ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2
    ).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        '{"feature_extractor_type": "ASTFeatureExtractor"}'
    )
    with pytest.raises(BackboneUnsupported, match="ASTFeatureExtractor"):
        load_backbone(f"random:{tmp_path}")


def test_a_preprocessor_config_that_does_not_say_normalises_as_stock_does(build_tiny):
    folder = build_tiny("wavlm-group")
    (folder / "preprocessor_config.json").write_text(
        '{"feature_extractor_type": "Wav2Vec2FeatureExtractor"}'
    )
    assert load_backbone(str(folder)).fingerprint()["normalization"] != "none"


@pytest.mark.parametrize(
    ("name", "stated"), [("wavlm", True), ("whisper", False), ("moonshine", False)]
)
def test_a_known_family_has_a_decoder_or_none_whatever_its_config_says(
    name, stated, build_tiny, tiny, tmp_path
):
    folder = build_tiny(name)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"is_encoder_decoder": stated}))
    found, wanted = load_backbone(str(folder)), load_backbone(str(tiny(name)))
    assert found.fingerprint() == wanted.fingerprint()
    assert load_backbone(str(found.save(tmp_path / "saved"))).fingerprint() == wanted.fingerprint()


SPEECHT5 = {"hidden_size": 32, "encoder_layers": 2, "decoder_layers": 1, "vocab_size": 50}
SPEECHT5 |= {f"{part}_attention_heads": 4 for part in ("encoder", "decoder")}
SPEECHT5 |= {f"{part}_ffn_dim": 64 for part in ("encoder", "decoder")}
SPECTROGRAM = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
FASTSPEECH = {
    "hidden_size": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_linear_units": 32,
}
FASTSPEECH |= {
    "decoder_linear_units": 32,
    "speech_decoder_postnet_units": 16,
    "duration_predictor_channels": 16,
}
FASTSPEECH |= {"energy_predictor_channels": 16, "pitch_predictor_channels": 16, "vocab_size": 50}
CLAP = {
    "audio_config": {
        "depths": [1] * 4,
        "num_attention_heads": [2] * 4,
        "patch_embeds_hidden_size": 16,
    }
}
CLAP["audio_config"]["hidden_size"] = 128
CLAP["text_config"] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
REASONS = {
    # and not for the integer positions that it stores
    "clap": (CLAP, "its encoder takes input_ids"),
    "speecht5": (SPEECHT5, "expected input with shape"),
    "audio-spectrogram-transformer": (
        SPECTROGRAM,
        "cannot run a waveform through it (Dimension out of range",
    ),
    "fastspeech2_conformer": (FASTSPEECH, "FastSpeech2ConformerEncoder, has no config of its own"),
    "parakeet_encoder": (SPECTROGRAM, "its encoder takes input_features"),
}


@pytest.mark.parametrize("model_type", REASONS)
def test_models_that_take_no_waveform_are_refused_for_their_own_reason(model_type, tmp_path):
    entries, reason = REASONS[model_type]
    transformers.AutoModel.from_config(
        transformers.AutoConfig.for_model(model_type, **entries)
    ).save_pretrained(tmp_path)
    extractor = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(extractor))
    with pytest.raises(BackboneUnsupported) as error:
        load_backbone(str(tmp_path))
    assert reason in str(error.value)


def changed(value: object) -> object:
    """Another value of the same kind; None where there is none that is safe to guess."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return 2 * value + 1
    return {"gelu": "relu", "layer": "group", "relative_key": "relative"}.get(str(value))


@pytest.mark.parametrize("name", ["wavlm", "moonshine"])
def test_every_entry_of_a_config_that_changes_a_hidden_state_is_in_the_fingerprint(
    name, build_tiny, speech
):
    folder = build_tiny(name)
    original = load_backbone(str(folder), attention="stock")
    wanted, known = original.hidden_states(speech[:1]).layers, original.fingerprint()
    entries = transformers.AutoConfig.from_pretrained(folder).to_dict()
    common = transformers.PreTrainedConfig().to_dict()
    differ = 0
    for key in sorted(entries.keys() - common.keys()):
        if changed(entries[key]) is None:
            continue
        (folder / "config.json").write_text(json.dumps(entries | {key: changed(entries[key])}))
        try:
            found = load_backbone(str(folder), attention="stock")
            layers = found.hidden_states(speech[:1]).layers
        except ProbeError:
            continue
        same = len(layers) == len(wanted) and all(map(torch.equal, layers, wanted))
        differ += not same
        assert same or found.fingerprint() != known, key
    assert differ


def test_every_entry_of_the_config_of_an_unknown_family_is_in_the_fingerprint(build_tiny, tiny):
    known = load_backbone(str(tiny("sew-d"))).fingerprint()
    edited = load_backbone(str(build_tiny("sew-d", feature_layer_norm_eps=0.1))).fingerprint()
    assert {key for key in known if known[key] != edited[key]} == {"architecture"}
