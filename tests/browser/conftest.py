"""A headless Chromium for the session; Debian's is installed when it is missing and root asks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE))

INSTALL = HERE.parent / "install.sh"
PROGRAMS = ("chromium", "chromedriver")
PACKAGES = ("chromium", "chromium-driver", "fonts-dejavu-core")


@pytest.fixture(scope="session", autouse=True)
def chromium() -> None:
    """Chromium and its driver."""
    if all(map(shutil.which, PROGRAMS)):
        return
    if os.getuid() or not shutil.which("apt-get"):
        pytest.skip("chromium and chromedriver are not installed, and only root on Debian can install them")
    done = subprocess.run([INSTALL, *PACKAGES], text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
