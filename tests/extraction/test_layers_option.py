"""`--layers` computes and stores no more than asked, and the readers cope with layers that are not
0..L.
"""

import numpy as np
import pytest
from small_extraction import machine, quiet, run_cli, with_frames

from cache import Cache, FingerprintMismatch, ProbeError, verify
from probing.backbones import BlocksUnknown, block_similarity
from probing.extraction import extract
from probing.extraction.options import chosen_layers
from probing.sweep import DepthOptions


@pytest.mark.parametrize(
    ("spec", "layers"),
    [
        ("0:3", (0, 1, 2, 3)),
        ("2", (2,)),
        ("3,1,1:2", (1, 2, 3)),
        (":1, 5:", (0, 1, 5, 6)),
        (":", tuple(range(7))),
    ],
)
def test_a_specification_names_layers_with_both_ends_of_a_range(spec, layers) -> None:
    assert chosen_layers(spec, 6) == layers


@pytest.mark.parametrize("spec", ["7", "0:7", "3:2", "-1", "a", "", "1,,2", "1:2:3", "1.5"])
def test_a_specification_that_names_no_layer_is_refused(spec) -> None:
    with pytest.raises(ProbeError, match=r"layers=.*0"):
        chosen_layers(spec, 6)


@pytest.mark.parametrize("spec", ["0:1", "2", "0,2", "1,3", "0"])
def test_layers_asked_for_are_those_of_the_whole_cache(
    spec, backbone, corpus, undisturbed, tmp_path
) -> None:
    options = with_frames(backbone, layers=spec)
    cache = extract(tmp_path / "c", corpus, options, machine(), say=quiet)
    wanted = list(chosen_layers(spec, 3))
    assert cache.layers == wanted
    assert cache.fingerprint["backbone_n_layers"] == max(1, wanted[-1])
    for k in wanted:
        for tier in ("pooled", "frames"):
            np.testing.assert_allclose(
                cache.layer(k, tier)[0], undisturbed.layer(k, tier)[0], rtol=1e-4, atol=1e-4
            )
    name = cache.utterances["utterance_id"][0]
    assert cache.frames([name])[0].shape[0] == len(wanted)
    assert verify(cache.folder) == []
    with pytest.raises(ProbeError, match=r"no layer 4, only [\d., ]+"):
        cache.layer(4)


def test_blocks_above_the_highest_layer_are_not_loaded_to_be_run(backbone) -> None:
    loaded = with_frames(backbone, layers="0,2").load_backbone("cpu")
    assert len(loaded._blocks) == 2
    assert len(with_frames(backbone, layers="0:3").load_backbone("cpu")._blocks) == 3


def test_all_layers_asked_for_by_name_are_the_cache_of_no_layers_named(
    backbone, corpus, undisturbed, tmp_path
) -> None:
    said: list[str] = []
    options = with_frames(backbone)
    extract(tmp_path / "c", corpus, options, machine(), say=quiet)
    extract(tmp_path / "c", corpus, with_frames(backbone, layers="0:3"), machine(), say=said.append)
    assert "Nothing to do" in said[-1]


def test_other_layers_are_refused_in_the_same_folder(backbone, corpus, tmp_path) -> None:
    extract(tmp_path / "c", corpus, with_frames(backbone, layers="0,2"), machine(), say=quiet)
    with pytest.raises(FingerprintMismatch, match=r"layers: cache '0,2', this command '1,2'"):
        extract(tmp_path / "c", corpus, with_frames(backbone, layers="1,2"), machine(), say=quiet)


def test_depths_need_every_layer_from_1_on(backbone, corpus, tmp_path, monkeypatch, capsys) -> None:
    cache = extract(
        tmp_path / "c", corpus, with_frames(backbone, layers="0,2"), machine(), say=quiet
    )
    with pytest.raises(ProbeError, match=r"has layers 0, 2, .*heads=none.*layers=0:2"):
        DepthOptions(heads=("mean+linear",)).check(cache)
    DepthOptions(heads=()).check(cache)
    DepthOptions().check(cache)  # linear probes only
    with pytest.raises(BlocksUnknown, match=r"has layers 0, 2; expected all from 0 on"):
        block_similarity(cache)
    DepthOptions().check(
        extract(tmp_path / "d", corpus, with_frames(backbone, layers="1:2"), machine(), say=quiet)
    )
    assert "layers 0, 2 x 32" in repr(cache)
    assert run_cli(["cache", "info", str(tmp_path / "c")], monkeypatch) == 0
    assert "0, 2, 32 wide" in capsys.readouterr().out


def test_repair_extracts_the_same_layers_again(backbone, corpus, tmp_path) -> None:
    from probing.extraction import repair

    cache = extract(
        tmp_path / "c", corpus, with_frames(backbone, layers="0,2"), machine(), say=quiet
    )
    before = cache.pooled()
    (tmp_path / "c" / "shard-00001.h5").unlink()
    repair(tmp_path / "c", corpus, machine(), say=quiet)
    again = Cache(tmp_path / "c")
    assert again.layers == [0, 2]
    np.testing.assert_allclose(again.pooled(), before, rtol=1e-4, atol=1e-5)
