"""What the records of a run, a cache or an export already say is refused before PyTorch loads."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from planted import plant
from resealed import edit
from small_extraction import quiet, run_cli

from cache import Cache
from probing.exits import ExitPolicy
from probing.extraction import Options
from probing.runs import Run
from probing.sealing import seal
from probing.sweep import DepthOptions, SweepOptions, sweep

ROOT = Path(__file__).parents[2]
RUN_ALL = """
import json, sys
from analysis.commands.app import main
for words in json.load(sys.stdin):
    sys.argv = ["probe", *words]
    try:
        main()
        code = 0
    except SystemExit as error:
        code = error.code
    print(code, "torch" in sys.modules, flush=True)
    print("@", file=sys.stderr, flush=True)
"""
TUNE_ANEW = "tune --backbone embedded --corpus demo"
EVAL = "my.run/scores/linear-layer-03.eval.txt"
REFUSED = {
    "extract new --frames-dtype int8": "--frames-dtype int8: is of the frames tier. Add --frames,",
    "extract new --view-seed 1": "--view-seed 1: is of a view. Add --view SPEC, or leave this out",
    "extract new --seed 1": "--seed 1: is of random weights. Give --backbone random:SPEC,",
    "extract new --seconds 2 --max-seconds 9": "--max-seconds 9: every clip has the length of",
    "extract new --backbone lfcc --revision a": "--revision a: is of a model of the hub. Name one",
    "extract new --backbone lfcc --precision bf16": "--precision bf16: is of a model. Give float32",
    "extract new --backbone embeded": "Try `embedded`, or a local folder.",
    "extract new --audio-root full": "--audio-root full: is for manifests, and demo says where",
    "extract new --corpus full --audio-root full": "full says where its audio is. Leave it out",
    "extract new --corpus gone": "--corpus gone: no such folder, and no corpus of that name",
    "extract new --corpus folder:gone": "gone: no such folder. Expected one that holds audio",
    "export my.run new --depth 99": "--depth 99: my.run has no head of that depth",
    "export my.run new --head foo": "--head foo: my.run has no such head",
    "export my.run my.cache": "DIR my.cache: is a cache, which holds nothing else",
    "export my.run my.run": "DIR my.run: is a run, which holds nothing else",
    "export my.run new --exits e.json --depth 2": "--depth 2: a policy of --exits says heads",
    "export my.run full": "full: is there and is no exported head",
    "export my.run full/notes.txt": "DIR full/notes.txt: full/notes.txt is a file",
    "export my.run full/notes.txt/new": "DIR full/notes.txt/new: full/notes.txt is a file",
    "export my.run exported": "exported: holds a model made otherwise (head h, not ",
    "export my.run new --depth 0": "--depth 0: linear-layer-00 needs no block, and a backbone has",
    "export my.run new --head linear-layer-00": "--head linear-layer-00: linear-layer-00 needs no",
    "export random.run new": "random.run: is of random weights: planted. Loaded again, random wei",
    "export moved.run new": "/gone/model: ",
    "export my.run new --exits gone": "gone: no such file. Write one: probe exits RUN --out exits",
    "export my.run new --exits full/notes.txt": "full/notes.txt: no policy of early exit that can",
    "export my.run new --exits theirs.json": "theirs.json: is of another run, their.run 0123, not "
    "of my.run ",
    "export my.run new --exits older.json": "--exits: its policy has exits at depths 1,9 of "
    "linear, and my.run has no such head at 9. Make a policy of this run: probe exits my.run",
    "tune my.run --out my.cache": "--out my.cache: is a cache, which holds nothing else",
    "tune my.run --out full": "full: is there and is no exported head",
    "tune my.run --depth 99": "--depth 99: my.run has no head of that depth. It has depths 0:6",
    "tune my.run --head foo": "--head foo: my.run has no such head",
    "tune my.run --head linear-layer-00": "--head linear-layer-00: needs no block",
    "tune my.run --train head --front-end": "--front-end: is of the backbone, of which nothing",
    "tune my.run --train head --rate 0.1": "--rate 0.1: is of the backbone, of which nothing",
    "tune my.run --layer-decay 2": "--layer-decay 2: expected more than 0 and at most 1",
    "tune exported": "an exported model, not a run. To go on from it: probe tune --continue exp",
    "tune --continue exported --out exported": "--out exported: is the model to go on from",
    f"{TUNE_ANEW} --head mean+foo": "--head mean+foo: back-end",
    f"{TUNE_ANEW} --head mean+linear --depth 99": "--depth 99: embedded has 12 blocks",
    "score my.run clip.wav --prior 1.5": "--prior 1.5: expected the probability of bona fide",
    "score my.run clip.wav --head foo": "--head foo: my.run has no such head",
    "score my.run clip.wav --early-exit": "--early-exit: my.run has no exits",
    "score exported clip.wav --head foo": "--head foo: exported has no such head. It has: h",
    "score exported clip.wav --early-exit": "--early-exit: exported has no exits",
    "score leaving clip.wav --smooth 2": "--smooth 2: leaving has early exit",
    "score my.run": "expected what to score: one cache, or audio",
    "score my.run my.run": "my.run: a run, not a cache or audio. What takes it",
    "score my.run exported": "exported: an exported model, not a cache or audio",
    "score my.run full": "full: no audio in there, and no cache",
    "score my.run full/notes.txt": "full/notes.txt: not decodable: Format not recognised. Give",
    "score exported table.csv": "table.csv: not decodable: Format not recognised. A manifest is "
    "given as --corpus table.csv",
    "score my.run clip.wav full/notes.txt": "2 files, and none can be used; clip.wav: ",
    "score my.run tone.wav --split eval": "--split eval: needs splits, and audio has none",
    "score my.run tone.wav --form 2019 --out s.txt": "--form 2019: needs labels, and audio has",
    "score my.run tone.wav --calibrated": "--calibrated: says what --out holds",
    "score exported tone.wav --calibrated --out s.txt": "--calibrated: exported is of an earlier",
    "score my.run my.cache tone.wav": "my.cache: a cache is scored alone",
    "score my.run my.cache --smooth 4": "--smooth 4: noise is added to audio, and my.cache is",
    "score my.run my.cache --split nope": "--split nope: my.cache has only ",
    "score my.run other.cache": "other.cache: made another way than what the head of my.run",
    "score owned tone.wav": "owned: its merge is not of this package. mine:Norm: the module mine "
    "is not imported, and code that something names is run only if you say so. If you trust it, "
    "import mine first: probe --import mine score owned tone.wav",
    "inspect owned tone.wav --out x.png": "If you trust it, import mine first: probe --import mine",
    "score framed my.cache": "my.cache: no tier 'frames', only pooled",
    "score my.run --corpus nope": "--corpus nope: no such folder, and no corpus of that",
    "score my.run --corpus table.csv --split nope": "--split nope: ",
    "score my.run --corpus table.csv": "clip.wav: not decodable: Format not recognised. Give",
    "score my.run tone.wav --audio-root full": "--audio-root full: is where the paths of "
    "--corpus start, and there is none. Leave it out",
    "score my.run --corpus folder:. --audio-root full": "--audio-root full: is for "
    "manifests, and folder:. says where its audio is. Leave it out",
    "inspect my.run gone.wav --out x.png": "gone.wav: no such file, and no utterance of ",
    "inspect my.run full --out x.png": "full: a folder, not a file, and no utterance of ",
    "inspect exported gone.wav --out x.png": "gone.wav: no such file. An utterance id needs its "
    "cache: --cache DIR",
    "inspect my.run clip.wav --out x.png": "clip.wav: not decodable: ",
    "inspect my.run tone.wav --head foo --out x.png": "--head foo: my.run has no such head",
    "inspect exported tone.wav --head foo --out x.png": "--head foo: exported has no such head",
    "inspect leaving tone.wav --out x.png": "leaving: has several heads, one an exit. Inspect",
    "inspect my.run tone.wav --labels nope --out x.png": "nope: no such file or folder",
    "inspect my.run tone.wav --labels table.csv --label-tier a --out x.png": "--label-tier a: ",
    "inspect my.run tone.wav --label-tier a --out x.png": "--label-tier a: is of alignments, and "
    "no --labels is given. Leave it out",
    "inspect my.run tone.wav --cache my.cache --out x.png": "--cache my.cache: is for an id, and "
    "tone.wav is a file. Leave it out",
    "inspect my.run tone.wav --audio-root full --out x.png": "--audio-root full: is for an id",
    "inspect my.run full/notes.txt --config idle.yaml --out x.png": "full/notes.txt: not decod",
    "inspect my.run train-00000 --cache other.cache --out x.png": "other.cache: made another way",
    "inspect my.run train-00000 --cache full --out x.png": "Say --cache DIR. full: no cache here",
    "describe my.cache --split nope": "my.cache: no utterances for --split nope. Its splits: ",
    "describe my.cache --target nope": "--target nope: no such column. Expected one of ",
    "describe my.cache --labels nope": "nope: no such file. Expected a table with the columns",
    "describe my.cache --target utterance_id": "--target utterance_id: of these 200 utterances",
    "describe my.cache --layers 99": "my.cache: no layer 99; it has 0..6",
    "attack my.run --keep full": "--keep full: holds notes.txt. Name a new or an empty folder",
    "attack my.run --out att --keep att": "--keep att: is the folder of the tables",
    "robustness my.run --views full": "--views full: holds notes.txt",
    "robustness my.run --out rob --views rob": "--views rob: is the folder of the tables",
    "attack my.run --layers 99": "--layers 99: my.run: '99' is none of the layers 0:6",
    "attack my.run --head foo": "--head foo: my.run has no such head",
    "attack my.run --adaptive": "--adaptive: is of noised copies. Say how many: --smooth N",
    "cache repair my.cache": "my.cache: does not say how it was extracted, so that nothing of it",
    "cache repair my.cache --corpus nope": "--corpus nope: no such folder, and no corpus of that",
    "cache repair my.cache --corpus folder:. --audio-root full": "--audio-root full: is for "
    "manifests, and folder:. says where its audio is. Leave it out",
    **{
        f"cache {words}": "nope: no cache here (no cache.json). Name a cache, as my.cache, "
        for words in ("info nope", "verify nope", "repair nope", "merge new.cache nope")
    },
    "cache info full/notes.txt": "full/notes.txt: no cache here (no cache.json). Name a cache",
    "verify nope": "nope: no such folder. Name a cache, a run or a folder of probe export",
    "verify full/notes.txt": "full/notes.txt: a file, not a folder. Name a cache, a run or a fol",
    "score my.run tone.wav --out full": "--out full: is a folder. Name a file",
    "score my.run tone.wav --out gone/s.csv": "--out gone/s.csv: expected a file in a folder that "
    "is there. Make it: mkdir -p gone",
    "score my.run my.cache --out gone/s.txt": "Make it: mkdir -p gone",
    "plot my.run layers --out gone/x.png": "Make it: mkdir -p gone",
    "plot my.run layers --out full/notes.txt/x.png": "in a folder that is there. Name another",
    **{f"{name} /": "/: no run here" for name in ("attack", "exits", "robustness", "tune")},
    "sweep /": "/: no cache here",
    "reproduce attm --backbone nosuch": "unknown model 'nosuch'",
    "reproduce attm --backbone log-mel": "--backbone log-mel: has no blocks for heads",
    "exits my.run --seed -1": "--seed -1: expected 0 or more",
    "similarity my.cache --seed -1 --out x.png": "--seed -1: expected 0 or more",
    "plot my.run layers --out x.png --dpi 9999": "--dpi 9999: expected 30 to 1200",
    "transfer my.cache --json --out -": "--json: goes to standard output, and so does --out -",
    "transfer my.cache my.cache --run my.run": "1 run for the scores of 2 caches",
    "transfer my.cache ./my.cache": "my.cache: is there twice. Name each cache once",
    "transfer my.cache --target foo": "--target foo: no such column. Expected one of",
    "transfer my.cache --run my.run --target split": "my.run: its target is label, the scores",
    f"evaluate {EVAL} --out full": "--out full: holds other files, as notes.txt",
    f"evaluate {EVAL} --asv-keys clip.wav": "--asv-keys clip.wav: is of speaker verification",
    f"evaluate {EVAL} --asv-scores none": "--asv-scores none: no such file",
    f"evaluate {EVAL} --against ./{EVAL}": "is the file of the scores itself. Name that of another",
    f"evaluate {EVAL} --keys full": "--keys full: is a folder. Name a file",
    f"evaluate {EVAL} --audio-root full": "--audio-root full: is where the paths of --corpus",
    f"evaluate {EVAL} --audio-root full --corpus demo": "--audio-root full: is for "
    "manifests, and demo says where its audio is. Leave it out",
    "corpus check my.csv --audio-root none": "--audio-root none: no such folder. Name one",
    "calibrate my.run --out full": "--out full: holds other files, as notes.txt",
    "calibrate my.run --head foo": "--head foo: my.run has no such head",
    "calibrate my.run --audio-root full": "--audio-root full: is for score files; a run reads no",
    "calibrate my.run clip.wav": "my.run is a run, and clip.wav is none",
    f"calibrate {EVAL} --audio-root full": "--audio-root full: is where the paths of --corpus",
    f"calibrate {EVAL} --keys none": "--keys none: no such file. Name a file that is there",
    "compare my.run --out full": "--out full: holds other files, as notes.txt",
    "exits my.run --out full": "--out full: holds other files, as notes.txt",
    "attack my.run --eps -1": "--eps -1: expected whole numbers, 1 to 32767, steps of 16-bit",
    "attack my.run --against ./my.run": "--against my.run: is there twice. Name each run once",
    "similarity my.cache --target mel --out x.png": "--target mel: is for --measure cca",
    "similarity my.cache --variance 0.5 --out x.png": "--variance 0.5: is for --measure pwcca",
    "similarity my.cache --audio-root full --out x.png": "--audio-root full: is for the target mel",
    "similarity my.cache --measure pwcca --seed 1 --out x.png": "--seed 1: is of what cka and cca",
    "similarity my.cache ./my.cache --out x.png": "my.cache: is there twice. Name it once",
    "similarity my.cache --measure cca --audio-root none --out x.png": "none: the audio of",
    "similarity my.cache --measure cca --target label,9 --out x.png": "--target label,9: my.cache "
    "has layers 0..6, not 9",
}

if not any(
    (torch.version.cuda, torch.version.hip, torch.version.xpu, torch.backends.mps.is_built())
):
    REFUSED |= {
        f"{words} --device {name}": f"--device {name}: PyTorch {torch.__version__} finds no such "
        "device here, only cpu. Type --device cpu"
        for words, name in (
            ("score my.run tone.wav", "cuda"),
            ("score my.run my.cache", "xpu"),
            ("inspect my.run tone.wav --out x.png", "cuda:1"),
            ("export my.run new", "cuda"),
        )
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two caches, a run of one, the records of exported models, audio, and something else."""
    folder = tmp_path_factory.mktemp("early")
    plant(folder / "my.cache", {3: 2.0})
    plant(folder / "other.cache", {3: 2.0}, seed=1)
    options = SweepOptions(
        strengths=(0.1,), control_seeds=(), resamples=100, depths=DepthOptions(())
    )
    sweep(Cache(folder / "my.cache"), folder / "my.run", options, say=quiet)
    about = Run(folder / "my.run").record["about"]
    about |= {"options": asdict(Options()), "corpus_spec": "planted", "audio_root": "gone"}
    edit(folder / "my.run" / "run.json", about=about)
    for name, changes in (
        ("random.run", {"backbone": "random weights: planted", "random_weights": True}),
        ("moved.run", {"options": asdict(Options("/gone/model"))}),
    ):
        shutil.copytree(folder / "my.run", folder / name)
        edit(folder / name / "run.json", about=about | changes)
    policy = ExitPolicy("linear", (1, 9), (1.0, 1.0), (0.0, 0.0), "probability", 0.9).as_dict()
    (folder / "older.json").write_text(json.dumps(policy))
    theirs = policy | {"depths": (1, 2), "run": "their.run", "run_id": "0123"}
    (folder / "theirs.json").write_text(json.dumps(theirs))
    (folder / "clip.wav").write_bytes(b"RIFF")
    (folder / "table.csv").write_text("path\nclip.wav\n")
    (folder / "idle.yaml").write_text("cache: other.cache\naudio_root: full\nlabel_tier: a\n")
    soundfile.write(folder / "tone.wav", np.sin(np.arange(16_000) / 8), 16_000)
    (folder / "full").mkdir()
    (folder / "full" / "notes.txt").write_text("mine")
    framed: dict[str, object] = {
        **{"form": "head", "merge": "weighted-sum", "backend": "linear"},
        **{"tier": "frames", "layers": [1]},
    }
    for name, config in (
        ("exported", {"form": "layer-probe"}),
        ("leaving", {"form": "exits"}),
        ("framed", framed),
        ("owned", framed | {"merge": "mine:Norm", "backend": "linear"}),
    ):
        (folder / name).mkdir()
        (folder / name / "head.json").write_text(json.dumps(config))
        seal(
            folder / name,
            "serving.json",
            {"head": "h", "options": {}, "weights_sha256": "0", "fingerprint": {}},
        )
    return folder


def test_what_the_records_say_is_refused_before_torch_is_imported(place: Path) -> None:
    there = sorted(path.name for path in place.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        input=json.dumps([words.split() for words in REFUSED]),
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    said = dict(zip(REFUSED, done.stderr.split("@\n"), strict=False))
    for words, expected in REFUSED.items():
        assert expected in said[words], words
    assert done.stdout.splitlines() == ["2 False"] * len(REFUSED)
    assert sorted(path.name for path in place.iterdir()) == there


def test_a_cache_or_a_run_may_be_named_by_a_dot(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place / "my.cache")
    assert run_cli(["sweep", ".", "--plan"], monkeypatch) == 0
    monkeypatch.chdir(place / "my.run")
    assert run_cli(["tune", ".", "--depth", "99"], monkeypatch) == 2
    assert "--depth 99: . has no head of that depth" in capsys.readouterr().err
