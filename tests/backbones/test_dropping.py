"""Backbones without some of their blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hand_made import SEPARATION, write_cache
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import TINY_NAMES

from cache import Cache
from probing.backbones import Backbone, BlocksUnknown, block_similarity, kept_blocks
from probing.corpora import load_corpus
from probing.extraction import Machine, Options, extract, repair


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        ("top:4", (1, 2, 3, 4, 5, 6, 7, 8)),
        ("bottom:4", (5, 6, 7, 8, 9, 10, 11, 12)),
        ("alternate:4", (1, 2, 3, 4, 5, 7, 9, 11)),
        ("alternate:6", (1, 3, 5, 7, 9, 11)),
        ("symmetric:4", (1, 2, 3, 4, 9, 10, 11, 12)),
        ("symmetric:3", (1, 2, 3, 4, 5, 9, 10, 11, 12)),
        ("blocks:3,1,12", (1, 3, 12)),
    ],
)
def test_strategies_keep_the_blocks_of_the_paper(spec: str, kept: tuple[int, ...]) -> None:
    assert kept_blocks(spec, 12) == kept


@given(st.sampled_from(["top", "bottom", "alternate", "symmetric"]), st.integers(2, 30), st.data())
def test_every_strategy_drops_as_many_as_it_is_told(
    strategy: str, n: int, data: st.DataObject
) -> None:
    most = min(n - 1, (n + 1) // 2) if strategy == "alternate" else n - 1
    k = data.draw(st.integers(1, most))
    kept = kept_blocks(f"{strategy}:{k}", n)
    assert len(kept) == n - k
    assert list(kept) == sorted(set(kept))
    assert set(kept) <= set(range(1, n + 1))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("middle:2", "expected top:K"),
        ("top", "expected top:K"),
        ("top:two", "expected top:K"),
        ("top:0", "top can drop 1 to 11"),
        ("top:12", "top can drop 1 to 11"),
        ("alternate:7", "alternate can drop 1 to 6"),
        ("contribution:2", "expected top:K"),
        ("top:2:somewhere", "expected top:K"),
        ("blocks:0,1", "blocks 1 to 12"),
        ("blocks:13", "blocks 1 to 12"),
        ("blocks:", "expected top:K"),
    ],
)
def test_a_specification_that_means_nothing_is_refused(spec: str, message: str) -> None:
    with pytest.raises(BlocksUnknown, match=message):
        kept_blocks(spec, 12)


@pytest.mark.parametrize("name", TINY_NAMES)
def test_a_truncated_backbone_gives_the_lower_layers_of_the_whole(
    name: str, loaded_tiny: Callable[..., Backbone], speech: list[np.ndarray]
) -> None:
    whole = loaded_tiny(name, device="cpu")
    clip = [speech[0]]
    expected = whole.hidden_states(clip).layers
    for k in range(1, whole.n_layers + 1):
        truncated = whole.truncate(k)
        layers = truncated.hidden_states(clip).layers
        assert len(layers) == truncated.n_layers + 1 == k + 1
        assert all(torch.equal(a, b) for a, b in zip(layers, expected, strict=False))
    assert len(whole.hidden_states(clip).layers) == len(expected)


@pytest.mark.parametrize("name", ["wavlm", "wavlm-group", "hubert", "wav2vec2-bert"])
def test_without_the_first_block_the_second_gets_its_input_and_the_position_bias_survives(
    name: str, loaded_tiny: Callable[..., Backbone], speech: list[np.ndarray]
) -> None:
    whole = loaded_tiny(name, device="cpu")
    without = whole.keep([2, 3])
    layers = without.hidden_states([speech[0]]).layers
    expected = whole.hidden_states([speech[0]]).layers
    assert torch.equal(layers[0], expected[0])
    assert not torch.allclose(layers[1], expected[1], atol=1e-3)
    if name.startswith("wavlm"):
        first, second = whole._blocks[0].attention, without._blocks[0].attention
        assert torch.equal(first.rel_attn_embed.weight, second.rel_attn_embed.weight)
        assert not hasattr(whole._blocks[1].attention, "rel_attn_embed")


def test_the_fingerprint_and_the_name_say_which_blocks_are_left(
    loaded_tiny: Callable[..., Backbone],
) -> None:
    whole = loaded_tiny("wavlm", device="cpu")
    prints = [backbone.fingerprint() for backbone in (whole, whole.truncate(2), whole.keep([1, 3]))]
    assert [each["blocks"] for each in prints] == ["1,2,3", "1,2", "1,3"]
    assert len({each["weights_sha256"] for each in prints}) == 3
    assert whole.truncate(2).name == f"{whole.name}, first 2 of 3 blocks"
    assert whole.keep([2, 3]).keep([2]).name == f"{whole.name}, blocks 3 of 3"
    with pytest.raises(BlocksUnknown, match="some of 1 to 3"):
        whole.keep([3, 4])


def test_similarity_is_the_cosine_of_what_enters_and_leaves_a_block(tmp_path: Path) -> None:
    cache = Cache(write_cache(tmp_path / "hand.cache"))
    similarity = block_similarity(cache)
    a, b = (cache.layer(k)[0][:, 0].astype(float) for k in (1, 2))
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert similarity.shape == (len(SEPARATION) - 1,)
    assert similarity[1] == pytest.approx(cosines.mean())
    order = np.argsort(-similarity)
    kept = kept_blocks(f"contribution:2:{cache.folder}", 3)
    assert kept == tuple(sorted({1, 2, 3} - {int(block) + 1 for block in order[:2]}))
    with pytest.raises(BlocksUnknown, match="expected one of the whole model, layers 0 to 12"):
        kept_blocks(f"contribution:2:{cache.folder}", 12)


def test_a_cache_of_a_truncated_backbone_is_the_lower_part_of_the_whole_ones(
    tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    corpus = load_corpus("demo", splits=["dev"])
    few = type(corpus)(corpus.name, corpus.spec, corpus.root, corpus.utterances.head(4))
    quiet: dict = {"say": lambda text: None}
    machine = Machine("cpu")
    whole = extract(tmp_path / "whole", few, Options(str(tiny("wavlm"))), machine, **quiet)
    options = Options(str(tiny("wavlm")), drop=f"contribution:1:{tmp_path / 'whole'}")
    dropped = extract(tmp_path / "dropped", few, options, machine, **quiet)
    top = extract(
        tmp_path / "top", few, Options(str(tiny("wavlm")), drop="top:1"), machine, **quiet
    )
    assert top.layers == [0, 1, 2]
    assert np.array_equal(top.pooled(), whole.pooled([0, 1, 2]))
    assert dropped.about["options"]["drop"].startswith("blocks:")
    before = dropped.pooled()
    (tmp_path / "dropped" / "shard-00000.h5").unlink()
    assert np.array_equal(repair(tmp_path / "dropped", machine=machine, **quiet).pooled(), before)
