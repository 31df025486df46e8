"""The note on a study's run in MLflow."""

from __future__ import annotations

import re

import pytest

from assay.experiments.formatting import escape_markdown
from assay.experiments.tracking.note import (
    FINALIZE,
    SEARCH,
    BestRun,
    NoteLinks,
    finalize_part,
    replace_part,
    search_part,
)
from assay.experiments.tracking.schema import MAX_TAG_CHARACTERS
from assay.search.events import BestTrial, FinalistConfiguration, FinalizeJudged
from assay.search.objective import Objectives

LINKS = NoteLinks("1", "a" * 32, "5eed")
ONE = Objectives.read(["maximize val_accuracy"])
TWO = Objectives.read(["maximize val_accuracy", "minimize parameters"])
BEST = BestRun(BestTrial(7, (0.9,)), "b" * 32, {"hidden_units": "64", "activation": "relu"})
HOSTILE = (
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![i](http://evil.example/x.png)",
    "| pipe | **bold** _i_ `code` ~~s~~",
    "<!-- /assay:search --> <!-- assay:finalize -->",
    "http://a.example www.a.example a@a.example",
    "&lt;b&gt; &#60; \\<b\\>",
    "\x1b[31mred\nnew line",
    "# head",
    "- list",
    "1. list",
    "{{template}} $math$ ^x^",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_user_means_anything_in_markdown(text: str) -> None:
    escaped = escape_markdown(text)
    without_entities = re.sub(r"&#\d+;", "", escaped)
    assert not re.search(r"[<>&\[\]|*_`~#\\!/@{}$^\x1b\n]|:[^ ]", without_entities)
    assert not re.search(r"(?i)\bwww\.", escaped)
    assert not re.match(r"[-+] |\d+\. ", escaped)


def test_ordinary_text_stays_readable() -> None:
    text = "relu 0.9707, 95 % of 22; a-b: it can't be told (trial 3)"
    assert escape_markdown(text) == text
    assert len(escape_markdown("x" * 1000)) == 400


def test_the_search_part_names_best_claim_checks_and_pages() -> None:
    found = {"assay.claim": "0.9 on 80 images\nahead of the baseline", "assay.checks": "few: more"}
    text = "\n".join(search_part("mine", ONE, [BEST], 1, found, LINKS, has_view=True))
    assert "**Best of the search: val&#95;accuracy 0.9000**, of [trial 7](#/experiments/1/" in text
    assert "| hidden&#95;units | 64 |" in text
    assert "- ahead of the baseline" in text
    assert "Checks that fire:\n\n- few" in text
    assert "[the best trials side by side](#/experiments/1/runs?viewStateShareKey=assay-5e" in text
    assert f"`assay reproduce {'b' * 32}`" in text


def test_without_a_complete_trial_the_search_part_says_so() -> None:
    found = {"assay.claim": "none", "assay.checks": "none"}
    text = "\n".join(search_part("mine", ONE, [], 0, found, LINKS, has_view=False))
    assert text.startswith("**No trial is complete.**")
    assert "Checks" not in text
    assert "viewStateShareKey" not in text


def test_a_front_is_a_table_of_its_trials() -> None:
    front = [BestRun(BestTrial(n, (0.5, 10 * n)), f"{n}" * 32, {"width": n}) for n in (1, 2)]
    text = "\n".join(search_part("mine", TWO, front, 30, {}, LINKS, has_view=False))
    assert "**Pareto front: 30 trials**" in text
    assert re.search(r"\| \[2\]\(#/\S+\) \| 0.5000 \| 20 \| 2 \|", text)
    assert "and 28 more" in text


def test_the_finalize_part_has_the_verdicts_and_the_leader_first() -> None:
    judged = FinalizeJudged(
        opening=2, leader=7, verdicts={"3": "worse", "7": "leader"}, text=("Trial 7 leads.",)
    )
    finalists = [
        FinalistConfiguration(3, {"width": 8}, is_baseline=True),
        FinalistConfiguration(7, {"width": 64}),
    ]
    text = "\n".join(finalize_part(judged, finalists, "no file", LINKS))
    assert "the test set was opened for the 2nd time" in text
    assert text.index("| **7** | leader | 64 |") < text.index("| 3 | baseline, worse | 8 |")
    assert "- Trial 7 leads." in text
    assert "No network is registered: no file" in text


def test_only_what_stands_between_the_comments_is_replaced() -> None:
    note = replace_part("", SEARCH, ["first", "last"])
    edited = f"mine above\n{note}\nmine below"
    again = replace_part(edited, SEARCH, ["second", "last"])
    assert again == edited.replace("first", "second")
    assert replace_part(again, SEARCH, ["second", "last"]) == again


def test_a_note_without_our_comments_is_kept_above() -> None:
    note = replace_part("what a user wrote", SEARCH, ["ours", "last"])
    assert note.startswith("what a user wrote\n\n<!-- assay:search")


def test_the_finalize_part_stands_before_that_of_the_search() -> None:
    note = replace_part(replace_part("", SEARCH, ["s", "t"]), FINALIZE, ["f", "g"])
    assert note.index("assay:finalize") < note.index("assay:search")
    assert replace_part(note, SEARCH, ["s", "t"]) == note


def test_a_part_that_lost_its_end_is_not_replaced() -> None:
    broken = replace_part("", SEARCH, ["s", "t"]).replace("<!-- /assay:search -->", "mine")
    assert replace_part(broken, SEARCH, ["new", "t"]).startswith(broken)


def test_a_note_that_is_too_long_loses_blocks_in_its_middle() -> None:
    blocks = ["first", "x" * MAX_TAG_CHARACTERS, "kept", "last"]
    note = replace_part("mine", SEARCH, blocks)
    assert len(note) <= MAX_TAG_CHARACTERS
    assert "first\n\nkept\n\nlast" in note
    full = "y" * MAX_TAG_CHARACTERS
    assert replace_part(full, SEARCH, blocks) == full, "no room beside what a user wrote"


def test_a_study_whose_name_is_no_plain_word_is_no_code() -> None:
    text = search_part("a `b`", ONE, [BEST], 1, {}, LINKS, has_view=False)[-1]
    assert "assay show 'a &#96;b&#96;'" in text
