"""The second model in the package: a speech recogniser's encoder, its card, its hash, and what its
name means.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pytest
import torch

from analysis.runs.rerun import _portable
from probing.backbones import BackboneMissing, BackboneUnsupported, load_backbone
from probing.backbones.checkpoint import check_spec, open_checkpoint
from probing.backbones.packaged import MOONSHINE, PACKAGED, check_packaged
from probing.sealing import Damaged

FOLDER = PACKAGED[MOONSHINE]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "moonshine"))


def test_moonshine_loads_with_the_fingerprint_of_a_folder_of_its_files_whatever_its_name(
    speech, copied: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(copied.parent)
    packaged, folder = load_backbone("moonshine"), load_backbone("./moonshine")
    assert capfd.readouterr() == ("", "")
    assert (packaged.name, folder.name) == ("Moonshine tiny encoder 6x288", "moonshine")
    assert (packaged.family, packaged.n_layers, packaged.dim, packaged.random) == (
        "moonshine",
        6,
        288,
        False,
    )
    assert packaged.fingerprint() == folder.fingerprint()
    one, other = (backbone.hidden_states(speech[:1]).clip(0) for backbone in (packaged, folder))
    assert torch.equal(one, other)
    assert packaged.notes == [
        "moonshine is the model in the package; for the one in "
        "the folder of that name type ./moonshine"
    ]
    assert folder.notes == []


def test_its_card_names_its_licence_its_very_files_and_that_it_is_no_self_supervised_model() -> (
    None
):
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in ("model.safetensors", "config.json", "preprocessor_config.json"):
        assert f"`{name}` {hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()}" in card
    assert "speech recogniser's encoder, not self-supervised" in " ".join(card.split())
    assert "Copyright (c) 2024 Useful Sensors" in (FOLDER / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("spec", ["embedded", "moonshine"])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "README.md"])
def test_a_flipped_byte_in_a_model_of_the_package_is_refused(
    spec: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(PACKAGED[spec], tmp_path / spec))
    check_packaged(folder)
    content = bytearray((folder / name).read_bytes())
    place = (
        content.rindex(b"- `model.safetensors` ") + 25 if name == "README.md" else len(content) // 2
    )
    content[place] ^= 1
    (folder / name).write_bytes(content)
    monkeypatch.setitem(PACKAGED, spec, folder)
    with pytest.raises(Damaged, match=r"damaged \(.*SHA-256.*Install this package again"):
        open_checkpoint(spec, None, weights=True)


def test_a_missing_file_or_card_is_refused(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    with pytest.raises(
        Damaged, match=r"model\.safetensors: damaged \(SHA-256 no such file, expected [0-9a-f]{64}"
    ):
        check_packaged(copied)
    card = (copied / "README.md").read_text(encoding="utf-8")
    (copied / "README.md").write_text(
        re.sub(r"(`model\.safetensors` )[0-9a-f]", r"\1g", card), encoding="utf-8"
    )
    with pytest.raises(Damaged, match=r"README\.md: damaged \(no SHA-256 of model\.safetensors\)"):
        check_packaged(copied)
    (copied / "README.md").unlink()
    with pytest.raises(Damaged, match=r"README\.md: damaged"):
        check_packaged(copied)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("moonshin", "moonshine"),
        ("Moonshine", "moonshine"),
        ("embeded", "embedded"),
        ("wavlm-lage", "microsoft/wavlm"),
    ],
)
def test_a_near_miss_is_told_what_was_meant(typed: str, meant: str) -> None:
    with pytest.raises(BackboneMissing, match=re.escape(f"Try `{meant}")):
        check_spec(typed)


def test_a_model_of_the_package_has_no_revisions() -> None:
    with pytest.raises(BackboneUnsupported, match="not on the hub"):
        check_spec("moonshine", "main")


@pytest.mark.parametrize("name", ["moonshine", "embedded", "demo", "log-mel"])
def test_how_to_make_a_run_again_does_not_take_a_folder_for_what_is_in_the_package(
    name: str,
) -> None:
    assert _portable(f"/data/{name}") == f"./{name}"
    assert _portable(f"random:/data/{name}") == f"random:./{name}"
    assert _portable(name) == name
    assert _portable("/data/mine") == "mine"
