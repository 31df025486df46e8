"""Serve a model in a new environment: `python -m tests.serving [--backend BACKEND]`.

A short sweep of digits-mlp makes a model. `mlflow models serve` installs its requirements in an
environment of its own, by uv, and serves it; raw validation images are posted to it over HTTP, as
JSON. The answers must be those of the network, and more than half of the labels right. It needs uv,
a package index as uv is configured, and some minutes for the download.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np

from assay import sweep
from tests.helpers.ports import free_port

IMAGES = 20
INSTALL_SECONDS = 1_800.0


@contextmanager
def serve(model: Path, folder: Path) -> Iterator[str]:
    """Serve a model in a new environment; yield the server's address.

    Args:
        model: folder of the model.
        folder: an empty folder for the environment and the server's output.
    """
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"MLFLOW_ENV_ROOT": str(folder / "environments"), "PYTHONSAFEPATH": "1"}
    program = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "uv"]
    address = ["--model-uri", str(model), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*program, *address, "--workers", "1"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/ping", server, folder / "log")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        # The server's workers too: all are in the session that it began.
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def _wait_until_ready(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    started = time.monotonic()
    while time.monotonic() - started < INSTALL_SECONDS:
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}:\n{log.read_text()[-4000:]}")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    sys.exit(f"the server did not answer:\n{log.read_text()[-4000:]}")


def post(address: str, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Post JSON to the server; return its predictions."""
    request = urllib.request.Request(
        address,
        data=json.dumps(content).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        predictions: list[dict[str, Any]] = json.loads(answer.read())["predictions"]
    return predictions


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 1 if an answer is wrong, else 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backend", default="tensorflow", help="tensorflow or jax")
    given = parser.parse_args(arguments)
    if shutil.which("uv") is None:
        sys.exit("uv is not installed: pip install uv")
    with tempfile.TemporaryDirectory(prefix="assay-serving-") as name:
        folder = Path(name)
        study = sweep(
            "digits-mlp",
            trials=2,
            epochs=5,
            workers=1,
            backend=given.backend,
            home=folder / "home",
            progress=False,
        )
        mlflow.set_tracking_uri(study.tracking_uri)
        model = Path(mlflow.artifacts.download_artifacts(study.model, dst_path=str(folder)))
        (prepared,) = (folder / "home" / "data").glob("digits-*")
        images = np.load(prepared / "x_validation.npy")[:IMAGES, :, :, 0]
        labels = np.load(prepared / "y_validation.npy")[:IMAGES]
        expected = mlflow.pyfunc.load_model(str(model)).predict(images)
        started = time.monotonic()
        with serve(model, folder) as address:
            print(f"served after {time.monotonic() - started:.0f} s, environment included")
            answers = post(address, {"inputs": images.tolist()})
            alone = [post(address, {"instances": [image.tolist()]})[0] for image in images[:3]]
            example = json.loads((model / "serving_input_example.json").read_text())
            from_example = post(address, example)
    numbers = [[row[column] for column in expected.columns[1:]] for row in answers]
    difference = float(np.abs(np.array(numbers) - expected.iloc[:, 1:].to_numpy()).max())
    right = sum(int(row["label"]) == label for row, label in zip(answers, labels, strict=True))
    print(f"first answer: {answers[0]}")
    print(f"{right} of {len(labels)} raw images have the right class")
    print(f"largest difference from the model in this process: {difference:.2g}")
    is_same = [row["label"] for row in answers] == list(expected["label"])
    is_same &= [row["label"] for row in alone] == list(expected["label"][:3])
    return 0 if is_same and difference < 1e-5 and right > IMAGES / 2 and from_example else 1


if __name__ == "__main__":
    sys.exit(main())
