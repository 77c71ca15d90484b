"""What recipes do to rates, moments, stopping and averaging, re-derived; what learns, by its
groups.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from cache.errors import OptionError
from probing.heads.recipes import ATTM, ATTM_RELEASED
from probing.tuning import TuneOptions
from probing.tuning.checkpoints import BestEpochs
from probing.tuning.options import TuneMachine
from probing.tuning.recipes import QUICK, RECIPES
from probing.tuning.trained import Trained


def released(losses: list[float]) -> tuple[int, list[int]]:
    """Epochs trained and files averaged by the released code: files are numbered from 0, log lines
    from 1.
    """
    lowest, count, trained = np.inf, 0, len(losses)
    for index, loss in enumerate(losses):
        lowest, count = (loss, 0) if loss < lowest else (lowest, count + 1)
        if index >= 20 and count == 5:
            trained = index + 1
            break
    lines = sorted(range(1, trained + 1), key=lambda line: losses[line - 1])[:5]
    return trained, sorted(line for line in lines if line < trained)


def described(losses: list[float]) -> tuple[int, list[int]]:
    """The same as one writes it down: five epochs without gain end it from epoch 20 on; the best
    five are averaged.
    """
    lowest, at, trained = np.inf, 0, len(losses)
    for index, loss in enumerate(losses):
        lowest, at = (loss, index) if loss < lowest else (lowest, at)
        if index + 1 >= 20 and index - at >= 5:
            trained = index + 1
            break
    return trained, sorted(sorted(range(trained), key=lambda i: losses[i])[:5])


def curve(*points: tuple[int, float]) -> list[float]:
    return np.interp(range(30), *zip(*points, strict=True)).tolist()


CASES = {
    "falls to the end": curve((0, 1.0), (29, 0.1)),
    "last fell at 14": [1 - 0.01 * min(i, 14) + 0.001 * max(0, i - 14) for i in range(30)],
    "last fell at 15": [1 - 0.01 * min(i, 15) + 0.001 * max(0, i - 15) for i in range(30)],
    "last fell at 16": [1 - 0.01 * min(i, 16) + 0.001 * max(0, i - 16) for i in range(30)],
    "last fell at 22": [1 - 0.01 * min(i, 22) + 0.001 * max(0, i - 22) for i in range(30)],
    "best is the last": [1 + 0.01 * i for i in range(29)] + [0.5],
    "best is the first": [0.1] + [1 + 0.01 * i for i in range(29)],
    "zigzag": [1 - 0.02 * i + 0.3 * (i % 3) for i in range(30)],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("recipe", "derived"), [("attm", described), ("attm-released", released)])
def test_stopping_and_averaging_are_as_derived_anew(
    recipe: str, derived, case: str, tmp_path: Path
) -> None:
    losses, learning = CASES[case], RECIPES[recipe].learning
    best, epoch = BestEpochs(tmp_path, learning), 0
    while epoch < learning.epochs:
        epoch += 1
        weights = {"w": torch.full((2,), float(epoch - 1))}
        best.offer(weights, losses[epoch - 1], epoch)
        best.prune()
        if learning.stops(epoch, epoch - best.lowest):
            break
    trained, files = derived(losses)
    assert epoch == trained
    assert [number - 1 for number in best.averaged()] == files
    kept = [best.weights(number, torch.device("cpu"))["w"] for number in best.averaged()]
    assert [value.tolist() for value in kept] == [[float(file)] * 2 for file in files]
    assert len(list(tmp_path.iterdir())) <= learning.keep + 1
    again = BestEpochs(tmp_path, learning)
    again.load(best.state())
    assert (again.averaged(), again.lowest) == (best.averaged(), best.lowest)


def test_the_rate_goes_on_where_the_backbone_joins_or_begins_anew() -> None:
    for name in ("attm", "attm-released"):
        assert RECIPES[name].factor(10.0) == pytest.approx(0.8**5)
        assert (
            RECIPES[name].rate * max(RECIPES[name].factor(e / 2) for e in range(20, 60)) < 0.34e-4
        )
    assert RECIPES["attm-released"].factor(0.9) == 0.2
    assert RECIPES["attm"].factor(2.5) == 0.5
    assert QUICK.factor(QUICK.frozen_epochs + 0.5) == 0.5
    assert QUICK.factor(QUICK.frozen_epochs + 1.5) == 1.0
    assert [ONE.factor(epoch + 0.5) for epoch in (0, 1, 4)] == pytest.approx([0.5, 1.0, 0.5**0.75])


ONE = RECIPES["one-stage"]


def test_the_recipes_of_the_paper_are_those_of_heads_on_a_cache() -> None:
    assert (RECIPES["attm"].learning, RECIPES["attm-released"].learning) == (ATTM, ATTM_RELEASED)
    assert not RECIPES["attm"].front_end
    assert RECIPES["attm-released"].front_end
    assert ATTM_RELEASED.fresh_moments_at == RECIPES["attm-released"].frozen_epochs == 10


def test_options_change_the_recipe_they_name() -> None:
    made = TuneOptions(
        recipe="attm", epochs=4, batch=8, rate=1e-6, crop_seconds=2.0, seed=3
    ).tuning()
    assert (made.learning.epochs, made.learning.batch, made.learning.seed) == (14, 8, 3)
    assert (made.rate, made.head_rate, made.crop_seconds) == (1e-6, 1e-4, 2.0)
    assert TuneOptions().tuning() == QUICK


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("head", ()),
        ("all", (1, 2, 3, 4)),
        ("last:2", (3, 4)),
        ("blocks:1:2,4", (1, 2, 4)),
        ("lora:8", (1, 2, 3, 4)),
    ],
)
def test_what_learns_names_its_blocks(text: str, blocks: tuple[int, ...]) -> None:
    assert Trained.parse(text).blocks_of(4) == blocks


@pytest.mark.parametrize(
    "text", ["", "lora", "lora:0", "last:", "last:-1", "blocks:0", "blocks:3:2", "all:2"]
)
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=f"train={text}: expected head, all"):
        TuneOptions(train=text)


@pytest.mark.parametrize(
    "values", [{"epochs": 0}, {"rate": 0}, {"layer_decay": 1.5}, {"precision": "fp8"}]
)
def test_an_impossible_option_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=f"{next(iter(values))}="):
        TuneOptions(**values)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="accumulate=0"):
        TuneMachine(accumulate=0)
