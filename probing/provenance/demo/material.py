"""Raw material before the channel: human clips, copies of them, and synthesis."""

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from cache.errors import ProbeError, argument
from probing.provenance.demo import plan
from probing.provenance.demo.channel import (
    RATE,
    READER_LEVEL,
    STORED_LEVEL,
    stored,
    to_rate,
    trim_edges,
)
from probing.provenance.demo.synthesis import SYNTHESISERS
from probing.provenance.demo.texts import texts_for
from probing.provenance.demo.vocoders import VOCODERS

# seconds: a clip is cut into as many equal pieces of at least this length as fit, at most three
PIECE = 2.6


@dataclass(frozen=True)
class Clip:
    """One candidate: samples at 16 kHz, stored once as Opus, and its row of demo.csv so far.

    It was stored at 32 or 16 kbit/s.
    """

    samples: np.ndarray
    row: dict[str, str]


def pieces(samples: np.ndarray) -> list[np.ndarray]:
    """Trim the edges and cut into one, two or three equal pieces."""
    samples = trim_edges(samples)
    count = int(np.clip(len(samples) / RATE / PIECE, 1, 3))
    return np.array_split(samples, count)


def read_listed(table: Path, path: str) -> tuple[np.ndarray, int]:
    """Read a file that `table` lists, or say that it is not there."""
    if not (table.parent / path).exists():
        raise ProbeError(
            f"{table} lists {path}, which is not there. Next: fetch the shared data again"
        )
    return soundfile.read(table.parent / path, dtype="float64")


def human_clips(shared: Path) -> list[Clip]:
    """Read the human recordings that may be redistributed, in order, cut into pieces.

    Raises:
        ProbeError: there is no such table.
    """
    human = listed(shared, "human")
    unlabelled = listed(shared, "unlabelled")
    splits = {
        speaker: split for split, speakers in plan.HUMAN_SPLITS.items() for speaker in speakers
    }
    clips: list[Clip] = []
    for _, entry in human.rows[human.rows["licence"].isin(plan.LICENCES)].iterrows():
        speaker = unicodedata.normalize("NFKD", entry["speaker"]).encode("ascii", "ignore").decode()
        speaker = plan.SAME_SPEAKER.get(speaker, speaker)
        if speaker not in splits:
            raise ProbeError(
                f"{human.path.name}: speaker {speaker} has no "
                "split. Next: add it to plan.HUMAN_SPLITS"
            )
        clips += pieces_of(
            human.path, entry, utterance=entry["utterance"], speaker=speaker, split=splits[speaker]
        )
    readers = plan.reader_splits(unlabelled.rows["speaker"].value_counts().to_dict())
    for _, entry in (
        unlabelled.rows[unlabelled.rows["speaker"].isin(readers)].sort_values("path").iterrows()
    ):
        speaker = entry["speaker"]
        clips += pieces_of(
            unlabelled.path,
            entry,
            utterance=Path(entry["path"]).stem,
            speaker=speaker,
            split=readers[speaker],
        )
    return clips


@dataclass(frozen=True)
class Listed:
    """A table of recordings and where it lies."""

    path: Path
    rows: pd.DataFrame


def listed(shared: Path, name: str) -> Listed:
    """Read the table of one set of recordings."""
    path = shared / "data" / name / "meta.csv"
    if not path.exists():
        raise ProbeError(
            f"no {path.name} in {path.parent}. Expected the shared data. Next: "
            f"{argument('shared', 'FOLDER')}"
        )
    return Listed(path, pd.read_csv(path))


def pieces_of(
    table: Path, entry: pd.Series, utterance: str, speaker: str, split: str
) -> Iterator[Clip]:
    """Cut one recording into candidates."""
    samples, rate = read_listed(table, entry["path"])
    for part, piece in enumerate(pieces(to_rate(samples, rate))):
        row = {
            "label": "bonafide",
            "attack": "-",
            "speaker": speaker,
            "split": split,
            "kind": "human",
            "lang": entry["lang"],
            "synthesiser": "-",
            "source": entry["source"],
            "licence": plan.licence_of(entry["licence"], entry["lang"]),
            "utterance": f"{utterance}#{part}",
        }
        yield Clip(piece, row)


