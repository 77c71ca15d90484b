"""The ASVspoof corpora: 2019 LA, 2021 LA, 2021 DF and 5.

Sources: Wang et al., Computer Speech & Language 64, 2020; Liu et al., IEEE/ACM TASLP 31, 2023; Wang
et al., arXiv 2502.08857.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cache.errors import ProbeError
from probing.corpora.corpus import Corpus, normalise
from probing.corpora.protocol import ProtocolMissing, find, read_lines, the_protocol
from probing.corpora.published import Known, attacks, classes

if TYPE_CHECKING:
    import pandas as pd

LA_CODECS = ("none", "alaw", "pstn", "g722", "ulaw", "gsm", "opus")
# as the official tables of 2021 LA call them
LA_CONDITIONS = {codec: f"C{i + 1}" for i, codec in enumerate(LA_CODECS)}


@dataclass(frozen=True)
class Protocol:
    """One list of utterances and the folder of their audio.

    Attributes:
        split: the split they are; None if the protocol has a column for it.
        files: the list, in the forms it was released in.
        audio: folder of the audio files, named by the utterances.
        optional: whether the corpus is also known without it.
    """

    split: str | None
    files: tuple[str, ...]
    audio: str
    optional: bool = False


@dataclass(frozen=True)
class Edition:
    """An ASVspoof corpus.

    Attributes:
        name: as in `NAME:ROOT`.
        inside: folder that the archive unpacks to, which ROOT may be or hold.
        what: what the user has to have there, for messages.
        forms: the columns of its protocols, in each form they were released in; those named - say
            nothing.
        suffix: of the audio files.
    """

    name: str
    inside: str
    what: str
    forms: tuple[str, ...]
    protocols: tuple[Protocol, ...]
    suffix: str = ".flac"

    def read(self, root: Path) -> Corpus:
        """Read the countermeasure protocols of all splits; the audio is neither opened nor missed.

        Raises:
            ProbeError: a protocol is missing, or a row is at fault.
        """
        root = root.resolve()
        root = root / self.inside if (root / self.inside).is_dir() else root
        tables: list[pd.DataFrame] = []
        for protocol in self.protocols:
            try:
                path = the_protocol(root, protocol.files, f"{self.what} below {self.name}:ROOT")
            except ProtocolMissing:
                if protocol.optional and tables:
                    continue
                raise
            table = read_lines(path, *self.forms)
            if protocol.split is not None:
                table["split"] = protocol.split
            if self.name == "asvspoof2021-la":
                table["condition"] = table["codec"].map(LA_CONDITIONS).fillna("-")
            table["path"] = _audio_paths(root, protocol.audio, table["utterance_id"], self.suffix)
            tables.append(normalise(table, str(path), spoofing=True))
        import pandas as pd

        utterances = pd.concat(tables, ignore_index=True).fillna("-")
        twice = utterances["utterance_id"].duplicated()
        if twice.any():
            raise ProbeError(
                f"{root}: utterance "
                f"{utterances.loc[twice, 'utterance_id'].iloc[0]} is in two splits"
            )
        return Corpus(self.name, f"{self.name}:{root}", root, utterances)


def _audio_paths(root: Path, folder: str, utterance_ids: Sequence[str], suffix: str) -> list[str]:
    """Where each utterance is, or should be: `folder`, or the part of the corpus that holds it."""
    parts = [path.relative_to(root).as_posix() for path in find(root, folder)] or [folder]
    place: dict[str, str] = {}
    if len(parts) > 1:
        for part in reversed(parts):
            place.update(dict.fromkeys(os.listdir(root / part), part))
    files = [f"{name}{suffix}" for name in utterance_ids]
    return [f"{place.get(file, parts[0])}/{file}" for file in files]


EDITIONS = (
    Edition(
        "asvspoof2019-la",
        "LA",
        what="the protocols of ASVspoof 2019 LA (unpack LA.zip there; "
        "ROOT is the folder LA or the one above it)",
        forms=("speaker utterance_id - attack label",),
        protocols=tuple(
            Protocol(
                split,
                (f"ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{split}.{ending}.txt",),
                f"ASVspoof2019_LA_{split}/flac",
            )
            for split, ending in (("train", "trn"), ("dev", "trl"), ("eval", "trl"))
        ),
    ),
    Edition(
        "asvspoof2021-la",
        "",
        what="the full keys of ASVspoof 2021 LA (unpack LA-keys-full.tar.gz there)",
        forms=("speaker utterance_id codec transmission attack label trim split",),
        protocols=(
            Protocol(None, ("keys/LA/CM/trial_metadata.txt",), "ASVspoof2021_LA_eval/flac"),
        ),
    ),
    Edition(
        "asvspoof2021-df",
        "",
        what="the full keys of ASVspoof 2021 DF (unpack DF-keys-full.tar.gz there)",
        forms=(
            "speaker utterance_id codec source attack label trim "
            "split vocoder task team gender_pair language",
        ),
        protocols=(
            Protocol(None, ("keys/DF/CM/trial_metadata.txt",), "ASVspoof2021_DF_eval/flac"),
        ),
    ),
    Edition(
        "asvspoof5",
        "",
        what="the protocols of ASVspoof 5 (unpack ASVspoof5_protocols.tar.gz there)",
        forms=(
            "speaker utterance_id gender codec codec_q codec_seed attack_tag attack label -",
            "speaker utterance_id gender - attack label",
        ),
        protocols=(
            Protocol("train", ("ASVspoof5.train.tsv", "ASVspoof5.train.metadata.txt"), "flac_T"),
            Protocol("dev", ("ASVspoof5.dev.track_1.tsv", "ASVspoof5.dev.metadata.txt"), "flac_D"),
            Protocol("eval", ("ASVspoof5.eval.track_1.tsv",), "flac_E_eval", optional=True),
        ),
    ),
)

_READ = {edition.name: edition.read for edition in EDITIONS}
_KEYS = "https://www.asvspoof.org/asvspoof2021"

CORPORA = (
    Known(
        "asvspoof2019-la",
        "ASVspoof 2019 logical access; train, dev, eval",
        read=_READ["asvspoof2019-la"],
        download="LA.zip from https://datashare.ed.ac.uk/handle/10283/3336; unpack it in ROOT",
        published=classes(train=(2580, 22800), dev=(2548, 22296), eval=(7355, 63882))
        | attacks("train", 1, 6, 3800)
        | attacks("dev", 1, 6, 3716)
        | attacks("eval", 7, 19, 4914),
    ),
    Known(
        "asvspoof2021-la",
        "ASVspoof 2021 logical access; eval, progress, hidden",
        read=_READ["asvspoof2021-la"],
        download="ASVspoof2021_LA_eval.tar.gz from https://zenodo.org/records/4837263 and "
        f"{_KEYS}/LA-keys-full.tar.gz; unpack both in ROOT",
        published=classes(eval=(14816, 133360)) | {("", "", ""): 181566},
    ),
    Known(
        "asvspoof2021-df",
        "ASVspoof 2021 deepfake; eval, progress, hidden",
        read=_READ["asvspoof2021-df"],
        download="ASVspoof2021_DF_eval_part00 to part03 (.tar.gz) from "
        f"https://zenodo.org/records/4835108 and {_KEYS}/DF-keys-full.tar.gz; unpack all in "
        "ROOT, or each in a folder of its own below it",
        published=classes(eval=(14869, 519059)) | {("", "", ""): 611829},
    ),
    Known(
        "asvspoof5",
        "ASVspoof 5, track 1; train, dev, eval",
        read=_READ["asvspoof5"],
        download="ASVspoof5_protocols.tar.gz, flac_T_aa to _ae, flac_D_aa to _ac, flac_E_aa to _aj "
        "(.tar) from https://zenodo.org/records/14498691; unpack all in ROOT",
        published=classes(train=(18797, 163560), dev=(31334, 109616), eval=(138688, 542086)),
    ),
)
