"""Power: what a corpus can show about depth, before a sweep and in its sentence."""

from pathlib import Path

import numpy as np
import pytest
from hand_made import write_cache
from numpy.typing import NDArray
from scipy.stats import norm
from small_extraction import run_cli

from cache import ProbeError
from probing.metrics import draw, eer, eer_resamples
from probing.metrics.clusters import Clusters, Factor
from probing.sweep.depth_finding import DepthFinding, find_depth
from probing.sweep.margin import Margin
from probing.sweep.planning import Plan, plan


def planned(n_speakers: int, margin: float | str = 0.1, per_speaker: int = 10) -> Plan:
    speaker = np.repeat(np.arange(2 * n_speakers), per_speaker)
    return plan(speaker < n_speakers, Clusters((Factor("speaker", speaker),)), margin)


def test_power_grows_with_speakers_error_rate_and_margin() -> None:
    few, many, wide = planned(20), planned(200), planned(20, 0.5)
    for found in (few, many, wide):
        assert (found.table["power"].diff().dropna() > -3).all()
        assert found.table["power"].between(0, 100).all()
    assert (many.table["power"] >= few.table["power"]).all()
    assert (wide.table["power"] >= few.table["power"]).all()
    assert few.table["power"].iloc[0] < 20
    assert (many.table["half_width"] < few.table["half_width"] / 2).all()


def test_as_many_speakers_as_are_needed_have_the_power() -> None:
    needed = int(planned(40).table.set_index("eer").loc[20, "needed"])
    assert planned(needed).table.set_index("eer").loc[20, "power"] == pytest.approx(80, abs=9)


def test_the_plan_of_a_cache_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cache(tmp_path / "c.cache")
    assert (
        run_cli(["sweep", str(tmp_path / "c.cache"), "--plan", "--margin", "5pt"], monkeypatch) == 0
    )
    output = " ".join(capsys.readouterr().out.split())
    assert "power %" in output
    assert "A margin of 5 points of EER is shown in four corpora of five" in output
    assert [path.name for path in tmp_path.iterdir()] == ["c.cache"]


def found(rates: dict[int, float], margin: float | str, seed: int = 0, n: int = 40) -> DepthFinding:
    """The finding on scores of these true rates, of which a third of the variance is of the speaker
    and half shared.
    """
    generator, speaker = np.random.default_rng(seed), np.repeat(np.arange(2 * n), 10)
    bonafide = speaker < n

    def noise() -> NDArray[np.float64]:
        return (
            generator.normal(size=2 * n)[speaker] + generator.normal(size=len(speaker)) * 2**0.5
        ) / 3**0.5

    common = noise()
    scores = {
        d: (common + noise()) / 2**0.5 - 2 * norm.ppf(rate) * bonafide for d, rate in rates.items()
    }
    drawn = draw(bonafide, speaker, n=400)
    resampled = {
        depth: eer_resamples(bonafide, of_depth, drawn) for depth, of_depth in scores.items()
    }
    return find_depth(
        "b",
        "h",
        {d: eer(bonafide, of_depth) for d, of_depth in scores.items()},
        resampled,
        margin,
        drawn,
    )


def test_the_bound_that_decided_is_printed_and_lies_within_the_margin() -> None:
    relative, points = found({1: 0.3, 2: 0.1, 3: 0.2}, 0.1), found({1: 0.3, 2: 0.1, 3: 0.2}, "2pt")
    assert relative.depth == points.depth == 2
    assert relative.bound is not None
    assert points.bound is not None
    assert relative.bound < 0.1
    assert points.bound < 0.02
    assert f"at most {100 * relative.bound:+.1f} % relative (one-sided 95 %)" in relative.sentence()
    assert f"at most {100 * points.bound:+.1f} points (one-sided 95 %)" in points.sentence()
    assert "within 2 points of EER" in points.sentence()


def test_where_no_depth_is_shown_the_sentence_says_what_is_not_excluded_and_what_would_decide() -> (
    None
):
    finding = found({1: 0.2, 2: 0.2, 3: 0.2}, 0.1)
    assert finding.reason == "no-depth"
    assert finding.first == 2
    assert finding.first_bound is not None
    assert finding.first_bound > 0.1 * finding.at_full.value
    assert finding.needed is not None
    assert finding.needed > finding.fewest == 40
    assert "This does not say that more layers are needed" in finding.sentence()
    assert f"up to {100 * finding.first_bound:+.1f} are not excluded" in finding.sentence()
    assert f"about {finding.needed:,} speakers instead of 40" in finding.sentence()
    assert found({1: 0.2, 2: 0.2, 3: 0.2}, 0.0).needed is None


@pytest.mark.parametrize("margin", ["moon", "nan", "-1pt", "-0.1", "inf", "100pt", ""])
def test_a_margin_that_is_none_is_refused(margin: str) -> None:
    with pytest.raises(ProbeError, match=r"margin=.*: expected a finite number"):
        Margin.of(margin)


def test_a_margin_is_kept_as_it_was_told() -> None:
    for margin in (0.1, "2pt", "0.5pt", 0.0):
        assert Margin.of(margin).plain == margin
        assert Margin.of(str(margin)) == Margin.of(margin)
