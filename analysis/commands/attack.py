"""The command `probe attack`."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from analysis.commands.arguments import CacheAudio, CorpusName, RunFolder
from analysis.commands.folders import Outputs, check_companion, check_second_folder
from analysis.commands.parameters import Only, with_options
from analysis.commands.printing import out, print_frame
from analysis.runs.companions import ABOUT, CLIPS, clips_in, companion_folder, write_about
from analysis.runs.kinds import RUN, expect
from cache.errors import ProbeError, argument
from probing.augmentation.smoothing import Smoothing
from probing.extraction.machine import Machine
from probing.options import option
from probing.progress import console
from probing.robustness.attacks import AttackOptions

if TYPE_CHECKING:
    from analysis.robustness import Attacks
    from analysis.runs.loaded_run import LoadedRun

OUTPUTS = Outputs(
    ("attack.csv", "clips.csv", "finding.txt", "attack.png", "attack.svg"),
    at_times=(ABOUT, "attack-smoothed.png", "attack-smoothed.svg"),
)
SHOWN = ["eer", "rise", "rise_low", "rise_high", "miss", "false_alarm", "success", "snr_db"]


@dataclass(frozen=True)
class Places:
    """Folders beside the attacked run: other runs that judge as well, and those written."""

    against: tuple[Path, ...] = option(
        (),
        "A run of another backbone that judges as well; may be given again.",
        metavar="RUN",
        many=True,
        is_path=True,
    )
    folder: Path | None = option(
        None,
        "Folder of table and pictures [default: NAME.attack].",
        metavar="DIR",
        flag="out",
        is_path=True,
    )
    keep: Path | None = option(
        None,
        "Keep clips, clean and attacked, as wav with a manifest.",
        metavar="DIR",
        is_path=True,
    )


@with_options
def attack(
    run: RunFolder,
    options: AttackOptions,
    smoothing: Smoothing,
    machine: Annotated[Machine, Only("device", "batch_size")],
    places: Places,
    corpus: CorpusName = None,
    audio_root: CacheAudio = None,
) -> None:
    """Say how easily small changes of the waveform turn the score of a clip.

    FGSM and PGD change eval clips by at most EPS steps of 16-bit samples, along the slope of the
    score of a layer's probe, or of a head. The same probe judges the clips (white box), and those
    of other layers and runs (black box). With --smooth, judges score noised copies as well, and
    the gain and cost of that are printed.

    \b
    probe attack results/demo.run
    probe attack moonshine.run --against whisper.run --layers 1,last --eps 8 --clips 32
    probe attack mine.run --method pgd --steps 20 --smooth 8 --noise-snr 20 --keep attacked
    """
    expect(run, RUN)
    folder = places.folder or companion_folder(run, "attack")
    runs = [run, *places.against]
    _check_places(runs, folder, places.keep)
    loaded = _load(runs, corpus, options, smoothing)
    audio_root = _audio_of(loaded[0], audio_root)
    # from here on it takes seconds
    found = import_module("analysis.robustness").attack_run(
        loaded[0],
        loaded[1:],
        options=options,
        smoothing=smoothing,
        audio_root=audio_root,
        machine=machine,
        keep=places.keep is not None,
    )
    _say_left_out(found, options.clips)
    _conclude(found, folder, places.keep)


def _load(
    runs: Sequence[Path], corpus: str | None, options: AttackOptions, smoothing: Smoothing
) -> "list[LoadedRun]":
    """The runs; what they do not have is refused before PyTorch is loaded."""
    load = import_module("analysis.runs.loading").load
    loaded = [load(folder, corpus) for folder in runs]
    import_module("probing.robustness.attacked").heads_of_runs(loaded, options, smoothing)
    return loaded


def _audio_of(run: "LoadedRun", audio_root: Path | None) -> Path:
    """The folder of the audio of the eval clips of a run, some of which are there."""
    cache = import_module("probing.runs").find_cache(run, run.part("eval"))
    folder: Path = import_module("probing.corpora.cached").audio_of(cache, audio_root)
    trials = set(run.trials_of(run.part("eval"))["utterance_id"])
    paths = cache.utterances.loc[cache.utterances["utterance_id"].isin(trials), "path"]
    if not any((folder / path).exists() for path in paths):
        where = f"Say where the audio is now: {argument('audio_root', 'DIR')}"
        raise ProbeError(
            f"{folder / paths.iloc[0]}: no such file, nor any other eval clip. {where}"
        )
    return folder


def _conclude(found: "Attacks", folder: Path, keep: Path | None) -> None:
    """Write and print what was found, and say where it is."""
    sentence = import_module("analysis.robustness").sentence_of_attacks(found)
    pictures = _write(found, folder, sentence)
    if keep is not None:
        import_module("analysis.robustness.attacked_clips").write_clips(found, keep)
    _print(found, sentence)
    out.print(f"Picture: {' and '.join(map(str, pictures))}", markup=False)
    out.print(f"Results: {folder / 'attack.csv'}", markup=False)
    if keep is not None:
        out.print(f"Clips: {keep / CLIPS}", markup=False)


def _check_places(runs: Sequence[Path], folder: Path, keep: Path | None) -> None:
    """Refuse what is no run, and places where nothing can be written, before any work is done."""
    for run in runs:
        expect(run, RUN)
    check_companion(folder, runs[0], "attack", OUTPUTS)
    check_second_folder(keep, "keep", folder, clips_in)


def _say_left_out(found: "Attacks", n_clips: int) -> None:
    """Say if fewer clips were drawn than wanted, and which could not be used."""
    n_drawn = len(found.trials) + len(found.left_out)
    if n_drawn < n_clips - 1:
        console.print(
            f"Note: eval has {n_drawn // 2} utterances of the "
            f"smaller class: {n_drawn} clips were drawn."
        )
    for name, why in found.left_out.items():
        console.print(f"{name}: {why}; left out", markup=False)


def _write(found: "Attacks", folder: Path, sentence: str) -> list[Path]:
    """Write the tables, the finding and the pictures, and say where these are."""
    draw = import_module("analysis.robustness").attack_map
    style = import_module("analysis.plots.style")
    axes = {"attack": draw(found)}
    if found.smoothing:
        axes["attack-smoothed"] = draw(found, found.smoothing.smooth)
    with OUTPUTS.replaced(folder) as partial:
        write_about(partial, "attack", run=found.run, corpus=found.run.corpus, more=found.about())
        found.table.to_csv(partial / "attack.csv", index=False)
        found.trials.to_csv(partial / "clips.csv", index=False)
        (partial / "finding.txt").write_text(sentence + "\n", encoding="utf-8")
        for name, ax in axes.items():
            for kind in style.FIGURES:
                style.save_figure(ax, partial / f"{name}.{kind}")
    return [folder / f"{name}.png" for name in axes]


def _print(found: "Attacks", sentence: str) -> None:
    """Print the figures of every attack and judge, and what they say."""
    copies = ["smooth"] if found.smoothing else []
    shown = found.table.rename(columns={"source_head": "attacked", "judge_head": "by"})
    print_frame(shown.set_index(["attacked", "attack", "judge", "by", *copies])[SHOWN].round(1))
    out.print(f"\n{sentence}\n", markup=False)
