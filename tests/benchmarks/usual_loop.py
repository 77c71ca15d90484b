"""The loop people write, against ours, from audio files to hidden states on disk.

The usual loop: transformers' model, batches in the order of the files padded to their longest, one
.pt file of all layers' mean and standard deviation per utterance. Ours: `extract`. Realistic
lengths, WavLM-Base shape, random weights:

    python tests/benchmarks/usual_loop.py [--rounds 5] [--limit 64] [--threads 2] [--batch-size 8]
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from figures import figure, interleaved, median_ratio
from shapes import SHAPES, shape
from torch.nn.utils.rnn import pad_sequence

from probing.audio import Cropping, load_audio
from probing.corpora import load_corpus
from probing.extraction import Machine, Options
from probing.extraction.extracting import new_manifest, session
from probing.extraction.planning import plan_of


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="interleaved pairs; the median counts"
    )
    parser.add_argument("--limit", type=int, default=64, help="utterances of the demo corpus")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=8, help="of the usual loop")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
    corpus = load_corpus("demo")
    rows = corpus.utterances.sample(arguments.limit, random_state=0)
    corpus = type(corpus)(corpus.name, corpus.spec, corpus.root, rows)
    paths = [corpus.root / path for path in rows["path"]]
    stock = transformers.WavLMModel(transformers.WavLMConfig(**SHAPES["base"])).eval()
    with shape("base") as spec, tempfile.TemporaryDirectory() as scratch:
        options, machine, numbers = Options(backbone=spec), Machine("cpu"), itertools.count()
        backbone = options.load_backbone("cpu")

        def ours() -> None:
            plan = plan_of(Path(scratch) / f"{next(numbers)}.cache", corpus, 256, None)
            with (
                plan.writer(new_manifest(backbone, corpus, options), 0, print) as writer,
                session(
                    writer,
                    corpus.root,
                    backbone,
                    options,
                    machine,
                    len(rows),
                    False,
                    lambda _: None,
                ) as pipeline,
            ):
                pipeline.run()

        def usual() -> None:
            folder = Path(scratch) / f"{next(numbers)}.pt"
            folder.mkdir()
            for first in range(0, len(paths), arguments.batch_size):
                batch = paths[first : first + arguments.batch_size]
                clips = [torch.from_numpy(load_audio(path, Cropping())) for path in batch]
                values = pad_sequence(clips, batch_first=True)
                mask = pad_sequence(
                    [torch.ones_like(clip, dtype=torch.long) for clip in clips], batch_first=True
                )
                with torch.inference_mode():
                    states = stock(
                        values, attention_mask=mask, output_hidden_states=True
                    ).hidden_states
                for row, clip in enumerate(clips):
                    layers = torch.stack(
                        [layer[row, : backbone.n_frames(len(clip))] for layer in states]
                    )
                    pooled = torch.stack([layers.mean(1), layers.std(1)], dim=1)
                    torch.save(pooled.clone(), folder / f"{first + row}.pt")

        times = interleaved([usual, ours], arguments.rounds)
    ratio, ratios = median_ratio(times)
    figure("usual loop / ours", ratio, ratios)


if __name__ == "__main__":
    main()
