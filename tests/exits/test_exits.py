"""Early exit: the policy, what a run says of it, and that scoring by it stops where it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hand_made import write_cache
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cache.errors import OptionError, ProbeError
from probing.exits import (
    CONFIDENCES,
    ExitPolicy,
    confidences,
    find_exits,
    fit_policies,
    read_policy,
    write_exits,
)
from probing.metrics import eer
from probing.runs import Run
from probing.sweep import DepthOptions, SweepOptions, sweep

LOG_ODDS = arrays(np.float64, (4, 6), elements=st.floats(-30, 30, allow_subnormal=False))


def policy(confidence: str = "probability", threshold: float | None = 0.9) -> ExitPolicy:
    return ExitPolicy("linear", (1, 2, 4, 6), (1.0,) * 4, (0.0,) * 4, confidence, threshold)


def easy_and_hard(n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes, which are easy, and scores (3, n) of exits: easy ones are told apart at
    the first.
    """
    generator = np.random.default_rng(0)
    positive = np.arange(n) % 2 == 0
    easy = np.arange(n) % 4 < 2
    sign = np.where(positive, 1.0, -1.0)
    noise = generator.normal(scale=0.5, size=(3, n))
    first = np.where(easy, 6 * sign, 0.0) + noise[0]
    second = np.where(easy, 6 * sign, 0.5 * sign) + noise[1]
    return positive, easy, np.stack([first, second, 8 * sign + noise[2]])


@pytest.mark.parametrize("confidence", ["probability", "entropy"])
def test_easy_utterances_leave_at_once_and_hard_ones_stay(confidence):
    positive, easy, scores = easy_and_hard()
    found = fit_policies("linear", (1, 2, 6), positive, scores, confidence, "1pt").chosen
    at, left = found.apply(scores)
    assert eer(positive, left) <= 0.01
    assert (at[easy] == 0).mean() > 0.9
    assert (at[~easy] > 0).mean() > 0.95


def test_probability_and_entropy_order_two_classes_alike():
    positive, _, scores = easy_and_hard()
    one, other = (
        fit_policies("linear", (1, 2, 6), positive, scores, kind, 0.1)
        for kind in ("probability", "entropy")
    )
    apart = [
        (p.apply(scores)[0] != q.apply(scores)[0]).sum()
        for p, q in zip(one.tried, other.tried, strict=True)
    ]
    assert max(apart) <= 1  # at most the utterance whose confidence is the threshold, by rounding


def test_the_chosen_threshold_computes_least_of_those_within_the_margin():
    positive, _, scores = easy_and_hard()
    scores = scores * [[0.3], [0.6], [0.25]]  # the last exit errs too
    found = fit_policies("linear", (1, 2, 6), positive, scores, margin="2pt")
    depth = {}
    for tried in found.tried:
        at, left = tried.apply(scores)
        if eer(positive, left) <= eer(positive, scores[-1]) + 0.02 + 1e-9:
            depth[tried] = np.array([1, 2, 6])[at].mean()
    assert depth[found.chosen] == min(depth.values())


@given(LOG_ODDS, st.sampled_from(list(CONFIDENCES)))
def test_an_exit_is_sure_by_itself_and_those_before(log_odds, kind):
    whole = confidences(kind, log_odds)
    for k in range(1, len(log_odds)):
        np.testing.assert_array_equal(confidences(kind, log_odds[:k]), whole[:k])


@given(LOG_ODDS, st.sampled_from(["probability", "entropy"]), st.floats(0.5, 1))
def test_a_higher_threshold_never_lets_an_utterance_leave_earlier(log_odds, kind, threshold):
    low, high = policy(kind, threshold), policy(kind, (threshold + 1) / 2)
    assert (low.apply(log_odds)[0] <= high.apply(log_odds)[0]).all()


@given(LOG_ODDS, st.sampled_from(list(CONFIDENCES)), st.sampled_from([0.6, 0.9, 2.0, 3.0, None]))
def test_to_ask_exit_by_exit_is_to_apply_the_policy(log_odds, kind, threshold):
    asked = policy(kind, threshold)
    at, scores = asked.apply(log_odds)
    for i in range(log_odds.shape[1]):
        k = next(k for k in range(4) if asked.leaves(log_odds[: k + 1, i : i + 1])[0])
        assert (at[i], scores[i]) == (k, log_odds[k, i])


def test_agreement_counts_the_exits_in_a_row_that_decide_the_same():
    assert confidences("agreement", [[1], [-1], [-2], [-0.1]]).ravel().tolist() == [1, 1, 2, 3]
    at, _ = policy("agreement", 2.0).apply(np.array([[1.0, 1], [-1, 1], [-2, -1], [-0.1, -1]]))
    assert at.tolist() == [2, 1]


