"""Names of others are text in every part of a report: in HTML, in figures and in what the script
reads.
"""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import write_cache

from analysis import save_report
from analysis.reports.tables import FIGURE_SPACE, table_of
from probing.sweep import DepthOptions, SweepOptions, sweep
from probing.targets.options import TargetOptions

STRANGE = ['<b>x</b>&"', "</script><b>y</b>", "<!--<script>", "]]>&lt;\u2028'\ufffe"]
OPTIONS = {
    "strengths": (0.1,),
    "control_seeds": (),
    "resamples": 100,
    "depths": DepthOptions(heads=()),
}


class Parsed(HTMLParser):
    """Tags, texts and the contents of scripts, as a browser tells them apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.scripts: list[tuple[str, str]] = []
        self.text = ""
        self._in: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [f"{name}={value}" for name, value in attributes]
        if tag == "script":
            self._in.append(dict(attributes).get("type") or "")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self._in:
            self.scripts.append((self._in.pop(), data))
        else:
            self.text += data


@pytest.fixture(scope="module", params=["label", "<b>of</b>&"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    def strange(table: pd.DataFrame) -> pd.DataFrame:
        names = np.array(STRANGE)[np.arange(len(table)) // 2 % 4]
        attack = np.where(table["label"] == "spoof", names, "-")
        ids = "<b>" + table["utterance_id"] + "</b>"
        speaker = '<i>&"' + table["speaker"]
        return table.assign(
            attack=attack, utterance_id=ids, speaker=speaker, **{"<b>of</b>&": names}
        )

    folder = tmp_path_factory.mktemp("strange")
    cache = write_cache(folder / "c.cache", change=strange, name=STRANGE[1], corpus_name="<b>c</b>")
    by = ("attack", "speaker") if request.param == "label" else ()
    options = SweepOptions(target=TargetOptions(target=request.param), by=by, **OPTIONS)  # type: ignore[arg-type]
    run = sweep(cache, folder / "<b>r</b>.run", options, say=lambda text: None)
    return Path(save_report(run, folder / "r.html")).read_text()


def test_no_name_is_taken_for_html_or_ends_a_script(page: str) -> None:
    found = Parsed(page)
    assert not {"b", "i"} & set(found.tags)
    own = [content for kind, content in found.scripts if not kind]
    values = [content for kind, content in found.scripts if kind == "application/json"]
    assert len(own) == 1
    assert found.tags.count("script") == len(found.scripts) == len(values) + 1
    series = [of_figure for content in values for of_figure in json.loads(content)]
    names = {name.rsplit(" (", 1)[0] for name, _, _ in series}
    assert set(STRANGE[:3]) <= names
    assert all(name in found.text for name in STRANGE[:3])
    assert f"aria-label={STRANGE[1]}" not in page


def test_tables_escape_names_line_up_numbers_and_offer_to_sort() -> None:
    columns = {
        "<b>name</b>": STRANGE[:2],
        "eer %": [9.5, 45.25],
        "95 %": ["9.1 .. 45.3", "10.0 .. 5.0"],
        "strength": [0.001, 10.0],
        "empty": [np.nan, np.nan],
        "mixed": ["1", "none shown"],
    }
    text = table_of(pd.DataFrame(columns))
    found = Parsed(text)
    assert "b" not in found.tags
    assert found.tags.count("button") == 6
    assert found.attributes.count("aria-sort=none") == 6
    assert found.attributes.count("class=n") == 3 * 3
    assert "9.1 .. 45.3</td>" in text
    assert f"10.0 .. {FIGURE_SPACE}5.0</td>" in text
    assert "0.001</td>" in text
    assert f"10\u2008{3 * FIGURE_SPACE}</td>" in text
    assert '<th scope="row">&lt;b&gt;x&lt;/b&gt;&amp;&quot;</th>' in text
    assert "button" not in Parsed(table_of(pd.DataFrame({"a": [1.0]}))).tags
