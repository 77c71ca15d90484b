"""The columns that a corpus has beside the common ones travel into the cache, and
through a repair.
"""

from pathlib import Path

import corpus_trees as trees
import pandas as pd
from small_extraction import machine, quiet

from cache import Cache
from probing.corpora import load_corpus
from probing.extraction import Options, extract, repair


def test_conditions_of_a_protocol_are_in_the_table_of_the_cache(
    backbone: Path, tmp_path: Path
) -> None:
    corpus = load_corpus(
        f"asvspoof2021-df:{trees.asvspoof2021(tmp_path / 'df', 'DF', trees.DF_2021)}"
    )
    options, folder = Options(backbone=str(backbone)), tmp_path / "c"
    extract(folder, corpus.only(["eval"]), options, machine(), say=quiet)
    cache = extract(folder, corpus, options, machine(), say=quiet)
    expected = corpus.utterances.sort_values("utterance_id", ignore_index=True)
    stored = pd.read_parquet(folder / "utterances.parquet")
    for table in (cache.utterances, stored):
        pd.testing.assert_frame_equal(table[list(expected.columns)], expected, check_dtype=False)
    chosen = cache.layer(
        1, where={"codec": "low_m4a", "vocoder": "neural_vocoder", "language": "E"}
    )[1]
    assert list(chosen["utterance_id"]) == ["DF_E_2000013"]

    damaged = folder / "utterances.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    repair(folder, None, machine(), say=quiet)
    pd.testing.assert_frame_equal(Cache(folder).utterances, cache.utterances)


def test_further_columns_of_a_manifest_are_in_the_table_of_the_cache(
    backbone: Path, tmp_path: Path
) -> None:
    trees.write_audio(tmp_path / "a.flac", tmp_path / "b.flac")
    table = pd.DataFrame(
        {
            "path": ["a.flac", "b.flac"],
            "label": ["real", "fake"],
            "codec": ["opus", None],
            "snr": [1, 2],
        }
    )
    table.to_parquet(tmp_path / "m.parquet")
    corpus = load_corpus(str(tmp_path / "m.parquet"))
    cache = extract(tmp_path / "c", corpus, Options(backbone=str(backbone)), machine(), say=quiet)
    assert cache.utterances[["codec", "snr"]].to_numpy().tolist() == [["opus", "1"], ["", "2"]]