def test_a_policy_is_read_as_it_was_written():
    assert ExitPolicy.of(policy().as_dict()) == policy()
    assert ExitPolicy.of(policy(threshold=None).as_dict()) == policy(threshold=None)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"depths": [2, 1, 4, 6]},
        {"slopes": [1.0]},
        {"threshold": float("nan")},
        {"confidence": "mood"},
    ],
)
def test_a_spoilt_policy_is_refused(spoilt):
    with pytest.raises((ValueError, KeyError)):
        ExitPolicy.of(policy().as_dict() | spoilt)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Probes of layers 0 to 4, of which layers 2 to 4 are alike and the first two know nothing, and
    a head.
    """
    folder = tmp_path_factory.mktemp("exits")
    cache = write_cache(folder / "c.cache", separation=(0.0, 0.0, 2.5, 2.5, 2.5))
    depths = DepthOptions(heads=("mean+linear",), seeds=(0,), epochs=2)
    options = SweepOptions(resamples=100, strengths=(0.1,), control_seeds=(), depths=depths)
    return sweep(cache, folder / "c.run", options, say=lambda text: None)


def test_a_run_says_where_its_utterances_leave(run):
    found = find_exits(run, "linear")
    assert found.policy.depths == (0, 1, 2, 3, 4)
    assert found.leaving["all"].sum() == pytest.approx(1)
    assert found.leaving.set_index("depth").loc[[0, 1], "all"].sum() < 0.3  # they know nothing
    assert found.blocks == pytest.approx((found.leaving["all"] * found.leaving["depth"]).sum() / 4)
    assert found.blocks < 0.8
    assert np.isnan(found.macs)  # a cache made by hand has no backbone to measure
    assert found.difference.value == pytest.approx(found.at_exits.value - found.at_full.value)
    assert set(found.by_attack["attack"]) == {"A00", "A01", "A02"}
    assert f"{100 * found.blocks:.0f} % of the 4 blocks" in found.sentence


def test_the_threshold_is_chosen_without_eval(run):
    found = find_exits(run, "linear", margin="1pt")
    dev = found.curve[found.curve["split"] == "dev"].reset_index(drop=True)
    fits = dev[dev["eer"] <= dev["eer"].iloc[-1] + 0.01 + 1e-9]
    assert dev.loc[dev["chosen"], "depth"].iloc[0] == fits["depth"].min()


def test_the_last_threshold_tried_is_full_depth(run):
    found = find_exits(run, "mean+linear")
    last = found.curve[found.curve["split"] == "eval"].iloc[-1]
    assert (last["blocks"], last["eer"]) == (1, found.at_full.value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"head": "attentive+lstm"}, r"head=attentive\+lstm: .* has linear or mean\+linear"),
        ({"depths": (1, 9)}, r"depths=1,9: .* has the depths"),
        ({"confidence": "mood"}, r"confidence=mood: expected probability, entropy or agreement"),
        ({"margin": "much"}, "margin=much"),
        ({"head": "linear", "depths": (2,)}, "depths=2: early exit needs two depths or more"),
        ({"corpus": "elsewhere"}, "not evaluated on 'elsewhere'"),
    ],
)
def test_what_a_run_does_not_have_is_refused(options, expected, run):
    with pytest.raises((OptionError, ProbeError), match=expected):
        find_exits(run, **options)


def test_the_command_writes_policy_tables_and_picture(run, tmp_path, monkeypatch, capsys):
    from small_extraction import run_cli

    out = tmp_path / "exits"
    given = ["exits", str(run.folder), "--head", "linear", "--out", str(out), "--resamples", "100"]
    assert run_cli(given, monkeypatch) == 0
    assert {path.name for path in out.iterdir()} == {
        "about.json",
        "exits.json",
        "curve.csv",
        "depths.csv",
        "attacks.csv",
        "leaving.csv",
        "exits.png",
        "exits.svg",
    }
    assert " ".join(find_exits(run, "linear").sentence.split()) in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_place_that_is_a_run_or_a_file_is_refused_before_any_work(
    run, tmp_path, monkeypatch, capsys
):
    from small_extraction import run_cli

    (tmp_path / "file").write_text("x")
    for place in (run.folder, tmp_path / "file", tmp_path / "file" / "below"):
        assert (
            run_cli(
                ["exits", str(run.folder), "--head", "linear", "--out", str(place)], monkeypatch
            )
            == 2
        )
        output = capsys.readouterr()
        assert output.out == ""
        assert "--out" in output.err
    assert not (run.folder / "exits.json").exists()


def test_a_policy_is_read_from_its_folder_too(tmp_path):
    (tmp_path / "exits.json").write_text(json.dumps(policy().as_dict()))
    assert read_policy(tmp_path) == read_policy(tmp_path / "exits.json") == policy()
    with pytest.raises(ProbeError, match=r"none\.json: no such file"):
        read_policy(tmp_path / "none.json")


def test_a_policy_says_which_run_it_is_of_and_serves_no_other(run, tmp_path):
    found = find_exits(run, "linear", resamples=100)
    write_exits(found, tmp_path)
    assert read_policy(tmp_path, run) == read_policy(tmp_path) == found.policy
    written = json.loads((tmp_path / "exits.json").read_text())
    assert (written["run"], written["run_id"]) == (run.folder.name, run.id)
    (tmp_path / "exits.json").write_text(json.dumps(written | {"run": "b.run", "run_id": "0"}))
    with pytest.raises(ProbeError, match=f"is of another run, b.run 0, not of {run.folder}"):
        read_policy(tmp_path, run)
    # as an earlier version wrote it
    (tmp_path / "exits.json").write_text(json.dumps(found.policy.as_dict()))
    assert read_policy(tmp_path, run) == found.policy
