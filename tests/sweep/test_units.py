"""Targets inside utterances: planted labels of frames and segments are found, spoofed stretches are
located.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames_that_tell import DIM, HOP, N_FRAMES, PHONES, intervals, write_frames
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import analysis
from analysis.commands.app import main
from analysis.plots.layers import layer_curve
from analysis.plots.localisation import localisation_curve, localisation_table
from analysis.reports.report import layer_table, save_report
from analysis.runs.rerun import commands
from cache import Cache, ProbeError
from probing.metrics import range_eer
from probing.runs import Run
from probing.sweep import sweep
from probing.sweep.control_tasks import control_tasks
from probing.sweep.linear import features_of, sampled
from probing.sweep.options import DepthOptions, SweepOptions
from probing.targets.options import TargetOptions
from probing.units import scored_frames


def made(cache: Path, out: Path, **target: object) -> Run:
    options = SweepOptions(
        strengths=(0.01, 1.0),
        control_seeds=(0,),
        resamples=200,
        target=TargetOptions(**target),
        depths=DepthOptions(heads=()),
    )
    return sweep(cache, out, options, say=lambda text: None)


def values_of(run: Run, experiment: str, metric: str) -> pd.Series:
    rows = run.rows(experiment)
    return rows[rows["metric"] == metric].set_index("layer")["value"]


@pytest.mark.parametrize("unit", ["frame", "segment", "middle"])
def test_planted_labels_of_units_are_found(
    phones: tuple[Path, Path], tmp_path: Path, unit: str
) -> None:
    cache, labels = phones
    run = made(cache, tmp_path / "u.run", labels=str(labels), target="phone", unit=unit)
    assert run.record.finding.layer == 1
    assert run.task.classes == PHONES
    values = values_of(run, "layer", "balanced_accuracy")
    assert values[1] > values[2] > values[0]
    assert abs(values[0] - 1 / 3) < 0.12
    assert abs(values_of(run, "shuffled-labels", "balanced_accuracy").mean() - 1 / 3) < 0.15
    trials = run.trials("linear-layer-01")
    assert run.scored(trials).figures()["balanced_accuracy"] == pytest.approx(values[1])
    assert trials["clip"].nunique() == 16
    assert ("frames" if unit == "frame" else "segments") in run.sentence
    assert "by speaker (4)" in run.record["intervals"]
    assert "phone" in Path(save_report(run)).read_text(encoding="utf-8")


def test_few_units_are_trained_on_and_all_are_reported_on(
    phones: tuple[Path, Path], tmp_path: Path
) -> None:
    cache, labels = phones
    whole = made(cache, tmp_path / "all.run", labels=str(labels), target="phone", unit="frame")
    few = made(
        cache, tmp_path / "few.run", labels=str(labels), target="phone", unit="frame", max_units=150
    )
    assert len(few.trials("linear-layer-01")) == len(whole.trials("linear-layer-01")) > 600
    values = [values_of(run, "layer", "balanced_accuracy")[1] for run in (few, whole)]
    assert 0.5 < values[0] != values[1]
    options = TargetOptions(labels=str(labels), target="phone", unit="frame", max_units=150)
    train = SweepOptions(target=options).splits(Cache(cache))["train"]
    assert len(sampled(train, 150).rows) == 150
    assert sampled(train, 150).rows.tolist() == sampled(train, 150).rows.tolist()


def test_units_of_speakers_without_a_name_are_drawn_by_clip(
    phones: tuple[Path, Path], tmp_path: Path
) -> None:
    cache, labels = phones
    options = SweepOptions(
        interval_by="utterance",
        target=TargetOptions(labels=str(labels), target="phone", unit="frame"),
    )
    split = options.splits(Cache(cache))["eval"]
    drawn = split.task.draw(split.target, split.clusters("utterance"), 100, 0)
    assert drawn.fewest == 16
    assert "by clip (16)" in drawn.drawn


def test_units_of_one_speaker_are_drawn_by_clip(phones: tuple[Path, Path]) -> None:
    cache, labels = phones
    options = SweepOptions(target=TargetOptions(labels=str(labels), target="phone", unit="frame"))
    split = options.splits(Cache(cache))["eval"]
    alone = replace(split, table=split.table.assign(speaker="one"))
    drawn = alone.task.draw(alone.target, alone.clusters("auto"), 100, 0)
    assert drawn.fewest == 16
    counts = pd.DataFrame({"clip": alone.table["clip"], "cluster": drawn.cluster}).drop_duplicates()
    assert len(counts) == 16  # every frame of a clip is drawn with the others
    assert "of one speaker" in drawn.drawn


def test_folds_of_units_share_no_utterance(phones: tuple[Path, Path], tmp_path: Path) -> None:
    cache, labels = phones
    folds = {"labels": str(labels), "split_by": "clip", "folds": 4}
    run = made(cache, tmp_path / "f.run", target="phone", unit="segment", **folds)
    assert run.record.finding.layer == 1
    with pytest.raises(ProbeError, match="max_units=100"):
        made(cache, tmp_path / "g.run", unit="frame", max_units=100, **folds)


@pytest.mark.parametrize("most", [150, 50_000])
def test_what_probes_read_of_units_is_erased(
    phones: tuple[Path, Path], tmp_path: Path, most: int
) -> None:
    cache, labels = phones
    target = TargetOptions(labels=str(labels), target="phone", unit="frame", max_units=most)
    options = SweepOptions(
        strengths=(0.01, 1.0),
        control_seeds=(0,),
        resamples=200,
        target=target,
        depths=DepthOptions(heads=()),
        erase=9,
    )
    run = sweep(cache, tmp_path / "e.run", options, say=lambda text: None)
    found = run.record["erasure"]
    assert (found["layer"], found["width"], found["removed"]) == (1, DIM, [2, 4])
    assert found["before"]["value"] > 0.7
    assert abs(found["erased"][0]["value"] - 1 / 3) < (0.05 if most > 150 else 0.12)
    dev = run.rows("erased", "dev")
    assert dev["value"].notna().all()


WORDS = {"pa": "ah", "ma": "ah", "bee": "ee", "tea": "ee", "us": "s"}


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A cache whose layer 1 knows words, one that knows no more than their phones, and alignments
    with both.
    """
    folder = tmp_path_factory.mktemp("typed")
    words = intervals(tuple(WORDS), 2)
    table = words.rename(columns={"label": "word"}).assign(label=words["label"].map(WORDS))
    table.to_csv(folder / "t.csv", index=False)
    of_words = write_frames(folder / "w.cache", words, tuple(WORDS))
    return of_words, write_frames(folder / "p.cache", table, PHONES), folder / "t.csv"


