"""A small model with a run to tune, and the tuning of it."""

from pathlib import Path

import pandas as pd
import torch
from small_extraction import machine, quiet, write_clips
from tiny_models import build

from probing.corpora import load_corpus
from probing.extraction import Options, extract
from probing.sweep import DepthOptions, SweepOptions, sweep
from probing.tuning import Source, Tuned, TuneMachine, TuneOptions, tune

CPU = TuneMachine("cpu")


def place_of(folder: Path, model: str = "wavlm", **options: object) -> Path:
    """A folder with a small model, its cache of 16 clips, and a run of it."""
    torch.set_num_threads(1)
    write_clips(folder / "audio")
    rows = [
        {
            "path": f"audio/{path.name}",
            "utterance_id": path.stem.replace(" ", "_"),
            "label": ("bonafide", "spoof")[i % 2],
            "voice": "abc"[i % 3],
            "age": f"{20.5 + 3 * (i % 5)}",
        }
        for i, path in enumerate(sorted((folder / "audio").iterdir()))
    ]
    splits = ["train"] * 8 + ["dev"] * 4 + ["eval"] * 4
    pd.DataFrame(rows).assign(split=splits).to_csv(folder / "c.csv", index=False)
    given = {"max_seconds": 0.8, **options}
    extraction = Options(str(build(model, folder / "model")), **given)  # type: ignore[arg-type]
    cache = extract(
        folder / "c.cache", load_corpus(str(folder / "c.csv")), extraction, machine(), say=quiet
    )
    depths = DepthOptions(
        heads=("weighted-sum+linear",), seeds=(0,), depths=(2,), epochs=2, weight_decays=(0.1,)
    )
    what = SweepOptions(strengths=(0.1,), control_seeds=(), resamples=100, depths=depths)
    sweep(cache, folder / "c.run", what, say=quiet)
    return folder


def tuned_in(
    folder: Path,
    source: Source,
    options: TuneOptions,
    how: TuneMachine = CPU,
    with_eval: bool = False,
) -> Tuned:
    made = tune(source, folder, options, how, with_eval=with_eval, say=quiet)
    assert made is not None
    return made
