"""Whether everything that runs on a GPU runs right and fast on the one of this machine: one table,
and JSON.

    python tests/gpu/check.py [--out gpu-check.json] [--seconds 360] [--device cuda]

No network: WavLM of the large shape with random weights, and the clips of the demo corpus. Every
check is a process of its own, so that one that fails or runs out of memory leaves the others alone;
those that no time is left for are named. With `--small --device cpu` the script itself is tried
where there is no GPU, on a model so small that figures of speed say nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1] / "benchmarks")]
SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}
# largest difference of a layer, as a share of its root mean square
PARITY = {"float32": 1e-3, "bf16": 0.03}


@contextmanager
def model_folder(small: bool) -> Iterator[str]:
    """What `load_backbone` takes for WavLM of the large shape with random weights."""
    import transformers
    from shapes import SHAPES

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "wavlm"
        transformers.WavLMConfig(**{**SHAPES["large"], **(SMALL if small else {})}).save_pretrained(
            folder
        )
        about = {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "do_normalize": True,
            "sampling_rate": 16000,
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(about))
        yield f"random:{folder}"


def clips(n: int, seconds: float | None = None) -> list[Any]:
    """Real clips; repeated or cut to a length where one is given."""
    import numpy as np
    from shapes import real_clips

    found = real_clips(n)
    return found if seconds is None else [np.resize(clip, round(16000 * seconds)) for clip in found]


def lasting(seconds: float, device: Any, work: Callable[[], object]) -> float:
    """Seconds a call, the median of as many as fit into that time, at least three, after one to
    warm up.
    """
    from probing.accelerators import synchronize

    work()
    synchronize(device)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        started = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def parity(device: str, small: bool) -> dict[str, Any]:
    """Every layer on the device against float32 on the CPU."""
    import numpy as np

    from probing.backbones import load_backbone

    found: dict[str, Any] = {}
    with model_folder(small) as spec:
        here, there = load_backbone(spec, device="cpu"), load_backbone(spec, device=device)
        batch = clips(1 if small else 4)
        exact = [layer.numpy() for layer in here.hidden_states(batch).layers]
        for precision in ("float32", "bf16"):
            there.precision = precision
            layers = [layer.float().cpu().numpy() for layer in there.hidden_states(batch).layers]
            errors = [
                float(np.sqrt(np.mean((a - b) ** 2) / np.mean(b**2)))
                for a, b in zip(layers, exact, strict=True)
            ]
            found |= {
                f"{precision}: worst layer": int(np.argmax(errors)),
                f"{precision}: difference": max(errors),
            }
            found[f"{precision}: by layer"] = errors
            found["ok"] = found.get("ok", True) and max(errors) <= PARITY[precision]
    return found


def extraction(
    device: str, small: bool, scratch: Path, *, frames: str = "", limit: int = 192
) -> dict[str, Any]:
    """An extraction as the command does it: its cache, utterances a second, and what the disk was
    given.
    """
    from cache import Cache
    from probing.corpora import load_corpus
    from probing.extraction import Machine, Options, extract

    corpus = load_corpus("demo")
    rows = corpus.utterances.sort_values("utterance_id").head(24 if small else limit)
    corpus = type(corpus)(corpus.name, corpus.spec, corpus.root, rows)
    with model_folder(small) as spec:
        options = Options(
            spec, seconds=3.4, frames=bool(frames), **({"frames_dtype": frames} if frames else {})
        )
        started = time.perf_counter()
        folder = (
            scratch / f"{frames or 'pooled'}-{os.environ.get('CUDA_LAUNCH_BLOCKING', '0')}.cache"
        )
        extract(folder, corpus, options, Machine(device), say=lambda text: None)
        seconds = time.perf_counter() - started
    n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    pooled = Cache(folder).pooled()
    return {
        "utterances": len(rows),
        "utterances/s, with loading": len(rows) / seconds,
        "MB/s to disk": n_bytes / 1e6 / seconds,
        "checksum": float(abs(pooled.astype("float64")).sum()),
        "finite": bool((pooled == pooled).all()),
    }


def streams(device: str, small: bool) -> dict[str, Any]:
    """The same cache with kernels in their streams, and with every kernel waited for."""
    found: dict[str, Any] = {}
    for blocking in ("0", "1"):
        command = [
            sys.executable,
            str(HERE),
            "--only",
            "one_extraction",
            "--device",
            device,
            *(["--small"] * small),
        ]
        environment = {**os.environ, "CUDA_LAUNCH_BLOCKING": blocking}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found[blocking] = json.loads(done.stdout.splitlines()[-1])
    sums = [found[blocking]["checksum"] for blocking in ("0", "1")]
    apart = abs(sums[0] - sums[1]) / abs(sums[0])
    return {
        "difference of the caches": apart,
        "ok": apart < 1e-6 and all(figures["finite"] for figures in found.values()),
    }


def one_extraction(device: str, small: bool) -> dict[str, Any]:
    """What `streams` runs twice."""
    with tempfile.TemporaryDirectory() as scratch:
        return extraction(device, small, Path(scratch), limit=96)


def throughput(device: str, small: bool) -> dict[str, Any]:
    """Utterances a second beside the loop people write, on the same card, and the share of its
    matrix rate in bf16.
    """
    import torch
    import transformers
    from shapes import SHAPES

    from probing.accelerators import peak_memory
    from probing.backbones import load_backbone
    from probing.reproduction.sizes import pass_macs

    where = torch.device(device)
    batch = clips(4 if small else 16, 3.4)
    with model_folder(small) as spec:
        backbone = load_backbone(spec, device=device)
        backbone.precision = "bf16"
        config = {**SHAPES["large"], **(SMALL if small else {})}
    ours = lasting(5, where, lambda: backbone.hidden_states(batch))
    memory = peak_memory(where)
    stock = transformers.WavLMModel(transformers.WavLMConfig(**config)).eval().to(where)
    values = torch.stack([torch.from_numpy(clip) for clip in batch]).to(where)

    def usual() -> None:
        with torch.inference_mode(), torch.autocast(where.type, dtype=torch.bfloat16):
            torch.stack(
                [layer.mean(1) for layer in stock(values, output_hidden_states=True).hidden_states]
            ).cpu()

    theirs = lasting(5, where, usual)
    n = 512 if small else 8192
    x = torch.randn(n, n, device=where, dtype=torch.bfloat16)
    rate = 2 * n**3 / lasting(2, where, lambda: x @ x)
    macs, _ = pass_macs(config["num_hidden_layers"], config["hidden_size"], len(batch[0]))
    return {
        "utterances/s": len(batch) / ours,
        "usual loop / ours": theirs / ours,
        "bf16 matrix rate, Tflop/s": rate / 1e12,
        "share of it (aim 0.5)": 2 * macs * len(batch) / ours / rate,
        "memory, GB": memory / 1e9,
    }


def frames(device: str, small: bool) -> dict[str, Any]:
    """Frames in int8 and float16, beside the rate at which the disk takes bytes."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("OUT")) as scratch:
        block = os.urandom(2**24)
        started = time.perf_counter()
        with open(Path(scratch) / "raw", "wb") as file:
            for _ in range(2 if small else 64):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            found["disk, MB/s"] = file.tell() / 1e6 / (time.perf_counter() - started)
        for dtype in ("int8", "float16"):
            made = extraction(device, small, Path(scratch), frames=dtype)
            found[f"{dtype}: utterances/s"] = made["utterances/s, with loading"]
            found[f"{dtype}: MB/s"] = made["MB/s to disk"]
            found["ok"] = found.get("ok", True) and made["finite"]
    return found


