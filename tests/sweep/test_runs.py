"""The sweep finds the layer that carries the classes, and leaves a run folder that says how."""

import json
import os
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
from hand_made import write_cache
from safetensors.numpy import load_file

from cache import Cache, ProbeError
from cache.errors import CacheBusy
from cache.manifest import load_manifest
from cache.table import load_table, table_bytes
from probing.metrics import eer
from probing.probes import LinearProbe
from probing.runs import Run, RunWriter
from probing.sweep import DepthOptions, SweepOptions, sweep

LINEAR = DepthOptions(heads=())
QUICK = SweepOptions(resamples=200, strengths=(1e-3, 1e-1), control_seeds=(0, 1), depths=LINEAR)


@pytest.fixture(scope="module")
def run(cache_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return sweep(
        cache_folder, tmp_path_factory.mktemp("runs") / "hand.run", QUICK, say=lambda text: None
    )


def test_the_layer_that_carries_the_classes_is_found(run: Run) -> None:
    finding = run.record["finding"]
    assert finding["layer"] == 2
    assert finding["best"]["value"] < 0.2
    assert finding["difference"]["value"] == pytest.approx(
        finding["last_layer"]["value"] - finding["best"]["value"]
    )
    assert finding["difference"]["low"] > 0
    assert run.sentence.startswith("Chosen on dev: layer 2 of 3 of hand made, with an eval EER of ")
    assert "random" not in run.sentence


def test_the_table_has_a_row_per_figure_and_nothing_missing(run: Run) -> None:
    results = run.results
    sizes = {
        "layer": 8,
        "layer-at-once": 4,
        "layer-excess": 3,
        "shuffled-labels": 16,
        "trivial-features": 2,
    }
    assert dict(results.groupby("experiment").size()) == sizes
    assert set(results["split"]) == {"dev", "eval"}
    probes = results[results["experiment"] != "shuffled-labels"]
    assert ((probes["low"] <= probes["value"]) & (probes["value"] <= probes["high"])).all()
    assert results["value"][results["metric"] == "eer"].between(0, 1).all()
    assert not results.duplicated(
        ["experiment", "head", "layer", "seed", "split", "condition", "metric"]
    ).any()
    pd.testing.assert_frame_equal(
        pd.read_csv(run.folder / "results.csv")[["value"]], results[["value"]]
    )


def test_controls_know_nothing(run: Run) -> None:
    control = run.results[run.results["experiment"] == "shuffled-labels"]["value"]
    trivial = run.results[run.results["experiment"] == "trivial-features"]["value"]
    assert 0.35 < control.mean() < 0.65
    assert trivial.between(0.25, 0.75).all()


def test_strength_is_chosen_on_dev_and_eval_is_only_reported(run: Run, cache_folder: Path) -> None:
    cache = Cache(cache_folder)
    for layer in cache.layers:
        data = {
            split: cache.layer(layer, where={"split": split}) for split in ("train", "dev", "eval")
        }
        x = {split: values.reshape(len(values), -1) for split, (values, _) in data.items()}
        y = {split: (table["label"] == "bonafide").to_numpy() for split, (_, table) in data.items()}
        probes = {c: LinearProbe(C=c).fit(x["train"], y["train"]) for c in QUICK.strengths}
        rates = {c: eer(y["dev"], probe.decision_function(x["dev"])) for c, probe in probes.items()}
        chosen = min(QUICK.strengths, key=lambda c: (rates[c], c))
        rows = run.results[
            (run.results["experiment"] == "layer") & (run.results["layer"] == layer)
        ].set_index("split")
        assert (rows["strength"] == chosen).all()
        assert rows.loc["dev", "value"] == pytest.approx(rates[chosen], abs=1e-9)
        expected = eer(y["eval"], probes[chosen].decision_function(x["eval"]))
        assert rows.loc["eval", "value"] == pytest.approx(expected, abs=1e-9)


def test_score_files_are_in_the_official_form_and_give_the_reported_figure(run: Run) -> None:
    rows = [
        line.split(" ")
        for line in (run.folder / "scores/linear-layer-02.eval.txt").read_text().splitlines()
    ]
    assert len(rows) == 60
    assert rows[0][:3] == ["eval-00-é", "A00", "spoof"]
    value = eer([row[2] == "bonafide" for row in rows], [float(row[3]) for row in rows])
    assert value == pytest.approx(run.record["finding"]["best"]["value"], abs=1e-9)


def test_heads_give_the_scores_on_features_as_they_are(run: Run, cache_folder: Path) -> None:
    head = load_file(run.folder / "heads/linear.safetensors")
    x, table = Cache(cache_folder).layer(2, where={"split": "eval"})
    scores = x.reshape(len(x), -1) @ head["layer_02.weight"] + head["layer_02.bias"]
    written = pd.read_csv(run.folder / "scores/linear-layer-02.eval.txt", sep=" ", header=None)
    assert list(written[0]) == list(table["utterance_id"])
    assert np.allclose(scores, written[3], atol=1e-6)
    config = json.loads((run.folder / "heads/linear.json").read_text())
    assert config["cache"] == run.record["cache"]


def test_the_same_sweep_twice_gives_the_same_results_whatever_the_memory(
    run: Run, cache_folder: Path, tmp_path: Path
) -> None:
    again = sweep(cache_folder, tmp_path / "again", QUICK, memory_gb=1e-4, say=lambda text: None)
    pd.testing.assert_frame_equal(again.results, run.results, rtol=1e-9)
    scores = "scores/linear-layer-02.eval.txt"
    assert np.allclose(
        *(
            pd.read_csv(folder / scores, sep=" ", header=None)[3]
            for folder in (again.folder, run.folder)
        ),
        atol=1e-4,
    )


def test_a_sweep_made_again_replaces_itself_and_another_asks_first(
    cache_folder: Path, tmp_path: Path
) -> None:
    first = sweep(cache_folder, tmp_path / "r", QUICK, say=lambda text: None)
    (first.folder / "figures" / "old.png").write_text("old")
    sweep(cache_folder, tmp_path / "r", QUICK, say=lambda text: None)
    assert not (tmp_path / "r" / "figures" / "old.png").exists()
    other = SweepOptions(resamples=100, strengths=(0.1,), control_seeds=(), depths=LINEAR)
    with pytest.raises(
        ProbeError, match=r"other options or another cache \(.*resamples 200 there, 100 wanted"
    ):
        sweep(cache_folder, tmp_path / "r", other, say=lambda text: None)
    assert Run(tmp_path / "r").record["options"]["resamples"] == 200
    replaced = sweep(cache_folder, tmp_path / "r", other, overwrite=True, say=lambda text: None)
    assert replaced.record["options"]["resamples"] == 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r"]


def test_a_folder_that_is_no_run_is_left_alone(cache_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ProbeError, match="is there and is no run"):
        sweep(cache_folder, tmp_path, QUICK, overwrite=True, say=lambda text: None)
    assert (tmp_path / "thesis.tex").exists()


def test_a_run_that_another_is_writing_is_refused_and_free_again_after_it_failed(
    cache_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "r"

    def fail_half_way() -> None:
        with RunWriter(folder, {"of": "the same"}) as writer:
            (writer.training / "checkpoint").write_text("half way")
            with pytest.raises(
                CacheBusy, match=rf"another process is writing to it, pid {os.getpid()} .*out=DIR"
            ):
                sweep(cache_folder, folder, QUICK, say=lambda text: None)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    with RunWriter(folder, {"of": "the same"}) as writer:
        assert (writer.training / "checkpoint").read_text() == "half way"
    run = sweep(cache_folder, folder, QUICK, say=lambda text: None)
    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    assert not [path for path in run.folder.rglob("*") if path.name.startswith(".")]


def test_random_weights_are_named_in_the_sentence(tmp_path: Path) -> None:
    folder = write_cache(tmp_path / "c", random_weights=True)
    sentence = sweep(folder, tmp_path / "r", QUICK, say=lambda text: None).sentence
    assert "The weights are random" in sentence


def test_intervals_fall_back_to_utterances_where_speakers_are_unknown(tmp_path: Path) -> None:
    folder = write_cache(tmp_path / "c", change=lambda table: table.assign(speaker=""))
    run = sweep(folder, tmp_path / "r", QUICK, say=lambda text: None)
    assert "by utterance" in run.record["intervals"]
    with pytest.raises(
        ProbeError, match="interval_by=speaker: not every dev utterance of hand has a speaker"
    ):
        sweep(folder, tmp_path / "r2", SweepOptions(interval_by="speaker"), say=lambda text: None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda table: table[table["split"] != "dev"],
            "no utterances in split 'dev', only eval, train",
        ),
        (
            lambda table: table[(table["split"] != "eval") | (table["label"] == "spoof")],
            "split 'eval' has 0 bona fide and 30 spoofed",
        ),
    ],
)
def test_a_missing_or_one_sided_split_is_named(tmp_path: Path, change, message: str) -> None:
    with pytest.raises(ProbeError, match=message):
        sweep(
            write_cache(tmp_path / "c", change=change), tmp_path / "r", QUICK, say=lambda text: None
        )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("refused", ["no utterances in split 'train'", "split 'train' has 10 bona"])
def test_a_split_that_is_still_to_be_extracted_is_no_reason_to_use_another(
    tmp_path: Path, refused: str
) -> None:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        """Bring whole parts, or bona fide speech, into the shard that was finished."""
        first = "split" if "no utterances" in refused else "label"
        return table.assign(utterance_id=table[first] + "/" + table["utterance_id"])

    folder = write_cache(tmp_path / "c", change=change)
    manifest = load_manifest(folder)
    table = load_table(folder, manifest)
    table.loc[table["shard"] > 0, "row"] = -1
    content = table_bytes(table)
    (folder / "utterances.parquet").write_bytes(content)
    for record in manifest.shards[1:]:
        (folder / str(record.file)).unlink()
    replace(manifest, shards=manifest.shards[:1], table_crc32=crc32(content)).save(folder)
    with pytest.raises(ProbeError, match=rf"{refused}.* The cache is unfinished, 70 of 180"):
        sweep(folder, tmp_path / "r", QUICK, say=lambda text: None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strengths": ()}, "strengths="),
        ({"strengths": (0.0,)}, "strengths=0"),
        ({"resamples": 10}, "resamples=10"),
        ({"interval_by": "moon"}, "interval_by=moon"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ProbeError, match=message):
        SweepOptions(**options)
