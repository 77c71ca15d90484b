"""How well scores predict probes: on a planted cache they do, and chance is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import write_cache
from planted import plant
from scipy.stats import kendalltau

from analysis.transferability import predicts, transfer_curve, transfer_scores
from cache import Cache, ProbeError
from probing.runs import Run
from probing.sweep import SweepOptions, sweep
from probing.sweep.options import DepthOptions
from probing.targets.options import TargetOptions

OPTIONS = SweepOptions(
    strengths=(1e-3, 0.1), control_seeds=(), resamples=100, depths=DepthOptions(heads=())
)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Cache, Run]]:
    """Three backbones of six layers in which the signal rises."""
    folder, made = tmp_path_factory.mktemp("planted"), []
    for seed in range(3):
        signal = {layer: 0.6 * layer + 0.2 * seed for layer in range(1, 6)}
        cache = Cache(
            plant(folder / f"{seed}.cache", signal, n_layers=5, n=(400, 100, 400), seed=seed)
        )
        made.append((cache, sweep(cache, folder / f"{seed}.run", OPTIONS, say=lambda text: None)))
    return made


def test_scores_predict_the_probes_of_a_planted_cache(planted: list[tuple[Cache, Run]]) -> None:
    cache, run = planted[0]
    scores = transfer_scores(cache)
    found = predicts(run, scores).set_index("score")
    assert (found["kendall"] > 0.7).all()
    rates = run.results[(run.results["experiment"] == "layer") & (run.results["split"] == "eval")]
    expected = kendalltau(scores["logme"], -rates.sort_values("layer")["value"]).statistic
    assert found.loc["logme", "kendall"] == pytest.approx(expected)
    assert (found["n"] == 6).all()
    assert (found["p"] < 0.1).all()
    assert (predicts(run, -scores)["kendall"] < -0.7).all()


def test_several_backbones_are_ranked_too(planted: list[tuple[Cache, Run]]) -> None:
    scores = transfer_scores([cache for cache, _ in planted])
    runs = [run for _, run in planted]
    found = predicts(runs, scores, permutations=200)
    alone = predicts(runs[0], scores.loc[scores.index.get_level_values(0)[0]], permutations=200)
    assert alone["kendall"].tolist() == found["kendall"].tolist()[: len(alone)]
    assert set(found["over"]) == {*scores.index.get_level_values(0), "all layers", "best layers"}
    assert found.set_index(["over", "score"]).loc[("all layers", "gbc"), "n"] == 18
    with pytest.raises(ProbeError, match="made from cache"):
        predicts(runs[::-1], scores)
    with pytest.raises(ProbeError, match="expected one each"):
        predicts(runs[:2], scores)


def test_two_corpora_of_one_backbone_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    caches = [Cache(write_cache(tmp_path / f"{seed}.cache", seed=seed)) for seed in (0, 1)]
    assert caches[0].id == caches[1].id  # of the recipe, which is the same
    runs = [
        sweep(cache, tmp_path / f"{seed}.run", OPTIONS, say=lambda text: None)
        for seed, cache in enumerate(caches)
    ]
    scores = transfer_scores(caches, scores=["logme"])
    names = [f"hand made ({cache.folder})" for cache in caches]
    assert list(scores.index.unique(0)) == names
    found = predicts(runs, scores, permutations=100)
    assert list(found["over"]) == [*names, "all layers"]


def test_every_cache_is_checked_before_the_layers_of_any_are_read(tmp_path: Path) -> None:
    first, second = (
        Cache(write_cache(tmp_path / f"{name}.cache", change=change))
        for name, change in (("a", None), ("b", lambda table: table.drop(columns="attack")))
    )
    for shard in first.folder.glob("*.h5"):
        shard.unlink()
    with pytest.raises(ProbeError, match="target=attack: no such column"):
        transfer_scores([first, second], target="attack")


def test_chance_is_the_range_of_permuted_layers(planted: list[tuple[Cache, Run]]) -> None:
    run = planted[0][1]
    generator = np.random.default_rng(0)
    p = []
    for _ in range(60):
        noise = pd.DataFrame({"noise": generator.normal(size=6)}, index=range(6))
        row = predicts(run, noise, permutations=300).iloc[0]
        assert -1 <= row["chance_low"] < 0 < row["chance_high"] <= 1
        p.append(row["p"])
    assert np.mean(np.array(p) < 0.2) < 0.4  # about 0.2 of noise falls there
    assert np.mean(p) > 0.35


def test_a_flat_score_predicts_nothing_and_two_layers_cannot_be_ranked(
    planted: list[tuple[Cache, Run]],
) -> None:
    run = planted[0][1]
    row = predicts(run, pd.DataFrame({"flat": np.ones(6)}, index=range(6))).iloc[0]
    assert np.isnan(row["kendall"])
    assert np.isnan(row["p"])
    with pytest.raises(ProbeError, match="2 layers"):
        predicts(run, pd.DataFrame({"a": [1.0, 2.0]}, index=[0, 1]))


def test_the_metric_of_the_target_is_predicted_and_another_target_is_refused(
    tmp_path: Path,
) -> None:
    def words(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(word=[("no", "stop", "yes")[i % 3] for i in range(len(table))])

    def planted_words(table: pd.DataFrame) -> np.ndarray:
        return np.stack(
            [table["word"] == word for word in ("no", "stop", "yes")] * 2, axis=1
        ).astype(float)

    # layer 2 is best, layer 0 is worst
    folder = write_cache(tmp_path / "c", change=words, planted=planted_words)
    cache = Cache(folder)
    how = {
        "strengths": (0.1,),
        "control_seeds": (),
        "resamples": 100,
        "depths": DepthOptions(heads=()),
    }
    run = sweep(
        cache,
        tmp_path / "r",
        SweepOptions(target=TargetOptions(target="word"), **how),
        say=lambda text: None,
    )
    assert run.metric.higher_is_better
    scores = transfer_scores(cache, scores=["logme"], target="word")
    rates = run.rows("layer").query("metric == 'balanced_accuracy'").set_index("layer")["value"]
    row = predicts(run, scores).iloc[0]
    assert row["kendall"] == pytest.approx(
        kendalltau(scores["logme"], rates.loc[scores.index]).statistic
    )
    assert row["kendall"] > 0.5
    ax = transfer_curve(run, scores)
    shown = next(axes for axes in ax.figure.axes if axes is not ax)
    assert shown.get_ylabel() == "balanced accuracy on eval (%); band: 95 %"
    assert not shown.yaxis_inverted()
    with pytest.raises(ProbeError, match=r"is word, the scores are of label.* by target=word"):
        predicts(run, transfer_scores(cache, scores=["logme"]))
