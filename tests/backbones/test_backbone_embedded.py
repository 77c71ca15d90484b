from __future__ import annotations

import json
import subprocess
import sys

import torch

from probing.backbones import load_backbone


def test_embedded_needs_nothing_and_says_that_its_weights_are_random(capfd):
    backbone = load_backbone()
    assert backbone.name == "embedded WavLM 12x192 (random weights)"
    assert (backbone.family, backbone.n_layers, backbone.dim, backbone.random) == ("wavlm", 12, 192, True)
    assert (backbone.padding, backbone.min_samples, backbone.max_samples) == ("exact", 400, None)
    assert backbone.n_frames(16000) == 49
    assert capfd.readouterr() == ("", "")


def test_embedded_is_the_same_every_time(speech):
    one, other = load_backbone(), load_backbone("embedded", seed=0)
    assert one.fingerprint() == other.fingerprint()
    assert torch.equal(one.hidden_states(speech).clip(2), other.hidden_states(speech).clip(2))
    assert load_backbone(seed=1).fingerprint()["weights_sha256"] != one.fingerprint()["weights_sha256"]


def test_embedded_gives_the_same_layers_alone_and_padded(speech):
    backbone = load_backbone()
    batch = backbone.hidden_states(speech)
    for i, clip in enumerate(speech):
        torch.testing.assert_close(batch.clip(i), backbone.hidden_states([clip]).clip(0), rtol=1e-4, atol=1e-5)


def test_random_embedded_is_embedded():
    assert load_backbone("random:embedded").name == "random weights: embedded WavLM 12x192"
    assert load_backbone("random:embedded").fingerprint() == load_backbone().fingerprint()


def test_a_fingerprint_is_plain_data():
    fingerprint = load_backbone().fingerprint()
    assert json.loads(json.dumps(fingerprint)) == fingerprint
    assert fingerprint["layers"] == "0 = input of block 1, k = raw output of block k, before any final norm"


def test_importing_the_package_does_not_import_pytorch():
    code = "import sys, probing.backbones as b; b.BackboneMissing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
