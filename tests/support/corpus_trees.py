"""Small corpora on disk in the layouts they are published in, with real FLAC files."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

LA_2019 = {
    "train.trn": ["LA_0079 LA_T_1138215 - - bonafide", "LA_0079 LA_T_1271820 - A01 spoof"],
    "dev.trl": ["LA_0069 LA_D_1047731 - - bonafide"],
    "eval.trl": ["LA_0039 LA_E_2834763 - A11 spoof", "LA_0014 LA_E_8877452 - - bonafide"],
}
LA_2021 = [
    "LA_0009 LA_E_9332881 alaw ita_tx A07 spoof notrim eval",
    "LA_0031 LA_E_6866159 none - bonafide bonafide notrim progress",
    "LA_0020 LA_E_5464494 opus sin_tx bonafide bonafide trim hidden",
]
DF_2021 = [
    "LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -",
    "TEF2 DF_E_2000013 low_m4a vcc2020 Task1-team20 spoof "
    "notrim eval neural_vocoder Task1 team20 FF E",
    "VCC2TM1 DF_E_2000024 mp3m4a vcc2018 bonafide bonafide notrim eval bonafide - - - -",
]
ASVSPOOF_5 = {
    "train": [
        "T_4850 T_0000000000 F - - - AC3 A05 spoof -",
        "T_0023 T_0000000001 M - - - - bonafide bonafide -",
    ],
    "dev.track_1": ["D_0062 D_0000000001 F - - - AC1 A11 spoof -"],
    "eval.track_1": [
        "E_1607 E_0009538969 M C05 2 E_0009486171 AC1 A26 spoof -",
        "E_0017 E_0000000024 F - 0 - - bonafide bonafide -",
    ],
}

PARTIALSPOOF = {
    "train": ["LA_0079 LA_T_1138215 - - bonafide", "LA_0079 CON_T_0000000 - CON spoof"],
    "dev": ["LA_0069 LA_D_1047731 - - bonafide", "LA_0069 CON_D_0000001 - CON spoof"],
    "eval": ["LA_0014 LA_E_8877452 - - bonafide", "LA_0039 CON_E_0000000 - CON spoof"],
}


def write(path: Path, rows: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def write_audio(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.sin(np.arange(1600) / 5) / 4, 16000)


def asvspoof2019_la(folder: Path) -> Path:
    root = folder / "LA"
    for ending, rows in LA_2019.items():
        write(root / f"ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{ending}.txt", rows)
        flac = root / f"ASVspoof2019_LA_{ending.split('.')[0]}/flac"
        write_audio(*(flac / f"{row.split()[1]}.flac" for row in rows))
    return root


def asvspoof2021(folder: Path, track: str, rows: list[str], parts: Iterable[str] = ("",)) -> Path:
    """The keys and the audio of a track of 2021; utterance i is in part i, counted round."""
    write(folder / f"keys/{track}/CM/trial_metadata.txt", rows)
    parts = list(parts)
    for i, row in enumerate(rows):
        flac = folder / parts[i % len(parts)] / f"ASVspoof2021_{track}_eval/flac"
        write_audio(flac / f"{row.split()[1]}.flac")
    return folder


def asvspoof5(folder: Path) -> Path:
    for (name, rows), flac in zip(
        ASVSPOOF_5.items(), ("flac_T", "flac_D", "flac_E_eval"), strict=True
    ):
        write(folder / f"ASVspoof5.{name}.tsv", rows)
        write_audio(*(folder / flac / f"{row.split()[1]}.flac" for row in rows))
    return folder


def asvspoof5_older(folder: Path) -> Path:
    """The release of the first phase: 6 columns, no eval."""
    for split, letter in (("train", "T"), ("dev", "D")):
        rows = [
            f"{letter}_4850 {letter}_0000000000 F - A05 spoof",
            f"{letter}_1 {letter}_0000000007 M - bonafide bonafide",
        ]
        write(folder / f"ASVspoof5.{split}.metadata.txt", rows)
        write_audio(*(folder / f"flac_{letter}/{row.split()[1]}.flac" for row in rows))
    return folder


def partialspoof(folder: Path) -> Path:
    """With the segment labels of dev: the spoofed utterance is so from 20 to 60 ms."""
    root = folder / "database"
    for split, rows in PARTIALSPOOF.items():
        write(
            root / f"protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.{split}.trl.txt",
            rows,
        )
        write_audio(*(root / split / "con_wav" / f"{row.split()[1]}.wav" for row in rows))
    labels = {"LA_D_1047731": "11111", "CON_D_0000001": "10011"}
    (root / "segment_labels").mkdir()
    for length, factor in (("0.02", 1), ("0.04", 2)):
        arrays = {
            name: np.array([min(marks[i : i + factor]) for i in range(0, 5, factor)])
            for name, marks in labels.items()
        }
        np.save(
            root / f"segment_labels/dev_seglab_{length}.npy",
            np.array(arrays, object),
            allow_pickle=True,
        )
    return root


def in_the_wild(folder: Path) -> Path:
    root = folder / "release_in_the_wild"
    write(
        root / "meta.csv",
        ["file,speaker,label", "0.wav,Alec Guinness,spoof", '1.wav,"Märtha, é",bona-fide'],
    )
    write_audio(root / "0.wav", root / "1.wav")
    return root


def spoofceleb(folder: Path) -> Path:
    root = folder / "spoofceleb"
    for i, name in enumerate(("train", "development", "evaluation")):
        files = {
            f"a00/id1117{i}/LAHad7VLKXw-00007-00{i}.flac": "a00",
            f"a0{i + 1}/id1117{i}/x{i}-00007-00{i}.flac": f"a0{i + 1}",
        }
        rows = [f"{file},id1117{i},{attack}" for file, attack in files.items()]
        write(root / f"metadata/{name}.csv", ["file,speaker,attack", *rows])
        write_audio(*(root / "flac" / name / file for file in files))
    return root


def fake_or_real(folder: Path) -> Path:
    root = folder / "for-norm"
    for split in ("training", "validation", "testing"):
        write_audio(
            root / split / "real/file1.wav",
            root / split / "fake/file1.wav",
            root / split / "fake/file2.flac",
        )
    return root
