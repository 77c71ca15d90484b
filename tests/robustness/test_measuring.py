"""Planted truth: what is done to chosen layers is what the table and the finding say, and nothing
else.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from perturbed import noise, perturb, shift
from planted import plant
from safetensors.numpy import load_file
from small_extraction import quiet

from analysis.robustness import (
    Robustness,
    layers_table,
    measure,
    robustness_map,
    sentence_of,
    snr_curve,
    snr_kinds,
)
from analysis.runs.loading import load
from cache import Cache, ProbeError
from probing.metrics import eer
from probing.robustness import parse_grid
from probing.sweep import DepthOptions, SweepOptions, sweep
from probing.sweep.splits import read_splits

SIGNAL = dict.fromkeys(range(5), 2.5)
SPOILT = (2, 3)
GRID = parse_grid("noise:white@0,10; gain:-20")
HEADS = DepthOptions(
    ("weighted-sum+linear",), depths=(1, 4), seeds=(0,), epochs=2, weight_decays=(0.1,)
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planted cache with a signal in every layer, and its run."""
    folder = tmp_path_factory.mktemp("planted")
    cache = Cache(plant(folder / "p.cache", SIGNAL, n_layers=4, n=(200, 120, 200), correlation=0.3))
    options = SweepOptions(strengths=(0.01,), control_seeds=(0,), resamples=200, depths=HEADS)
    sweep(cache, folder / "p.run", options, say=quiet)
    return folder


@pytest.fixture(scope="module")
def found(place: Path) -> Robustness:
    clean = Cache(place / "p.cache")
    views = {
        "noise:white@0": perturb(clean, place / "loud", {layer: noise(4.0) for layer in SPOILT}),
        "noise:white@10": perturb(clean, place / "soft", {layer: noise(2.0) for layer in SPOILT}),
        "gain:-20": perturb(clean, place / "same", {}),
    }
    return measure(load(place / "p.run"), clean, views, GRID)


def row(found: Robustness, layer: int, condition: str) -> dict[str, float]:
    rows = found.layers
    return rows[(rows["at"] == layer) & (rows["condition"] == condition)].iloc[0].to_dict()


def test_noise_in_chosen_layers_is_found_and_only_there(found: Robustness) -> None:
    table = layers_table(found).set_index("layer")
    assert set(table.index[table["shown"]]) == set(SPOILT)
    intact = table.drop(index=list(SPOILT))
    assert (intact["rise"] == 0).all()
    assert (intact["noise_to_signal"] == 0).all()
    assert (table.loc[list(SPOILT), "rise_low"] > 5).all()
    assert (table.loc[list(SPOILT), "noise_to_signal"] > 0.3).all()
    assert "a loss is not shown at layers 0, 1 and 4" in sentence_of(found)
    assert table.loc[list(SPOILT), "rise"].idxmax() == int(
        sentence_of(found).split(" loses most")[0].split()[-1]
    )


def test_a_layer_that_is_spoilt_is_beaten_by_those_that_are_not(found: Robustness) -> None:
    table = layers_table(found).set_index("layer")
    chosen = found.run.record.finding.layer
    better = set(table.index[table["better"]])
    assert better == ({0, 1, 4} if chosen in SPOILT else set())


def test_more_noise_costs_more(found: Robustness) -> None:
    for layer in SPOILT:
        clean, soft, loud = (
            row(found, layer, name) for name in ("clean", "noise:white@10", "noise:white@0")
        )
        assert clean["eer"] < soft["eer"] < loud["eer"]
        assert clean["cosine"] > soft["cosine"] > loud["cosine"]
        assert soft["snr_db"] == 10


def test_clean_figures_are_those_of_the_run_and_a_view_without_change_has_them_too(
    found: Robustness,
) -> None:
    known = found.run.layers.query("split == 'eval'").set_index("layer")
    for layer in range(5):
        clean, same = row(found, layer, "clean"), row(found, layer, "gain:-20")
        assert clean["eer"] == pytest.approx(known.loc[layer, "eer"])
        assert (clean["low"], clean["high"]) == pytest.approx(
            (known.loc[layer, "low"], known.loc[layer, "high"]), abs=2
        )
        for name in ("eer", "miss", "false_alarm", "low", "high"):
            assert same[name] == clean[name]
        assert (same["rise"], same["rise_low"], same["rise_high"], same["direction"]) == (
            0,
            0,
            0,
            "none shown",
        )


def test_the_threshold_is_that_of_the_clean_dev_set(found: Robustness) -> None:
    run = found.run
    dev = run.trials("linear-layer-02", "dev")
    trials = run.trials("linear-layer-02")
    clean = row(found, 2, "clean")
    bonafide = dev["label"].eq("bonafide").to_numpy()
    rates = []
    for threshold in np.sort(dev["score"]):
        rates.append(
            (
                abs(
                    np.mean(dev["score"][bonafide] < threshold)
                    - np.mean(dev["score"][~bonafide] >= threshold)
                ),
                threshold,
            )
        )
    threshold = min(rates)[1]
    human = trials["label"].eq("bonafide")
    assert clean["miss"] == pytest.approx(100 * np.mean(trials["score"][human] < threshold), abs=2)
    assert clean["false_alarm"] == pytest.approx(
        100 * np.mean(trials["score"][~human] >= threshold), abs=2
    )


