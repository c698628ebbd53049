from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from isheep.errors import UserError
from isheep.evaluation import sandbox
from isheep.evaluation.sandbox import MODES, Limits, run, works

LIMITS = Limits(cpu_s=1, wall_s=300, memory_mib=512, file_mib=4, work_mib=8, processes=8)
ALL = ("strongest", *(pytest.param(mode, marks=pytest.mark.slow) for mode in MODES))
every_mode = pytest.mark.parametrize("mode", ALL, indirect=True)
strong_mode = pytest.mark.parametrize("mode", ALL[:-1], indirect=True)


@pytest.fixture
def mode(request):
    """Return the mode asked for; every attack meets the strongest, and each other one in the slow tests."""
    if request.param == "strongest":
        return next((one for one in MODES[:2] if works(one)), None) or pytest.skip("this machine allows no namespaces")
    return request.param if works(request.param) else pytest.skip(f"{request.param} does not work here")


@every_mode
def test_a_right_program_passes_and_may_use_numpy(mode):
    assert run("import numpy, json, fractions\nassert numpy.ones(3).sum() == 3", limits=LIMITS, mode=mode).passed


@every_mode
@pytest.mark.parametrize(
    ("program", "detail"),
    [
        ("assert 1 == 2", "AssertionError"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("import os\nos._exit(0)", "ended before its last line"),
        ("def f(n):\n    return f(n + 1)\nf(0)", "RecursionError"),
        ("x = '\\ud800'\nassert not x", "AssertionError"),
        ("\0", ""),
    ],
)
def test_a_program_that_does_not_reach_its_end_fails(mode, program, detail):
    outcome = run(program, limits=LIMITS, mode=mode)
    assert outcome.status == "failed" and detail in outcome.detail


@every_mode
def test_an_endless_loop_is_ended_by_the_bound_on_cpu(mode):
    outcome = run("while True: pass", limits=LIMITS, mode=mode)
    assert outcome.status == "timeout" and "CPU" in outcome.detail


@every_mode
def test_a_sleeper_is_ended_by_the_bound_on_wall_time(mode):
    assert run("import time\ntime.sleep(1000)", limits=Limits(wall_s=0.5), mode=mode).status == "timeout"


@every_mode
def test_memory_is_bounded(mode):
    assert run("x = bytearray(10**10)", limits=LIMITS, mode=mode).status == "memory"
    assert run("x = []\nwhile True: x.append(bytearray(10**7))", limits=LIMITS, mode=mode).status == "memory"


@every_mode
def test_a_big_file_is_refused(mode):
    outcome = run("with open('x', 'wb') as f:\n    for _ in range(20): f.write(bytes(10**6))", limits=LIMITS, mode=mode)
    assert outcome.status == "failed" and "File too large" in outcome.detail


@strong_mode
def test_many_files_fill_only_the_scratch_space(mode):
    outcome = run("for n in range(99): open(str(n), 'wb').write(bytes(10**6))", limits=LIMITS, mode=mode)
    assert outcome.status == "failed" and "No space left" in outcome.detail


@every_mode
def test_a_fork_bomb_is_contained(mode):
    bomb = "import os, time\nwhile True:\n    if os.fork() == 0: time.sleep(60)"
    assert run(bomb, limits=LIMITS, mode=mode).status in ("failed", "killed")
    threads = "import threading, time\nfor _ in range(99): threading.Thread(target=time.sleep, args=(60,)).start()"
    if mode != "limits":
        assert "start new thread" in run(threads, limits=LIMITS, mode=mode).detail


@every_mode
def test_nothing_outlives_the_program(mode):
    marker = "61.4142"
    daemon = f"import os, time\nif os.fork() == 0:\n    os.setsid()\n    os.execv('/bin/sleep', ['sleep', '{marker}'])"
    outcome = run(daemon, limits=LIMITS, mode=mode)
    assert outcome.status == ("failed" if mode == "limits" else "passed")
    assert not [one for one in psutil.process_iter(["cmdline"]) if marker in (one.info["cmdline"] or [])]


@every_mode
def test_there_is_no_network_not_even_to_this_machine(mode):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        outcome = run(
            f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=5)", limits=LIMITS, mode=mode
        )
        assert outcome.status == "failed"
        with pytest.raises(TimeoutError):
            server.accept()


