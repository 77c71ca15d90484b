"""`probe reproduce attm` from end to end, on small trees of real speech in the official layouts."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import tiny_models
from corpus_trees import write
from small_extraction import speech
from typer.testing import CliRunner

from analysis.commands.app import app
from cache import Cache, ProbeError
from probing.backbones import load_backbone
from probing.backbones.costs import costs
from probing.metrics import eer
from probing.reproduction import ATTM, CORPORA, PUBLISHED, Reproduction, compare, plan, run_tuned
from probing.reproduction.sizes import Calibration, matrix_flops, pass_macs
from probing.runs import Run
from probing.scores.files import read_scores
from probing.tuning import TuneOptions

N = 8  # utterances a split


def clip(path: Path, i: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, speech(i, 4000 + 200 * i), 16000)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """2019 LA with its three splits; 2021 LA and DF with utterances of eval and one of progress."""
    folder = tmp_path_factory.mktemp("trees é")
    la, number = folder / "a" / "LA", 0
    for split, ending in (("train", "trn"), ("dev", "trl"), ("eval", "trl")):
        rows = []
        for i in range(N):
            name, key = f"LA_{split[0].upper()}_{1000 + i}", "A01 spoof" if i % 2 else "- bonafide"
            rows.append(f"LA_00{split[0]}{i % 4} {name} - {key}")
            clip(la / f"ASVspoof2019_LA_{split}/flac/{name}.flac", number)
            number += 1
        write(la / f"ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{split}.{ending}.txt", rows)
    for track, form in (
        ("LA", "LA_000{s} {name} alaw ita_tx {attack} {label} notrim {subset}"),
        (
            "DF",
            "VCC{s} {name} mp3m4a vcc2018 {attack} {label} notrim {subset} neural_vocoder - - - -",
        ),
    ):
        root, rows = folder / track, []
        for i in range(N + 1):
            name, label = f"{track}_E_{2000 + i}", "spoof" if i % 2 else "bonafide"
            attack, subset = "A07" if i % 2 else "bonafide", "eval" if i < N else "progress"
            rows.append(form.format(s=i % 4, name=name, attack=attack, label=label, subset=subset))
            clip(root / f"ASVspoof2021_{track}_eval/flac/{name}.flac", number)
            number += 1
        write(root / f"keys/{track}/CM/trial_metadata.txt", rows)
    return {"2019-la": la.parent, "2021-la": folder / "LA", "2021-df": folder / "DF"}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.build(
        "wavlm", tmp_path_factory.mktemp("model") / "tiny-wavlm", num_hidden_layers=6
    )


def reproduce(folder: Path, backbone: Path | str, trees: dict[str, Path], *more: str):
    roots = [word for name, root in trees.items() for word in (f"--asvspoof{name}", str(root))]
    arguments = [
        "--out",
        str(folder),
        "--backbone",
        str(backbone),
        "--seeds",
        "1",
        "--resamples",
        "100",
    ]
    result = CliRunner().invoke(
        app, ["reproduce", "attm", *arguments, *roots, *more], env={"COLUMNS": "250"}
    )
    if result.exception and not isinstance(result.exception, SystemExit | ProbeError):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def done(trees: dict[str, Path], backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What there is after a run of all corpora."""
    folder = tmp_path_factory.mktemp("done") / "attm"
    result = reproduce(folder, backbone, trees, "--run")
    assert result.exit_code == 0, result.output
    (folder / "said.txt").write_text(result.stdout)
    return folder


@pytest.mark.long
def test_a_corpus_that_comes_later_is_added(
    done: Path, trees: dict[str, Path], backbone: Path, tmp_path: Path
) -> None:
    """A run without 2021 DF, then one with all: as a person comes by the data."""
    folder = tmp_path / "attm"
    first = reproduce(
        folder, backbone, {name: trees[name] for name in ("2019-la", "2021-la")}, "--run"
    )
    assert first.exit_code == 0, first.output
    assert "Left out: asvspoof2021-df, for want of --asvspoof2021-df ROOT" in " ".join(
        first.stderr.split()
    )
    assert Run(folder / "attm.run").corpora == ["asvspoof2019-la", "asvspoof2021-la"]
    assert np.isnan(
        pd.read_csv(folder / "attm.csv").query("source == 'measured'")["asvspoof2021-df"]
    ).all()
    second = reproduce(folder, backbone, trees, "--run")
    assert second.exit_code == 0, second.output
    assert second.stderr.count("Nothing to do: every utterance is in the cache.") == 2
    assert_same_results(done, folder)


