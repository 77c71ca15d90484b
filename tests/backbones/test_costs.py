"""What each depth of a backbone costs, in one pass, against truncated backbones and
counts by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import FRAMES_OF_30_S, TINY_NAMES

from probing.backbones import ClipUnusable, load_backbone
from probing.backbones.costs import costs


@pytest.mark.parametrize("name", TINY_NAMES)
def test_a_depth_costs_what_the_truncated_backbone_costs_alone(
    name: str, tiny: Callable[[str], Path]
) -> None:
    whole = load_backbone(str(tiny(name)), device="cpu")
    table = costs(whole, seconds=0.5, repeats=3)
    assert list(table.columns) == ["depth", "parameters", "macs", "latency_ms"]
    assert list(table["depth"]) == list(range(whole.n_layers + 1))
    for k in range(1, whole.n_layers + 1):
        alone = costs(whole.truncate(k), seconds=0.5, repeats=1).iloc[-1]
        assert table["parameters"][k] == alone["parameters"]
        assert table["parameters"][k] == sum(
            weight.numel() for weight in whole.truncate(k)._encoder.parameters()
        )
        assert table["macs"][k] == alone["macs"]
    assert (table.diff().iloc[1:] > 0).all(axis=None)
    assert table.iloc[0].drop("depth").gt(0).all()


@pytest.mark.parametrize("name", ["wavlm", "hubert", "wav2vec2-group"])
def test_a_block_costs_its_products_counted_by_hand(name: str, tiny: Callable[[str], Path]) -> None:
    whole = load_backbone(str(tiny(name)), device="cpu")
    frames, width, inner, heads, gates = whole.n_frames(16000), 32, 64, 4, 8
    block = frames * (4 * width * width + 2 * width * inner) + 2 * frames * frames * width
    gate = frames * heads * (width // heads) * gates if name == "wavlm" else 0
    assert set(costs(whole, seconds=1.0, repeats=1)["macs"].diff().iloc[1:]) == {block + gate}


def test_the_front_end_costs_its_convolutions_counted_by_hand(tiny: Callable[[str], Path]) -> None:
    whole = load_backbone(str(tiny("wav2vec2")), device="cpu")
    n, channels, expected = 16000, 1, 0
    for kernel, stride in zip((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), strict=True):
        n = (n - kernel) // stride + 1
        expected += n * 16 * channels * kernel
        channels = 16
    expected += n * 16 * 32  # projection
    # positional convolution, 4 groups; one frame more, cut off after
    expected += (n + 1) * 32 * (32 // 4) * 16
    assert costs(whole, seconds=1.0, repeats=1)["macs"][0] == expected


def test_without_its_first_block_a_wavlm_still_counts_its_position_embedding(
    tiny: Callable[[str], Path],
) -> None:
    without = load_backbone(str(tiny("wavlm")), device="cpu").keep([2, 3])
    parameters = costs(without, seconds=0.5, repeats=1)["parameters"].diff()
    assert (
        parameters[1] - parameters[2] == without._blocks[0].attention.rel_attn_embed.weight.numel()
    )  # type: ignore


def test_the_embedded_backbone_has_its_costs() -> None:
    embedded = load_backbone(device="cpu")
    table = costs(embedded, seconds=1.0, repeats=2)
    assert len(table) == embedded.n_layers + 1
    assert (table.diff().iloc[1:] > 0).all(axis=None)


def test_costs_of_no_clip_are_refused(build_tiny: Callable[..., Path]) -> None:
    whisper = load_backbone(str(build_tiny("whisper", **FRAMES_OF_30_S)), device="cpu")
    for seconds in (31, 0.001):
        with pytest.raises(ClipUnusable, match=r"takes 0\.025 to 30"):
            costs(whisper, seconds=seconds)
    with pytest.raises(ClipUnusable, match="1 or more"):
        costs(whisper, repeats=0)
