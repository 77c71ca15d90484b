"""What probes read of a layer can be erased: rounds are those of an independent loop, and planted
truth is found.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hand_made import write_cache
from planted import plant
from scipy.linalg import orth, subspace_angles
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.preprocessing import StandardScaler

from analysis.commands.app import main
from analysis.plots.erasure import erased_layers_curve, erasure_curve, erasure_table
from analysis.plots.kinds import PLOTS
from analysis.reports.report import save_report
from analysis.runs.loading import load
from analysis.runs.rerun import commands
from cache import Cache, ProbeError
from probing.metrics import eer
from probing.probes.erasure import new_directions
from probing.runs import Run
from probing.sweep import sweep
from probing.sweep.erasure import Round, erase_and_probe, erase_layers
from probing.sweep.fitting import Probe, fit_probes
from probing.sweep.options import DepthOptions, SweepOptions
from probing.targets.metrics import METRICS
from probing.targets.options import TargetOptions
from probing.targets.task import SPOOFING, Task

STRENGTHS = (0.001, 0.1)
WORDS = ("no", "perhaps", "stop", "yes")
FOUR = Task("classes", "word", METRICS["balanced_accuracy"], WORDS, (0.25,) * 4)
NUMBER = Task("number", "age", METRICS["r2"])


def drawn(
    task: Task, n: int, p: int, seed: int, mixed: bool = True, apart: float = 3.0
) -> tuple[dict, dict]:
    """Features whose first dimensions carry the target, perhaps mixed: one of two classes or a
    number, 3 of four.

    In features that are mixed and then standardised, what the best probe reads is not all that
    carries the target.
    """
    generator = np.random.default_rng(seed)
    rotation = (
        np.linalg.qr(np.random.default_rng(99).normal(size=(p, p)))[0] if mixed else np.eye(p)
    )
    features, labels = {}, {}
    for part, count in (("train", n), ("dev", n // 2), ("eval", n)):
        if task.name == "number":
            y = generator.normal(size=count)
            known = y[:, None]
        elif task.name == "classes":
            y = np.arange(count) % 4
            known = np.eye(4)[y]
        else:
            y = np.arange(count) % 2 == 0
            known = y[:, None].astype(float)
        x = generator.normal(size=(count, p))
        x[:, : known.shape[1]] += apart * known
        features[part] = x @ rotation
        labels[part] = y
    return features, labels


def rounds_of(task: Task, features: dict, labels: dict, n_rounds: int) -> tuple[Probe, list[Round]]:
    both = {part: features[part] for part in ("train", "dev")}
    targets = {part: labels[part] for part in ("train", "dev")}
    first = fit_probes(both, [targets], STRENGTHS, task=task)[0]
    return first, erase_and_probe(both, targets, first, STRENGTHS, n_rounds, seed=0, task=task)


def figure(task: Task, probe: Probe, x: np.ndarray, y: np.ndarray) -> float:
    scores = x @ np.asarray(probe.weight).T + probe.bias
    return task.value(y, scores)


@pytest.mark.parametrize("task", [SPOOFING, FOUR, NUMBER], ids=["two", "four", "number"])
@pytest.mark.parametrize(("n", "p"), [(200, 20), (60, 90)])
def test_rounds_are_those_of_an_independent_loop(task: Task, n: int, p: int) -> None:
    features, labels = drawn(task, n, p, seed=n)
    _, found = rounds_of(task, features, labels, 3)
    scaler = StandardScaler().fit(features["train"])
    z = {part: scaler.transform(x) for part, x in features.items()}
    projection = np.eye(p)
    removed = np.empty((p, 0))
    for i in range(4):
        models = []
        for c in STRENGTHS:
            model = LogisticRegression(C=c, class_weight="balanced", tol=1e-10, max_iter=5000)
            model = Ridge(alpha=1 / c) if task.name == "number" else model
            models.append(model.fit(z["train"] @ projection, labels["train"]))
        at = {
            part: [loop_figure(task, model, z[part] @ projection, labels[part]) for model in models]
            for part in z
        }
        best = int(np.argmin([task.metric.loss(value) for value in at["dev"]]))
        if i:
            erased = found[i - 1]
            assert erased.removed == removed.shape[1]
            assert erased.probe.strength == STRENGTHS[best]
            value = figure(task, erased.probe, features["eval"], labels["eval"])
            assert value == pytest.approx(at["eval"][best], abs=1e-6)
            weight = np.atleast_2d(erased.probe.weight * scaler.scale_)
            assert np.abs(weight @ removed).max() < 1e-3 * np.abs(weight).max()
            expected = np.atleast_2d(models[best].coef_) @ projection
            assert subspace_angles(centred(weight).T, centred(expected).T).max() < 1e-3
        rows = orth(centred(np.atleast_2d(models[best].coef_) @ projection).T, rcond=1e-6)
        removed = orth(np.hstack([removed, rows]))
        projection = np.eye(p) - removed @ removed.T


def centred(weight: np.ndarray) -> np.ndarray:
    return orth((weight - weight.mean(axis=0)).T, rcond=1e-6).T if len(weight) > 1 else weight


def loop_figure(task: Task, model: object, x: np.ndarray, y: np.ndarray) -> float:
    if task.name == "binary":
        return eer(y, model.decision_function(x))
    score = r2_score if task.name == "number" else balanced_accuracy_score
    return score(y, model.predict(x))


@pytest.mark.parametrize(
    ("task", "d"), [(SPOOFING, 1), (FOUR, 3), (NUMBER, 1)], ids=["two", "four", "number"]
)
def test_signal_in_d_dimensions_is_gone_after_d_and_random_erasure_leaves_it(
    task: Task, d: int
) -> None:
    features, labels = drawn(task, 3000, 24, seed=1, mixed=False)
    first, (erased, *_) = rounds_of(task, features, labels, 1)
    assert erased.removed == d
    before, after, random = (
        figure(task, probe, features["eval"], labels["eval"])
        for probe in (first, erased.probe, erased.random)
    )
    chance = task.chance
    assert chance is not None
    assert abs(before - chance) > 0.4
    assert abs(after - chance) < 0.05
    assert abs(random - chance) > 0.8 * abs(before - chance)


def test_a_layer_is_erased_until_nothing_is_left() -> None:
    features, labels = drawn(FOUR, 100, 8, seed=2)
    _, found = rounds_of(FOUR, features, labels, 10)
    assert [erased.removed for erased in found] == [
        3,
        6,
    ]  # a third round would leave nothing to probe
    features, labels = drawn(FOUR, 100, 4, seed=2)
    assert [erased.removed for erased in rounds_of(FOUR, features, labels, 10)[1]] == [3]
    features = {part: x[:, :3] for part, x in features.items()}
    assert rounds_of(FOUR, features, labels, 10)[1] == []
    weight = torch.from_numpy(rounds_of(FOUR, features, labels, 1)[0].weight)
    assert len(new_directions(weight, torch.zeros(0, 3))) == 3


def options_of(erase: int, **more: object) -> SweepOptions:
    target = TargetOptions(**more.pop("target", {}))
    return SweepOptions(
        strengths=STRENGTHS,
        control_seeds=(0,),
        resamples=200,
        target=target,
        depths=DepthOptions(heads=()),
        erase=erase,
        **more,
    )


@pytest.fixture(scope="module")
def spoofing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("erasure")
    cache = plant(folder / "c.cache", {1: 1.5, 2: 4.0}, n_layers=3, n=(400, 200, 400))
    return cache, sweep(cache, folder / "r.run", options_of(3), say=lambda text: None)


def test_a_sweep_says_how_many_dimensions_have_to_go(spoofing: tuple[Path, Run]) -> None:
    _, run = spoofing
    found = run.record["erasure"]
    assert (found["layer"], found["width"], found["at_chance"], list(found["removed"])) == (
        2,
        16,
        1,
        [1, 2, 3],
    )
    assert (
        "Erasure: without 1 of 16 dimensions that probes read, layer 2 is not shown to be better"
        in run.sentence
    )
    table = erasure_table(run).set_index(["layer", "removed"])
    assert list(table.loc[2].index) == [0, 1, 2, 3]
    assert table.loc[(2, 0), "erased"] == 100 * found["before"]["value"] < 5
    assert table.loc[(2, 1), "erased"] > 40 > 8 > table.loc[(2, 3), "random"]
    assert table.loc[(2, 1), "low"] < 50 < table.loc[(2, 1), "high"] + 10
    assert table.loc[(1, 1)].isna().sum() == 4  # intervals of the layer chosen on dev only
    rows = run.rows("erased-random")
    assert set(rows["condition"]) == {"erased=1", "erased=2", "erased=3"}
    assert set(rows["seed"]) == {0}
    assert run.rows("erased", "dev")["value"].notna().all()


def test_without_erasure_a_run_is_what_it_was(spoofing: tuple[Path, Run], tmp_path: Path) -> None:
    cache, run = spoofing
    plain = sweep(cache, tmp_path / "p.run", options_of(0), say=lambda text: None)
    rest = run.results[~run.results["experiment"].str.startswith("erased")].reset_index(drop=True)
    pd.testing.assert_frame_equal(plain.results, rest)
    assert "erase" not in plain.record["options"]
    assert "erasure" not in plain.record
    with pytest.raises(ProbeError, match="--erase 10"):
        erasure_curve(plain)
    assert "without what probes read" not in Path(save_report(plain)).read_text(encoding="utf-8")
    again = sweep(cache, tmp_path / "a.run", options_of(3), memory_gb=0.5, say=lambda text: None)
    pd.testing.assert_frame_equal(again.results, run.results)


def test_pictures_and_report_show_what_is_left(spoofing: tuple[Path, Run]) -> None:
    run = spoofing[1]
    ax = PLOTS["erasure"].draw([load(run)], split="eval")
    assert ax.get_xlabel() == "dimensions removed"
    erased, random = ax.get_lines()[:2]
    table = erasure_table(run)
    table = table[table["layer"] == 2]
    assert list(erased.get_ydata()) == list(table["erased"])
    assert list(random.get_ydata()) == list(table["random"])
    whole, left, _ = erased_layers_curve(run).get_lines()[:3]
    assert whole.get_ydata()[2] < 5 < 40 < left.get_ydata()[2]
    with pytest.raises(ProbeError, match="no layer 9"):
        erasure_curve(run, layer=9)
    assert "What is left without what probes read" in Path(save_report(run)).read_text(
        encoding="utf-8"
    )
    assert "--erase 3" in commands(run)


def test_classes_and_numbers_of_a_sweep_are_erased(tmp_path: Path) -> None:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        i = np.arange(len(table))
        age = 20 + 60 * np.random.default_rng(5).random(len(table))
        return table.assign(word=[WORDS[k % 4] for k in i], age=[f"{value:.3f}" for value in age])

    def known(table: pd.DataFrame) -> np.ndarray:
        found = np.zeros((len(table), 6))
        for channel, word in enumerate(WORDS):
            found[:, channel] = table["word"] == word
        found[:, 4] = (table["age"].astype(float) - 50) / 17
        return found

    cache = write_cache(tmp_path / "t.cache", change=change, separation=(0.2, 3.0), planted=known)
    words = sweep(
        cache, tmp_path / "w.run", options_of(9, target={"target": "word"}), say=lambda text: None
    )
    table = erasure_table(words)
    assert table.loc[table["layer"] == 1, "removed"].tolist() == [0, 3, 6, 9]  # of 12
    assert table["erased"].between(0, 100).all()
    assert "eval balanced accuracy of word" in words.record["erasure"]["sentence"]
    ages = sweep(
        cache, tmp_path / "a.run", options_of(2, target={"target": "age"}), say=lambda text: None
    )
    found = ages.record["erasure"]
    assert found["removed"] == [1, 2]
    assert found["erased"][0]["value"] < 0.3 < 0.7 < found["random"][0]["value"]
    accuracy = {"target": "word", "metric": "accuracy"}  # whose chance is that of shuffled labels
    run = sweep(cache, tmp_path / "c.run", options_of(1, target=accuracy), say=lambda text: None)
    assert run.record["erasure"]["level"] == run.record["finding"]["shuffled"]
    save_report(run)
    folds = {"target": "age", "split_by": "speaker", "folds": 3}
    with pytest.raises(ProbeError, match="erase=2: is there for one division"):
        sweep(cache, tmp_path / "f.run", options_of(2, target=folds), say=lambda text: None)
    assert not (tmp_path / "f.run").exists()


def test_scores_of_layers_need_no_order_and_no_memory(spoofing: tuple[Path, Run]) -> None:
    splits = options_of(1).splits(Cache(spoofing[0]))
    layers = {}
    for layer in (0, 2):
        features = {
            part: Cache(spoofing[0]).pooled([layer], split.table)[0].reshape(len(split), -1)
            for part, split in splits.items()
        }
        labels = {part: split.target for part, split in splits.items()}
        layers[layer] = fit_probes(features, [labels], STRENGTHS)[0]
    both = dict(erase_layers(splits, layers, STRENGTHS, 2, 0))
    alone = dict(erase_layers(splits, {2: layers[2]}, STRENGTHS, 2, 0, memory_gb=1e-6))
    assert list(both) == [0, 2]
    for one, other in zip(both[2], alone[2], strict=True):
        assert one.probe.scores["eval"].tolist() == other.probe.scores["eval"].tolist()


def test_the_command_erases_and_refuses(
    spoofing: tuple[Path, Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        "sys.argv",
        ["probe", "sweep", str(spoofing[0]), "--erase", "-1", "--out", str(tmp_path / "x")],
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "0 or more" in " ".join(capsys.readouterr().err.split())
    picture = tmp_path / "erasure.svg"
    monkeypatch.setattr(
        "sys.argv", ["probe", "plot", str(spoofing[1].folder), "erasure", "--out", str(picture)]
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    assert (
        "dimensions removed" in picture.read_text(encoding="utf-8") or picture.stat().st_size > 1000
    )
