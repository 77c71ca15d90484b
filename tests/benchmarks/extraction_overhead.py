"""How much extraction costs beside the bare forward passes, and how much a cache holds beside the
bare arrays.

Both run the same batches in the same process, in turn, with the clips decoded beforehand for the
bare passes only. The wall times are what counts; the processor times say the same of the work done,
whatever else the machine is busy with.

    python tests/benchmarks/extraction_overhead.py [--frames] [--runs 5] \
        [--backbone SPEC | --shape base] [--limit 256]
"""

import argparse
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import torch
from figures import figure, median_ratio
from shapes import shape

from cache import Cache
from cache.writer import CacheWriter
from probing.audio import load_audio
from probing.corpora import load_corpus
from probing.extraction import Machine, Options
from probing.extraction.allocator import keep_freed_memory
from probing.extraction.extracting import new_manifest, session
from probing.extraction.states import batches


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="embedded", help="as probe extract --backbone")
    parser.add_argument(
        "--shape", choices=["base", "large"], help="WavLM of this shape, random weights, instead"
    )
    parser.add_argument("--threads", type=int, help="of PyTorch [default: all cores]")
    parser.add_argument("--corpus", default="demo", help="as probe extract --corpus")
    parser.add_argument("--frames", action="store_true", help="write the frames tier as well")
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs; the medians count")
    parser.add_argument("--limit", type=int, default=256, help="utterances")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.shape:
        with shape(arguments.shape) as spec:
            compare(spec, arguments)
    else:
        compare(arguments.backbone, arguments)


def compare(spec: str, arguments: argparse.Namespace) -> None:
    """Run both, print the figures."""
    options = Options(backbone=spec, frames=arguments.frames)
    machine, backbone = Machine(), options.load_backbone("auto")
    corpus = load_corpus(arguments.corpus)
    rows = corpus.utterances.sort_values("utterance_id").head(arguments.limit)
    clips = [load_audio(corpus.root / path, options.cropping) for path in rows["path"]]
    clips.sort(key=len)
    runs = [
        clips[run]
        for run in batches(
            [len(c) for c in clips], machine.batch_size_on(backbone), backbone.padding
        )
    ]
    passes, threads = machine.threads_on(backbone)
    replicas = [backbone, *(backbone.replica() for _ in range(passes - 1))]

    def bare() -> tuple[float, float]:
        before, busy = torch.get_num_threads(), time.process_time()
        torch.set_num_threads(threads)
        free: SimpleQueue = SimpleQueue()
        for replica in replicas:
            free.put(replica)

        def forward(batch: list) -> None:
            replica = free.get()
            replica.hidden_states(batch)
            free.put(replica)

        started = time.perf_counter()
        with ThreadPoolExecutor(passes) as pool:
            list(pool.map(forward, runs))
        seconds = time.perf_counter() - started
        torch.set_num_threads(before)
        return seconds, time.process_time() - busy

    def whole(folder: Path) -> tuple[float, float]:
        started, busy = time.perf_counter(), time.process_time()
        with (
            CacheWriter(folder, new_manifest(backbone, corpus, options), rows) as writer,
            session(
                writer, corpus.root, backbone, options, machine, len(rows), False, lambda text: None
            ) as pipeline,
        ):
            pipeline.run()
        return time.perf_counter() - started, time.process_time() - busy

    scratch = Path(tempfile.mkdtemp())
    try:
        keep_freed_memory()
        bare()
        times = [(*bare(), *whole(scratch / str(i))) for i in range(arguments.runs)]
        cache = Cache(scratch / "0")
        n_values = {"pooled": 2 * len(cache), "frames": int(cache.utterances["n_frames"].sum())}
        raw = sum(
            n_values[tier] * len(cache.layers) * cache.dim * np.dtype(dtype).itemsize
            for tier, dtype in cache.tiers.items()
        )
        on_disk = sum(path.stat().st_size for path in cache.folder.iterdir())
    finally:
        shutil.rmtree(scratch)
    seconds = sum(map(len, clips)) / backbone.sampling_rate
    bare_s, _, whole_s, _ = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{backbone.name} on {backbone.device}, {passes} passes x {threads} threads")
    print(f"{len(clips)} clips, {seconds:.0f} s of audio")
    print(f"bare forward passes     {bare_s:8.2f} s   {seconds / bare_s:6.1f} s audio/s")
    print(f"whole extraction        {whole_s:8.2f} s   {seconds / whole_s:6.1f} s audio/s")
    kept = "frames float16" if arguments.frames else "pooled"
    what = f", {arguments.shape} shape" if arguments.shape else ""
    for name, above, below in (("", 2, 0), (", processor time", 3, 1)):
        figure(
            f"whole extraction / bare forward, {kept}{what}{name}",
            *median_ratio(times, above, below),
        )
    print(f"cache bytes / raw bytes {on_disk / raw:8.4f}     ({on_disk} / {raw})")


if __name__ == "__main__":
    main()