def sweeping(device: str, small: bool) -> dict[str, Any]:
    """Probes and heads trained on the device, against the same on the CPU."""
    from cache import Cache
    from probing.corpora import load_corpus
    from probing.extraction import Machine, Options, extract
    from probing.sweep import DepthOptions, SweepOptions, sweep

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "demo.cache"
        corpus = load_corpus("demo")
        with model_folder(True) as spec:
            extract(
                folder, corpus, Options(spec, seconds=1.0), Machine(device), say=lambda text: None
            )
        heads = DepthOptions(
            heads=("attentive-compact+linear",), seeds=(0,), epochs=5, weight_decays=(0.1,)
        )
        found: dict[str, Any] = {}
        rates = {}
        for where in (device, "cpu"):
            started = time.perf_counter()
            options = SweepOptions(depths=heads, resamples=100, control_seeds=(0,))
            run = sweep(
                Cache(folder),
                Path(scratch) / f"{where}.run",
                options,
                device=where,
                say=lambda text: None,
            )
            found[f"seconds on {where}"] = time.perf_counter() - started
            rows = run.results[run.results["metric"] == "eer"]
            rates[where] = rows[rows["experiment"].isin(["layer", "depth"])]["value"].to_numpy()
        apart = float(abs(rates[device] - rates["cpu"]).max())
        return {**found, "largest difference of an EER": apart, "ok": apart <= 0.02}


