"""A sweep trained on one cache and evaluated on several: one table, the same figures as one by one,
bounded memory.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import write_cache

from analysis.plots.contributions import save_depth_curve
from analysis.plots.layers import corpora_curve, layer_curve, save_corpora_curve, save_layer_curve
from analysis.reports.report import corpora_table, layer_table, save_report
from cache import Cache, FingerprintMismatch, ProbeError
from probing.metrics import eer
from probing.runs import Run
from probing.scores.files import read_scores
from probing.serving.candidates import candidates
from probing.sweep import DepthOptions, SweepOptions, linear, sweep
from probing.sweep.splits import read_splits

LINEAR = SweepOptions(
    resamples=100, strengths=(1e-3, 1e-1), control_seeds=(0,), depths=DepthOptions(heads=())
)
HEADS = replace(
    LINEAR,
    depths=DepthOptions(heads=("weighted-sum+linear",), seeds=(0,), epochs=2, weight_decays=(0.1,)),
)


def other_ids(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(utterance_id="x" + table["utterance_id"])


@pytest.fixture(scope="module")
def caches(cache_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The hand-made cache, one of another corpus in which layer 3 is best, and one with the split
    eval only.
    """
    folder = tmp_path_factory.mktemp("corpora")
    write_cache(
        folder / "b.cache",
        seed=1,
        change=other_ids,
        corpus_name="other corpus",
        separation=(0.0, 0.5, 1.0, 3.0),
    )

    def only_progress(table: pd.DataFrame) -> pd.DataFrame:
        return other_ids(table[table["split"] == "eval"].assign(split="progress"))

    write_cache(folder / "c.cache", seed=2, change=only_progress, corpus_name="third")
    return {"a": cache_folder, "b": folder / "b.cache", "c": folder / "c.cache"}


@pytest.fixture(scope="module")
def run(caches: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    options = replace(HEADS, eval=("eval", f"{caches['b']}:eval", str(caches["c"])))
    return sweep(caches["a"], tmp_path_factory.mktemp("runs") / "r", options, say=lambda text: None)


def test_there_are_the_same_rows_for_every_corpus(run: Run) -> None:
    assert run.corpora == ["hand", "other_corpus", "third"]
    counts = (
        run.results[run.results["split"] == "eval"]
        .groupby(["experiment", "corpus"])
        .size()
        .unstack()
    )
    for experiment in ("layer", "depth", "shuffled-labels", "trivial-features"):
        assert counts.loc[experiment].nunique() == 1
        assert counts.loc[experiment].min() > 0
    key = ["experiment", "head", "layer", "depth", "seed", "split", "corpus", "condition", "metric"]
    assert not run.results.duplicated(key).any()
    assert set(run.results.loc[run.results["split"] == "dev", "corpus"]) == {"hand"}


def test_a_corpus_gets_the_figures_of_a_sweep_on_it_alone(
    run: Run, caches: dict[str, Path], tmp_path: Path
) -> None:
    for corpus, spec in (
        ("other_corpus", f"{caches['b']}:eval"),
        ("third", f"{caches['c']}:progress"),
    ):
        alone = sweep(
            caches["a"], tmp_path / corpus, replace(HEADS, eval=spec), say=lambda text: None
        )
        for experiment in ("layer", "depth", "shuffled-labels", "trivial-features"):
            pd.testing.assert_frame_equal(
                run.rows(experiment, corpus=corpus).reset_index(drop=True),
                alone.rows(experiment).reset_index(drop=True),
            )
        assert alone.corpora == [corpus]


def test_the_plain_form_is_that_of_one_corpus(
    run: Run, caches: dict[str, Path], tmp_path: Path
) -> None:
    plain = sweep(caches["a"], tmp_path / "r", HEADS, say=lambda text: None)
    assert plain.corpora == ["hand"]
    assert plain.record["elsewhere"] is None
    for experiment in ("layer", "depth"):
        pd.testing.assert_frame_equal(
            run.rows(experiment).reset_index(drop=True),
            plain.rows(experiment).reset_index(drop=True),
        )
    assert plain.record["finding"] == run.record["finding"]


def test_score_files_are_there_for_every_corpus_and_give_its_figures(
    run: Run, caches: dict[str, Path]
) -> None:
    for head, rows in (
        ("linear-layer-02", run.results["layer"] == 2),
        ("weighted-sum+linear-depth-02", None),
    ):
        for part, corpus in (
            ("eval", "hand"),
            ("eval.other_corpus", "other_corpus"),
            ("eval.third", "third"),
        ):
            table = read_scores(run.folder / "scores" / f"{head}.{part}.txt")
            value = eer(table["label"] == "bonafide", table["score"])
            if rows is None:
                found = run.rows("depth", corpus=corpus)
                found = found[found["seed"].notna() & (found["depth"] == 2)]
            else:
                found = run.rows("layer", corpus=corpus)
                found = found[found["layer"] == 2]
            assert value == pytest.approx(found["value"].item(), abs=1e-9)
    names = read_scores(run.folder / "scores" / "linear-layer-02.eval.third.txt")["utterance_id"]
    assert set(names) == set(Cache(caches["c"]).utterances["utterance_id"])


def test_the_sentence_says_how_the_layer_does_elsewhere(run: Run) -> None:
    found = run.record["elsewhere"]
    assert found["layer"] == run.record["finding"]["layer"] == 2
    assert "On other_corpus: layer 2 " in run.sentence
    assert re.search(r"lowest [\d.]+ % at layer 3, picked there\.", run.sentence)
    rows = run.rows("layer", corpus="other_corpus").set_index("layer")
    assert found["rates"]["other_corpus"]["2"]["value"] == rows.loc[2, "value"]


def test_figures_and_report_know_every_corpus(run: Run) -> None:
    paths = save_layer_curve(run) + save_corpora_curve(run) + save_depth_curve(run)
    assert all(Path(path).stat().st_size > 1000 for path in paths)
    assert sum("corpora-curve" in path for path in paths) == 2
    labels = [text.get_text() for text in corpora_curve(run).get_legend().get_texts()]
    assert [label.partition(" (")[0] for label in labels[:3]] == ["hand", "other_corpus", "third"]
    title = layer_curve(run, corpus="third").get_title(loc="left")
    assert title == "hand made, trained on hand, evaluated on third"
    table = corpora_table(run)
    assert list(table.columns[::2]) == run.corpora
    value = run.rows("layer", corpus="third").set_index("layer")["value"]
    assert np.allclose(table["third"], 100 * value)
    assert list(layer_table(run)["eval"][:-1]) == pytest.approx(list(table["hand"]))
    page = Path(save_report(run)).read_text()
    assert "On every corpus" in page
    with pytest.raises(
        ProbeError, match="not evaluated on 'none', only on hand, other_corpus, third"
    ):
        run.rows("layer", corpus="none")


def test_heads_to_serve_are_told_by_the_first_corpus(run: Run) -> None:
    expected = run.rows("layer").set_index("layer")["value"]
    probes = {head.depth: head.eval_eer for head in candidates(run) if head.kind == "linear"}
    assert probes == pytest.approx({int(layer): value for layer, value in expected.items()})


def test_large_evaluation_sets_are_scored_in_blocks_to_the_same_numbers(
    run: Run, caches: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, int]] = []
    pooled = Cache.pooled

    def counting(self: Cache, layers: list[int], table: pd.DataFrame) -> np.ndarray:
        if self.folder == caches["b"]:
            read.append((len(layers), len(table)))
        return pooled(self, layers, table)

    monkeypatch.setattr(Cache, "pooled", counting)
    monkeypatch.setattr(linear, "READ_VALUES", 100)
    options = replace(LINEAR, eval=("eval", f"{caches['b']}:eval"))
    small = sweep(caches["a"], tmp_path / "r", options, memory_gb=1e-4, say=lambda text: None)
    assert max(rows for _, rows in read) <= 8
    assert sum(n * rows for n, rows in read) == 4 * 60
    for corpus in ("hand", "other_corpus"):
        values, expected = (
            swept.rows("layer", corpus=corpus)["value"].to_numpy() for swept in (small, run)
        )
        assert np.allclose(values, expected, atol=1e-9)