def assert_same_results(*folders: Path) -> None:
    """Two runs found the same, but for costs."""
    tables = [Run(folder / "attm.run").results for folder in folders]
    pd.testing.assert_frame_equal(*(table[table["experiment"] != "cost"] for table in tables))


def test_every_corpus_is_extracted_and_evaluated_on(done: Path) -> None:
    run = Run(done / "attm.run")
    assert run.corpora == ["asvspoof2019-la", "asvspoof2021-la", "asvspoof2021-df"]
    assert {
        name: run.record["counts"][name] for name in ("train", "eval", "eval.asvspoof2021-df")
    } == {
        name: {"bonafide": N // 2, "spoof": N // 2}
        for name in ("train", "eval", "eval.asvspoof2021-df")
    }
    cache = Cache(done / "asvspoof2021-df.cache")
    assert cache.fingerprint == Cache(done / "asvspoof2019-la.cache").fingerprint
    assert set(cache.utterances["split"]) == {"eval"}
    assert set(cache.utterances["n_samples"]) == {64600}


def test_measured_figures_stand_beside_the_published_ones(done: Path) -> None:
    table, run = pd.read_csv(done / "attm.csv"), Run(done / "attm.run")
    measured = table[table["source"] == "measured"]
    assert set(measured["depth"]) >= {4, 6}
    for corpus in run.corpora:
        rows = run.rows("depth", corpus=corpus)
        rows = rows[rows["seed"].isna()].set_index(["head", "depth"])["value"]
        for (head, depth), value in rows.items():
            found = measured[
                (measured["system"] == f"{head}, frozen") & (measured["depth"] == depth)
            ]
            assert found[corpus].item() == pytest.approx(100 * value)
    published = table[table["source"] != "measured"]
    assert len(published) == len(PUBLISHED) == 1 + 3 * 6 + 2 * 4
    output = (done / "said.txt").read_text()
    assert re.search(
        r"published +WavLM-Large +attentive merge, fine-tuned +12 +0\.65 +3\.50 +3\.19", output
    )
    assert re.search(r"measured +tiny-wavlm .* weighted-sum\+linear, frozen +4 ", output)
    assert run.sentence in output
    assert "Largest weight of the weighted sum: layer " in output


@pytest.mark.long
def test_done_again_nothing_is_read_or_trained(done: Path, backbone: Path) -> None:
    before = (done / "attm.run" / "run.json").read_bytes()
    again = reproduce(done, backbone, {}, "--run")
    assert again.exit_code == 0, again.output
    assert "Nothing to do: " in again.stderr
    assert (done / "attm.run" / "run.json").read_bytes() == before
    listed = reproduce(done, backbone, {})
    assert len(re.findall(r"\bdone\b", listed.stdout)) == 4


@pytest.mark.long
def test_the_commands_listed_make_the_same_run(
    done: Path, trees: dict[str, Path], backbone: Path, tmp_path: Path
) -> None:
    listed = reproduce(tmp_path / "attm", backbone, trees).stdout
    commands = [line for line in listed.splitlines() if line.startswith("probe ")]
    assert len(commands) == 4
    assert not (tmp_path / "attm").exists()
    for command in commands:
        result = CliRunner().invoke(app, shlex.split(command)[1:])
        assert result.exit_code == 0, result.output
    assert_same_results(done, tmp_path / "attm")


def test_without_the_corpus_to_train_on_nothing_is_run(
    trees: dict[str, Path], backbone: Path, tmp_path: Path
) -> None:
    result = reproduce(tmp_path / "r", backbone, {"2021-la": trees["2021-la"]}, "--run")
    assert isinstance(result.exception, ProbeError)
    assert "--asvspoof2019-la ROOT" in str(result.exception)
    assert not (tmp_path / "r").exists()


def test_the_plan_is_made_without_data_or_model(tmp_path: Path) -> None:
    steps, _ = plan(Reproduction(tmp_path), Calibration(24, 1024, 201, 1.0, 1e12, "given"))
    assert [step.state for step in steps] == ["needs data"] * 4
    assert [step.utterances for step in steps[:3]] == [121_461, 148_176, 533_928]
    assert steps[0].n_bytes == 121_461 * 25 * 2 * 1024 * 4
    assert steps[0].seconds == pytest.approx(121_461)
    frames, _ = plan(
        Reproduction(tmp_path, frames=True), Calibration(24, 1024, 201, 1.0, 1e12, "given")
    )
    assert frames[0].n_bytes == 121_461 * 25 * 1024 * (2 * 4 + 201 * 2)
    assert frames[3].seconds > 100 * steps[3].seconds
    assert "--tier frames --recipe attm" in frames[3].command
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_here_is_reckoned_and_an_unknown_one_is_not() -> None:
    known = reproduce(Path("none"), "microsoft/wavlm-large", {}).stdout
    assert "the backbone is not here: 73 GMAC a clip" in known
    unknown = reproduce(Path("none"), "somebody/model", {}).stdout
    assert "nothing is known of the backbone" in unknown


def test_operations_of_a_pass_are_those_counted() -> None:
    counted = costs(load_backbone("embedded", device="cpu"), seconds=64600 / 16000, repeats=1)[
        "macs"
    ]
    blocks = counted.iloc[-1] - counted.iloc[0]
    one, n_frames = pass_macs(1, 192, 64600)
    front_end, _ = pass_macs(0, 192, 64600)
    assert n_frames == 201
    assert 12 * (one - front_end) == pytest.approx(blocks, rel=0.2)
    assert matrix_flops("cpu") > 1e8


def test_published_figures_are_those_of_the_papers() -> None:
    assert ATTM.rates == (0.65, 3.50, 3.19)
    of = {(published.backbone, published.depth): published.rates for published in PUBLISHED[1:]}
    assert of["WavLM-Large", 12] == (0.20, 5.70, 4.47)
    assert of["XLS-R-300M", 24] == (0.21, 4.63, 4.14)
    assert of["wav2vec2-Base", 2] == (0.63, 6.31, 15.09)
    assert (
        json.dumps(sorted({published.depth for published in PUBLISHED}))
        == "[2, 4, 6, 8, 10, 12, 24]"
    )


def test_the_tuned_model_has_a_row_of_its_own_with_time_and_memory(
    done: Path, trees, backbone: Path
) -> None:
    roots = dict(zip(CORPORA, trees.values(), strict=True))
    wanted = Reproduction(
        done, roots, str(backbone), seeds=1, resamples=100, device="cpu", tune=True
    )
    step = plan(wanted, Calibration(6, 32, 201, 0.1, 1e9, ""))[0][-1]
    assert (step.name, step.state) == ("tune", "ready")
    assert "--head attentive-compact+linear --depth 6 --recipe attm" in step.command
    found = Run(done / "attm.run")
    figures = run_tuned(
        wanted, found, options=TuneOptions(recipe="attm", epochs=1), say=lambda text: None
    )
    table = compare(found, str(backbone), figures)
    row = table[table["system"] == "attentive-compact+linear, fine-tuned"]
    assert (row["source"].item(), row["depth"].item()) == ("measured", 6)
    assert row["seconds"].item() > 0
    assert row["memory_bytes"].item() > 1e7
    for corpus in CORPORA:
        scores = read_scores(next(done.glob(f"tuned-*.{corpus}.txt")))
        assert row[corpus].item() == pytest.approx(
            100 * eer(scores["label"].eq("bonafide"), scores["score"])
        )
        assert " .. " in row[f"{corpus} 95 %"].item()
    assert plan(wanted, Calibration(6, 32, 201, 0.1, 1e9, ""))[0][-1].state == "done"
