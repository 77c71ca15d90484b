"""A changed byte of a run, a head, a score file or an export is refused where it is read, and named
by verify.
"""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from faults import sealed
from faults.damage import changed
from planted import plant
from resealed import edit, reseal

from analysis.commands.app import main
from cache import ProbeError
from probing import sealing
from probing.backbones import load_backbone
from probing.evaluation import read_scores
from probing.runs import Run
from probing.sealing import CHECKSUM, FILES, Damaged, check_file, faults_of, read_record, seal
from probing.serving.heads import choose_head
from probing.sweep import DepthOptions, SweepOptions, sweep

FLIPS = 32


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sealed")
    cache = plant(home / "c.cache", {1: 2.0}, n_layers=2, n=(40, 40, 40))
    what = SweepOptions(
        strengths=(0.1,), control_seeds=(), resamples=100, depths=DepthOptions(heads=())
    )
    return sweep(cache, home / "c.run", what, say=lambda text: None).folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A run that a test may damage."""
    return shutil.copytree(made, tmp_path / "c.run")


def probe(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["probe", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_no_flipped_bit_of_a_run_or_an_export_passes_in_silence(tmp_path: Path) -> None:
    tallies = sealed.flips(FLIPS, tmp_path)
    assert [what for tally in tallies for what in tally.failures] == []
    assert sum(tally.refused for tally in tallies) > FLIPS // 2
    assert {"c.run/heads", "c.run/scores", "c.run/run.json", "small/model.safetensors"} <= {
        tally.file for tally in tallies
    }


@pytest.mark.parametrize(
    "name",
    [
        "results.parquet",
        "results.csv",
        "scores/linear-layer-01.eval.txt",
        "heads/linear.safetensors",
    ],
)
def test_verify_names_what_is_damaged_and_says_what_to_do(
    run: Path, name: str, monkeypatch, capsys
) -> None:
    assert probe(monkeypatch, "verify", run) == 0
    assert "sound" in capsys.readouterr().out
    with changed(run / name, (run / name).stat().st_size // 2, 4):
        assert probe(monkeypatch, "verify", run) == 1
        told = capsys.readouterr().out
        assert f"{name}: its bytes do not match their checksum" in told
        assert "probe sweep CACHE --out" in told
    (run / name).unlink()
    assert probe(monkeypatch, "verify", run) == 1
    assert f"{name}: the file is missing" in capsys.readouterr().out


def test_a_score_file_of_a_run_is_compared_wherever_it_is_read(run: Path) -> None:
    path = run / "scores" / "linear-layer-01.eval.txt"
    content = path.read_bytes()
    read_scores(path)
    path.write_bytes(content.replace(b"1", b"2", 1))
    for read in (lambda: read_scores(path), lambda: Run(run).trials("linear-layer-01")):
        with pytest.raises(Damaged, match=r"linear-layer-01\.eval\.txt: damaged.*probe verify"):
            read()
    mine = run / "scores" / "mine.eval.txt"  # of the user: nothing is known of it
    mine.write_bytes(path.read_bytes())
    assert len(read_scores(mine)) > 0


def test_what_is_added_and_what_is_drawn_again_is_no_damage(run: Path, monkeypatch) -> None:
    (run / "notes.txt").write_text("mine")
    (run / "figures" / "layers.png").write_bytes(b"drawn by somebody")
    assert probe(monkeypatch, "report", run, "--no-measures") == 0
    assert probe(monkeypatch, "report", run, "--no-measures") == 0
    assert faults_of(run, "run.json") == []
    (run / "report.html").write_text("cut")
    assert probe(monkeypatch, "verify", run) == 0


def test_a_run_of_a_version_without_checksums_still_opens(run: Path, monkeypatch, capsys) -> None:
    right, record = Run(run), json.loads((run / "run.json").read_text())
    del record[FILES], record[CHECKSUM]
    (run / "run.json").write_text(json.dumps(record))
    assert Run(run).record == right.record
    assert Run(run).trials("linear-layer-01").equals(right.trials("linear-layer-01"))
    choose_head(Run(run), name="linear-layer-01")
    assert probe(monkeypatch, "verify", run) == 0
    assert "no checksums" in capsys.readouterr().out


@pytest.mark.parametrize("gone", [FILES, CHECKSUM])
def test_a_record_that_lost_half_of_its_protection_is_damaged(run: Path, gone: str) -> None:
    record = json.loads((run / "run.json").read_text())
    del record[gone]
    (run / "run.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    with pytest.raises(Damaged, match=r"run\.json: damaged"):
        Run(run)


def test_an_edited_run_opens_once_it_is_sealed_again(run: Path) -> None:
    edit(run / "run.json", cache_folder="elsewhere")
    assert Run(run).record["cache_folder"] == "elsewhere"
    table = pd.read_parquet(run / "results.parquet")
    table.assign(strength=table["strength"] * 2).to_parquet(run / "results.parquet", index=False)
    with pytest.raises(Damaged):
        Run(run)
    reseal(run)
    strengths = table["strength"].dropna()
    assert list(Run(run).results["strength"].dropna()) == list(2 * strengths)


def test_a_record_cannot_lead_out_of_its_folder_and_another_programs_is_none(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "s.txt").write_text("u 1\n")
    seal(folder, "run.json", {"a": float("nan"), "b": "é"})
    assert read_record(folder / "run.json")[1] == {"s.txt": (4, faultless_crc(folder / "s.txt"))}
    (folder / "run.json").write_text(json.dumps({"files": ["s.txt"], "checksum": 1}))
    check_file(folder / "s.txt")  # a run.json of another program says nothing
    for name in ("../secret", "/etc/passwd"):
        content = {"files": {name: [1, 1]}}
        content["checksum"] = sealing._checksum(content)
        (folder / "run.json").write_text(sealing._text(content))
        with pytest.raises(ProbeError, match="list of files"):
            read_record(folder / "run.json")


def faultless_crc(path: Path) -> int:
    from zlib import crc32

    return crc32(path.read_bytes())


def test_the_weights_of_an_exported_backbone_are_compared_before_they_are_loaded(
    tmp_path: Path,
) -> None:
    folder = load_backbone("embedded", device="cpu").truncate(1).save(tmp_path / "small")
    load_backbone(str(folder), device="cpu")
    for name in ("model.safetensors", "config.json", "preprocessor_config.json"):
        with (
            changed(folder / name, (folder / name).stat().st_size - 20, 1),
            pytest.raises(Damaged, match=name),
        ):
            load_backbone(str(folder), device="cpu")


def test_what_is_none_of_them_is_said(tmp_path: Path, monkeypatch, capsys) -> None:
    assert probe(monkeypatch, "verify", tmp_path) == 2
    assert "neither a cache nor a run nor an export" in capsys.readouterr().err
