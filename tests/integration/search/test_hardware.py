"""GPU memory as reported by nvidia-smi."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.search.system import hardware

SMI = """#!/bin/sh
test "$1 $2" = "--query-gpu=index,uuid,memory.total --format=csv,noheader,nounits" || exit 9
cat <<END
0, GPU-7fa1, 81559
1, GPU-30bc, 40960
2, GPU-55aa, [N/A]
END
"""


@pytest.mark.parametrize(
    ("names", "megabytes"),
    [
        (["0"], 81559),
        (["0", "1"], 40960),
        (["GPU-30"], 40960),
        (["2"], None),
        (["7"], None),
        (["0", "7"], None),
    ],
)
def test_the_smallest_gpu_sets_the_memory(
    names: list[str], megabytes: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text(SMI)
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert hardware.smallest_gpu_memory_megabytes(names) == megabytes


def test_without_nvidia_smi_the_memory_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hardware.smallest_gpu_memory_megabytes(["0"]) is None