@every_mode
def test_writing_outside_is_refused_and_inside_allowed(mode, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("whole")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o777)
    victim.chmod(0o666)
    for attack in (
        f"open({str(victim)!r}, 'w')",
        f"import os\nos.remove({str(victim)!r})",
        "open('/tmp/isheep-new', 'w')",
    ):
        assert run(attack, limits=LIMITS, mode=mode).status == "failed", attack
    assert victim.read_text() == "whole" and not Path("/tmp/isheep-new").exists()
    assert run("open('a', 'w').write('x')\nassert open('a').read() == 'x'", limits=LIMITS, mode=mode).passed


@strong_mode
def test_files_of_the_user_cannot_even_be_read(mode, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    assert "FileNotFoundError" in run(f"open({str(secret)!r})", limits=LIMITS, mode=mode).detail
    assert run("import os\nassert not os.path.exists('/proc/1')", limits=LIMITS, mode=mode).passed


@strong_mode
def test_the_sandbox_cannot_be_opened_from_inside(mode):
    # In a process of its own, where the audit hook does not refuse ctypes: the kernel must.
    remount = (
        "import ctypes\nlibc = ctypes.CDLL(None)\n"
        "assert libc.mount(b'none', b'/usr', None, ctypes.c_ulong(32 | 4096), None) == 0"
    )
    native = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', {code!r}], check=True)"
    assert run(native.format(code="import ctypes; ctypes.CDLL(None)"), limits=LIMITS, mode=mode).passed
    assert "CalledProcessError" in run(native.format(code=remount), limits=LIMITS, mode=mode).detail
    assert run("import os\nassert os.getuid() != 0", limits=LIMITS, mode=mode).passed
    assert run("import os\nos.kill(os.getppid(), 9)\nos.kill(-1, 9)", limits=LIMITS, mode=mode).status in (
        "failed",
        "killed",
    )


@every_mode
def test_nothing_of_the_environment_is_passed_on(mode, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    program = "import os\nassert 'secret' not in os.environ.values() and not set(os.environ) - {known!r}"
    assert run(program.format(known={*sandbox.ENVIRONMENT, "LC_CTYPE", "PWD"}), limits=LIMITS, mode=mode).passed


@every_mode
def test_a_crash_of_the_interpreter_is_no_crash_of_ours(mode):
    outcome = run("import os, signal\nos.abort()", limits=LIMITS, mode=mode)
    assert (outcome.status, outcome.detail) == ("killed", "SIGABRT")


@every_mode
def test_a_program_cannot_write_its_own_report(mode):
    forged = 'import os\nfor fd in range(3, 20):\n    try: os.write(fd, b\'{"status": "passed", "detail": ""}\')\n'
    assert run(forged + "    except OSError: pass\nos._exit(0)", limits=LIMITS, mode=mode).status == "failed"


@strong_mode
def test_a_flood_of_output_is_harmless(mode):
    flood = "import os\nwhile True:\n    for fd in range(1, 9):\n        try: os.write(fd, bytes(10**6))\n"
    assert run(flood + "        except OSError: pass", limits=LIMITS, mode=mode).status in ("timeout", "killed")


@strong_mode
def test_the_program_dies_when_its_parent_is_killed(mode):
    code = (
        f"from isheep.evaluation.sandbox import *\nrun('import time; time.sleep(99)', limits=Limits(), mode={mode!r})"
    )
    folder = str(Path(sandbox.__file__).parents[2])
    parent = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": folder})
    below: list[psutil.Process] = []
    while len(below) < 3:
        time.sleep(0.05)
        below = psutil.Process(parent.pid).children(recursive=True)
    time.sleep(0.3)
    below = psutil.Process(parent.pid).children(recursive=True)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert psutil.wait_procs(below, timeout=120)[1] == []


@every_mode
def test_many_programs_run_side_by_side_and_keep_their_order(mode):
    with ThreadPoolExecutor(3) as pool:
        programs = [f"assert {number} % 2" for number in range(6)]
        outcomes = list(pool.map(lambda program: run(program, limits=LIMITS, mode=mode), programs))
    assert [outcome.passed for outcome in outcomes] == [False, True] * 3


def test_without_namespaces_code_runs_only_when_that_is_allowed(monkeypatch):
    monkeypatch.setattr(sandbox, "works", lambda mode: mode == "limits")
    with pytest.raises(UserError, match="Install bubblewrap"):
        sandbox.strongest()
    assert sandbox.strongest(allow_weak=True) == "limits"
    monkeypatch.setattr(sandbox, "works", lambda mode: True)
    assert sandbox.strongest() == "bubblewrap"
