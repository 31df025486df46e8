"""The folder of a report.

<folder>/
    report.html  report.md  figures/      drawn from the records
    records.jsonl                         the records
    environment.json                      what the studies ran in
    ro-crate-metadata.json                what made these files
    manifest-sha256.txt                   digests of all of them, as `sha256sum --check` reads them

A file is replaced by a rename, and the manifest last: after a death in between it names a file that
differs. Other files in the folder are left alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from assay.experiments.report.crate import CRATE_FILE, build_crate
from assay.experiments.report.records import (
    FORMAT,
    Environment,
    ReportRecords,
    from_lines,
    to_lines,
)
from assay.models.errors import DamagedFile, RequestError
from assay.models.files import open_user_file
from assay.search.system.files import FileLock, unwritable_error

MANIFEST, RECORDS, ENVIRONMENT = "manifest-sha256.txt", "records.jsonl", "environment.json"
PAGE, MARKDOWN = "report.html", "report.md"

_MOST_BYTES = 256 << 20
_MOST_FILES = 10_000
_NAME = re.compile(r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*", re.ASCII)
_MANIFEST_LINE = re.compile(r"([0-9a-f]{64})  (\S+)", re.ASCII)
_STAGING = ".assay-report-"


def write_report(
    folder: Path,
    records: ReportRecords,
    environment: Environment,
    pages: Mapping[str, bytes],
) -> list[str]:
    """Write a report into its folder, in the place of an earlier one.

    Args:
        folder: the folder, which need not exist.
        records: of the report.
        environment: what its studies ran in.
        pages: content of what is drawn from the records, by name, such as "report.html" and
            "figures/history.svg".

    Returns:
        The names of all files in the folder that belong to the report, the manifest last.

    Raises:
        RequestError: the folder can't be one, or has a link where a file of the report belongs.
        SearchError: it can't be written, for example because the disk is full.
    """
    files = {**pages, RECORDS: _encode_records(records), ENVIRONMENT: _encode(environment)}
    files[CRATE_FILE] = build_crate(records, environment, files)
    return write_files(folder, files)


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Write files and their manifest into a folder, in the place of those of an earlier call.

    Args:
        folder: the folder, which need not exist.
        files: content of each file by its name in the folder.

    Returns:
        The names of all of them, the manifest last.

    Raises:
        RequestError: the folder can't be one, or has a link where a file belongs.
        SearchError: it can't be written, for example because the disk is full.
    """
    for name in (*files, MANIFEST):
        assert _NAME.fullmatch(name), f"no name of a report's file: {name!r}"
    with _write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder):
            earlier = _read_earlier_manifest(folder)
            _remove_staging(folder)
            for name in (*files, MANIFEST):
                _check_no_link(folder, name)
            staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
            try:
                _replace_files(folder, staging, files)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
            _remove_outdated(folder, earlier, files)
    return [*files, MANIFEST]


def read_report(folder: Path) -> tuple[ReportRecords, Environment]:
    """Return the records of a report, and what its studies ran in.

    Files that are drawn from them may be missing; none may differ from the manifest.

    Raises:
        RequestError: there is no report in the folder, a file differs from its digest, or can't be
            read.
    """
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}: give that of a report.")
    if not (folder / MANIFEST).exists():
        raise RequestError(
            f"a report's folder must have a {MANIFEST}: {folder} has none; give that of a report."
        )
    digests = _parse_manifest(_read(folder, MANIFEST))
    contents: dict[str, bytes] = {}
    for name, digest in digests.items():
        is_source = name in (RECORDS, ENVIRONMENT)
        if not is_source and not os.path.lexists(folder / name):
            continue
        content = _read(folder, name)
        if hashlib.sha256(content).hexdigest() != digest:
            raise DamagedFile(
                f"a report's files must be those of its {MANIFEST}: {name} differs; restore it, or "
                "write the report again with 'assay report STUDY'."
            )
        if is_source:
            contents[name] = content
    for name in (RECORDS, ENVIRONMENT):
        if name not in contents:
            raise DamagedFile(f"a report's {MANIFEST} must name {name}: it does not.")
    records = from_lines(contents[RECORDS].splitlines(), RECORDS)
    return records, _read_environment(contents[ENVIRONMENT])


