"""A backbone written as a folder and loaded again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from tiny_models import TINY_NAMES

from probing.backbones import Backbone, BackboneUnsaved, load_backbone, saving


def same_layers(left: Backbone, right: Backbone, clips: list[np.ndarray]) -> bool:
    one, other = (backbone.hidden_states(clips).layers for backbone in (left, right))
    return len(one) == len(other) and all(
        torch.equal(a, b) for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("name", TINY_NAMES)
def test_a_truncated_backbone_comes_back_as_it_was(
    name: str,
    loaded_tiny: Callable[..., Backbone],
    speech: list[np.ndarray],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    whole = loaded_tiny(name, device="cpu")
    truncated = whole.truncate(whole.n_layers - 1)
    folder = truncated.save(tmp_path / "export")
    capfd.readouterr()
    loaded = load_backbone(str(folder), device="cpu")
    assert capfd.readouterr() == ("", "")
    assert loaded.n_layers == whole.n_layers - 1
    assert same_layers(truncated, loaded, speech[:1])
    assert same_layers(
        truncated, load_backbone(str(loaded.save(tmp_path / "again")), device="cpu"), speech[:1]
    )
    ours, theirs = truncated.fingerprint(), loaded.fingerprint()
    assert {key: ours[key] for key in ours if ours[key] != theirs[key]} == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "export"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    assert len(whole.hidden_states(speech[:1]).layers) == whole.n_layers + 1


@pytest.mark.parametrize(
    "name", ["wavlm", "wavlm-group", "hubert", "wav2vec2-conformer", "wav2vec2-bert"]
)
def test_without_the_first_block_too(
    name: str, loaded_tiny: Callable[..., Backbone], speech: list[np.ndarray], tmp_path: Path
) -> None:
    without = loaded_tiny(name, device="cpu").keep([2, 3])
    folder = without.save(tmp_path / "export")
    assert same_layers(without, load_backbone(str(folder), device="cpu"), speech[:1])
    assert json.loads((folder / "export.json").read_text())["blocks"] == "2,3"
    assert any(
        "rel_attn_embed" in key for key in load_file(folder / "model.safetensors")
    ) == name.startswith("wavlm")


@pytest.mark.parametrize("normalize", ["on", "off"])
@pytest.mark.parametrize("name", ["wavlm", "wavlm-group"])
def test_the_normalisation_asked_for_survives(
    name: str, normalize: str, tiny: Callable[[str], Path], speech: list[np.ndarray], tmp_path: Path
) -> None:
    asked = load_backbone(str(tiny(name)), device="cpu", normalize=normalize)
    loaded = load_backbone(str(asked.save(tmp_path / "export")), device="cpu")
    assert loaded.fingerprint()["normalization"] == asked.fingerprint()["normalization"]
    assert same_layers(asked, loaded, [10 * speech[0]])


def test_float16_weights_stay_float16_and_transformers_reads_them(
    speech: list[np.ndarray], tmp_path: Path
) -> None:
    truncated = load_backbone(device="cpu").truncate(3)
    folder = truncated.save(tmp_path / "export")
    assert {weight.dtype for weight in load_file(folder / "model.safetensors").values()} == {
        torch.float16
    }
    assert same_layers(truncated, load_backbone(str(folder), device="cpu"), speech[:1])
    model, report = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert model.config.num_hidden_layers == 3
    assert not any(report.values())


def test_a_float32_model_is_written_in_float32(
    loaded_tiny: Callable[..., Backbone], tmp_path: Path
) -> None:
    folder = loaded_tiny("hubert", device="cpu").save(tmp_path / "export")
    assert {weight.dtype for weight in load_file(folder / "model.safetensors").values()} == {
        torch.float32
    }


def test_an_export_is_replaced_and_anything_else_is_not(
    tiny: Callable[[str], Path], tmp_path: Path, loaded_tiny
) -> None:
    whole = loaded_tiny("hubert", device="cpu")
    (tmp_path / "empty").mkdir()
    whole.save(tmp_path / "empty")
    folder = whole.truncate(1).save(tmp_path / "deep" / "export")
    whole.truncate(2).save(folder)
    assert load_backbone(str(folder), device="cpu").n_layers == 2
    (tmp_path / "file").write_text("precious")
    for place in (tmp_path, tmp_path / "file", tiny("hubert")):
        with pytest.raises(BackboneUnsaved, match="Name another folder"):
            whole.save(place)
    assert (tmp_path / "file").read_text() == "precious"
    with pytest.raises(BackboneUnsaved, match="cannot be written to"):
        whole.save(tmp_path / "file" / "export")


def test_a_failed_export_leaves_what_was_there(
    tiny: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_backbone(str(tiny("hubert")), device="cpu")
    folder = whole.truncate(1).save(tmp_path / "export")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "save_file", full)
    for place in (folder, tmp_path / "new"):
        with pytest.raises(BackboneUnsaved, match="No space left"):
            whole.save(place)
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert load_backbone(str(folder), device="cpu").n_layers == 1


def test_random_weights_are_not_written_as_if_trained(
    tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(BackboneUnsaved, match="random:"):
        load_backbone(f"random:{tiny('hubert')}", device="cpu").save(tmp_path / "export")