@pytest.mark.long
def test_a_control_task_tells_what_a_probe_learns_by_heart(
    typed: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    *caches, labels = typed
    found = []
    for i, cache in enumerate(caches):
        target = {"labels": str(labels), "target": "phone", "unit": "frame", "control_type": "word"}
        run = made(cache, tmp_path / f"{i}.run", **target)
        control = values_of(run, "control-task", "balanced_accuracy")
        task = values_of(run, "layer", "balanced_accuracy")
        found.append((task[1], control[1]))
        record = run.record["control_task"]
        assert (record["layer"], record["n_seeds"]) == (1, 1)
        assert (record["value"], record["control"]) == pytest.approx((task[1], control[1]))
        assert (
            "Control task, a fixed random label for each word (1 seed): layer 1 has" in run.sentence
        )
        assert (run.rows("control-task", "dev")["value"].notna()).all()
        assert "control task (a random label a type" in str(
            [line.get_label() for line in layer_curve(run).get_lines()]
        )
        assert layer_table(run).loc["1", "control task"] == pytest.approx(100 * control[1])
        more = run.rows("selectivity").set_index("layer").loc[1]
        assert more["metric"] == "balanced_accuracy_selectivity"
        assert more["value"] == pytest.approx(task[1] - control[1])
        assert more["low"] < more["value"] < more["high"]
        assert record["selectivity"] == pytest.approx(dict(more[["value", "low", "high"]]))
        assert f"[{100 * more['low']:.1f}, {100 * more['high']:.1f}]" in record["sentence"]
        assert layer_table(run).loc["1", "selectivity"] == pytest.approx(100 * more["value"])
        assert run.rows("control-task")[["low", "high"]].notna().all(axis=None)
        assert "--control-type word" in commands(run)
        save_report(run)
    (words, of_words), (phones, of_phones) = found
    assert min(words, phones) > 0.75
    assert of_words > 0.7  # who knows the word knows its label
    assert phones - of_phones > words - of_words + 0.1


def test_figures_of_a_control_task_are_those_of_scikit_learn(
    typed: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    _, cache, labels = typed
    target = {"labels": str(labels), "target": "phone", "unit": "segment", "control_type": "word"}
    run = made(cache, tmp_path / "r.run", **target)
    splits = SweepOptions(target=TargetOptions(**target)).splits(Cache(cache))
    control = control_tasks(splits, "word", (0,), 50_000)[0]
    x = {part: features_of(split, 1, split.table) for part, split in splits.items()}
    probes = [
        make_pipeline(
            StandardScaler(),
            LogisticRegression(C=c, class_weight="balanced", tol=1e-9, max_iter=2000),
        )
        for c in (0.01, 1.0)
    ]
    best = max(
        (probe.fit(x["train"], control["train"].target) for probe in probes),
        key=lambda probe: balanced_accuracy_score(control["dev"].target, probe.predict(x["dev"])),
    )
    expected = balanced_accuracy_score(control["eval"].target, best.predict(x["eval"]))
    assert values_of(run, "control-task", "balanced_accuracy")[1] == pytest.approx(expected)
    prior = np.bincount(control["train"].target) / len(control["train"])

    def bits(probe: Pipeline, part: str) -> float:
        logits = probe.decision_function(x[part]) + np.log(3 * prior)
        return float(
            -np.log2(softmax(logits, axis=1)[np.arange(len(logits)), control[part].target]).mean()
        )

    likeliest = min(probes, key=lambda probe: bits(probe, "dev"))
    assert values_of(run, "control-task", "cross_entropy")[1] == pytest.approx(
        bits(likeliest, "eval"), abs=1e-4
    )


@pytest.mark.parametrize("most", [150, 50_000])
def test_types_keep_their_labels_and_every_class_is_trained_on(
    typed: tuple[Path, Path, Path], most: int
) -> None:
    cache, _, labels = typed
    target = TargetOptions(
        labels=str(labels), target="phone", unit="segment", control_type="word", max_units=most
    )
    splits = SweepOptions(target=target).splits(Cache(cache))
    first, second = control_tasks(splits, "word", (0, 1), most)
    again = control_tasks(splits, "word", (0,), most)[0]
    both = pd.concat([split.table.assign(control=split.target) for split in first.values()])
    assert (both.groupby("unit_type")["control"].nunique() == 1).all()
    assert set(both["unit_type"]) == set(WORDS)
    assert set(first["train"].target) == {0, 1, 2}
    assert [split.target.tolist() for split in first.values()] == [
        split.target.tolist() for split in again.values()
    ]
    assert first["train"].target.tolist() != second["train"].target.tolist()
    shares = np.bincount(first["train"].target) / len(first["train"])
    assert first["eval"].task.prior == pytest.approx(shares)


def test_control_tasks_that_cannot_be_are_refused(
    typed: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    cache, _, labels = typed
    table = pd.read_csv(labels).assign(clip="one")
    table.to_csv(tmp_path / "one.csv", index=False)
    options = {"labels": str(labels), "target": "phone", "unit": "frame"}
    with pytest.raises(ProbeError, match="control_type=clip: training has 1 values"):
        made(
            cache,
            tmp_path / "x.run",
            **{**options, "labels": str(tmp_path / "one.csv"), "control_type": "clip"},
        )
    with pytest.raises(ProbeError, match="label, wort, each once"):
        made(cache, tmp_path / "x.run", **options, control_type="wort")
    with pytest.raises(ProbeError, match="no control task in folds"):
        made(
            cache, tmp_path / "x.run", **options, control_type="word", split_by="utterance", folds=3
        )
    with pytest.raises(ProbeError, match="control_seeds=3"):
        SweepOptions(control_seeds=(), target=TargetOptions(**options, control_type="word"))
    with pytest.raises(ProbeError, match="no control task of whole utterances"):
        made(cache, tmp_path / "x.run", target="speaker", control_type="word")
    first = pd.read_csv(labels).iloc[:6]
    lines = [
        f"{row.utterance_id} 1 {row.start:.3f} {row.end - row.start:.3f} {row.label}"
        for row in first.itertuples()
    ]
    (tmp_path / "t.ctm").write_text("\n".join(lines))
    with pytest.raises(ProbeError, match="without further columns"):
        made(
            cache,
            tmp_path / "x.run",
            **{**options, "labels": str(tmp_path / "t.ctm"), "control_type": "word"},
        )
    assert not (tmp_path / "x.run").exists()


def test_a_control_task_of_two_classes_and_of_numbers(
    typed: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    cache, _, labels = typed
    options = {"labels": str(labels), "unit": "frame", "control_type": "word"}
    two = made(cache, tmp_path / "two.run", target="vowel", positive=("ah", "ee"), **options)
    assert values_of(two, "control-task", "eer").between(0, 0.7).all()
    assert two.record["control_task"]["metric"] == "eer"
    number = pd.read_csv(labels).assign(
        label=lambda rows: rows["word"].map({w: i for i, w in enumerate(WORDS)})
    )
    number.to_csv(tmp_path / "n.csv", index=False)
    options = {**options, "labels": str(tmp_path / "n.csv"), "task": "number"}
    run = made(cache, tmp_path / "n.run", target="height", **options)
    assert values_of(run, "control-task", "r2")[1] > 0.3 > values_of(run, "control-task", "r2")[0]
    silent = made(
        cache,
        tmp_path / "s.run",
        **{**options, "task": "auto", "labels": str(labels)},
        silence="class",
    )
    assert silent.trials("linear-layer-01")["unit_type"].isin([*WORDS, "silence"]).all()


def test_spoofed_stretches_are_located(tmp_path: Path) -> None:
    stretches = intervals(("bonafide", "spoof"), 1)
    stretches.to_csv(tmp_path / "s.csv", index=False)
    cache = write_frames(tmp_path / "s.cache", stretches, ("bonafide", "spoof"))
    run = made(cache, tmp_path / "s.run", labels=str(tmp_path / "s.csv"), unit="frame")
    table = localisation_table(run)
    assert table["range EER"].idxmin() == 1
    assert table.loc[1, "range EER"] < 25 < table.loc[0, "range EER"]
    assert table.loc[1, "F1"] > 70
    trials = run.trials("linear-layer-01")
    frames = trials.assign(utterance_id=trials["clip"])
    truth = stretches[stretches["utterance_id"].str.startswith("eval")]
    expected = 100 * range_eer(truth, scored_frames(Cache(cache), frames, trials["score"]))
    assert table.loc[1, "range EER"] == pytest.approx(expected, abs=1e-6)
    low, high = (localisation_table(run, end=end) for end in ("low", "high"))
    assert (low <= table).all(axis=None)
    assert (table <= high).all(axis=None)
    assert table.loc[1, "range EER"] - low.loc[1, "range EER"] > 0.5
    axes = localisation_curve(run)
    assert axes.get_ylabel() == "EER on eval (%)"
    assert len(axes.collections) == sum("EER" in name for name in table)
    with analysis.style("paper", width=1.5):
        narrow = localisation_curve(run)
    assert len(narrow.collections) == 1
    assert "intervals of segment EERs are in results.csv" in analysis.caption(narrow)
    assert "Where utterances are spoofed" in Path(save_report(run)).read_text(encoding="utf-8")
    with pytest.raises(ProbeError, match="not frames"):
        localisation_table(
            made(cache, tmp_path / "t.run", labels=str(tmp_path / "s.csv"), unit="segment")
        )


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"unit": "frame"}, "expected alignments too"),
        ({"silence": "class"}, "is of alignments"),
        ({"unit": "frame", "labels": "nowhere"}, "no such file"),
    ],
)
def test_alignments_that_are_not_there_are_said(
    phones: tuple[Path, Path], tmp_path: Path, target: dict[str, str], message: str
) -> None:
    with pytest.raises(ProbeError, match=message):
        made(phones[0], tmp_path / "x.run", **target)