def _encode_records(records: ReportRecords) -> bytes:
    return "".join(f"{line}\n" for line in to_lines(records)).encode("ascii")


def _encode(environment: Environment) -> bytes:
    text = json.dumps(environment.model_dump(mode="json"), indent=1, ensure_ascii=True)
    return f"{text}\n".encode("ascii")


def _read_environment(content: bytes) -> Environment:
    try:
        environment = Environment.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][:6]))
        raise DamagedFile(f"{ENVIRONMENT}: {place or 'the file'}: {first['msg']}.") from None
    if environment.format != FORMAT:
        raise DamagedFile(
            f"{ENVIRONMENT} must have format {FORMAT}; received {environment.format}: write the "
            "report again with 'assay report STUDY'."
        )
    return environment


# Writing.


@contextmanager
def _write_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if (failure := unwritable_error(f"the report's folder, {folder},", error)) is not None:
            raise failure from None
        raise RequestError(
            f"a report's folder must be one that can be written: {folder} can't "
            f"({error.strerror or error}); choose another with --out."
        ) from None


def _check_no_link(folder: Path, name: str) -> None:
    """Check that neither a file of the report nor a folder in between is a link.

    Raises:
        DamagedFile: one is.
    """
    path = folder
    for part in name.split("/"):
        path = path / part
        if path.is_symlink():
            raise DamagedFile(
                f"a report's files must be no links: {path} is one; remove it, or choose another "
                "folder with --out."
            )


def _replace_files(folder: Path, staging: Path, files: Mapping[str, bytes]) -> None:
    """Replace the files one by one, the manifest last."""
    manifest = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in sorted(files.items())
    )
    contents = {**files, MANIFEST: manifest.encode("ascii")}
    # All are on the disk before the first takes its place: a full disk changes nothing.
    for number, content in enumerate(contents.values()):
        with (staging / str(number)).open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    for number, name in enumerate(contents):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (staging / str(number)).replace(target)


def _read_earlier_manifest(folder: Path) -> Mapping[str, str]:
    with suppress(RequestError):
        return _parse_manifest(_read(folder, MANIFEST))
    return {}


def _remove_outdated(folder: Path, earlier: Mapping[str, str], files: Mapping[str, bytes]) -> None:
    """Remove what an earlier report has and this one has not, unless it was changed since."""
    for name, digest in earlier.items():
        if name in files or name == MANIFEST:
            continue
        with suppress(RequestError, OSError):
            if hashlib.sha256(_read(folder, name)).hexdigest() == digest:
                (folder / name).unlink()
                (folder / name).parent.rmdir()  # if nothing else is in it


def _remove_staging(folder: Path) -> None:
    """Remove what a process that was killed has left; the lock of the folder is held."""
    for left in folder.glob(f"{_STAGING}*"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)


# Reading.


def _parse_manifest(content: bytes) -> dict[str, str]:
    """Return the digest of each file by its name.

    Raises:
        DamagedFile: a line is no digest and name, or a name leads out of the folder.
    """
    lines = content.decode("ascii", "replace").splitlines()
    digests: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        found = _MANIFEST_LINE.fullmatch(line)
        if found is None or not _NAME.fullmatch(found[2]) or len(lines) > _MOST_FILES:
            raise DamagedFile(
                f"a line of {MANIFEST} must be a SHA-256 and the name of a file in the folder: "
                f"line {number} is not; write the report again with 'assay report STUDY'."
            )
        digests[found[2]] = found[1]
    return digests


def _read(folder: Path, name: str) -> bytes:
    """Return the content of a file of a report.

    Raises:
        RequestError: it can't be read, or is too large.
        DamagedFile: it is a link.
    """
    _check_no_link(folder, name)
    try:
        with open_user_file(folder / name) as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RequestError(
            f"a report's folder must have the files of its {MANIFEST}: {name} can't be read "
            f"({reason}); restore it, or write the report again with 'assay report STUDY'."
        ) from None
    if len(content) > _MOST_BYTES:
        raise RequestError(
            f"a report's file must have at most {_MOST_BYTES:,} bytes: {name} has more; write the "
            "report again with 'assay report STUDY'."
        )
    return content
