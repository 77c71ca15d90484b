"""Options of which every kind has values that are not its defaults."""

from probing.extraction import Cluster, Machine, Options
from probing.sweep import DepthOptions, SweepOptions
from probing.tuning import TuneMachine, TuneOptions

DEPTHS = DepthOptions(
    heads=("sls+mlp",), seeds=(4, 7), depths=(2, 4, 5, 6), epochs=3, recipe="attm"
)
CHANGED = [
    Options(
        backbone="log-mel",
        seconds=4.0375,
        layers="0:3,6",
        frames=True,
        frames_dtype="int8",
        drop="top:2",
    ),
    Machine(device="cuda:1", batch_size=3, memory_gb=0.5, wait=2.5, on_nonfinite="stop"),
    Cluster(address="auto", actors=2),
    SweepOptions(
        strengths=(0.5, 2.0),
        control_seeds=(),
        depths=DEPTHS,
        margin="2pt",
        interval_by="speaker,attack",
        by=("attack", "codec"),
        unseen_attacks=True,
        interval_includes=("training",),
        dev="other.cache:dev",
        eval=("eval", "b.cache"),
    ),
    SweepOptions(depths=DepthOptions(heads=(), seeds=(5,)), eval=("dev",)),
    TuneOptions(
        "blocks:2:3,5",
        "attm",
        4,
        8,
        2e-5,
        layer_decay=0.9,
        front_end=True,
        augment="rawboost:5,codec",
    ),
    TuneMachine(
        "cpu", accumulate=4, checkpointing=True, checkpoint_minutes=0.5, track="tensorboard"
    ),
]
