"""Output of `assay reproduce`."""

from __future__ import annotations

from rich.text import Text

from assay.experiments.console.tables import create_console, plain_table
from assay.experiments.formatting import format_count
from assay.experiments.run.repeat import ReproduceResult
from assay.experiments.terminal_text import escape_line, escape_text


def print_reproduction(result: ReproduceResult, to_stderr: bool = False) -> None:
    """Print each metric of a run beside the recorded one.

    Args:
        result: of the run that was trained again.
        to_stderr: print to standard error, because standard output is for JSON.
    """
    out = create_console(to_stderr)
    verdict = "reproduced" if result.within else "not reproduced"
    largest = f"{result.largest_difference:.4g}"
    out.print(
        Text(
            escape_text(
                f"{result.title}: {verdict}; the largest difference is {largest}, the tolerance "
                f"{result.tolerance:g}"
            ),
            style="bold",
        )
    )
    if result.result.error is not None:
        out.print(escape_text(result.result.error))
    table = plain_table("  metric", "recorded", "now", "difference", "largest of all epochs", "")
    for name, metric in result.metrics.items():
        table.add_row(
            f"  {escape_line(name)}",
            _format(metric.recorded),
            "" if metric.now is None else _format(metric.now),
            f"{metric.difference:.3g}",
            f"{metric.largest_difference:.3g}",
            "" if metric.within else "*",
        )
    epochs = format_count(result.epochs_now, "epoch")
    is_last = result.epoch == result.epochs_recorded
    of = "the last epoch" if is_last else f"epoch {result.epoch}, which early stopping kept"
    out.print(f"\n{epochs} of {result.epochs_recorded} recorded ones compared; values of {of}:")
    out.print(table)
    if not result.within:
        out.print("  * not within the tolerance")
    out.print(f"\nruns:  {result.result.tracking_uri}  (run {result.result.run_id})")


def _format(value: float) -> str:
    # All digits that float32 has: the difference may be in the last of them.
    return str(value) if isinstance(value, int) else f"{value:.9g}"