DRIFTS = {
    "gain:1": ("bonafide", -1, "bona fide toward spoof"),
    "gain:2": ("spoof", 1, "spoof toward bona fide"),
    "gain:3": ("spoof", -1, "spoof away from bona fide"),
}


def test_the_direction_of_a_drift_is_named(place: Path, tmp_path: Path) -> None:
    clean = Cache(place / "p.cache")
    weight = load_file(place / "p.run" / "heads" / "linear.safetensors")["layer_01.weight"][
        : clean.dim
    ]
    by = 3.0 * weight / np.linalg.norm(weight)
    views = {
        name: perturb(
            clean,
            tmp_path / name[-1],
            {1: shift(sign * by, label)},
            leave_out=7 * (name == "gain:3"),
        )
        for name, (label, sign, _) in DRIFTS.items()
    }
    found = measure(load(place / "p.run"), clean, views, parse_grid("gain:1,2,3"), heads=False)
    for name, (_, _, direction) in DRIFTS.items():
        assert row(found, 1, name)["direction"] == direction
        assert row(found, 0, name)["direction"] == "none shown"
        assert row(found, 0, name)["rise"] == 0
    moved, before = row(found, 1, "gain:1"), row(found, 1, "clean")
    assert moved["miss"] > before["miss"] + 20
    assert moved["false_alarm"] == before["false_alarm"]
    assert moved["drift_bonafide_high"] < -0.5
    assert moved["miss_rise"] == pytest.approx(moved["miss"] - before["miss"])
    assert moved["miss_rise_low"] > 10
    assert (moved["false_alarm_rise"], moved["false_alarm_rise_high"]) == (0, 0)
    layers = layers_table(found).set_index("layer")
    over = [row(found, 1, name)["miss_rise"] for name in DRIFTS]
    assert layers.loc[1, "miss_rise"] == pytest.approx(np.mean(over))
    assert layers.loc[1, "miss_rise_low"] < np.mean(over) < layers.loc[1, "miss_rise_high"]
    assert found.left_out == 7  # what one condition lacks is left out of all


def test_views_without_both_classes_are_named_with_what_to_type(
    place: Path, tmp_path: Path
) -> None:
    views = {"gain:1": Cache(plant(tmp_path / "v.cache", SIGNAL, n_layers=4, n=(10, 10, 1)))}
    clean = Cache(place / "p.cache")
    with pytest.raises(ProbeError, match=rf"not both classes.*probe cache repair {tmp_path}"):
        measure(load(place / "p.run"), clean, views, parse_grid("gain:1"), heads=False)


def test_a_sweep_may_evaluate_on_a_view_and_says_so(place: Path, tmp_path: Path) -> None:
    clean = Cache(place / "p.cache")
    perturb(clean, tmp_path / "v.cache", {2: noise(4.0)})
    splits = read_splits(clean, evaluations=("eval", f"{tmp_path / 'v.cache'}:eval"))
    assert list(splits) == ["train", "dev", "eval", "eval.planted.gain-0"]
    with pytest.raises(ProbeError, match="expected different splits"):
        read_splits(clean, dev="eval", evaluations=(f"{tmp_path / 'v.cache'}:eval",))


def test_heads_are_scored_by_their_depth(found: Robustness, place: Path) -> None:
    heads = found.table[found.table["experiment"] == "depth"]
    assert set(zip(heads["head"], heads["at"], strict=True)) == {
        ("weighted-sum+linear", 1),
        ("weighted-sum+linear", 4),
    }
    pivot = heads.pivot(index="at", columns="condition", values="rise")
    assert pivot.loc[1].tolist() == [0, 0, 0, 0]
    assert pivot.loc[4, "noise:white@0"] > 0
    trials = found.run.trials("weighted-sum+linear-depth-04")
    clean = heads[(heads["at"] == 4) & (heads["condition"] == "clean")]["eer"].item()
    assert clean == pytest.approx(100 * eer(trials["label"].eq("bonafide"), trials["score"]))


def test_another_target_is_refused(place: Path, tmp_path: Path) -> None:
    from probing.targets.options import TargetOptions

    clean = Cache(place / "p.cache")
    options = SweepOptions(
        strengths=(0.01,),
        control_seeds=(0,),
        resamples=100,
        depths=DepthOptions(()),
        target=TargetOptions("attack"),
    )
    run = sweep(clean, tmp_path / "a.run", options, say=quiet)
    with pytest.raises(ProbeError, match="its target is attack"):
        measure(load(run), clean, {}, ())


def test_pictures_have_a_cell_for_every_layer_and_condition_and_a_curve_a_layer(
    found: Robustness,
) -> None:
    ax = robustness_map(found)
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        "clean",
        "noise:white@0",
        "noise:white@10",
        "gain:-20",
    ]
    assert len(ax.texts) >= 4 * 5
    assert snr_kinds(found) == ["noise:white"]
    curve = snr_curve(found, "noise:white")
    assert [text.get_text() for text in curve.get_xticklabels()] == ["0", "10", "clean"]
    drawn = {
        line.get_label().split()[1]: line.get_ydata()
        for line in curve.get_lines()
        if "layer" in line.get_label()
    }
    assert set(drawn) == set("01234")
    assert drawn["2"][0] > drawn["2"][2]
    with pytest.raises(ProbeError, match="not there at two SNRs"):
        snr_curve(found, "codec")
    plt.close("all")
