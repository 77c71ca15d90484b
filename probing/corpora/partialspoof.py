"""PartialSpoof: ASVspoof 2019 LA with spoofed stretches (Zhang et al., TASLP 31, 2023).

Which stretches these are is in `segment_labels/`, which `probing.alignments.read_alignments` reads.
"""

from probing.corpora.asvspoof import Edition, Protocol
from probing.corpora.published import Known, classes

EDITION = Edition(
    "partialspoof",
    "database",
    what="the protocols of PartialSpoof (unpack database_protocols.tar.gz "
    "there; ROOT is the folder database or holds it)",
    forms=("speaker utterance_id - attack label",),
    protocols=tuple(
        Protocol(
            split,
            (f"protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.{split}.trl.txt",),
            f"{split}/con_wav",
        )
        for split in ("train", "dev", "eval")
    ),
    suffix=".wav",
)

CORPORA = (
    Known(
        "partialspoof",
        "PartialSpoof, stretches of utterances are spoofed; train, dev, eval",
        read=EDITION.read,
        download="database_train, _dev, _eval, _segment_labels_v1.2 and _protocols (.tar.gz) from "
        "https://zenodo.org/records/5766198; unpack all in ROOT",
        published=classes(train=(2580, 22800), dev=(2548, 22296), eval=(7355, 63882)),
    ),
)
