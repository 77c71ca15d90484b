"""A run that version 0.1 wrote (tests/runs/run_of_0_1, its record and results) is read as what it
was.
"""

import json
from dataclasses import asdict
from pathlib import Path

import analysis
from analysis.runs.rerun import commands
from probing.runs import Run
from probing.sweep import DepthOptions, SweepOptions

STORED = Path(__file__).parent / "run_of_0_1"


def test_an_earlier_run_opens_with_its_finding_and_figures() -> None:
    run = analysis.load(STORED)
    assert run.sentence.startswith("Chosen on dev: layer 2 of 3 of hand made, with an eval EER of ")
    assert run.layers.query("split == 'eval'")["layer"].tolist() == [0, 1, 2, 3]
    assert set(run.depths["depth"]) == {1, 3}
    assert run.summary["eval EER"] in run.sentence


def test_its_record_holds_the_options_that_make_it_again() -> None:
    options = dict(Run(STORED).record["options"])
    depths = {
        name: tuple(x) if isinstance(x, list) else x for name, x in options.pop("depths").items()
    }
    values = {name: tuple(x) if isinstance(x, list) else x for name, x in options.items()}
    again = SweepOptions(**values, depths=DepthOptions(**depths))
    plain = json.loads(json.dumps(asdict(again)))
    assert {name: plain[name] for name in Run(STORED).record["options"]} == Run(STORED).record[
        "options"
    ]


def test_its_commands_are_written_out_whole() -> None:
    assert commands(Run(STORED)) == (
        "probe sweep hand.cache --out run_of_0_1 \\\n"
        "  --strengths 0.001,0.1 \\\n"
        "  --control-seeds 2 \\\n"
        "  --margin 2pt \\\n"
        "  --resamples 200 \\\n"
        "  --seed 0 \\\n"
        "  --interval-by auto \\\n"
        "  --by attack \\\n"
        "  --unseen-attacks \\\n"
        "  --probe mlp \\\n"
        "  --train train \\\n"
        "  --dev dev \\\n"
        "  --eval eval \\\n"
        "  --heads mean+linear,weighted-sum+linear \\\n"
        "  --tier pooled \\\n"
        "  --recipe quick \\\n"
        "  --seeds 2 \\\n"
        "  --depths 1 \\\n"
        "  --epochs 2"
    )
