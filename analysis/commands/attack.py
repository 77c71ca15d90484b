"""The command `probe attack`."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from analysis.commands.arguments import CacheAudio, CorpusName, RunFolder, Seed
from analysis.commands.files import check_folder
from analysis.commands.parameters import Only, with_options
from analysis.commands.printing import out, print_frame
from analysis.runs.companions import ABOUT, companion_folder, write_about
from analysis.runs.kinds import RUN, expect
from cache.atomic import replaced_folder
from cache.errors import OptionError
from probing.augmentation.smoothing import Smoothing
from probing.extraction.machine import Machine
from probing.progress import console
from probing.robustness.attacks import AttackOptions

SHOWN = ["eer", "rise", "rise_low", "rise_high", "miss", "false_alarm", "success", "snr_db"]


@with_options
def attack(
    run: RunFolder,
    options: AttackOptions,
    smoothing: Smoothing,
    machine: Annotated[Machine, Only("device", "batch_size")],
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="RUN", help="A run of another backbone that judges as well; may be given again."),
    ] = None,
    layers: Annotated[
        str, typer.Option(metavar="LIST", help="Layers of every run: numbers, first (above 0), middle, last.")
    ] = "first,middle,last",
    head: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A head of every run as well, as weighted-sum+linear [default: none]."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of table and pictures [default: NAME.attack]."),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep clips, clean and attacked, as wav with a manifest.")
    ] = None,
    corpus: CorpusName = None,
    audio_root: CacheAudio = None,
    seed: Seed = 0,
) -> None:
    """Say how easily small changes of the waveform turn the score, where the model is known and where it is not.

    FGSM and PGD change eval clips by at most EPS steps of 16-bit samples, along the slope of the score of a layer's
    probe, or of a head. The same probe judges the clips (white box), and those of other layers and runs (black box).
    With --smooth, judges score noised copies as well, and what that gives and costs is said.

    \b
    probe attack results/demo.run
    probe attack moonshine.run --against whisper.run --layers 1,last --eps 8 --clips 32
    probe attack mine.run --method pgd --steps 20 --smooth 8 --noise-snr 20 --keep attacked
    """
    expect(run, RUN)
    for other in against or ():
        expect(other, RUN)
    folder = folder or companion_folder(run, "attack")
    check_folder(folder)
    check_folder(keep)
    if keep is not None and keep.resolve() == folder.resolve():
        raise OptionError("keep", keep, "is the folder of the table. Name another")
    load = import_module("analysis.runs.loading").load
    loaded = [load(one, corpus) for one in (run, *(against or ()))]
    looked = import_module("analysis.robustness")  # from here on it takes seconds
    found = looked.attack_run(
        loaded[0],
        loaded[1:],
        layers=layers,
        head=head,
        options=options,
        smoothing=smoothing,
        audio_root=audio_root,
        seed=seed,
        machine=machine,
        keep=keep is not None,
    )
    n_drawn = len(found.trials) + len(found.left_out)
    if n_drawn < options.clips - 1:
        console.print(f"Note: eval has {n_drawn // 2} utterances of the smaller class: {n_drawn} clips were drawn.")
    for name, why in found.left_out.items():
        console.print(f"{name}: {why}; left out", markup=False)
    sentence = looked.sentence_of_attacks(found)
    style = import_module("analysis.plots.style")
    axes = {"attack": looked.attack_map(found)}
    if smoothing:
        axes["attack-smoothed"] = looked.attack_map(found, smoothing.smooth)
    names = {f"{name}.{kind}" for name in ("attack", "attack-smoothed") for kind in style.FIGURES}
    with replaced_folder(folder, {ABOUT, "attack.csv", "clips.csv", "finding.txt", *names}) as partial:
        write_about(partial, "attack", loaded[0], loaded[0].corpus, found.about())
        found.table.to_csv(partial / "attack.csv", index=False)
        found.trials.to_csv(partial / "clips.csv", index=False)
        (partial / "finding.txt").write_text(sentence + "\n", encoding="utf-8")
        for name, ax in axes.items():
            for kind in style.FIGURES:
                style.save_figure(ax, partial / f"{name}.{kind}")
    if keep is not None:
        import_module("analysis.robustness.attacked_clips").write_clips(found, keep)
    copies = ["smooth"] if smoothing else []
    shown = found.table.rename(columns={"source_head": "attacked", "judge_head": "by"})
    print_frame(shown.set_index(["attacked", "attack", "judge", "by", *copies])[SHOWN].round(1))
    out.print(f"\n{sentence}\n", markup=False)
    out.print(f"Picture: {' and '.join(str(folder / f'{name}.png') for name in axes)}", markup=False)
    out.print(f"Results: {folder / 'attack.csv'}", markup=False)
    if keep is not None:
        out.print(f"Clips: {keep / 'manifest.csv'}", markup=False)
