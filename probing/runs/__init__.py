"""Runs: a folder with everything a sweep found.

run.json: configuration, fingerprint of the cache, versions, seeds, timings, finding; size and
    checksum of every file, see `probing.sealing`.
results.parquet: one row a figure: experiment, head, layer, depth, seed, split, corpus, condition,
    metric, value, low, high, strength; what each holds is in `probing.sweep.results`.
results.csv: the same.
utterances.parquet: the dev and eval utterances: part, utterance_id, label, speaker, attack and
    every other condition.
scores/*.txt: `utterance attack key score`, the official ASVspoof 2019 form: HEAD.dev.txt,
    HEAD.eval.txt of the corpus that the findings are about, HEAD.eval.CORPUS.txt of the others.
heads/*.safetensors: trained heads with their configuration.
figures/, report.html: drawn by `analysis`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.lazy import lazy

if TYPE_CHECKING:
    from probing.runs.caches import check_cache, find_cache, mismatch
    from probing.runs.run import RUN, Run, file_in
    from probing.runs.writer import RunWriter, made_with

__all__ = [
    "RUN",
    "Run",
    "RunWriter",
    "check_cache",
    "file_in",
    "find_cache",
    "made_with",
    "mismatch",
]

_HOME = {
    "RUN": "run",
    "Run": "run",
    "file_in": "run",
    "check_cache": "caches",
    "find_cache": "caches",
    "mismatch": "caches",
    "RunWriter": "writer",
    "made_with": "writer",
}

__getattr__, __dir__ = lazy(__name__, _HOME)