def is_reader(clip: Clip) -> bool:
    """Say whether a clip comes from LibriSpeech, stored at a lower bit rate than the others."""
    return clip.row["speaker"].startswith(plan.READER)


def chosen_human(clips: list[Clip], rng: np.random.Generator) -> list[Clip]:
    """Draw at most `plan.MOST_HUMAN` clips a split and language, `plan.MOST_OF_READER` a reader."""
    cells = [
        ([clip for clip in of(clips, split, lang) if not is_reader(clip)], most)
        for (split, lang), most in plan.MOST_HUMAN.items()
    ]
    by_reader: dict[str, list[Clip]] = {}
    for clip in filter(is_reader, clips):
        by_reader.setdefault(clip.row["speaker"], []).append(clip)
    cells += [
        (cell, plan.MOST_OF_READER[cell[0].row["split"]]) for _, cell in sorted(by_reader.items())
    ]
    return [cell[i] for cell, most in cells for i in np.sort(rng.permutation(len(cell))[:most])]


def of(clips: list[Clip], split: str, lang: str) -> list[Clip]:
    """Return the clips of one split and language."""
    return [clip for clip in clips if clip.row["split"] == split and clip.row["lang"] == lang]


def copies(
    human: list[Clip], rng: np.random.Generator, say: Callable[[str], None]
) -> Iterator[Clip]:
    """Copy synthesis and conversion of clips of the same split, with the source's licence."""
    for job in plan.COPIES:
        say(f"{job.attack} for {job.split}: {sum(job.counts.values())} clips")
        kind, synthesiser = plan.SYNTHESISER[job.attack]
        for lang, count in job.counts.items():
            cell = of(human, job.split, lang)
            if len(cell) < count:
                raise ProbeError(
                    f"{job.attack}: {len(cell)} human clips ({job.split}, {lang}), expected {count}"
                )
            for i in rng.permutation(len(cell))[:count]:
                row = {
                    **cell[i].row,
                    "label": "spoof",
                    "attack": job.attack,
                    "kind": kind,
                    "synthesiser": synthesiser,
                }
                row["speaker"] += "+vc" if kind == "vc" else ""
                level = READER_LEVEL if is_reader(cell[i]) else STORED_LEVEL
                yield Clip(stored(VOCODERS[job.attack](cell[i].samples, rng), level), row)


def spoken(rng: np.random.Generator, say: Callable[[str], None]) -> Iterator[Clip]:
    """Text to speech, each voice with the texts of its split; of long clips the first piece."""
    for job in plan.SPOKEN:
        say(f"{job.attack} for {job.split}: {sum(job.counts.values())} clips")
        kind, synthesiser = plan.SYNTHESISER[job.attack]
        for lang, count in job.counts.items():
            pairs = [(voice, text) for text in texts_for(lang, job.split) for voice in job.voices]
            if len(pairs) < count:
                raise ProbeError(
                    f"{job.attack}: {len(pairs)} texts times voices ({lang}), expected {count}"
                )
            for i in np.sort(rng.permutation(len(pairs))[:count]):
                voice, text = pairs[i]
                row = {
                    "label": "spoof",
                    "attack": job.attack,
                    "speaker": voice.replace("espeak+", f"espeak-{lang}+"),
                    "split": job.split,
                    "kind": kind,
                    "lang": lang,
                    "synthesiser": synthesiser,
                    "source": synthesiser,
                    "licence": plan.FESTVOX_RU
                    if job.attack == "festival_clunits"
                    else plan.OWN_TEXT,
                    "utterance": text,
                }
                low = lang == "en" and rng.random() < plan.READER_SHARE
                level = READER_LEVEL if low else STORED_LEVEL
                yield Clip(
                    stored(pieces(SYNTHESISERS[job.attack](text, voice, lang))[0], level), row
                )