def test_moved_boundaries_make_another_run(phones: tuple[Path, Path], tmp_path: Path) -> None:
    cache, labels = phones
    table = pd.read_csv(labels)
    table.to_csv(tmp_path / "p.csv", index=False)
    made(cache, tmp_path / "p.run", labels=str(tmp_path / "p.csv"), unit="segment", target="phone")
    table.assign(end=table["start"] + 0.8 * (table["end"] - table["start"])).to_csv(
        tmp_path / "p.csv", index=False
    )
    with pytest.raises(ProbeError, match="holds a run made with other options"):
        made(
            cache,
            tmp_path / "p.run",
            labels=str(tmp_path / "p.csv"),
            unit="segment",
            target="phone",
        )


def test_labels_inside_utterances_may_be_called_as_missing_values_are(
    phones: tuple[Path, Path], tmp_path: Path
) -> None:
    cache, labels = phones
    table = pd.read_csv(labels)
    table.assign(label=table["label"].map({"ah": "na", "ee": "nan", "s": "none"})).to_csv(
        tmp_path / "p.csv", index=False
    )
    run = made(
        cache, tmp_path / "p.run", labels=str(tmp_path / "p.csv"), unit="segment", target="syllable"
    )
    assert run.task.classes == ("na", "nan", "none")
    assert "left_out" not in run.record or not run.record["left_out"]


