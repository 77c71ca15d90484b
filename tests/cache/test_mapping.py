"""What is mapped of a cache: it is let go before it counts for much, and more files than a process
may have open.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stored_states import store as stored

from cache import Cache, mapping

READ = """
import resource, sys
from cache import Cache
resource.setrlimit(resource.RLIMIT_NOFILE, (32, int(sys.argv[2])))
cache = Cache(sys.argv[1])
print(cache.pooled().shape, cache.pooled().sum() != 0)
"""


def mapped_bytes(folder: Path) -> int:
    """Of files in a folder, as memory of this process."""
    rss, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            ours = str(folder) in line
        elif ours and line.startswith("Rss:"):
            rss += 1024 * int(line.split()[1])
    return rss


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="as Linux tells it")
@pytest.mark.parametrize("tier", ["pooled", "frames"])
def test_what_was_read_of_a_cache_is_let_go_before_it_counts_as_more_memory_than_allowed(
    tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_layers, n, dim = 8, 60, 1024
    generator = np.random.default_rng(0)
    pooled = generator.normal(size=(n_layers, n, 2, dim)).astype(np.float32)
    frames = [generator.normal(size=(n_layers, 4, dim)).astype(np.float32) for _ in range(n)]
    cache = stored(tmp_path / "c", pooled, frames=frames)
    monkeypatch.setattr(mapping, "MOST_BYTES", 500_000)
    most = 0
    for _ in range(2):
        for k in cache.layers:
            x, table = cache.layer(k, tier)
            np.testing.assert_array_equal(
                x, pooled[k] if tier == "pooled" else np.concatenate([f[k] for f in frames])
            )
            most = max(most, mapped_bytes(cache.folder))
            if tier == "frames":
                for name, clip in zip(table["utterance_id"][::6], frames[::6], strict=True):
                    np.testing.assert_array_equal(cache.frames([name])[0], clip)
                most = max(most, mapped_bytes(cache.folder))
    # beside what a read takes, the system maps 64 KiB around each place: of all that was read there
    # are 4 or 8 MB
    assert 0 < most < 3_000_000


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_a_cache_of_more_shards_than_files_may_be_open_is_read_or_says_what_to_type(store) -> None:
    folder = store(40, shard_size=1)

    def read(most: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", READ, str(folder), str(most)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert read(1024).stdout.split(") ")[1] == "True\n"
    refused = read(32).stderr
    assert (
        "no more files open, and each of its 40 shards is one. Allow more: ulimit -n 1064"
        in refused
    )
    assert "CacheCorrupt" not in refused
    assert len(Cache(folder).pooled()[0]) == 40
