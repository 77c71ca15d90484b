"""Any sequence of writing, stopping, littering and extending keeps a store equal to a dictionary in
memory.
"""

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from random_store import Recipe, names

from cache import Cache, verify
from cache.writer import CacheWriter

POOL = names(40)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        self.folder, self.recipe = self.home / "c", Recipe()
        self.corpus: set[str] = set()
        self.written: set[str] = set()
        self.failed: dict[str, str] = {}
        self.writer: CacheWriter | None = None

    def teardown(self) -> None:
        self.close()
        shutil.rmtree(self.home)

    def close(self) -> None:
        if self.writer:
            self.writer.close()
            self.writer = None

    @initialize(
        ids=st.sets(st.sampled_from(POOL), min_size=1, max_size=12), shard_size=st.integers(1, 5)
    )
    def open_first(self, ids: set[str], shard_size: int) -> None:
        self.shard_size, self.corpus = shard_size, ids
        self.open()

    def open(self) -> None:
        self.close()
        corpus = self.recipe.corpus(sorted(self.corpus, reverse=True))
        self.writer = CacheWriter(self.folder, self.recipe.manifest(), corpus, self.shard_size)

    @rule(data=st.data())
    def write_a_shard(self, data: st.DataObject) -> None:
        if self.writer is None:
            self.open()
        assert self.writer
        pending = list(self.writer.pending())
        if pending:
            index, rows = data.draw(st.sampled_from(pending), label="shard")
            planned = list(rows["utterance_id"])
            bad = data.draw(st.sets(st.sampled_from(planned), max_size=2), label="failures")
            failures = {name: f"not decodable: {name}" for name in bad}
            self.recipe.write_shard(self.writer, index, planned, failures)
            self.failed |= failures
            self.written |= {name for name in planned if name not in failures}

    @rule()
    def reopen(self) -> None:
        self.open()

    @rule()
    def stop(self) -> None:
        self.close()

    @rule()
    def stop_without_closing(self) -> None:
        if self.writer:
            self.writer.lock.release()
            self.writer = None

    @rule(index=st.integers(0, 20), content=st.binary(max_size=9))
    def leave_a_partial_file(self, index: int, content: bytes) -> None:
        for name in (
            f"shard-{index:05d}.h5.partial",
            "cache.json.partial",
            "utterances.parquet.partial",
        ):
            (self.folder / name).write_bytes(content)

    @rule(index=st.integers(0, 20), content=st.binary(max_size=9))
    def leave_an_unrecorded_shard(self, index: int, content: bytes) -> None:
        path = self.folder / f"shard-{index:05d}.h5"
        if not path.exists():
            path.write_bytes(content)

    @rule(ids=st.sets(st.sampled_from(POOL), min_size=1, max_size=8))
    def extend(self, ids: set[str]) -> None:
        self.close()
        self.corpus = self.corpus | ids
        self.open()

    @rule()
    @precondition(lambda self: self.writer is None)
    def damage_the_table(self) -> None:
        (self.folder / "utterances.parquet").write_bytes(b"nothing")
        self.open()

    @invariant()
    def the_reader_agrees(self) -> None:
        if not self.corpus:
            return
        cache = Cache(self.folder)
        assert list(cache.utterances["utterance_id"]) == sorted(self.written)
        assert (
            dict(zip(cache.failures["utterance_id"], cache.failures["reason"], strict=True))
            == self.failed
        )
        assert cache.n_planned == len(self.corpus)
        assert cache.finished == (len(self.written) + len(self.failed) == len(self.corpus))
        if self.written:
            expected = [self.recipe.states(name, "pooled") for name in sorted(self.written)]
            np.testing.assert_array_equal(cache.pooled(), np.stack(expected, axis=1))
        if self.writer is None:
            assert verify(self.folder) == []


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
