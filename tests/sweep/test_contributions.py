"""What a layer contributes is measured on true frames only, and among all utterances."""

import numpy as np
import pandas as pd
import pytest
import torch
from hand_made import write_cache

from cache import Cache
from probing.heads.head import Head
from probing.heads.sources import PooledSource
from probing.heads.stack import HeadStack, Model
from probing.sweep import SweepOptions
from probing.sweep import contributions as views
from probing.sweep.contributions import _fitted, contributions


def test_a_layer_of_a_shorter_utterance_is_repeated_and_its_padding_is_not_taken() -> None:
    lengths = torch.tensor([2, 5, 3])
    mask = torch.arange(5) < lengths[:, None]
    layer = torch.where(mask[:, :, None], torch.arange(15.0).view(3, 5, 1), torch.nan)
    fitted = _fitted(layer, mask, 6)[:, :, 0]
    assert fitted.tolist() == [[0, 1, 0, 1, 0, 1], [5, 6, 7, 8, 9, 5], [10, 11, 12, 10, 11, 12]]
    assert _fitted(layer, mask, 2).shape == (3, 2, 1)
    pooled = torch.arange(6.0).view(3, 1, 2)
    assert torch.equal(_fitted(pooled, None, 1), pooled)


def test_layers_are_permuted_among_all_utterances_however_few_are_in_memory(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(write_cache(tmp_path / "c", separation=(0, 0, 4, 0)))
    split = SweepOptions().splits(cache)["eval"]
    source = PooledSource(cache=cache, table=split.table)
    stack = HeadStack([Model("mean", "linear", 3)], source.n_layers, source.dim, False)
    with torch.no_grad():
        stack.backend.get_parameter("weight")[0, 0, 0] = 1.0
    whole = pd.DataFrame(contributions([(Head(stack), source, np.arange(len(split)))], split))
    for size in (1, 7):
        monkeypatch.setattr(views, "BATCH", size)
        parts = pd.DataFrame(contributions([(Head(stack), source, np.arange(len(split)))], split))
        pd.testing.assert_frame_equal(parts, whole, rtol=1e-4)
    rates = whole[whole["metric"] == "eer_permuted"].set_index("layer")["value"]
    assert rates.idxmax() == 2
    assert rates[2] > rates[1] + 0.2
    assert np.isfinite(rates).all()
