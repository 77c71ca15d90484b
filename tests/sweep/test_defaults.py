"""Defaults that do not fit a cache or a run give way; what was typed is refused."""

from pathlib import Path

import pytest
from planted import plant

from cache import ProbeError
from probing.runs import Run
from probing.serving.candidates import instead_note
from probing.serving.heads import choose_head
from probing.sweep import DepthOptions, SweepOptions, sweep
from probing.tuning.start import from_run

LINEAR = {"strengths": (0.1,), "control_seeds": (), "resamples": 100}


def test_a_cache_without_the_layers_of_heads_has_linear_probes_unless_heads_were_asked_for(
    tmp_path: Path,
) -> None:
    cache = plant(tmp_path / "c", {0: 2.0}, n_layers=0, n=(40, 40, 40))
    messages: list[str] = []
    run = sweep(cache, tmp_path / "r", SweepOptions(**LINEAR), say=messages.append)
    assert run.record.depth_finding is None
    assert not (run.folder / "training.csv").exists()
    assert [text for text in messages if text.startswith("Note")] == [
        f"Note: linear probes only. {cache}: has layers 0..0, and heads on the first k layers "
        "need all of them from 1. Extract again with --layers 0:1 to train heads too."
    ]
    for options in (DepthOptions(heads=("mean+linear",)), DepthOptions(depths=(1,))):
        with pytest.raises(ProbeError, match="heads=none for linear probes only"):
            sweep(
                cache, tmp_path / "s", SweepOptions(**LINEAR, depths=options), say=messages.append
            )


def test_a_finding_at_layer_0_gives_way_to_a_head_with_blocks_where_one_is_needed(
    tmp_path: Path,
) -> None:
    cache = plant(tmp_path / "c", {0: 4.0, 2: 2.0}, n_layers=2, n=(80, 80, 80), correlation=0)
    options = SweepOptions(**LINEAR, depths=DepthOptions(heads=()))
    run: Run = sweep(cache, tmp_path / "r", options, say=lambda text: None)
    assert choose_head(run).about.name == "linear-layer-00"
    chosen = choose_head(run, least=1).about
    assert chosen.name == "linear-layer-02"
    assert instead_note(run, chosen).endswith(
        "needs no block; linear-layer-02 is the best on dev of the others"
    )
    assert choose_head(run, name="linear-layer-00", least=1).about.depth == 0  # as asked for
    with pytest.raises(ProbeError, match="does not say where its audio is"):
        from_run(run)