def test_what_is_measured_of_frames_is_read_again(tmp_path: Path) -> None:
    import soundfile

    cache = write_frames(
        tmp_path / "a.cache", intervals(PHONES, 0), PHONES, audio_root=str(tmp_path)
    )
    generator = np.random.default_rng(0)
    for path in Cache(cache).utterances["path"]:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        loud = np.linspace(0.01, 0.3, HOP * N_FRAMES + 80) * generator.choice([1, -1])
        soundfile.write(
            tmp_path / path, loud * generator.normal(size=len(loud)) / 4, 16_000, subtype="FLOAT"
        )
    run = made(cache, tmp_path / "energy.run", target="audio:energy", unit="frame")
    assert run.record.counts["eval"] == {"frames": 16 * N_FRAMES}
    figures = run.task.read(run.trials("linear-layer-01")).figures()
    assert figures["r2"] == pytest.approx(values_of(run, "layer", "r2")[1])


def test_messages_about_alignments_name_the_options_of_a_sweep(
    phones: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cache, labels = phones
    (tmp_path / "p.xls").write_bytes(b"")
    typed_for = {
        "--label-tier words: ": [str(labels), "--label-tier", "words"],
        "ends in": [str(tmp_path / "p.xls")],
    }
    for expected, typed in typed_for.items():
        out = ["--unit", "segment", "--out", str(tmp_path / "x.run")]
        monkeypatch.setattr("sys.argv", ["probe", "sweep", str(cache), "--labels", *typed, *out])
        with pytest.raises(SystemExit, match="2"):
            main()
        output = " ".join(capsys.readouterr().err.split())
        assert expected in output
        assert "--form" not in output


@pytest.mark.long
def test_alignments_are_read_once_and_heads_of_units_are_trained_where_asked_for(
    phones: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, labels = phones
    pd.read_csv(labels).to_parquet(tmp_path / "p.parquet")
    opened: list[str] = []
    counting = True

    def count(event: str, arguments: tuple[object, ...]) -> None:
        if counting and event == "open" and str(arguments[0]).endswith("p.parquet"):
            opened.append(event)

    sys.addaudithook(count)
    typed = [
        "--labels",
        str(tmp_path / "p.parquet"),
        "--unit",
        "segment",
        "--strengths",
        "0.01",
        "--heads",
        "mean+linear",
    ]
    typed += [
        "--seeds",
        "1",
        "--epochs",
        "2",
        "--control-seeds",
        "1",
        "--resamples",
        "100",
        "--out",
        str(tmp_path / "r.run"),
    ]
    monkeypatch.setattr("sys.argv", ["probe", "sweep", str(cache), *typed])
    with pytest.raises(SystemExit, match="0"):
        main()
    counting = False
    assert len(opened) == 1
    run = Run(tmp_path / "r.run")
    assert "depth" in set(run.results["experiment"])
    same = made(cache, tmp_path / "s.run", labels=str(labels), unit="segment")
    assert not set(same.results["experiment"]) & {"cost", "depth"}
    assert run.record["counts"] == same.record["counts"]
    assert run.record.utterances == same.record.utterances