def test_a_cache_made_another_way_is_refused_with_both_values(
    caches: dict[str, Path], tmp_path: Path
) -> None:
    write_cache(tmp_path / "d.cache", change=other_ids, made="by machine", corpus_name="other")
    with pytest.raises(FingerprintMismatch, match="made: 'by machine', trained on 'by hand'"):
        sweep(
            caches["a"], tmp_path / "r", replace(LINEAR, eval=("eval", f"{tmp_path}/d.cache:eval"))
        )
    assert not (tmp_path / "r").exists()


def test_specifications(
    caches: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    main = Cache(caches["a"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "eval").mkdir()  # no cache, and the split has the name
    splits = read_splits(
        main, ":train", f"{caches['b']}:dev", ("eval", str(caches["b"]), str(caches["c"]))
    )
    assert {
        part: (split.cache.folder.name, split.split, len(split)) for part, split in splits.items()
    } == {
        "train": ("hand.cache", "train", 60),
        "dev": ("b.cache", "dev", 60),
        "eval": ("hand.cache", "eval", 60),
        "eval.other_corpus": ("b.cache", "eval", 60),
        "eval.third": ("c.cache", "progress", 60),
    }
    again = read_splits(main, evaluations=(f"{caches['b']}:eval", f"{caches['b']}:dev"))
    assert list(again) == ["train", "dev", "eval", "eval.other_corpus.dev"]
    assert again["eval"].corpus == "other_corpus.eval"


@pytest.mark.parametrize(
    ("evaluations", "message"),
    [
        (("nowhere",), "no utterances in split 'nowhere', only dev, eval, train"),
        (("none.cache",), "none.cache: no cache here"),
        (("a/b",), "a/b: no cache here"),
        (("none.cache:eval",), "none.cache: no cache here"),
        (
            ("eval", "eval"),
            "eval and eval: expected different splits, but 60 utterances of hand are in both",
        ),
        (("dev",), "dev and eval: expected different splits"),
        ((), "eval: expected one or more"),
    ],
)
def test_specifications_that_name_nothing_are_refused(
    evaluations: tuple[str, ...], message: str, caches: dict[str, Path]
) -> None:
    with pytest.raises(ProbeError, match=message):
        read_splits(Cache(caches["a"]), evaluations=evaluations)


def test_several_splits_without_one_of_the_part_are_to_be_named(
    caches: dict[str, Path], tmp_path: Path
) -> None:
    def renamed(table: pd.DataFrame) -> pd.DataFrame:
        return other_ids(table).assign(split="x" + table["split"])

    folder = write_cache(tmp_path / "d.cache", change=renamed, corpus_name="d")
    with pytest.raises(
        ProbeError, match=r"has the splits xdev, xeval, xtrain\. Say which: eval=.*d\.cache:SPLIT"
    ):
        read_splits(Cache(caches["a"]), evaluations=(str(folder),))


def test_the_same_utterances_cached_twice_are_no_other_corpus(
    caches: dict[str, Path], tmp_path: Path
) -> None:
    copy = write_cache(tmp_path / "copy.cache")
    with pytest.raises(
        ProbeError, match="train and eval: expected different splits, but 60 utterances of hand"
    ):
        read_splits(Cache(caches["a"]), evaluations=(f"{copy}:train",))
