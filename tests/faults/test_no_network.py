"""No command looks for the network unless a model of the hub is asked for by its name."""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from planted import plant
from processes import run_probe, start

from cache import Cache
from cache.manifest import load_manifest
from probing.extraction import Options


def guarded(commands: Sequence[str]) -> None:
    """Run commands; end the process at the first attempt to resolve a name or to connect, whoever
    swallows errors.
    """

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event in (
            "socket.connect",
            "socket.getaddrinfo",
            "socket.gethostbyname",
            "socket.sendto",
        ):
            os.write(2, f"NETWORK: {event} {arguments}".encode())
            os._exit(99)

    sys.addaudithook(watch)
    for line in commands:
        try:
            run_probe(line.split(" "))
        except SystemExit as error:
            if error.code:
                raise


def run(folder: Path, *commands: str) -> tuple[int, str]:
    """Exit code, and what was said."""
    process = start(guarded, commands, folder=folder)
    return process.wait(), process.said


def test_extract_sweep_verify_repair_score_and_evaluate_touch_no_network(tmp_path: Path) -> None:
    plant(tmp_path / "p.cache", {1: 1.0}, n_layers=1, n=(40, 40, 40))
    code, said = run(
        tmp_path,
        "extract c.cache --max-seconds 0.3 --split dev",
        "cache info c.cache",
        "cache verify c.cache",
        "cache repair c.cache",
        "sweep p.cache --heads none --resamples 100 --control-seeds 0 --strengths 0.1",
        "score p.run p.cache --split eval --out s.txt",
        "evaluate s.txt --resamples 100",
        "corpus list",
    )
    assert code == 0, said[-2000:]
    assert "NETWORK" not in said


def test_a_hub_name_that_only_a_cache_gives_is_not_asked_for(tmp_path: Path) -> None:
    plant(tmp_path / "p.cache", {1: 1.0}, n_layers=1, n=(40, 40, 40))
    manifest = load_manifest(tmp_path / "p.cache")
    first = tmp_path / "audio" / Cache(tmp_path / "p.cache").utterances["path"].iloc[0]
    first.parent.mkdir(parents=True)
    first.touch()  # else repair says first that the audio is gone
    options = asdict(Options(backbone="nobody/no-such-model"))
    about = {
        **manifest.about,
        "options": options,
        "corpus_spec": "x.csv",
        "audio_root": str(tmp_path / "audio"),
    }
    replace(manifest, about=about).save(tmp_path / "p.cache")
    heads = (
        "--heads weighted-sum+linear --seeds 1 --epochs 1 "
        "--resamples 100 --control-seeds 0 --strengths 0.1"
    )
    code, said = run(tmp_path, f"sweep p.cache {heads}", "cache repair p.cache")
    assert "NETWORK" not in said
    assert code == 2
    said = " ".join(said.split())
    assert "Compute by depth not measured: nobody/no-such-model: named by what is stored" in said
    assert "error: nobody/no-such-model: named by what is stored, not by this command" in said
    assert "hf download nobody/no-such-model" in said


def test_a_hub_name_is_what_the_guard_would_see(tmp_path: Path) -> None:
    code, said = run(tmp_path, "extract c.cache --backbone nobody/no-such-model")
    assert code == 99
    assert "NETWORK" in said
