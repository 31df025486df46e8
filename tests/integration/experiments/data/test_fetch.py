"""Downloads of published data sets, with a stub of Keras and without a network."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from assay.experiments.data import DataSettings, prepare, start_preparing
from assay.experiments.data.sources import download
from assay.experiments.data.sources.published import PublishedSource
from assay.models.errors import RequestError
from tests.helpers.small_sets import Arrays

MNIST = DataSettings(name="mnist")

Stub = Callable[[str, str], None]


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty Keras cache, with a proxy that does not answer."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "keras"


def stub_keras(stub: Stub, keras_home: Path, load_data: str) -> None:
    """Stub Keras with a cache that seems to contain MNIST."""
    (keras_home / "datasets").mkdir(parents=True)
    (keras_home / "datasets" / "mnist.npz").touch()
    stub("keras.datasets.mnist", load_data)
    stub("keras.utils", "def disable_interactive_logging(): pass\n")
    stub("keras.config", "def set_image_data_format(name): pass\n")
    stub("keras.__init__", "import keras.utils, keras.config\n")


@pytest.fixture
def source(tmp_path: Path, arrays: Arrays) -> Path:
    np.savez(tmp_path / "source.npz", **arrays)
    return tmp_path / "source.npz"


def keras_that_has(source: Path, stub: Stub, keras_home: Path) -> Path:
    """Stub a slow Keras with these arrays; return the file that logs its calls."""
    calls = source.with_name("calls")
    stub_keras(
        stub,
        keras_home,
        "import numpy, time\n"
        "def load_data():\n"
        f"    print('called', file=open({str(calls)!r}, 'a'))\n"
        "    time.sleep(0.5)\n"
        f"    a = numpy.load({str(source)!r})\n"
        "    return (a['x_train'], a['y_train'][:, None]), (a['x_test'], a['y_test'][:, None])\n",
    )
    return calls


def test_a_downloaded_set_is_kept(
    tmp_path: Path, keras_home: Path, source: Path, stub: Stub, quick_split: Path, arrays: Arrays
) -> None:
    calls = keras_that_has(source, stub, keras_home)
    data_dir = tmp_path / "data"
    first = prepare(MNIST, tmp_path / "home", data_dir)
    second = prepare(MNIST, tmp_path / "another home", data_dir)
    assert [path.name for path in data_dir.iterdir()] == ["mnist.npz"]
    kept = np.load(data_dir / "mnist.npz", allow_pickle=False)
    assert all(np.array_equal(kept[name], array) for name, array in arrays.items())
    assert calls.read_text().splitlines() == ["called"]
    assert first.digest == second.digest


def test_two_concurrent_processes_download_once(
    tmp_path: Path, keras_home: Path, source: Path, stub: Stub, quick_split: Path
) -> None:
    calls = keras_that_has(source, stub, keras_home)
    both = [
        start_preparing(MNIST, tmp_path / home, tmp_path / "data")
        for home in ("home", "another home")
    ]
    first, second = (preparation.result() for preparation in both)
    assert calls.read_text().splitlines() == ["called"]
    assert first.digest == second.digest


def test_a_failed_download_names_the_file_to_provide(
    tmp_path: Path, keras_home: Path, stub: Stub
) -> None:
    stub_keras(
        stub,
        keras_home,
        "def load_data():\n    raise Exception('URL fetch failure\\non it: 404')\n",
    )
    data_dir = tmp_path / "data"
    with pytest.raises(
        RequestError, match=r"mnist could not be downloaded.*URL fetch failure on it: 404"
    ) as caught:
        prepare(MNIST, tmp_path / "home", data_dir)
    assert f"{data_dir}/mnist.npz" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(data_dir.iterdir()) == []


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_an_offline_download_names_the_file_to_provide(
    name: str, tmp_path: Path, keras_home: Path
) -> None:
    with pytest.raises(
        RequestError, match=f"does not answer.*x_train, y_train, x_test, y_test at .*{name}.npz"
    ):
        prepare(DataSettings(name=name), tmp_path / "home", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_an_unresponsive_network_times_out(
    tmp_path: Path, keras_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(RequestError, match="does not answer"):
            PublishedSource("mnist", tmp_path / "data" / "mnist.npz").download()


def test_a_refusal_of_the_server_is_reported_by_keras(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:  # it answers HEAD with 501
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert download._server_answers(f"http://127.0.0.1:{server.server_port}/mnist.npz")


def test_a_data_dir_that_is_a_file_is_named(tmp_path: Path, keras_home: Path, stub: Stub) -> None:
    stub_keras(stub, keras_home, "")
    (tmp_path / "data").write_text("a file")
    with pytest.raises(RequestError, match="the data folder must be a folder"):
        prepare(MNIST, tmp_path / "home", tmp_path / "data")
