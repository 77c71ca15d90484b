"""TextGrids are read as Praat reads them; each case was compared with Praat 6.1.38 itself
(praat-parselmouth 0.4.7).
"""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probing.alignments import AlignmentError, read_alignments
from probing.alignments.textgrid import read_textgrid

Tier = tuple[str, list[tuple[str, str, str]]]
LABELS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=9).map(
    lambda text: text.strip("\ufeff ")
)
PAIR = [("0", "0.5", "a"), ("0.5", "1", "b")]


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def long_form(*tiers: Tier) -> str:
    text = (
        'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 1\ntiers? '
        "<exists>\n"
    )
    text += f"size = {len(tiers)}\nitem []:\n"
    for i, (name, rows) in enumerate(tiers, 1):
        text += f'    item [{i}]:\n        class = "IntervalTier"\n        name = {quoted(name)}\n'
        text += f"        xmin = 0\n        xmax = 1\n        intervals: size = {len(rows)}\n"
        for j, (start, end, label) in enumerate(rows, 1):
            text += (
                f"        intervals [{j}]:\n            xmin = {start}\n            xmax = {end}\n"
            )
            text += f"            text = {quoted(label)}\n"
    return text


def short_form(*tiers: Tier) -> str:
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "0",
        "1",
        "<exists>",
        str(len(tiers)),
    ]
    for name, rows in tiers:
        lines += ['"IntervalTier"', quoted(name), "0", "1", str(len(rows))]
        lines += [field for start, end, label in rows for field in (start, end, quoted(label))]
    return "\n".join(lines) + "\n"


def read(
    text: str, folder: Path, tier: str | None = "phones", encoding: str = "utf-8"
) -> list[tuple[float, float, str]]:
    path = folder / "u.TextGrid"
    path.write_bytes(text.encode(encoding))
    return [(row.start, row.end, row.label) for row in read_textgrid(path, "u", tier) or []]


@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4), LABELS), max_size=5),
    st.sampled_from(["utf-8", "utf-16"]),
)
@settings(max_examples=40, deadline=None)
def test_long_and_short_files_give_every_interval_as_it_is(
    rows: list[tuple[float, float, str]], encoding: str
) -> None:
    tier = ("phones", [(repr(start), repr(end), label) for start, end, label in rows])
    words = ("words", [("0", "1", 'item [2]: class = "IntervalTier"')])
    with tempfile.TemporaryDirectory() as folder:
        for form in (long_form, short_form):
            found = read(form(words, tier), Path(folder), encoding=encoding)
            assert found == [(start, end, label.strip()) for start, end, label in rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (short_form(("phones", PAIR)).rstrip("\n"), "ab"),
        (long_form(("phones", PAIR)).replace("\n", "\r\n"), "ab"),
        (long_form(("phones", PAIR)).replace("\n", "\r"), "ab"),
        (long_form(("phones", PAIR)).replace("size = 1", "size = 1 ! 2 3 tiers", 1), "ab"),
        (long_form(("phones", PAIR)).replace("0.5", "50%"), "ab"),
        (short_form(("phones", PAIR)).replace("\n", " "), "ab"),
        (long_form(("phones", PAIR)).replace("0.5", "+5e-1"), "ab"),
        ("\ufeff" + short_form(("phones", PAIR)), "ab"),
        (short_form(("phones", PAIR)).replace('"ooTextFile"', '"ooTextFile short"', 1), "ab"),
    ],
)
def test_what_praat_reads_is_read(text: str, expected: str, tmp_path: Path) -> None:
    assert read(text, tmp_path) == [(0.0, 0.5, expected[0]), (0.5, 1.0, expected[1])]


def test_old_files_in_latin_1_are_read(tmp_path: Path) -> None:
    assert read(long_form(("phones", [("0", "1", "é")])), tmp_path, encoding="latin-1") == [
        (0.0, 1.0, "é")
    ]


def test_a_tier_is_chosen_by_name_and_intervals_without_a_label_are_counted(tmp_path: Path) -> None:
    text = long_form(
        ("words", [("0", "1", "hi")]), ("phones", [("0", "0.5", ""), ("0.5", "1", "b")])
    )
    (tmp_path / "u.TextGrid").write_text(text)
    found = read_alignments(tmp_path, tier="phones")
    assert list(found.table.itertuples(index=False, name=None)) == [("u", 0.5, 1.0, "b")]
    assert found.excluded == {"without a label": 1}
    with pytest.raises(
        AlignmentError, match=r"2 tiers of intervals: 'words', 'phones'\. Name one: tier"
    ):
        read_alignments(tmp_path)
    with pytest.raises(AlignmentError, match=r"no tier 'tones', only 'words', 'phones'"):
        read_alignments(tmp_path, tier="tones")


def test_files_that_lack_the_tier_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.TextGrid").write_text(long_form(("phones", PAIR)))
    (tmp_path / "b.TextGrid").write_text(long_form(("words", PAIR)))
    found = read_alignments(tmp_path, tier="phones")
    assert set(found.table["utterance_id"]) == {"a"}
    assert any(
        "1 of 2 files have no tier 'phones'" in note and "b.TextGrid" in note
        for note in found.notes
    )


def test_the_only_tier_of_intervals_needs_no_name_and_points_are_none(tmp_path: Path) -> None:
    points = '"TextTier"\n"tones"\n0\n1\n1\n0.5\n"H*"\n'
    text = short_form(("phones", PAIR)).replace("<exists>\n1", "<exists>\n2", 1) + points
    assert read(text, tmp_path, None) == [(0.0, 0.5, "a"), (0.5, 1.0, "b")]
    with pytest.raises(AlignmentError, match="has points, not intervals"):
        read(text, tmp_path, "tones")


@pytest.mark.parametrize("form", [long_form, short_form])
def test_a_file_that_is_cut_short_is_refused(form, tmp_path: Path) -> None:
    text = form(("words", PAIR), ("phones", PAIR))
    for end in range(0, len(text.rstrip()), 7):
        with pytest.raises(AlignmentError, match="no TextGrid as Praat writes it"):
            read(text[:end], tmp_path)


def test_tiers_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AlignmentError, match="2 tiers are called 'phones'"):
        read(long_form(("phones", PAIR), ("phones", PAIR)), tmp_path)
