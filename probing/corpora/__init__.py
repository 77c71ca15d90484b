"""Corpora: utterances, what is known of them and where their audio is, without opening the audio.

load_corpus("demo")                                embedded, needs nothing
load_corpus("my/manifest.csv")                     path and optionally label, speaker, split, ...
load_corpus("asvspoof2019-la:/data/asvspoof2019")
load_corpus("folder:/data/mine")                   [SPLIT/]{real,fake}/[ATTACK/]..., or any audio
load_corpus("/data/mine")                          the same
load_corpus("hf:/data/saved,label=emotion")        a data set of Hugging Face, on disk or by name

`KNOWN` has the names. Every column a corpus has beside the common ones (codec, vocoder, language,
...) is kept as text.
"""

from collections.abc import Sequence
from pathlib import Path

from cache.errors import OptionError
from probing.corpora.corpus import Corpus
from probing.corpora.hugging_face import PREFIX, is_saved, read_hugging_face
from probing.corpora.known import KNOWN
from probing.corpora.manifest import SUFFIXES, is_manifest, read_manifest
from probing.corpora.published import Known
from probing.registry import RegistryError, own_code

DEMO = Path(__file__).parent / "demo" / "demo.csv"


def read_corpus(spec: str, *, audio_root: Path | None = None) -> Corpus:
    """Read a corpus and check its rows, but not whether the audio is there; as `load_corpus`.

    Raises:
        OptionError: no such corpus, or an `audio_root` for one that has its audio where it is.

    >>> len(read_corpus("demo").utterances)
    1175
    """
    name, _, root = spec.partition(":")
    path = Path(spec).expanduser()
    audio_root = audio_root and audio_root.expanduser()
    known = spec == "demo" or (name in KNOWN and bool(root))
    if not known:
        if spec.startswith(PREFIX) or is_saved(path):
            return read_hugging_face(spec, audio_root)
        if is_manifest(path):
            return read_manifest(path, audio_root=audio_root)
        if not path.is_dir():
            raise _unknown(spec)
    if audio_root is not None:
        raise OptionError(
            "audio_root",
            audio_root,
            f"is for manifests, and {spec} says where its audio is. Leave it out",
        )
    if spec == "demo":
        return read_manifest(DEMO, name="demo")
    return (
        _read_known(KNOWN[name], Path(root).expanduser()) if known else KNOWN["folder"].read(path)
    )


def _unknown(spec: str) -> OptionError:
    known = ", ".join([*(f"{name}:ROOT" for name in KNOWN), f"{PREFIX}NAME"])
    return OptionError(
        "corpus",
        spec,
        f"no such folder, and no corpus of that name. Expected demo, {known}, a folder of audio, "
        f"or a manifest ({', '.join(SUFFIXES)}); one of your own is known once its module is "
        "imported",
    )


def _read_known(known: Known, root: Path) -> Corpus:
    with own_code(f"corpus {known.name}", KNOWN.is_own(known)):
        corpus = known.read(root)
    if not isinstance(corpus, Corpus):
        raise RegistryError(
            f"corpus {known.name}: its reader gives a {type(corpus).__name__}; expected a Corpus"
        )
    return corpus


def load_corpus(
    spec: str, *, audio_root: Path | None = None, splits: Sequence[str] | None = None
) -> Corpus:
    """Read a corpus and check it: ids, paths, labels, and that every file exists.

    Args:
        spec: `demo`, the path of a manifest (.csv, .tsv, .jsonl, .parquet; .gz), `NAME:ROOT` of a
            known corpus, a folder, or `hf:NAME` of a data set of Hugging Face.
        audio_root: folder that the paths of a manifest start from, default the manifest's own; of a
            data set of Hugging Face, the one that audio is written to.
        splits: keep only these splits.

    Raises:
        ProbeError: names the row at fault.

    >>> corpus = load_corpus("demo", splits=["dev"])
    >>> corpus.name, set(corpus.utterances["split"])
    ('demo', {'dev'})
    """
    corpus = read_corpus(spec, audio_root=audio_root)
    if splits:
        corpus = corpus.only(splits)
    corpus.check_files()
    return corpus


__all__ = ["KNOWN", "Corpus", "Known", "load_corpus", "read_corpus"]
