from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import torch

from probing.backbones import load_backbone
from probing.backbones.packaged import EMBEDDED, PACKAGED


def test_embedded_needs_nothing_and_is_pretrained(capfd):
    backbone = load_backbone()
    assert backbone.name == "embedded WavLM 12x192"
    assert (backbone.family, backbone.n_layers, backbone.dim, backbone.random) == (
        "wavlm",
        12,
        192,
        False,
    )
    assert (backbone.padding, backbone.min_samples, backbone.max_samples) == ("exact", 400, None)
    assert backbone.n_frames(16000) == 49
    assert capfd.readouterr() == ("", "")


def test_embedded_is_the_same_every_time(speech):
    one, other = load_backbone(), load_backbone("embedded", seed=1)
    assert one.fingerprint() == other.fingerprint()
    assert torch.equal(one.hidden_states(speech).clip(2), other.hidden_states(speech).clip(2))


def test_the_card_of_embedded_names_its_very_files():
    card = (PACKAGED[EMBEDDED] / "README.md").read_text(encoding="utf-8")
    for name in ("model.safetensors", "config.json", "preprocessor_config.json"):
        assert (
            f"`{name}` {hashlib.sha256((PACKAGED[EMBEDDED] / name).read_bytes()).hexdigest()}"
            in card
        )
    assert (PACKAGED[EMBEDDED] / "model.safetensors").stat().st_size < 20e6
    assert "not WavLM-Large" in card


def test_embedded_gives_the_same_layers_alone_and_padded(speech):
    backbone = load_backbone()
    batch = backbone.hidden_states(speech)
    for i, clip in enumerate(speech):
        alone = backbone.hidden_states([clip]).clip(0)
        worst = (batch.clip(i) - alone).abs().amax((1, 2)) / alone.square().mean((1, 2)).sqrt()
        assert worst.max() < 1e-5  # of the layer's own size, which is about 17 here


def test_random_embedded_is_its_architecture_with_weights_drawn_from_a_seed(speech):
    drawn, again, other = (load_backbone("random:embedded", seed=seed) for seed in (0, 0, 1))
    assert drawn.name == "random weights: embedded WavLM 12x192"
    assert (drawn.random, drawn.n_layers, drawn.dim) == (True, 12, 192)
    assert drawn.fingerprint() == again.fingerprint()
    hashes = {
        backbone.fingerprint()["weights_sha256"] for backbone in (load_backbone(), drawn, other)
    }
    assert len(hashes) == 3
    assert not torch.allclose(
        drawn.hidden_states(speech).clip(2), other.hidden_states(speech).clip(2), atol=0.1
    )


def test_a_fingerprint_is_plain_data():
    fingerprint = load_backbone().fingerprint()
    assert json.loads(json.dumps(fingerprint)) == fingerprint
    assert (
        fingerprint["layers"]
        == "0 = input of block 1, k = raw output of block k, before any final norm"
    )


def test_importing_the_package_does_not_import_pytorch():
    code = "import sys, probing.backbones as b; b.BackboneMissing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
