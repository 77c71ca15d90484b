"""Corpora: labelled utterances and where their audio is, without opening the audio.

load_corpus("demo")                           embedded, needs nothing
load_corpus("my/manifest.csv")                path,label and optionally utterance_id,speaker,attack,split
load_corpus("asvspoof2019-la:/data/asvspoof2019")
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from cache.errors import ProbeError
from probing.corpora import asvspoof2019
from probing.corpora.corpus import Corpus
from probing.corpora.manifest import SUFFIXES, read_manifest

READERS: dict[str, Callable[[Path], Corpus]] = {"asvspoof2019-la": asvspoof2019.read_la}
DEMO = Path(__file__).parent / "demo" / "demo.csv"


def load_corpus(spec: str, *, audio_root: Path | None = None, splits: Sequence[str] | None = None) -> Corpus:
    """Read a corpus and check it: labels, ids, paths, and that every file exists.

    Args:
        spec: `demo`, the path of a manifest (.csv, .tsv, .parquet), or `NAME:ROOT` of a known corpus.
        audio_root: folder that the paths of a manifest start from; default the manifest's own.
        splits: keep only these splits.

    Raises:
        ProbeError: names the row at fault.
    """
    name, _, root = spec.partition(":")
    if spec == "demo":
        corpus = read_manifest(DEMO, name="demo")
    elif name in READERS and root:
        corpus = READERS[name](Path(root))
    elif Path(spec).suffix.lower() in SUFFIXES:
        corpus = read_manifest(Path(spec), audio_root=audio_root)
    else:
        known = ", ".join(f"{reader}:ROOT" for reader in READERS)
        raise ProbeError(f"--corpus {spec}: unknown. Expected demo, {known}, or a manifest ({', '.join(SUFFIXES)})")
    if splits:
        corpus = corpus.only(splits)
    corpus.check_files()
    return corpus


__all__ = ["Corpus", "load_corpus"]
