"""Spoilt files of every format get a ProbeError and touch nothing else; the long version is
tests/faults/long.py.
"""

import os
import pickle
import re
from pathlib import Path

import pytest
import soundfile
import torch
from faults.long import in_process
from small_extraction import speech
from tiny_models import build

from cache import Cache, ProbeError
from probing.audio import Cropping
from probing.backbones import load_backbone
from probing.extraction.states import decode
from probing.heads.head import load_head
from probing.runs import Run
from probing.serving import open_exported


@pytest.mark.parametrize("cases", [60, pytest.param(500, marks=pytest.mark.long)])
def test_no_reader_of_any_format_fails_otherwise_than_with_a_probe_error(
    cases: int, tmp_path: Path
) -> None:
    code, said = in_process("fuzz", cases, tmp_path)
    assert code == 0, said[-3000:]
    counted = re.search(r"^fuzz: (\d+) cases, 0 failures$", said, re.MULTILINE)
    assert counted
    assert int(counted[1]) >= cases


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)

    def __init__(self, path: Path) -> None:
        self.path = str(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_that_are_a_pickle_with_code_in_it_are_refused_and_not_run(
    zipped: bool, tmp_path: Path
) -> None:
    folder, trap = build("wavlm", tmp_path / "model"), tmp_path / "trap"
    (folder / "model.safetensors").unlink()
    if zipped:
        torch.save({"encoder.weight": Payload(trap)}, folder / "pytorch_model.bin")
    else:
        (folder / "pytorch_model.bin").write_bytes(
            pickle.dumps({"encoder.weight": Payload(trap)}, 2)
        )
    with pytest.raises(ProbeError):
        load_backbone(str(folder), device="cpu")
    assert not trap.exists()


def claiming(header: bytes, at: int, n: int, value: int, order: str = "little") -> bytes:
    return header[:at] + value.to_bytes(n, order) + header[at + n :]  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["wav", "flac", "au"])
def test_a_header_that_claims_hours_costs_neither_time_nor_memory(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{kind}"
    soundfile.write(path, speech(0, 8000), 16000, subtype="PCM_16")
    content = path.read_bytes()
    if kind == "wav":
        content = claiming(content, content.index(b"data") + 4, 4, 0x7FFFFF00)
    elif kind == "flac":  # 36 bits of total samples end the 18th byte of the stream information
        content = claiming(content, 4 + 4 + 14, 4, 0x7FFFFFFF, "big")
    else:
        content = claiming(content, 8, 4, 0x7FFFFF00, "big")
    path.write_bytes(content)
    clip = decode("a", path, Cropping(3600.0), 400)
    assert clip.waveform is None or len(clip.waveform) == 8000
    assert clip.failure or clip.waveform is not None


def test_json_that_is_nested_a_million_deep_is_refused_by_every_reader(tmp_path: Path) -> None:
    deep = "[" * 1_000_000
    for name in ("run.json", "serving.json", "config.json", "head.json", "cache.json"):
        (tmp_path / name).write_text(deep)
    readers = (
        Cache,
        Run,
        open_exported,
        lambda folder: load_backbone(str(folder)),
        lambda folder: load_head(folder / "head"),
    )
    for read in readers:
        with pytest.raises(ProbeError):
            read(tmp_path)
