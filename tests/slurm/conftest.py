"""A SLURM cluster of the tests' own, and scenarios that run on it side by side."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE))

from places import SlurmPlace, faulty  # noqa: E402

SIDE_BY_SIDE = 4


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "scenario(of): what a test looks at; scenarios run side by side")


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """The cluster, for as long as the tests run; ISHEEP_SLURM_KEEP=1 leaves it running."""
    if os.getuid() and not shutil.which("slurmctld"):
        pytest.skip("SLURM is not installed, and only root can install it and start a cluster")
    started = subprocess.run([HERE / "cluster" / "start.sh"], text=True, capture_output=True)
    assert started.returncode == 0, started.stdout + started.stderr
    yield
    if not os.environ.get("ISHEEP_SLURM_KEEP"):
        subprocess.run([HERE / "cluster" / "stop.sh"], check=True)


@pytest.fixture(scope="session")
def make_place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], SlurmPlace]:
    """Make a named copy of the repository."""
    return lambda name: SlurmPlace(tmp_path_factory.mktemp(name, numbered=False))


@pytest.fixture(scope="session")
def undisturbed(make_place: Callable[[str], SlurmPlace]) -> SlurmPlace:
    """What the faulty runs must end as: made without SLURM and without faults."""
    place = make_place("undisturbed")
    place.configure({"a": faulty()})
    place.run_locally("--until", "filter_outputs")
    return place


@pytest.fixture(scope="session")
def scenarios(
    request: pytest.FixtureRequest, cluster: None, make_place: Callable[[str], SlurmPlace], undisturbed: SlurmPlace
) -> Iterator[dict[Callable, Future]]:
    """The scenarios of all tests of this session, each in a folder of its own, side by side."""
    marks = [item.get_closest_marker("scenario") for item in request.session.items]
    functions = list(dict.fromkeys(mark.kwargs["of"] for mark in marks if mark))
    functions.sort(key=lambda function: "test_loop" not in function.__module__)  # the longest first
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {function: pool.submit(function, make_place(function.__name__), undisturbed) for function in functions}


@pytest.fixture
def outcome(request: pytest.FixtureRequest, scenarios: dict[Callable, Future]) -> object:
    """What the test's scenario gave."""
    return scenarios[request.node.get_closest_marker("scenario").kwargs["of"]].result()
