"""Targets of any kind: what is planted is found, figures are those of scikit-learn, and what cannot
be read is said.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import write_cache
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analysis import caption, compare, style
from analysis.commands.app import main
from analysis.plots.classes import class_map, confusion_picture
from analysis.plots.saving import figure_of, save_figure
from analysis.plots.terminal import text_curve
from analysis.reports.report import save_report
from analysis.runs.loading import load
from analysis.runs.rerun import commands
from cache import Cache, ProbeError
from probing.heads.head import load_head
from probing.metrics.classes import class_figures
from probing.runs import Run, made_with
from probing.serving.exporting import export
from probing.serving.heads import choose_head
from probing.sweep import sweep
from probing.sweep.options import DepthOptions, SweepOptions
from probing.targets.options import TargetOptions
from probing.tuning import utterances as of_tuning

SEPARATION = (0.2, 3.0, 1.0, 0.0)  # layer 1 knows it best
WORDS = ("no", "stop", "yes")
STRENGTHS = (0.001, 0.1)


def add_targets(table: pd.DataFrame) -> pd.DataFrame:
    i = np.arange(len(table))
    generator = np.random.default_rng(5)
    age = 20 + 60 * generator.random(len(table))
    return table.assign(
        word=[WORDS[k % 3] for k in i],
        age=[f"{value:.3f}" for value in age],
        accent=["a", "b"] * (len(i) // 2),
    )


def planted(table: pd.DataFrame) -> np.ndarray:
    found = np.zeros((len(table), 6))
    for channel, word in enumerate(WORDS):
        found[:, channel] = table["word"] == word
    found[:, 3] = (table["age"].astype(float) - 50) / 17
    found[:, 4] = table["accent"] == "a"
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(
        tmp_path_factory.mktemp("targets") / "t.cache",
        change=add_targets,
        separation=SEPARATION,
        planted=planted,
    )


def made(folder: Path, out: Path, heads: Sequence[str] = (), **target: object) -> Run:
    options = SweepOptions(
        strengths=STRENGTHS,
        control_seeds=(0,),
        resamples=200,
        target=TargetOptions(**target),
        depths=DepthOptions(heads=tuple(heads), seeds=(0,), epochs=30),
    )
    return sweep(folder, out, options, say=lambda text: None)


@pytest.fixture(scope="module")
def runs(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    out = tmp_path_factory.mktemp("runs")
    heads = ("mean+linear", "attentive-compact+mlp")
    return {
        "word": made(folder, out / "word.run", heads, target="word"),
        "age": made(folder, out / "age.run", heads, target="age"),
        "accent": made(folder, out / "accent.run", heads, target="accent", positive=("a",)),
    }


def rows_of(run: Run, experiment: str, metric: str) -> pd.DataFrame:
    rows = run.rows(experiment)
    return rows[rows["metric"] == metric].set_index("layer")


def parts_of(folder: Path, layer: int, column: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    cache = Cache(folder)
    tables = {part: cache.select({"split": part}) for part in ("train", "dev", "eval")}
    return {
        part: (cache.pooled([layer], table)[0].reshape(len(table), -1), table[column].to_numpy())
        for part, table in tables.items()
    }


@pytest.mark.parametrize("name", ["word", "age", "accent"])
def test_the_planted_layer_is_found_and_controls_have_chance(
    runs: dict[str, Run], name: str
) -> None:
    run = runs[name]
    metric = run.metric
    assert run.record.finding.layer == 1
    values = rows_of(run, "layer", metric.name)["value"]
    shuffled = rows_of(run, "shuffled-labels", metric.name)["value"]
    assert metric.better(values[1], values[2])
    assert metric.better(values[2], values[3])
    chance = run.task.chance
    assert chance is not None
    assert abs(values[3] - chance) < 0.2
    assert abs(shuffled.mean() - chance) < 0.2
    assert metric.better(values[1], chance + (0.3 if metric.higher_is_better else -0.3))
    assert "not shown to be better than chance" not in run.record["finding"]["sentence"]


def test_classes_and_numbers_are_those_of_scikit_learn(runs: dict[str, Run], folder: Path) -> None:
    for layer in (1, 2):
        parts = parts_of(folder, layer, "word")
        probes = [
            make_pipeline(
                StandardScaler(),
                LogisticRegression(C=c, class_weight="balanced", tol=1e-9, max_iter=2000),
            )
            for c in STRENGTHS
        ]
        best = max(
            (probe.fit(*parts["train"]) for probe in probes),
            key=lambda probe: balanced_accuracy_score(
                parts["dev"][1], probe.predict(parts["dev"][0])
            ),
        )
        expected = balanced_accuracy_score(parts["eval"][1], best.predict(parts["eval"][0]))
        assert rows_of(runs["word"], "layer", "balanced_accuracy")["value"][layer] == pytest.approx(
            expected
        )
        x, y = zip(
            *((one, two.astype(float)) for one, two in parts_of(folder, layer, "age").values()),
            strict=True,
        )
        ridges = [
            make_pipeline(StandardScaler(), Ridge(alpha=1 / c)).fit(x[0], y[0]) for c in STRENGTHS
        ]
        chosen = max(ridges, key=lambda probe: r2_score(y[1], probe.predict(x[1])))
        expected = r2_score(y[2], chosen.predict(x[2]))
        assert rows_of(runs["age"], "layer", "r2")["value"][layer] == pytest.approx(
            expected, abs=1e-6
        )


def test_v_information_is_that_of_the_likeliest_probe_whatever_chose_the_strength(
    runs: dict[str, Run], folder: Path, tmp_path: Path
) -> None:
    other = made(folder, tmp_path / "information.run", target="word", metric="v_information")
    strengths = [
        rows_of(run, "layer", "accuracy")["strength"].tolist() for run in (runs["word"], other)
    ]
    assert strengths[0] != strengths[1]
    for metric in ("v_information", "cross_entropy"):
        for experiment in ("layer", "shuffled-labels"):
            mine, theirs = (
                rows_of(run, experiment, metric)["value"].tolist() for run in (runs["word"], other)
            )
            assert mine == theirs
    prior = runs["word"].task.prior
    for layer in (1, 2):
        parts = {
            part: (x, np.searchsorted(WORDS, y.astype(str)))
            for part, (x, y) in parts_of(folder, layer, "word").items()
        }
        of_strengths = []
        for c in STRENGTHS:
            probe = LogisticRegression(C=c, class_weight="balanced", tol=1e-9, max_iter=2000)
            probe = make_pipeline(StandardScaler(), probe).fit(*parts["train"])
            scores = {part: probe.decision_function(parts[part][0]) for part in ("dev", "eval")}
            of_strengths.append(
                {part: class_figures(parts[part][1], scores[part], prior) for part in scores}
            )
        best = min(of_strengths, key=lambda figures: figures["dev"].cross_entropy)["eval"]
        found = {
            name: rows_of(runs["word"], "layer", name)["value"][layer]
            for name in ("v_information", "cross_entropy")
        }
        assert found == pytest.approx(
            {"v_information": best.v_information, "cross_entropy": best.cross_entropy}, abs=1e-4
        )


@pytest.mark.parametrize("name", ["word", "age", "accent"])
def test_predictions_of_a_run_give_its_figures_again(runs: dict[str, Run], name: str) -> None:
    run = runs[name]
    for layer in (0, 1):
        trials = run.trials(f"linear-layer-{layer:02d}")
        figures = run.scored(trials).figures()
        for metric in run.task.metrics:
            assert figures[metric] == pytest.approx(
                rows_of(run, "layer", metric)["value"][layer], abs=1e-9
            )
    head = run.record.depth_finding
    assert head is not None
    of_head = run.scored(run.trials(f"{head.head}-depth-03")).figures()[run.metric.name]
    rows = run.rows("depth")
    mean = rows[(rows["head"] == head.head) & (rows["depth"] == 3) & rows["seed"].isna()][
        "value"
    ].item()
    assert of_head == pytest.approx(mean, abs=1e-9)


@pytest.mark.parametrize("name", ["word", "age", "accent"])
def test_depths_and_contributions_follow_the_metric(runs: dict[str, Run], name: str) -> None:
    run = load(runs[name])
    depths = run.depths.query("split == 'eval' and head == 'mean+linear'").set_index("depth")[
        run.metric.name
    ]
    assert run.metric.better(depths[1], run.metric.scale * run.task.chance)
    of_head = run.contributions.query(
        "metric == @run.metric.name + '_permuted' and head == 'attentive-compact+mlp'"
    )
    losses = run.metric.loss(1) * of_head.set_index("layer")["value"]
    # what is lost without a layer is most for the one that knows it
    assert losses[1] == losses.max()
    assert run.record.depth_finding is not None
    assert run.record.depth_finding.full == 3


@pytest.mark.long
def test_pictures_reports_and_comparisons_follow_the_metric(
    runs: dict[str, Run], folder: Path, tmp_path: Path
) -> None:
    for name, run in runs.items():
        page = Path(save_report(run, tmp_path / f"{name}.html")).read_text(encoding="utf-8")
        assert (
            run.metric.called in page
            and "equal error rate" not in page.replace("Equal error rate", "")
        ) or name == "accent"
        assert run.metric.axis in text_curve(run)
        assert f"--target {name}" in commands(run)
    ax = class_map(runs["word"])
    assert [label.get_text().split()[0] for label in ax.get_yticklabels()] == list(WORDS)
    shares = confusion_picture(runs["word"]).collections[0].get_array()
    assert np.asarray(shares).reshape(3, 3).sum(axis=1) == pytest.approx([100, 100, 100])
    with pytest.raises(ProbeError, match="not one of several classes"):
        class_map(runs["age"])
    # inches; numbers that do not fit their cells are left out, and that is said
    for width, n_shown in ((3.5, 9), (1.6, 0)):
        with style("paper", width=width):
            ax = confusion_picture(runs["word"])
        numbers = [text for text in ax.texts if text.get_text().isdigit()]
        assert len(numbers) == n_shown
        assert ("numbers did not fit" in caption(ax)) == (n_shown == 0)
        figure_of(ax).draw_without_rendering()
        cell = ax.get_window_extent().width / 3
        assert all(text.get_window_extent().width < cell for text in numbers)
    other = write_cache(
        tmp_path / "other.cache",
        change=add_targets,
        separation=(0.0, 0.1, 0.2, 0.1),
        planted=planted,
        name="other",
        seed=1,
    )
    found = compare([runs["word"], made(other, tmp_path / "other.run", target="word")])
    assert found.table.index[0] == "hand made"
    assert found.table["balanced_accuracy"].iloc[0] > 80
    assert "highest balanced accuracy" in found.sentence
    assert " above other by " in found.sentence
    with pytest.raises(ProbeError, match="targets: word by balanced accuracy and age by R"):
        compare([runs["word"], runs["age"]])


def test_a_table_beside_the_corpus_gives_the_same_run_and_says_what_it_lacks(
    runs: dict[str, Run], folder: Path, tmp_path: Path
) -> None:
    table = Cache(folder).utterances[["utterance_id", "word"]]
    table.to_csv(tmp_path / "words.csv", index=False)
    table.rename(columns={"word": "w"}).to_parquet(tmp_path / "words.parquet")
    for file, name in (("words.csv", "word"), ("words.parquet", "w")):
        run = made(folder, tmp_path / f"{name}.run", labels=str(tmp_path / file), target=name)
        of_layers = rows_of(run, "layer", "balanced_accuracy")
        pd.testing.assert_frame_equal(
            of_layers, rows_of(runs["word"], "layer", "balanced_accuracy")
        )
    some = pd.concat([table.iloc[5:], pd.DataFrame({"utterance_id": ["nobody"], "word": ["yes"]})])
    some.to_csv(tmp_path / "some.csv", index=False)
    messages: list[str] = []
    options = SweepOptions(
        strengths=STRENGTHS,
        resamples=200,
        control_seeds=(),
        target=TargetOptions(labels=str(tmp_path / "some.csv"), target="word"),
        depths=DepthOptions(heads=()),
    )
    run = sweep(folder, tmp_path / "some.run", options, say=messages.append)
    assert any("1 ids of some.csv are of no utterance" in text for text in messages)
    gone = [reason for of in run.record["left_out"].values() for reason in of.items()]
    assert sum(n for reason, n in gone if reason == "have no word") == 5


@pytest.mark.parametrize("folds", [0, 4])
@pytest.mark.parametrize("target", ["word", "age", "accent"])
def test_divisions_share_no_group_and_depend_on_no_order(
    folder: Path, tmp_path: Path, target: str, folds: int
) -> None:
    positive = ("a",) if target == "accent" else ()
    options = TargetOptions(target=target, split_by="speaker", folds=folds, positive=positive)
    splits = SweepOptions(target=options).splits(Cache(folder))
    again = SweepOptions(target=options).splits(Cache(folder))
    for part, split in splits.items():
        assert split.table["utterance_id"].tolist() == again[part].table["utterance_id"].tolist()
    if not folds:
        groups = [set(split.table["speaker"]) for split in splits.values()]
        assert sum(map(len, groups)) == len(set.union(*groups))
        assert sum(map(len, splits.values())) == 180
        assert len(splits["train"]) >= 90
        return
    train = splits["train"]
    assert train.folds is not None
    assert (
        train.table.groupby("speaker")
        .apply(lambda rows: len(set(train.folds[rows.index])), include_groups=False)
        .max()
        == 1
    )
    run = made(
        folder,
        tmp_path / "folds.run",
        target=target,
        split_by="speaker",
        folds=folds,
        positive=positive,
    )
    expected = (
        rf"none is kept.* without folds: probe sweep \S+ --target {target} "
        r".*--split-by speaker --out \S+divided.run"
    )
    with pytest.raises(ProbeError, match=expected):
        choose_head(run)
    with pytest.raises(ProbeError, match=expected):
        of_tuning.parts_of(run)
    assert run.record.finding.layer == 1
    assert len(run.trials("linear-layer-01")) == 180
    assert not (run.folder / "heads" / "linear.json").exists()
    save_report(run)


def test_a_fold_is_scored_by_the_probe_that_was_trained_without_it(
    folder: Path, tmp_path: Path
) -> None:
    options = TargetOptions(target="age", split_by="speaker", folds=3)
    train = SweepOptions(target=options).splits(Cache(folder))["train"]
    run = made(folder, tmp_path / "f.run", target="age", split_by="speaker", folds=3)
    x = Cache(folder).pooled([1], train.table)[0].reshape(len(train), -1).astype(float)
    y = np.asarray(train.target)
    assert train.folds is not None
    expected = np.empty(len(y))
    for fold in range(3):
        fitted = train.folds == (fold + 2) % 3
        chosen_on = train.folds == (fold + 1) % 3
        reported = train.folds == fold
        ridges = [
            make_pipeline(StandardScaler(), Ridge(alpha=1 / c)).fit(x[fitted], y[fitted])
            for c in STRENGTHS
        ]
        best = max(ridges, key=lambda probe: r2_score(y[chosen_on], probe.predict(x[chosen_on])))
        expected[reported] = best.predict(x[reported])
    found = run.trials("linear-layer-01").set_index("utterance_id")["predicted"][
        train.table["utterance_id"]
    ]
    assert found.to_numpy() == pytest.approx(expected, abs=1e-6)


def change_rows(table: pd.DataFrame) -> pd.DataFrame:
    table = add_targets(table)
    rows = table.index
    words = table["word"].where(rows % 60 != 7, "")  # missing
    words = words.where(rows != 8, "rare")  # of train, once
    words = words.where(rows != 130, "unseen")  # of eval only
    age = table["age"].where(rows % 60 != 9, "NaN")
    constant = ["7"] * len(table)
    name = np.where(table["split"] == "dev", "same", table["word"])
    return table.assign(
        word=words,
        age=age,
        constant=constant,
        one=constant,
        only_train=name,
        empty="",
        text=table["age"] + "x",
        huge=table["age"] + "e200",
        tiny=table["age"] + "e-200",
        accent5=np.where(rows < 4, rows.astype(str), table["accent"]),
    )


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(
        tmp_path_factory.mktemp("odd") / "odd.cache",
        change=change_rows,
        separation=SEPARATION,
        planted=lambda table: np.zeros((len(table), 6)),
    )


def test_missing_rare_and_unseen_values_are_counted_and_named(odd: Path, tmp_path: Path) -> None:
    run = made(odd, tmp_path / "word.run", target="word")
    assert run.task.classes == WORDS
    assert run.record["left_out"] == {
        "train": {"have no word": 1, "are rare": 1},
        "dev": {"have no word": 1},
        "eval": {"have no word": 1, "are unseen": 1},
    }
    assert {part: sum(counts.values()) for part, counts in run.record.counts.items()} == {
        "train": 58,
        "dev": 59,
        "eval": 58,
    }
    ages = made(odd, tmp_path / "age.run", target="age")
    assert ages.record["left_out"]["eval"] == {"have no age": 1}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["--target", "nothing"], "no such column"),
        (["--target", "constant"], "Expected two or more classes"),
        (["--target", "constant", "--task", "number"], "all alike"),
        (["--target", "empty"], "no utterance has a value"),
        (["--target", "text", "--task", "number"], "180 values of text are none"),
        (["--target", "word", "--positive", "maybe"], "no utterance has 'maybe'"),
        (["--target", "word", "--task", "binary"], "--positive"),
        (["--target", "word", "--metric", "r2"], "Expected one of balanced_accuracy"),
        (["--target", "word", "--metric", "f1"], "expected one of eer"),
        (["--metric", "macro_f1"], "label is a target of binary. Expected one of eer"),
        (["--target", "word", "--max-units", "200"], "--max-units 200: is of frames and segments"),
        (["--target", "word", "--min-count", "50"], "--min-count 50"),
        (["--target", "word", "--by", "attack"], "about spoofs"),
        (["--target", "word", "--unseen-attacks"], "about spoofs"),
        (["--target", "word", "--probe", "mlp"], "two classes"),
        (["--target", "age", "--margin", "2pt"], "no points"),
        (["--target", "age", "--plan"], "two classes"),
        (["--target", "word", "--folds", "4"], "--split-by"),
        (["--target", "word", "--split-by", "speaker", "--folds", "2"], "3 or more"),
        (["--target", "word", "--split-by", "speaker", "--train", "dev"], "Leave"),
        (["--target", "word", "--split-by", "empty"], "have none"),
        (["--target", "word", "--split-by", "constant"], "has 1 values"),
        (["--target", "word", "--split-by", "nothing"], "no such column"),
        (["--labels", "nowhere.csv", "--target", "word"], "no such file"),
        (["--target", "audio:"], "as audio:energy"),
        (["--target", "huge"], "too large to compute with"),
        (["--target", "tiny"], "too alike to compute with"),
        (["--target", "only_train"], "the dev part ('dev') has nothing with a only_train"),
        (["--target", "split", "--split-by", "split"], "has 3 values"),
        (
            ["--target", "accent", "--split-by", "accent5", "--min-count", "1"],
            "divide by another column (--split-by COLUMN)",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_advice(
    odd: Path,
    tmp_path: Path,
    typed: list[str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["probe", "sweep", str(odd), "--out", str(tmp_path / "x.run"), *typed]
    )
    with pytest.raises(SystemExit) as stopped:
        main()
    output = " ".join(capsys.readouterr().err.split())
    assert stopped.value.code == 2
    assert expected in output
    assert "Traceback" not in output
    assert not (tmp_path / "x.run").exists()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("utterance_id,word\nnobody,yes\n", "none of its 1 ids"),
        ("utterance_id,wort\ntrain-00-é,yes\n", "no column 'word'"),
        ("utterance_id,word\ntrain-00-é,yes\ntrain-00-é,no\n", "there twice"),
        ("", "is empty"),
    ],
)
def test_tables_beside_the_corpus_that_cannot_be_joined_are_refused(
    folder: Path, tmp_path: Path, rows: str, expected: str
) -> None:
    (tmp_path / "more.csv").write_text(rows, encoding="utf-8")
    with pytest.raises(ProbeError, match=expected):
        made(folder, tmp_path / "x.run", labels=str(tmp_path / "more.csv"), target="word")


def test_numbers_of_a_parquet_that_name_classes_are_words_and_infinite_ones_take_no_part(
    folder: Path, tmp_path: Path
) -> None:
    table = Cache(folder).utterances[["utterance_id", "word", "age"]]
    named = table["word"].map({word: float(i) for i, word in enumerate(WORDS)})
    named[table.index % 30 == 4] = np.nan  # whole numbers with gaps, which parquet has as floats
    age = table["age"].astype(float).where(table.index % 60 != 9, np.inf)
    table.assign(word=named, word32=named.astype(np.float32), age=age).to_parquet(
        tmp_path / "n.parquet"
    )
    for name in ("word", "word32"):
        run = made(
            folder, tmp_path / f"{name}.run", labels=str(tmp_path / "n.parquet"), target=name
        )
        assert run.task.classes == ("0", "1", "2")
        assert run.record["left_out"]["train"] == {f"have no {name}": 2}
        assert set(run.trials("linear-layer-01")["target"]) == {"0", "1", "2"}
    ages = made(folder, tmp_path / "age.run", labels=str(tmp_path / "n.parquet"), target="age")
    assert ages.task.name == "number"
    assert ages.record["left_out"]["eval"] == {"have an infinite age": 1}


def test_a_value_with_commas_is_a_positive_class(folder: Path, tmp_path: Path) -> None:
    table = Cache(folder).utterances[["utterance_id", "accent"]]
    table.assign(accent=table["accent"].map({"a": "north, east", "b": "south"})).to_csv(
        tmp_path / "a.csv", index=False
    )
    labels = str(tmp_path / "a.csv")
    run = made(
        folder, tmp_path / "a.run", labels=labels, target="accent", positive=("north", " east")
    )
    assert run.task.words == ("north, east", "south")
    run = made(folder, tmp_path / "b.run", labels=labels, target="accent", positive=(" south",))
    assert run.task.words == ("south", "north, east")


def test_other_labels_under_the_same_name_make_another_run(folder: Path, tmp_path: Path) -> None:
    table = Cache(folder).utterances[["utterance_id", "word"]]
    labels = tmp_path / "words.csv"
    table.to_csv(labels, index=False)
    made(folder, tmp_path / "w.run", labels=str(labels), target="word")
    made(folder, tmp_path / "w.run", labels=str(labels), target="word")  # the same again is welcome
    (tmp_path / "elsewhere").mkdir()
    moved = labels.rename(tmp_path / "elsewhere" / labels.name)
    again = made(folder, tmp_path / "w.run", labels=str(moved), target="word")  # and from elsewhere
    assert again.record["options"]["target"]["labels"] == labels.name
    of_earlier = json.loads(json.dumps(again.record))
    of_earlier["options"]["target"]["labels"] = str(labels)  # as earlier versions wrote it
    configuration = {name: again.record[name] for name in ("options", "cache", "utterances")}
    assert made_with(of_earlier, configuration)
    of_earlier["options"]["target"]["labels"] = "/other.csv"
    assert not made_with(of_earlier, configuration)
    table.assign(word=table["word"] + "-").to_csv(labels, index=False)  # in the same order
    with pytest.raises(ProbeError, match="holds a run made with other options"):
        made(folder, tmp_path / "w.run", labels=str(labels), target="word")


def test_long_names_leave_room_for_what_is_drawn(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    folder = write_cache(
        tmp_path / "long.cache",
        change=lambda table: add_targets(table).assign(
            word=lambda rows: rows["word"] + " $of_{many}$ words" * 20
        ),
    )
    run = made(folder, tmp_path / "long.run", target="word")
    for draw in (class_map, confusion_picture):
        ax = draw(run)
        save_figure(ax, tmp_path / "x.png", dpi=40)
        assert ax.get_position().width > 0.3
    assert not [warning for warning in recwarn if "constrained_layout" in str(warning.message)]


def test_many_folds_that_share_people_are_said_in_few_lines(folder: Path, tmp_path: Path) -> None:
    messages: list[str] = []
    target = TargetOptions(target="word", split_by="utterance_id", folds=8)
    options = SweepOptions(
        strengths=(0.1,),
        control_seeds=(),
        resamples=200,
        target=target,
        depths=DepthOptions(heads=()),
    )
    run = sweep(folder, tmp_path / "f.run", options, say=messages.append)
    shared = [text for text in messages if " share " in text]
    assert len(run.record["leaks"]) > 12
    assert len(shared) == 13
    assert shared[-1].startswith(f"Warning: {len(run.record['leaks']) - 12} more pairs of parts")


def test_a_corpus_without_spoofing_labels_is_read_by_its_own(tmp_path: Path) -> None:
    folder = write_cache(
        tmp_path / "free.cache",
        change=lambda table: add_targets(table).assign(label=lambda rows: rows["word"], attack=""),
        separation=SEPARATION,
        planted=planted,
    )
    run = made(folder, tmp_path / "free.run")
    assert (run.task.name, run.task.target) == ("classes", "label")
    assert run.record.finding.layer == 1
    none = write_cache(
        tmp_path / "none.cache", change=lambda table: table.assign(label="", attack="")
    )
    with pytest.raises(ProbeError, match="no utterance has a value"):
        made(none, tmp_path / "none.run")


def test_what_is_measured_in_the_audio_is_read(tmp_path: Path) -> None:
    import soundfile

    generator = np.random.default_rng(0)

    def with_loudness(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(
            loudness=[f"{value:.4f}" for value in generator.uniform(-40, -10, len(table))]
        )

    def loud(table: pd.DataFrame) -> np.ndarray:
        found = np.zeros((len(table), 6))
        found[:, 2] = (table["loudness"].astype(float) + 25) / 9
        return found

    folder = write_cache(
        tmp_path / "a.cache",
        change=with_loudness,
        separation=SEPARATION,
        planted=loud,
        audio_root=str(tmp_path),
    )
    table = Cache(folder).utterances
    for path, level in zip(table["path"], table["loudness"].astype(float), strict=True):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        noise = generator.normal(size=8000)
        samples = 10 ** (level / 20) * noise / np.sqrt(np.mean(noise**2))
        soundfile.write(tmp_path / path, samples.clip(-1, 1), 16_000, subtype="FLOAT", format="WAV")
    run = made(folder, tmp_path / "a.run", target="audio:energy")
    assert run.record.finding.layer == 1
    assert rows_of(run, "layer", "r2")["value"][1] > 0.7
    found = run.trials("linear-layer-01").set_index("utterance_id")
    expected = table.set_index("utterance_id")["loudness"].astype(float)[found.index]
    assert np.abs(found["target"] - expected).median() < 0.5
    for target, message in (
        ("audio:colour", "expected audio: and f0"),
        ("audio:duration", "all alike"),
    ):
        with pytest.raises(ProbeError, match=message):
            made(folder, tmp_path / "b.run", target=target)
    (tmp_path / table["path"][0]).unlink()
    with pytest.raises(ProbeError, match="no such file"):
        made(folder, tmp_path / "b.run", target="audio:snr")


def test_audio_is_not_scored_with_heads_of_another_target(
    runs: dict[str, Run], tmp_path: Path
) -> None:
    for run in runs.values():
        with pytest.raises(ProbeError, match="only heads of bona fide against spoof score audio"):
            choose_head(run)
        with pytest.raises(ProbeError, match="only heads of bona fide against spoof score audio"):
            export(run, tmp_path / "e")
        head = load_head(run.folder / "heads" / "attentive-compact+mlp-depth-03.safetensors")
        layers = Cache(run.record.cache_folder).pooled([1, 2, 3])
        assert head.score(layers).shape == ((180, 3) if run is runs["word"] else (180,))
        with pytest.raises(ProbeError, match="its target is"):
            load(run).by("attack")
