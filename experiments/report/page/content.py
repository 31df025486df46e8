"""What a report says: its records as a document."""

from __future__ import annotations

from collections import Counter

from assay.experiments.report.crate import CRATE_FILE
from assay.experiments.report.page.cells import shorten
from assay.experiments.report.page.closing_sections import (
    build_again_section,
    build_check_section,
    build_cost_section,
    build_untried_section,
)
from assay.experiments.report.page.comparison import build_comparison
from assay.experiments.report.page.document import Chapter, Code, Document
from assay.experiments.report.page.finalist_sections import (
    build_curve_section,
    build_error_section,
    build_finalist_section,
)
from assay.experiments.report.page.search_sections import build_matter_section, build_search_section
from assay.experiments.report.page.summary import summarize
from assay.experiments.report.page.view import StudyView
from assay.experiments.report.records import Environment, ReportRecords, StudyRecord
from assay.experiments.report.store import ENVIRONMENT, MANIFEST, MARKDOWN, PAGE, RECORDS

_LONGEST_TITLE = 120
_FILES = (
    (PAGE, "this page"),
    (MARKDOWN, "the same as Markdown, to commit, with its figures in figures/"),
    (RECORDS, "all numbers of the page, one record per line"),
    (ENVIRONMENT, "versions, commit, machine and packages"),
    (MANIFEST, "SHA-256 digests of the files"),
    (CRATE_FILE, "what the files are, for machines (RO-Crate)"),
)


def build_document(records: ReportRecords, environment: Environment) -> Document:
    """Return the content of a report."""
    report = records.report
    views = [StudyView(study, records) for study in records.studies]
    titles = Counter(_name(view.study) for view in views)
    chapters = [
        _build_chapter(view, environment, is_unique=titles[_name(view.study)] == 1)
        for view in views
    ]
    if len(views) > 1:
        chapters.insert(0, build_comparison(records, views))
    return Document(
        title=shorten(report.title or ", ".join(report.studies), _LONGEST_TITLE),
        collected=(
            f"Records collected {report.collected.removesuffix('Z').replace('T', ' ')[:16]} UTC "
            f"by Assay {report.version}."
        ),
        chapters=chapters,
        files=_FILES,
        closing=[
            *([Code(report.command, "It was made by:", "sh")] if report.command else []),
            Code(
                "# verify the files\nsha256sum --check manifest-sha256.txt\n\n"
                "# draw the page again from records.jsonl and environment.json alone\n"
                "assay report --from .",
                "In the folder of this page:",
                "sh",
            ),
        ],
    )


def _name(study: StudyRecord) -> str:
    return study.title or study.study


def _build_chapter(view: StudyView, environment: Environment, *, is_unique: bool) -> Chapter:
    study = view.study
    # Studies of one experiment have its title.
    title = _name(study) if is_unique else f"{study.study}: {_name(study)}"
    lines = [
        f"Study {study.study} of the experiment {study.experiment}: {study.family} on "
        f"{study.data.name}, {', '.join(study.objectives)}, sampler {study.sampler}."
    ]
    if study.source:
        lines.append(f"Source: {study.source}.")
    sections = [
        build_finalist_section(view),
        build_search_section(view),
        build_matter_section(view),
        build_curve_section(view),
        build_error_section(view),
        build_check_section(view),
        build_cost_section(study),
        build_untried_section(study),
        build_again_section(view, environment),
    ]
    return Chapter(
        title=shorten(title, _LONGEST_TITLE),
        anchor=view.anchor,
        lines=lines,
        summary=summarize(view),
        sections=[one for one in sections if one is not None],
    )
