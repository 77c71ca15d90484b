"""The corpora known by name: how each is read, what was published about it, and where to get it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from probing.corpora.asvspoof import EDITIONS
from probing.corpora.corpus import Corpus
from probing.corpora.folders import read_folder, read_for
from probing.corpora.listed import read_in_the_wild, read_spoofceleb
from probing.labels import BONAFIDE, SPOOF

Counts = dict[tuple[str, str, str], int]  # (split, label, attack) -> utterances; "" is any


def _attacks(split: str, first: int, last: int, n: int) -> Counts:
    return {(split, SPOOF, f"A{i:02d}"): n for i in range(first, last + 1)}


def _classes(**splits: tuple[int, int]) -> Counts:
    """Counts of bona fide and spoofed utterances by split."""
    return {
        (split, label, ""): n
        for split, both in splits.items()
        for label, n in zip((BONAFIDE, SPOOF), both, strict=True)
    }


@dataclass(frozen=True)
class Known:
    """A corpus that `NAME:ROOT` reads.

    read: from ROOT to the corpus.
    holds: what it is, in a line.
    download: what to get where, and what to do with it.
    published: utterances by split, label and attack, as its authors count them; empty where that is not known.
    """

    read: Callable[[Path], Corpus]
    holds: str
    download: str
    published: Counts = field(default_factory=dict)


_READ = {edition.name: edition.read for edition in EDITIONS}
_KEYS = "https://www.asvspoof.org/asvspoof2021"

# Sources of the counts: the papers named in the readers; of the classes of 2021 LA and DF, Liu et al., "ASVspoof 2021:
# Towards Spoofed and Deepfake Speech Detection in the Wild" (IEEE/ACM TASLP 2023), by way of others who cite them. Of
# SpoofCeleb they are from a third party, the card of DeepFense/SpoofCeleb. Addresses and names of archives are those of
# the 2021 evaluation package, the README of the ASVspoof 5 database and the SpoofCeleb paper.
KNOWN = {
    "asvspoof2019-la": Known(
        _READ["asvspoof2019-la"],
        "ASVspoof 2019 logical access; train, dev, eval",
        "LA.zip from https://datashare.ed.ac.uk/handle/10283/3336; unpack it in ROOT",
        _classes(train=(2580, 22800), dev=(2548, 22296), eval=(7355, 63882))
        | _attacks("train", 1, 6, 3800)
        | _attacks("dev", 1, 6, 3716)
        | _attacks("eval", 7, 19, 4914),
    ),
    "asvspoof2021-la": Known(
        _READ["asvspoof2021-la"],
        "ASVspoof 2021 logical access; eval, progress, hidden",
        "ASVspoof2021_LA_eval.tar.gz from https://zenodo.org/records/4837263 and "
        f"{_KEYS}/LA-keys-full.tar.gz; unpack both in ROOT",
        _classes(eval=(14816, 133360)) | {("", "", ""): 181566},
    ),
    "asvspoof2021-df": Known(
        _READ["asvspoof2021-df"],
        "ASVspoof 2021 deepfake; eval, progress, hidden",
        "ASVspoof2021_DF_eval_part00 to part03 (.tar.gz) from https://zenodo.org/records/4835108 and "
        f"{_KEYS}/DF-keys-full.tar.gz; unpack all in ROOT, or each in a folder of its own below it",
        _classes(eval=(14869, 519059)) | {("", "", ""): 611829},
    ),
    "asvspoof5": Known(
        _READ["asvspoof5"],
        "ASVspoof 5, track 1; train, dev, eval",
        "ASVspoof5_protocols.tar.gz, flac_T_aa to _ae, flac_D_aa to _ac, flac_E_aa to _aj (.tar) from "
        "https://zenodo.org/records/14498691; "
        "unpack all in ROOT",
        _classes(train=(18797, 163560), dev=(31334, 109616), eval=(138688, 542086)),
    ),
    "in-the-wild": Known(
        read_in_the_wild,
        "In-the-Wild, public figures; used whole, as eval",
        "release_in_the_wild.zip from https://deepfake-total.com/in_the_wild; unpack it in ROOT",
        _classes(eval=(19963, 11816)),
    ),
    "spoofceleb": Known(
        read_spoofceleb,
        "SpoofCeleb, speech found in the wild; train, dev, eval",
        "spoofceleb.tar.gz, as https://jungjee.github.io/spoofceleb says; unpack it in ROOT",
        _classes(train=(230948, 2309473), dev=(7963, 47778), eval=(9113, 82017)),
    ),
    "for-norm": Known(
        partial(read_for, name="for-norm"),
        "Fake-or-Real, the normalised version; train, dev, eval",
        "for-norm.tar.gz from https://bil.eecs.yorku.ca/datasets; unpack it, ROOT is the folder for-norm",
        _classes(train=(26941, 26927), dev=(5400, 5398), eval=(2264, 2370)),
    ),
    "for": Known(
        read_for,
        "Fake-or-Real, any other version; train, dev, eval",
        "a version of FoR from https://bil.eecs.yorku.ca/datasets; unpack it, ROOT is the folder that holds training",
    ),
    "folder": Known(
        read_folder,
        "your own audio in folders [SPLIT/]{real,fake}/[ATTACK/]",
        "nothing: ROOT holds real and fake, or splits that do",
    ),
}
