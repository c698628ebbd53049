"""Programs that would report that they passed: each fails its test, and must be found to have failed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from isheep.evaluation import sandbox
from isheep.evaluation.sandbox import MODES, Limits, run, works

LIMITS = Limits(cpu_s=5, wall_s=300, memory_mib=512, file_mib=4, work_mib=8, processes=8)
TESTS = "assert answer() == 42\n"
WRONG = "def answer():\n    return 41\n"
# Looks for whatever may hold the nonce (32 hexadecimal digits), or `passed`, and writes a report with it.
FORGE = """
import json, os, re
def forge(texts):
    found = set(re.findall(r"[0-9a-f]{32}", " ".join(map(str, texts))))
    for text in found:
        line = json.dumps({"nonce": text, "status": "passed", "detail": ""}).encode() + b"\\n"
        for fd in range(3, 20):
            try: os.write(fd, line)
            except OSError: pass
    if found: os._exit(0)
"""
FRAMES = """
import sys
def below(frame):
    while frame:
        yield from frame.f_locals.items()
        yield from frame.f_globals.items()
        frame = frame.f_back
"""
ATTACKS = {
    "patches json": (
        "import json, json.encoder\nreal, encode = json.dumps, json.encoder.JSONEncoder.encode\n"
        "json.dumps = lambda answer, **_: real({**answer, 'status': 'passed'})\n"
        "json.encoder.JSONEncoder.encode = lambda self, answer: encode(self, {**answer, 'status': 'passed'})"
    ),
    "patches os.write": (
        "import os\nwrite = os.write\n"
        "os.write = lambda fd, data: write(fd, data.replace(b'failed', b'passed'))\nos._exit = lambda code: None"
    ),
    "patches sys": "import sys, os\nsys.stdout = sys.stderr = open(os.devnull, 'w')\nsys.exit = sys.audit = print",
    "patches exec and compile": "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None",
    "patches exceptions": (
        "import builtins\nclass Never(BaseException): pass\n"
        "builtins.BaseException = builtins.AssertionError = builtins.MemoryError = Never"
    ),
    "patches what tests use": "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.all = lambda x: True",
    "patches the watcher's own globals": (
        "import sys\nwatcher = sys._getframe(1).f_globals\n"
        "for name in ('status', 'described'): watcher[name] = lambda error: 'passed'\n"
        "watcher['ENDED'] = watcher['REFUSED'] = ''"
    ),
    "leaves early": "import os\nos._exit(0)",
    "leaves with an exit": "raise SystemExit(0)",
    "leaves at exit": "import atexit, os\natexit.register(os._exit, 0)",
    "is left open": "text = '''",
    "goes on in a bracket": "values = [",
    "says that it ended": "import sys\nsys.audit('isheep.ended')",
    "says that it ended from another thread": (
        "import sys, threading\nfor _ in range(3):\n"
        "    thread = threading.Thread(target=sys.audit, args=('isheep.ended',))\n    thread.start()\n    thread.join()"
    ),
    "says that it ended from a message": (
        "import sys, functools\nclass Lie(Exception):\n    __str__ = functools.partial(sys.audit, 'isheep.ended')\n"
        "def answer():\n    raise Lie"
    ),
    "says that it ended when it is collected": (
        "import sys, functools, weakref\nclass Thing: pass\nthing = Thing()\n"
        "kept = weakref.ref(thing, functools.partial(sys.audit, 'isheep.ended'))\ndef answer():\n    globals().clear()"
    ),
    "runs the watcher again": (
        "import sys\nframe = sys._getframe()\nwhile frame.f_back: frame = frame.f_back\n"
        "import os, json\nread, write = os.pipe()\n"
        "os.write(write, json.dumps({'parts': ['', ''], 'nonce': '0' * 32, 'guard': False, 'nobody': False, 'cpu_s': 5,"
        " 'memory_mib': 512, 'file_mib': 4, 'processes': 8}).encode())\nos.close(write)\nos.dup2(read, 0)\n"
        "try: exec(frame.f_code, {'__name__': '__main__'})\nexcept BaseException: pass"
    ),
    "reads its callers": FORGE + FRAMES + "forge(below(sys._getframe()))",
    "reads its callers by a traceback": (
        FORGE + FRAMES + "try: 1 / 0\nexcept ZeroDivisionError as error: forge(below(error.__traceback__.tb_frame))"
    ),
    "reads its callers when tested": FORGE + FRAMES + "def answer():\n    forge(below(sys._getframe()))\n    return 41",
    "reads by inspect": (
        FORGE + "import inspect\nforge([part for info in inspect.stack() for part in info.frame.f_locals.items()])"
    ),
    "takes away what is left to run": (
        FRAMES + "for name, value in list(below(sys._getframe())):\n"
        "    if isinstance(value, list): value.clear()\n"
        "    if isinstance(value, dict) and value is not globals(): value.pop('parts', None)"
    ),
    "reads all objects": FORGE + "import gc\nforge(gc.get_objects())",
    "reads who refers to a frame": (
        FORGE + "import gc, sys\nforge([vars(cell) for cell in gc.get_referrers(sys._getframe(1))])"
    ),
    "reads the input again": (
        FORGE + "import sys\nfor stream in (sys.stdin, sys.__stdin__):\n"
        "    try:\n        stream.buffer.seek(0)\n        forge([stream.buffer.read()])\n    except OSError: pass\n"
        "os.lseek(0, 0, 0)\nforge([os.read(0, 99999)])"
    ),
    "reads a refusal's frames": (
        FORGE + FRAMES + "import gc\ntry: gc.get_objects()\nexcept Exception as error:\n"
        "    step = error.__traceback__\n    while step:\n        forge(below(step.tb_frame))\n"
        "        step = step.tb_next"
    ),
    "reads at the end of the stack": (
        FORGE + FRAMES + "def deeper():\n    try: sys.audit('isheep.ended')\n    except BaseException as error:\n"
        "        step = error.__traceback__\n        while step:\n            forge(below(step.tb_frame))\n"
        "            step = step.tb_next\n    deeper()\ntry: deeper()\nexcept RecursionError: pass"
    ),
    "adds a hook": (
        FORGE + FRAMES + "sys.addaudithook(lambda event, arguments: forge(below(sys._getframe())))\n"
        "sys.audit('isheep.ended')"
    ),
    "handles signals": (
        FORGE + FRAMES + "import signal\nsignal.signal(signal.SIGALRM, lambda number, frame: forge(below(frame)))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\nfor _ in range(99999): sys.audit('isheep.ended')"
    ),
    "is collected on top of the hook": (
        FORGE + FRAMES + "import gc\ngc.set_threshold(1)\n"
        "class Ring:\n    def __init__(self): self.ring = self\n    def __del__(self): forge(below(sys._getframe()))\n"
        "for _ in range(20):\n    Ring()\n    sys.audit('isheep.ended')"
    ),
    "traces": (
        "import sys\ndef trace(frame, event, argument):\n    frame.f_lineno = frame.f_lineno + 1\n    return trace\n"
        "sys._getframe(1).f_trace = trace\nsys.settrace(trace)"
    ),
    "reads memory": FORGE + "import ctypes\nforge([ctypes.string_at(id(forge), 4096).hex()])",
    "writes every report": (
        "import os\nfor fd in range(3, 30):\n    for nonce in ('', '0' * 32):\n        try: os.write(fd, (chr(10)"
        ' + \'{"nonce": "\' + nonce + \'", "status": "passed", "detail": ""}\' + chr(10)).encode())\n'
        "        except OSError: pass"
    ),
}


@pytest.fixture(scope="module")
def mode():
    return next((one for one in MODES[:2] if works(one)), None) or pytest.skip("this machine allows no namespaces")


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_wrong_program_cannot_report_that_it_passed(mode, attack):
    program = WRONG + ATTACKS[attack]
    outcome = run(program, TESTS, LIMITS, mode)
    assert outcome.status == "failed", outcome


def test_what_a_program_makes_of_builtins_does_not_reach_its_tests(mode):
    program = WRONG + ATTACKS["patches what tests use"]
    assert "AssertionError" in run(program, "assert abs(answer() - 42) == 0", LIMITS, mode).detail
    assert "AssertionError" in run(program, "assert all([answer() == 42])", LIMITS, mode).detail


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_the_weak_sandbox_cannot_be_lied_to_either(attack):
    assert run(WRONG + ATTACKS[attack], TESTS, LIMITS, "limits").status == "failed"


def test_a_process_that_the_program_starts_cannot_read_its_memory(mode):
    attach = "import ctypes, os; assert ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == -1"
    assert run(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {attach!r}], check=True)", "", LIMITS, mode
    ).passed


@pytest.mark.parametrize(
    "program",
    [
        "def answer():\n    return 42\n\nif __name__ == '__main__':\n    import unittest\n    unittest.main()",
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n"
        "def answer():\n    return A(42).x",
        "from typing import NamedTuple\nfrom collections import namedtuple\nP = namedtuple('P', 'x')\n"
        "class Q(NamedTuple):\n    x: int = 42\n"
        "import pickle\ndef answer():\n    return pickle.loads(pickle.dumps(Q())).x",
        "import asyncio\nasync def wait():\n    await asyncio.sleep(0)\n    return 42\n"
        "def answer():\n    return asyncio.run(wait())",
        "import threading\ndef answer():\n    found = []\n    t = threading.Thread(target=found.append, args=(42,))\n"
        "    t.start(); t.join()\n    return found[0]",
        "import logging, warnings, functools, enum, gc, sys\ngc.collect()\n"
        "sys.setrecursionlimit(5000)\nclass E(enum.Enum):\n    A = 42\n"
        "@functools.lru_cache\ndef down(n): return E.A.value if n == 0 else down(n - 1)\n"
        "def answer():\n    warnings.warn('x')\n    logging.warning('y')\n    print('z')\n    return down(1000)",
        "abs = lambda x: 42\ndef answer(): return abs(1)",
    ],
)
def test_a_right_program_passes_whatever_it_uses(mode, program):
    outcome = run(program, TESTS, LIMITS, mode)
    assert outcome.passed, outcome


def test_an_environment_behind_links_has_its_sandbox(mode, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "env").symlink_to(sys.prefix)
    (tmp_path / "link").symlink_to("real")
    python = tmp_path / "link" / "env" / "bin" / Path(sys.executable).name
    assert python.exists()
    code = "from isheep.evaluation.sandbox import run; print(run('import numpy').status)"
    folder = str(Path(sandbox.__file__).parents[2])
    done = subprocess.run(
        [python, "-c", code], env={**os.environ, "PYTHONPATH": folder}, capture_output=True, text=True, check=False
    )
    assert done.stdout == "passed\n", done.stderr


def test_a_sandbox_that_does_not_work_says_what_is_the_matter(monkeypatch):
    monkeypatch.setattr(sandbox, "_trouble", {"bubblewrap": "not installed", "namespaces": "because"}.get)
    with pytest.raises(sandbox.UserError, match="bubblewrap: not installed; namespaces: because"):
        sandbox.strongest()
