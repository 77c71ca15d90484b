"""What happens away from a good connection and a good installation, each in a fresh interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        env=os.environ | {"HF_HUB_OFFLINE": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_offline_a_downloaded_model_loads_and_another_is_explained(tiny, tmp_path):
    model = tmp_path / "models--lab--speech-model"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    shutil.copytree(tiny("hubert"), model / "snapshots" / COMMIT)
    code = """
from probing.backbones import HubUnreachable, load_backbone
backbone = load_backbone("lab/speech-model")
print(backbone.name, backbone.fingerprint()["revision"], load_backbone("random:lab/speech-model").name)
try:
    load_backbone("lab/never-downloaded")
except HubUnreachable as error:
    print(error)
"""
    done = run(code, HF_HUB_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == f"speech-model {COMMIT} random weights: speech-model"
    assert "lab/never-downloaded" in second
    assert "offline?" in second
    assert "`embedded`" in second


def test_a_torchaudio_that_does_not_load_is_explained(tmp_path):
    (tmp_path / "torchaudio").mkdir()
    missing = "libc10_cuda.so: cannot open shared object file: No such file or directory"
    (tmp_path / "torchaudio" / "__init__.py").write_text(f"raise OSError({missing!r})")
    (tmp_path / "torchaudio-2.11.0.dist-info").mkdir()
    (tmp_path / "torchaudio-2.11.0.dist-info" / "METADATA").write_text("Name: torchaudio\nVersion: 2.11.0\n")
    code = "import probing.backbones as b\ntry: b.load_backbone()\nexcept b.LibraryBroken as error: print(error)"
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = run(code, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert "pip uninstall torchaudio" in done.stdout
    assert "libc10_cuda" in done.stdout
