"""A human voice with aligned phones, as TextGrids: what the Russian voice of Festival in Debian is
made of.

    apt-get install festvox-ru
    python tests/benchmarks/festvox_phones.py FOLDER [--voice DIR] [--utterances 200] [--seed 0]

The package (0.5+dfsg-6, N. V. Shmyrev, under a licence like the BSD's) holds 620 recordings of one
speaker at 16 kHz, 99 minutes, and the ends of the phones of each, as its makers aligned them.
FOLDER then holds manifest.csv (recordings of 10 s at most, where they lie; splits are disjoint in
them), textgrids/*.TextGrid with the tier `phones`, and classes.csv:
`utterance_id,start,end,label,phone`, the same intervals labelled by manner in ten classes. The same
seed gives the same files.

    probe extract c --corpus FOLDER/manifest.csv --frames
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

VOICE = Path("/usr/share/festival/voices/russian/msu_ru_nsh_clunits")
LONGEST = 10.0  # seconds
SHARES = {"train": 0.6, "dev": 0.2, "eval": 0.2}
CLASSES = {
    "stressed vowel": "aa ee ii oo uu yy",
    "reduced vowel": "a e i u y ae ay ur",
    "voiceless stop": "p pp t tt k kk",
    "voiced stop": "b bb d dd g gg",
    "affricate": "c ch",
    "voiceless fricative": "f ff s ss sh sch h hh",
    "voiced fricative": "v vv z zz zh",
    "nasal": "m mm n nn",
    "lateral": "l ll",
    "trill or glide": "r rr j",
}
CLASS_OF = {phone: name for name, phones in CLASSES.items() for phone in phones.split()}


def phones_of(path: Path) -> list[tuple[float, float, str]]:
    """Start, end and name of each phone of a .lab file, which has their ends; pauses are `sil`."""
    rows = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    ends = [float(row[0]) for row in rows]
    names = ["sil" if row[2] in ("pau", "ssil") else row[2] for row in rows]
    return [
        (a, b, name) for a, b, name in zip([0.0, *ends[:-1]], ends, names, strict=True) if b > a
    ]


def textgrid(phones: list[tuple[float, float, str]]) -> str:
    """Phones as a short TextGrid of Praat."""
    end = phones[-1][1]
    head = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "0",
        f"{end}",
        "<exists>",
        "1",
    ]
    head += ['"IntervalTier"', '"phones"', "0", f"{end}", f"{len(phones)}"]
    return "\n".join([*head, *(f'{a}\n{b}\n"{name}"' for a, b, name in phones)]) + "\n"


def make(folder: Path, voice: Path, n: int, seed: int) -> pd.DataFrame:
    """Write the corpus; gives the table of classes."""
    short = [
        path
        for path in sorted((voice / "wav").glob("*.wav"))
        if soundfile.info(path).duration <= LONGEST
    ]
    chosen = np.random.default_rng(seed).permutation(len(short))[:n]
    ends = (np.cumsum(list(SHARES.values())) * len(chosen)).round()
    (folder / "textgrids").mkdir(parents=True, exist_ok=True)
    manifest, rows = [], []
    for i, place in enumerate(chosen):
        path = short[place]
        phones = phones_of(voice / "lab" / f"{path.stem}.lab")
        (folder / "textgrids" / f"{path.stem}.TextGrid").write_text(textgrid(phones))
        split = list(SHARES)[int(np.searchsorted(ends, i, side="right"))]
        manifest.append((str(path.resolve()), path.stem, "bonafide", "nsh", split))
        rows += [(path.stem, a, b, CLASS_OF.get(name, name), name) for a, b, name in phones]
    columns = ["path", "utterance_id", "label", "speaker", "split"]
    pd.DataFrame(manifest, columns=columns).to_csv(folder / "manifest.csv", index=False)
    table = pd.DataFrame(rows, columns=["utterance_id", "start", "end", "label", "phone"])
    table.to_csv(folder / "classes.csv", index=False)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--voice", type=Path, default=VOICE)
    parser.add_argument("--utterances", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if not (given.voice / "lab").is_dir():
        raise SystemExit(
            f"{given.voice}: no such voice. apt-get install "
            "festvox-ru, or name where it was unpacked"
        )
    table = make(given.folder, given.voice, given.utterances, given.seed)
    spoken = table[table["label"] != "sil"]
    classes = spoken["label"].value_counts().to_dict()
    print(f"{given.folder}: {len(spoken)} phones of {spoken['phone'].nunique()} kinds; {classes}")


if __name__ == "__main__":
    main()
