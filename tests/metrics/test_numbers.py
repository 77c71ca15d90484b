"""Figures of numbers are those of scikit-learn and scipy where they have them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, r2_score

from probing.metrics import number_figures
from probing.metrics.eer import ScoresError


@settings(deadline=None)
@given(st.integers(3, 60), st.integers(0, 10_000))
def test_figures_are_those_of_the_libraries(n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    y = generator.normal(size=n).round(1)
    y[0] = y.max() + 1
    predicted = y + generator.normal(size=n).round(1)
    predicted[1] = predicted.max() + 1
    found = number_figures(y, predicted)
    assert found.r2 == pytest.approx(r2_score(y, predicted))
    assert found.mean_absolute_error == pytest.approx(mean_absolute_error(y, predicted))
    assert found.spearman == pytest.approx(spearmanr(y, predicted).statistic)
    assert abs(found.concordance) <= abs(pearsonr(y, predicted).statistic) + 1e-12


def test_a_constant_prediction_has_no_rank_and_no_concordance() -> None:
    found = number_figures([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    assert np.isnan(found.spearman)
    assert (found.r2, found.concordance) == (0, 0)


def test_a_shift_lowers_concordance_but_not_the_rank() -> None:
    y = np.arange(10.0)
    found = number_figures(y, y + 5)
    assert found.spearman == pytest.approx(1)
    assert found.concordance < 0.5


@pytest.mark.parametrize(
    ("y", "predicted", "message"),
    [
        ([1.0, 1.0], [1.0, 2.0], "all are alike"),
        ([1.0], [1.0], "2 or more"),
        ([1.0, 2.0], [1.0], "as many"),
        ([1.0, np.nan], [1.0, 2.0], "finite"),
    ],
)
def test_what_has_no_figures_is_refused(
    y: list[float], predicted: list[float], message: str
) -> None:
    with pytest.raises(ScoresError, match=message):
        number_figures(y, predicted)
