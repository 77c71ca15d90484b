"""What a layer contributes is measured on true frames only."""

import torch

from probing.sweep.contributions import _taken


def test_a_layer_of_a_shorter_utterance_is_repeated_and_its_padding_is_not_taken() -> None:
    lengths = torch.tensor([2, 5, 3])
    mask = torch.arange(5) < lengths[:, None]
    layer = torch.where(mask[:, :, None], torch.arange(15.0).view(3, 5, 1), torch.nan)
    rows = torch.tensor([2, 0, 1])
    taken = _taken(layer, mask, rows)[:, :, 0]
    assert taken.tolist() == [[10, 11, 12, 10, 11], [0, 1, 0, 1, 0], [5, 6, 7, 8, 9]]
    pooled = torch.arange(6.0).view(3, 1, 2)
    assert torch.equal(_taken(pooled, None, rows), pooled[rows])