def tuning(device: str, small: bool) -> dict[str, Any]:
    """A step of tuning the first 12 blocks: time and memory, with and without checkpointing; and
    out of memory.
    """
    import torch

    from probing.accelerators import peak_memory
    from probing.backbones import load_backbone

    where = torch.device(device)
    found: dict[str, Any] = {}
    batch = clips(1, 0.5) if small else clips(4, 4.0)
    for checkpointing in (False, True):
        with model_folder(small) as spec:
            model = load_backbone(spec, device=device).truncate(2 if small else 12)
        trained = model.trainable(checkpointing=checkpointing)
        trained.requires_grad_(True)
        if where.type == "cuda":
            torch.cuda.reset_peak_memory_stats(where)

        def step(trained: Any = trained) -> None:
            trained.zero_grad()
            with torch.autocast(where.type, dtype=torch.bfloat16):
                loss = torch.stack(
                    [layer.float().square().mean() for layer in trained(batch).layers]
                ).sum()
            loss.backward()

        name = "checkpointed" if checkpointing else "step"
        found[f"{name}, ms"] = 1000 * lasting(0 if small else 3, where, step)
        found[f"{name}: memory, GB"] = peak_memory(where) / 1e9
        gradients = [
            parameter.grad for parameter in trained.parameters() if parameter.grad is not None
        ]
        found["ok"] = found.get("ok", True) and all(
            bool(gradient.isfinite().all()) for gradient in gradients
        )
    return found


def out_of_memory(device: str, small: bool) -> dict[str, Any]:
    """A batch that the card cannot hold ends in an error that says what to lower."""
    import torch

    from cache import ProbeError
    from probing.corpora import load_corpus
    from probing.extraction import Machine, Options, extract

    if torch.device(device).type != "cuda":
        return {"skipped": "a CPU has no limit that can be set", "ok": True}
    torch.cuda.set_per_process_memory_fraction(
        2e9 / torch.cuda.get_device_properties(device).total_memory
    )
    with tempfile.TemporaryDirectory() as scratch, model_folder(small) as spec:
        options = Options(spec, seconds=60.0)
        try:
            folder = Path(scratch) / "x.cache"
            extract(
                folder,
                load_corpus("demo"),
                options,
                Machine(device, batch_size=64),
                say=lambda text: None,
            )
        except ProbeError as error:
            return {"error": str(error), "ok": "out of memory" in str(error)}
    return {"error": "none", "ok": False}


CHECKS = {
    check.__name__: check
    for check in (
        parity,
        streams,
        throughput,
        frames,
        sweeping,
        tuning,
        out_of_memory,
        one_extraction,
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a small model, to try this script")
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"))
    parser.add_argument(
        "--seconds", type=float, default=360, help="after which no check is begun or goes on"
    )
    parser.add_argument("--only", choices=CHECKS, help="one check, as JSON on standard output")
    given = parser.parse_args()
    if given.only:
        print(json.dumps(CHECKS[given.only](given.device, given.small)))
        return 0
    end = time.monotonic() + given.seconds
    found: dict[str, Any] = {"machine": machine(given.device)}
    for name in CHECKS:
        if name == "one_extraction":
            continue
        left = end - time.monotonic()
        started = time.monotonic()
        command = [
            sys.executable,
            str(HERE),
            "--only",
            name,
            "--device",
            given.device,
            *(["--small"] * given.small),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=max(left, 0.1), check=False
            )
        except subprocess.TimeoutExpired:
            found[name] = {"ok": False, "error": f"no time was left ({given.seconds:g} s in all)"}
        else:
            whole = done.returncode == 0
            found[name] = (
                json.loads(done.stdout.splitlines()[-1])
                if whole
                else {"ok": False, "error": done.stderr}
            )
        found[name]["seconds"] = time.monotonic() - started
        show(name, found[name])
    given.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(f"\n{given.out}")
    return 0 if all(found[name].get("ok", True) for name in found) else 1


def machine(device: str) -> dict[str, Any]:
    """What it ran on."""
    import torch

    here = torch.device(device)
    name = torch.cuda.get_device_name(here) if here.type == "cuda" else here.type
    return {
        "device": name,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cores": os.cpu_count(),
    }


def show(name: str, figures: dict[str, Any]) -> None:
    """Print the rows of a check."""
    verdict = {True: "right", False: "WRONG"}.get(figures.get("ok"), "measured")
    print(f"| {name} | {verdict} | {figures['seconds']:.0f} s |")
    for key, value in figures.items():
        if key not in ("ok", "seconds") and not isinstance(value, list):
            shown = f"{value:.4g}" if isinstance(value, float) else str(value).strip()[-400:]
            print(f"| {name}: {key} | {shown} | |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
