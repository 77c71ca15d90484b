"""Formats of audio files: the suffixes that are read, and formats that are refused."""

import soundfile

# by libsndfile's name of the format; those whose files do not keep a rate are left out
USUAL_SUFFIXES = {
    "WAV": (".wav", ".wave"),
    "FLAC": (".flac",),
    "OGG": (".ogg", ".oga", ".opus"),
    "MP3": (".mp3", ".mp2"),
    "AIFF": (".aiff", ".aif", ".aifc"),
    "AU": (".au", ".snd"),
    "CAF": (".caf",),
    "W64": (".w64",),
    "RF64": (".rf64", ".bw64"),
    "NIST": (".sph", ".nist"),
    "IRCAM": (".sf", ".ircam"),
    "VOC": (".voc",),
    "AVR": (".avr",),
    "PVF": (".pvf",),
    "PAF": (".paf",),
    "SVX": (".svx", ".8svx", ".iff"),
    "HTK": (".htk",),
}
SUFFIXES = tuple(
    suffix
    for name, suffixes in USUAL_SUFFIXES.items()
    if name in soundfile.available_formats()
    for suffix in suffixes
)
REFUSED = {  # by libsndfile's name of the format
    **dict.fromkeys(("SDS", "XI", "WVE"), "a format of instruments, which does not keep the rate"),
    "RAW": "there is no header, and the name alone does not say "
    "what the bytes are; write it as .wav",
}
