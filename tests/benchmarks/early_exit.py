"""Early exit against full depth: wall time of scoring audio, and EER, on eval.

    python tests/benchmarks/early_exit.py results/demo.run --head weighted-sum+linear

Policies are chosen on dev for several margins; the last line of each is what a run foretells from
its stored scores. The audio of eval is decoded beforehand; every round scores it once at full depth
and once by each policy, in turn, and a ratio is the median over rounds. Scores of utterances that
leave at a depth are compared with those of the backbone truncated there.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import torch
from figures import figure, median_ratio

from probing.audio import load_audio
from probing.corpora import load_corpus
from probing.exits import find_exits
from probing.metrics import eer
from probing.runs import Run
from probing.serving.early import Left, score_batch
from probing.serving.exit_heads import ExitHeads
from probing.serving.exported import load_run_backbone, run_options
from probing.serving.heads import choose_head


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("--head", default="weighted-sum+linear")
    parser.add_argument("--confidence", default="probability")
    parser.add_argument("--margins", default="0,0.05,0.1,0.2")
    parser.add_argument(
        "--clips", type=int, default=100, help="utterances of eval, drawn at random"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--corpus", help="where the audio is now, if not where the run had it")
    arguments = parser.parse_args()
    run = Run(arguments.run)
    margins = [
        margin if margin.endswith("pt") else float(margin)
        for margin in arguments.margins.split(",")
    ]
    found = {
        margin: find_exits(run, arguments.head, confidence=arguments.confidence, margin=margin)
        for margin in margins
    }
    policy = found[margins[0]].policy
    heads = [choose_head(run, depth, arguments.head).head for depth in policy.depths]
    options = run_options(run, heads[-1])
    backbone = load_run_backbone(run, options).truncate(policy.depths[-1])
    corpus = load_corpus(arguments.corpus or run.record["about"]["corpus_spec"])
    table = corpus.utterances[corpus.utterances["split"] == "eval"]
    rows = np.sort(np.random.default_rng(0).permutation(len(table))[: arguments.clips])
    table = table.iloc[rows]
    clips = {
        name: load_audio(corpus.root / path, options.cropping)
        for name, path in zip(table["utterance_id"], table["path"], strict=True)
    }
    positive = table["label"].eq("bonafide").to_numpy()
    full = ExitHeads(replace(policy, threshold=None), heads)
    early = {margin: ExitHeads(found[margin].policy, heads) for margin in margins}
    print(f"{run}\n{len(clips)} clips, {torch.get_num_threads()} threads")

    def score(model: ExitHeads) -> tuple[float, dict[str, Left]]:
        started = time.perf_counter()
        scored = {
            name: score_batch(model, {name: clip}, backbone, options)[name]
            for name, clip in clips.items()
        }
        return time.perf_counter() - started, scored

    seconds = np.zeros((arguments.rounds, 1 + len(margins)))
    scored = {}
    for i in range(arguments.rounds):
        for j, (name, model) in enumerate({"full": full, **early}.items()):
            seconds[i, j], scored[name] = score(model)
    for j, margin in enumerate(margins, 1):
        rates = [
            eer(positive, [left.score for left in scored[name].values()])
            for name in ("full", margin)
        ]
        depth = np.mean([left.depth for left in scored[margin].values()])
        print(
            f"margin {margin}: mean depth {depth:.2f} of {policy.depths[-1]}, EER of these clips "
            f"{100 * rates[1]:.1f} % against {100 * rates[0]:.1f} %\n    {found[margin].sentence}"
        )
        figure(
            f"early exit, margin {margin} / full depth, time",
            *median_ratio(list(map(tuple, seconds)), j, 0),
        )
    some = list(scored[margins[-1]].items())[:: max(1, len(clips) // 20)]
    worst = 0.0
    for name, left in some:
        k = policy.depths.index(left.depth)
        single = replace(
            policy,
            depths=(left.depth,),
            slopes=policy.slopes[k : k + 1],
            offsets=policy.offsets[k : k + 1],
        )
        cut = backbone.truncate(max(left.depth, 1))
        alone = score_batch(ExitHeads(single, [heads[k]]), {name: clips[name]}, cut, options)[name]
        worst = max(worst, abs(alone.score - left.score))
    print(f"largest difference to the truncated backbone, of {len(some)} clips: {worst:.1e}")


if __name__ == "__main__":
    main()
