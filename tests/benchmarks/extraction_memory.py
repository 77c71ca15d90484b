"""How much memory an extraction takes beside its model, by what `probe extract --memory-gb` allows.

    python tests/benchmarks/extraction_memory.py [--memory-gb 0.1,0.5,2] [--backbone SPEC] \
        [--utterances 64]

Long clips with frames, extracted in a process of its own for each setting. What counts is the
anonymous memory above what the process has with the model loaded and warm (Linux only).
"""

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
from frames_memory import Peak, anonymous_gb

from cache.writer import CacheWriter
from probing.corpora import Corpus, load_corpus
from probing.extraction import Machine, Options
from probing.extraction.extracting import new_manifest, session


def corpus_of(folder: Path, n: int, seconds: float) -> Corpus:
    """Clips of noise, all of one length."""
    generator = np.random.default_rng(0)
    names = [f"{i:03d}.wav" for i in range(n)]
    for name in names:
        soundfile.write(folder / name, generator.normal(0, 0.1, round(seconds * 16000)), 16000)
    table = pd.DataFrame({"path": names, "utterance_id": names, "label": "spoof", "split": "train"})
    table.to_csv(folder / "clips.csv", index=False)
    return load_corpus(str(folder / "clips.csv"))


def peaks(corpus: Corpus, backbone: str, allowed: list[float]) -> list[tuple[float, float]]:
    """GB at most above the start, and seconds, of an extraction for each memory that is allowed;
    one shard.
    """
    torch.set_num_threads(1)
    options, found = Options(backbone, frames=True, frames_dtype="float32"), []
    model = options.load_backbone("cpu")
    model.hidden_states([np.zeros(options.cropping.n_samples(), np.float32)])
    before = anonymous_gb()
    for memory_gb in allowed:
        peak, rows = Peak(0.002), corpus.utterances
        peak.before = before
        machine = Machine("cpu", shard_size=len(rows), memory_gb=memory_gb)
        started = time.perf_counter()
        with (
            peak,
            tempfile.TemporaryDirectory() as scratch,
            CacheWriter(
                Path(scratch) / "c", new_manifest(model, corpus, options), rows, len(rows)
            ) as writer,
            session(
                writer, corpus.root, model, options, machine, len(rows), True, lambda text: None
            ) as pipeline,
        ):
            pipeline.run()
        found.append((peak.gb, time.perf_counter() - started))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="embedded", help="as probe extract --backbone")
    parser.add_argument("--memory-gb", default="0.02,0.1,0.5,2")
    parser.add_argument("--utterances", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        corpus = corpus_of(Path(home), asked.utterances, asked.seconds)
        for allowed in map(float, asked.memory_gb.split(",")):
            with multiprocessing.get_context("spawn").Pool(1) as alone:
                [(peak, seconds)] = alone.apply(peaks, (corpus, asked.backbone, [allowed]))
            print(
                f"--memory-gb {allowed:5.2f}: {peak:5.2f} GB at "
                f"most above the start, {seconds:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
