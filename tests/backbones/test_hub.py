"""What happens away from a good connection and a good installation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save_file

from probing.backbones import HubUnreachable, load_backbone

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    """The hub's download folder, empty, and no connection."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def downloaded(downloads, folder):
    model = downloads / "models--lab--speech-model"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    return shutil.copytree(folder, model / "snapshots" / COMMIT)


def test_a_downloaded_model_loads_offline_with_its_commit(downloads, tiny):
    downloaded(downloads, tiny("hubert"))
    backbone, local = load_backbone("lab/speech-model"), load_backbone(str(tiny("hubert")))
    assert (backbone.name, backbone.fingerprint()) == (
        "speech-model",
        local.fingerprint() | {"revision": COMMIT},
    )
    assert (
        load_backbone("lab/speech-model", revision=COMMIT).fingerprint() == backbone.fingerprint()
    )
    assert load_backbone("random:lab/speech-model").name == "random weights: speech-model"


def test_a_model_never_downloaded_is_explained_offline(downloads):
    with pytest.raises(
        HubUnreachable, match=r"lab/never-downloaded.*offline\?.*local folder.*`embedded`"
    ) as caught:
        load_backbone("lab/never-downloaded")
    assert isinstance(caught.value, ConnectionError)


def test_a_download_without_weights_is_explained_offline(downloads, tiny):
    (downloaded(downloads, tiny("hubert")) / "model.safetensors").unlink()
    with pytest.raises(HubUnreachable, match=r"weights were not.*random:lab/speech-model"):
        load_backbone("lab/speech-model")


def test_a_downloaded_adapter_is_put_on_a_downloaded_base(downloads, tiny, tmp_path):
    pytest.importorskip("peft")
    downloaded(downloads, tiny("wavlm"))
    commit = downloads / "models--lab--adapter" / "snapshots" / COMMIT
    (commit.parents[1] / "refs").mkdir(parents=True)
    (commit.parents[1] / "refs" / "main").write_text(COMMIT)
    commit.mkdir(parents=True)
    entries = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (commit / "adapter_config.json").write_text(
        json.dumps(entries | {"base_model_name_or_path": "lab/speech-model"})
    )
    names = [
        f"base_model.model.encoder.layers.{layer}.attention.q_proj.lora_" for layer in range(3)
    ]
    weights = {f"{name}A.weight": torch.ones(2, 32) for name in names}
    save_file(
        weights | {f"{name}B.weight": torch.ones(32, 2) for name in names},
        commit / "adapter_model.safetensors",
    )
    found = load_backbone("lab/adapter")
    assert found.name == "speech-model + adapter"
    assert (
        found.fingerprint()["base_sha256"]
        == load_backbone("lab/speech-model").fingerprint()["weights_sha256"]
    )
    shutil.rmtree(downloads / "models--lab--speech-model")
    with pytest.raises(HubUnreachable, match=r"lab/speech-model.*hf download lab/speech-model"):
        load_backbone("lab/adapter")


def test_a_torchaudio_that_does_not_load_is_explained(tmp_path):
    (tmp_path / "torchaudio").mkdir()
    missing = "libc10_cuda.so: cannot open shared object file: No such file or directory"
    (tmp_path / "torchaudio" / "__init__.py").write_text(f"raise OSError({missing!r})")
    (tmp_path / "torchaudio-2.11.0.dist-info").mkdir()
    (tmp_path / "torchaudio-2.11.0.dist-info" / "METADATA").write_text(
        "Name: torchaudio\nVersion: 2.11.0\n"
    )
    code = (
        "import probing.backbones as b\ntry: "
        "b.load_backbone()\nexcept b.LibraryBroken as error: print(error)"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "pip uninstall torchaudio" in done.stdout
    assert "libc10_cuda" in done.stdout
