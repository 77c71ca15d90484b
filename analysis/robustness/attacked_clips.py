"""Attacked clips as files: 16-bit wav, with a manifest that is a corpus."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pandas as pd
import soundfile

from analysis.robustness.attacking import Attacks
from analysis.runs.companions import CLIPS, clips_in
from cache import ProbeError
from cache.atomic import PARTIAL, replaced_folder
from cache.errors import argument
from probing.audio import MEASURES, SAMPLING_RATE, STAMPS

OWN = (
    "utterance_id",
    "path",
    "split",
    "label",
    "own_score",
    "n_samples",
    "n_frames",
    *MEASURES,
    *STAMPS,
)


def write_clips(found: Attacks, folder: Path) -> Path:
    """Write the clips of attacks that kept them, whole or not at all.

    Args:
        found: of `attack_run` with `keep`.
        folder: made, or replaced if it holds such clips.

    Returns:
        The manifest: utterance_id (ATTACK/ID, of the head too), path, label, split `eval`,
        attacked, attack_method and what is known of the utterance; a corpus for `load_corpus`.

    Raises:
        ProbeError: no clips were kept, or the folder holds something else.
    """
    if not found.kept:
        raise ProbeError(
            f"{found.run.folder}: attacked clips were not kept. Say {argument('keep')}"
        )
    known = clips_in(folder)
    there = folder.iterdir() if folder.is_dir() else ()
    foreign = {path.name for path in there if path.suffix != PARTIAL} - known
    if foreign:
        raise ProbeError(f"{folder}: holds {min(foreign)}. Name a new or an empty folder")
    trials = found.trials.set_index("utterance_id", drop=False)
    more = [name for name in trials if name not in OWN]
    rows, names = [], {}
    for (head, attack), clips in found.kept.items():
        way = "/".join(filter(None, (head, attack)))
        for utterance, pcm in clips.items():
            path = ".".join(filter(None, (head, attack, quote(utterance, safe=""), "wav")))
            names[path] = pcm
            about = {name: trials.loc[utterance, name] for name in more}
            rows.append(
                {
                    "utterance_id": f"{way}/{utterance}",
                    "path": path,
                    "label": trials.loc[utterance, "label"],
                    "split": "eval",
                    "attacked": head,
                    "method": attack,
                    **about,
                }
            )
    with replaced_folder(folder, {CLIPS, *known, *names}) as partial:
        for path, pcm in names.items():
            soundfile.write(partial / path, pcm, SAMPLING_RATE, subtype="PCM_16")
        pd.DataFrame(rows).to_csv(partial / CLIPS, index=False)
    return folder / CLIPS
