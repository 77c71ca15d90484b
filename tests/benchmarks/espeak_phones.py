"""A corpus with exactly known alignments: espeak-ng reports the sample at which each of its phones
begins.

    pip install espeakng-loader==0.2.4
    python tests/benchmarks/espeak_phones.py FOLDER [--utterances 120] [--voices 10] [--seed 0]

FOLDER then holds audio/*.flac (22,050 Hz, as synthesised), manifest.csv (speakers are voices of
espeak-ng, splits are disjoint in them), phones.csv and classes.csv: `utterance_id,start,end,label`,
the same intervals labelled by phone and by manner and place in ten classes, these with the column
`phone`; pauses are `sil`. The same seed gives the same files.

    probe extract c --corpus FOLDER/manifest.csv --frames
"""

from __future__ import annotations

import argparse
import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

VOICES = """m1 m2 m3 m4 m7 f1 f2 f3 f4 f5
Andy Annie Alex Alicia Denis Diogo Gene Henrique Hugo belinda
Jacky Lee Marco Mario Michael adam antonio aunty linda boris
caleb david ed edward grandpa ian john grandma steph max"""
VARIANTS = VOICES.split()
PARTS = ("train",) * 6 + ("dev",) * 2 + ("eval",) * 2  # of every ten voices
SPLITS = {voice: PARTS[i % len(PARTS)] for i, voice in enumerate(VARIANTS)}
TEXT = """the a of and to in is you that it he was for on are with as his they at be this from have or by one had not
but what all were when we there can an your which their said if do will each about how up out them then she
many some so these would other into has more her two like him see time could no make than first been its who
now people my made over did down only way find use may water long little very after words called just where
most know get through back much before go good new write our used me man too any day same right look think
also around another came come work three word must because does part even place well such here take why things
help put years different away again off went old number great tell men say small every found still between
name should home big give air line set own under read last never us left end along while might next sound
below saw something thought both few those always looked show large often together asked house world going
want school important until"""  # noqa: E501
DIPHTHONGS = ("aI", "eI", "OI", "aU", "oU", "i@", "U@", "e@", "o@", "A@", "O@")
CLASSES = {
    "front vowel": "iIeEayY",
    "central vowel": "@3V",
    "back vowel": "uUoOA0Q",
    "voiceless stop": "ptk?",
    "voiced stop": "bdg",
    "voiceless fricative": "fTsShCx",
    "voiced fricative": "vDzZ",
    "nasal": "mnN",
    "approximant": "lrwjL",
}
SYNCHRONOUS, PHONEME_EVENTS, PHONEME, LAST = 2, 1, 7, 0
PITCH, RATE = 3, 1


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


class Synthesiser:
    """espeak-ng through its C library."""

    def __init__(self) -> None:
        import espeakng_loader

        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate = self.library.espeak_Initialize(SYNCHRONOUS, 0, data, PHONEME_EVENTS)
        self._chunks: list[np.ndarray] = []
        self._begins: list[tuple[int, str]] = []
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )
        self._callback = kind(self._take)
        self.library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: Any, n: int, events: Any) -> int:
        if samples and n:
            self._chunks.append(np.ctypeslib.as_array(samples, (n,)).copy())
        i = 0
        while events[i].type != LAST:
            if events[i].type == PHONEME:
                self._begins.append((events[i].sample, events[i].id.string.decode()))
            i += 1
        return 0

    def speak(
        self, text: str, voice: str, rate: int, pitch: int
    ) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
        """Samples (n,) of int16, and start, end (seconds) and name of each phone; events are at the
        very sample.
        """
        self._chunks.clear()
        self._begins.clear()
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SystemExit(f"espeak-ng has no voice {voice}")
        self.library.espeak_SetParameter(RATE, rate, 0)
        self.library.espeak_SetParameter(PITCH, pitch, 0)
        encoded = text.encode()
        self.library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, 1, None, None)
        samples = np.concatenate(self._chunks)
        edges = [*(sample for sample, _ in self._begins), len(samples)]
        names = [name for _, name in self._begins]
        phones = zip(edges[:-1], edges[1:], names, strict=True)
        return samples, [(a / self.rate, b / self.rate, name) for a, b, name in phones if b > a]


def phone_of(name: str) -> str:
    """The name of a phone without stress and variants: `'A@` is A@, `t#` is t; pauses are `sil`."""
    bare = name.lstrip("',%=").rstrip("#-;~")
    return "sil" if name.startswith("_") or not bare else bare


def class_of(phone: str) -> str:
    """One of the ten classes of a phone: vowels, diphthongs, stops, ...; affricates are stops,
    which they begin as.
    """
    if phone == "sil":
        return phone
    if phone.startswith(DIPHTHONGS):
        return "diphthong"
    return next((name for name, letters in CLASSES.items() if phone[0] in letters), "other")


def utterances(n: int, n_voices: int, seed: int) -> Iterator[tuple[str, str, str, int, int]]:
    """Id, voice, text, rate and pitch of each utterance."""
    generator = np.random.default_rng(seed)
    for i in range(n):
        words = generator.choice(TEXT.split(), int(generator.integers(6, 12)))
        rate, pitch = int(generator.integers(140, 200)), int(generator.integers(35, 65))
        yield f"espeak-{i:04d}", VARIANTS[i % n_voices], " ".join(words) + ".", rate, pitch


def make(folder: Path, n: int, n_voices: int, seed: int) -> pd.DataFrame:
    """Write the corpus; gives the table of phones."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    synthesiser = Synthesiser()
    manifest, phones = [], []
    for name, variant, text, rate, pitch in utterances(n, n_voices, seed):
        samples, found = synthesiser.speak(text, f"en-us+{variant}", rate, pitch)
        soundfile.write(folder / f"audio/{name}.flac", samples, synthesiser.rate)
        manifest.append(
            (f"audio/{name}.flac", name, "spoof", variant, "espeak-ng", SPLITS[variant], text)
        )
        phones += [(name, start, end, phone_of(phone)) for start, end, phone in found]
    columns = ["path", "utterance_id", "label", "speaker", "attack", "split", "text"]
    pd.DataFrame(manifest, columns=columns).to_csv(folder / "manifest.csv", index=False)
    table = pd.DataFrame(phones, columns=["utterance_id", "start", "end", "label"])
    table.to_csv(folder / "phones.csv", index=False)
    classes = table.assign(label=table["label"].map(class_of), phone=table["label"])
    classes.to_csv(folder / "classes.csv", index=False)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--utterances", type=int, default=120)
    parser.add_argument("--voices", type=int, default=10, help=f"{len(VARIANTS)} at most")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if not len(PARTS) <= given.voices <= len(VARIANTS):
        parser.error(f"--voices {given.voices}: expected {len(PARTS)} to {len(VARIANTS)}")
    table = make(given.folder, given.utterances, given.voices, given.seed)
    spoken = table[table["label"] != "sil"]
    classes = spoken["label"].map(class_of).value_counts()
    print(
        f"{given.folder}: {len(spoken)} phones of "
        f"{spoken['label'].nunique()} kinds; {classes.to_dict()}"
    )


if __name__ == "__main__":
    main()
