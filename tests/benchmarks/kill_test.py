"""Whether an extraction that is killed again and again ends with the cache of one that was left
alone.

Runs `probe extract` once undisturbed. Then runs it into another folder, with SIGKILL at random
moments of its work, and the same command again, until the kills are used up and it ends by itself.
Both caches are verified and compared.

    python tests/benchmarks/kill_test.py                                       the embedded demo, \
        some minutes
    python tests/benchmarks/kill_test.py --kills 3 --corpus my/manifest.csv --backbone \
        models/my-hubert

Exit code 0: both caches are sound and the same. The moments follow from --seed and the time of the
undisturbed run.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cache import Cache, CacheMissing, verify

EXTRACT = [sys.executable, "-c", "from analysis.commands.app import main; main()", "extract"]
TOLERANCE = 1e-4  # of the RMS of a layer


def n_shards(folder: Path) -> int:
    return len(list(folder.glob("shard-*.h5")))


def run(
    folder: Path,
    options: list[str],
    log: Path,
    kill_at: float = float("inf"),
    kill_after: float = float("inf"),
) -> tuple[float, float, bool]:
    """Run `probe extract`; gives seconds until its first shard, seconds in all, and whether it was
    killed.

    It is killed `kill_at` seconds after it started or `kill_after` seconds after its first shard.
    """
    with open(log, "ab") as output:
        started = time.monotonic()
        process = subprocess.Popen([*EXTRACT, str(folder), *options], stdout=output, stderr=output)
        began, shards_before = None, n_shards(folder)
        while process.poll() is None:
            now = time.monotonic() - started
            if began is None and n_shards(folder) > shards_before:
                began = now
            if now >= kill_at or (began is not None and now >= began + kill_after):
                process.send_signal(signal.SIGKILL)
                process.wait()
                return began or now, now, True
            time.sleep(0.01)
    if process.returncode:
        sys.exit(
            f"probe extract ended with exit code {process.returncode}; its last "
            f"words:\n{log.read_text()[-2000:]}"
        )
    total = time.monotonic() - started
    return began or total, total, False


def extracted(folder: Path) -> int:
    try:
        return len(Cache(folder))
    except CacheMissing:
        return 0


def differences(left: Cache, right: Cache) -> tuple[bool, float]:
    """Whether two caches are the same bit for bit, and the largest difference as a share of the RMS
    of its layer.
    """
    if not left.utterances.equals(right.utterances) or not left.failures.equals(right.failures):
        return False, float("inf")
    same, worst = True, 0.0
    for k in right.layers:
        for tier in right.tiers:
            one, other = left.layer(k, tier)[0], right.layer(k, tier)[0]
            same &= one.tobytes() == other.tobytes()
            scale = np.sqrt(np.mean(np.square(other, dtype=np.float64)))
            worst = max(worst, float(np.abs(one.astype(np.float64) - other).max() / scale))
    return same, worst


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="SIGKILLs [default: 10]")
    parser.add_argument(
        "--corpus", default="demo", metavar="SPEC", help="as probe extract --corpus [default: demo]"
    )
    parser.add_argument(
        "--backbone",
        default="embedded",
        metavar="SPEC",
        help="as probe extract [default: embedded]",
    )
    parser.add_argument("--split", help="only this split of the corpus")
    parser.add_argument("--frames", action="store_true", help="store the frames as well")
    parser.add_argument(
        "--shard-size",
        default="8",
        help="utterances a file; small, so that work is kept [default: 8]",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments [default: 0]")
    asked = parser.parse_args()
    options = [
        "--corpus",
        asked.corpus,
        "--backbone",
        asked.backbone,
        "--shard-size",
        asked.shard_size,
    ]
    options += (["--frames"] if asked.frames else []) + (
        ["--split", asked.split] if asked.split else []
    )

    with tempfile.TemporaryDirectory() as home:
        undisturbed = Path(home) / "undisturbed"
        folder = Path(home) / "killed"
        log = Path(home) / "log"
        began, total, _ = run(undisturbed, options, log)
        n = len(Cache(undisturbed))
        print(
            f"undisturbed: {n} utterances in {total:.1f} s, the first shard after {began:.1f} s",
            flush=True,
        )
        print("kill  at (s)  utterances kept  at work  sound", flush=True)
        moments, at_work, sound = random.Random(asked.seed), 0, True
        for i in range(asked.kills):
            before = extracted(folder)
            # of an equal part of the work, or, every fifth time, of half the start
            share = moments.uniform(0, 2)
            if i % 5 == 4:
                _, at, killed = run(folder, options, log, kill_at=share * began / 2)
            else:
                _, at, killed = run(
                    folder, options, log, kill_after=share * (total - began) / (1.6 * asked.kills)
                )
            if not killed:
                print(f"the run after kill {i} ended by itself before the next", flush=True)
                break
            kept = extracted(folder)
            whole = kept == 0 or verify(folder) == []
            at_work, sound = at_work + (before < kept < n), sound and whole
            print(
                f"{i + 1:4}  {at:6.1f}  {kept:15}  "
                f"{'yes' if before < kept < n else 'no':>7}  {whole}",
                flush=True,
            )
        run(folder, options, log)
        sound = sound and verify(folder) == [] and verify(undisturbed) == []
        same, worst = differences(Cache(folder), Cache(undisturbed))
        print(
            f"killed in the middle of its work: {at_work} times; verified: "
            f"{'sound' if sound else 'FAULTS'}"
        )
        print(
            f"bit for bit the same: {'yes' if same else 'no'}; largest "
            f"difference {worst:.1e} of a layer's RMS"
        )
        return 0 if sound and worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
