"""Two Ray workers beside one, each with one thread: the time to extract the same shards once the
models are loaded.

    python tests/benchmarks/engine_speed.py [--rounds 5] [--limit 192] \
        [--shape base | --backbone SPEC] [--corpus SPEC]

Every run is a Ray of its own with as many CPUs as workers; a minute a round on two quiet cores. One
worker also decodes in a thread beside its passes, on the core that two workers share, which counts
for more the smaller the model.
"""

import argparse
import contextlib
import logging
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import ray
from figures import figure
from shapes import shape

from probing.corpora import Corpus, load_corpus
from probing.extraction import Cluster, Machine, Options
from probing.extraction.driver import Driver
from probing.extraction.planning import plan_of
from probing.extraction.ray_connection import OBJECT_STORE_BYTES
from probing.progress import progress_line


def quiet(text: str) -> None:
    """Take what would be printed."""


def seconds_with(
    n_workers: int, folder: Path, corpus: Corpus, options: Options, machine: Machine
) -> float:
    """Seconds to extract a corpus with workers whose models are loaded."""
    ray.init(
        "local",
        num_cpus=n_workers,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        with Driver(Cluster(actors=n_workers), corpus, options, machine, quiet) as driver:
            for worker in driver.workers:
                worker.hello = worker.hello or driver._answer(worker)
            plan = plan_of(folder, corpus, machine.shard_size, None)
            with (
                plan.writer(driver.first.manifest, 0, quiet) as writer,
                progress_line("Extracting", len(corpus.utterances), "utterances") as line,
            ):
                started = time.perf_counter()
                driver.run(writer, False, line)
                return time.perf_counter() - started
    finally:
        ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--shape",
        choices=["base", "large"],
        default="base",
        help="WavLM of this shape, random weights",
    )
    parser.add_argument("--backbone", help="as probe extract --backbone, instead")
    parser.add_argument("--corpus", default="demo", help="as probe extract --corpus")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=192, help="utterances")
    asked = parser.parse_args()
    corpus = load_corpus(asked.corpus)
    corpus = replace(corpus, utterances=corpus.utterances.head(asked.limit).reset_index(drop=True))
    machine, ratios = Machine("cpu", batch_size=1, workers=1, shard_size=8), []
    with contextlib.ExitStack() as stack:
        options = Options(asked.backbone or stack.enter_context(shape(asked.shape)))
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for i in range(asked.rounds):
            one, two = (
                seconds_with(n, home / f"{i}-{n}", corpus, options, machine) for n in (1, 2)
            )
            print(f"round {i + 1}: one worker {one:.2f} s, two {two:.2f} s", flush=True)
            ratios.append(one / two)
    name = f"two Ray workers / one, {asked.backbone or asked.shape + ' shape'}"
    figure(name, statistics.median(ratios), ", ".join(f"{ratio:.3f}" for ratio in ratios))


if __name__ == "__main__":
    main()
