"""A right answer is not lost by its wrapping, and a wrong one does not gain by it."""

from __future__ import annotations

from textwrap import indent

import pytest
from exams import made

from isheep.evaluation.base import Item
from isheep.evaluation.extraction import cut, defines, extract, hoisted, indented, longest
from isheep.evaluation.kinds.humaneval import HumanEval
from isheep.evaluation.kinds.mbpp import Mbpp

HEAD = 'from math import sqrt\n\n\ndef root(x: float) -> float:\n    """Return the square root."""\n'
TASK = Item("T/0", {"prompt": HEAD, "entry_point": "root", "canonical_solution": "", "test": ""})
SUM = Item("11", {"text": "", "code": "def add(a, b): ...", "setup": "", "tests": ["assert set(add([1], [2])) == {1}"]})
WHOLE = "def root(x):\n    if x < 0:\n        raise ValueError\n    return sqrt(x)\n"
FENCED = f"```python\n{WHOLE}```"

RIGHT = {
    "alone": WHOLE,
    "in a fence": FENCED,
    "in a fence of tildes": FENCED.replace("```", "~~~"),
    "in a long fence": FENCED.replace("```", "`````"),
    "in a fence without a language": FENCED.replace("python", ""),
    "in a fence with attributes": FENCED.replace("python", '{.python title="root.py"}'),
    "in a fence with capitals": FENCED.replace("python", "Python"),
    "in a fence never closed": FENCED.removesuffix("```"),
    "in a list": "1. Write it:\n\n" + indent(FENCED, "   ") + "\n\n2. Done.",
    "behind the sign of a list": "- ```python\n" + indent(WHOLE + "```", "  "),
    "in a list inside a list": "- a\n    - b\n" + indent(FENCED, "        "),
    "in a list by tabs": "* Write it:\n" + indent(FENCED, "\t"),
    "in a quotation": indent(FENCED, "> ", lambda line: True),
    "with blank lines in a list": indent(
        FENCED.replace("raise", "\n            raise").replace("\n\n ", "\n\n "), "    "
    ),
    "with Windows line ends": FENCED.replace("\n", "\r\n"),
    "with a byte order mark": "\ufeff" + WHOLE,
    "with hard blanks": FENCED.replace("    ", "\u00a0\u00a0 \u00a0"),
    "between prose": f"Sure! Here you are:\n\n{FENCED}\n\nIt returns the root. Note: `root(4)` is 2.",
    "bare between prose": f"Sure! Here you are:\n\n{WHOLE}\nThis returns the root.\nDone\n\nComplexity: O(1)",
    "bare and indented": "The code:\n\n" + indent(WHOLE, "    ") + "\nThat is all.",
    "bare behind a constant": "LIMIT = 0\n" + WHOLE.replace("x < 0", "x < LIMIT"),
    "as one line": "`def root(x): return sqrt(x)`",
    "as one line between prose": "Use ```python def root(x): return sqrt(x)``` here.",
    "as a body": "    return sqrt(x)",
    "as a body not indented": "if x < 0:\n    raise ValueError\nreturn sqrt(x)",
    "as a body in a fence in a list": "1. Body:\n   ```python\n   return sqrt(x)\n   ```",
    "as a body before prose": "    return sqrt(x)\n\nThis is the root.",
    "as a value": "root = sqrt",
    "as a value with its type": "```\nfrom typing import Callable\nroot: Callable = lambda x: sqrt(x)\n```",
    "under a condition": "```\nif True:\n    def root(x):\n        return sqrt(x)\n```",
    "from the future": f"```python\nfrom __future__ import annotations\n\n{WHOLE}```",
    "from the future behind a docstring": (
        f'```python\n"""Roots."""\nfrom __future__ import (\n    annotations,\n)\n{WHOLE}```'
    ),
    "behind the head again": f"```python\n{HEAD}    return sqrt(x)\n```",
    "behind a stub": f"You gave me\n```python\n{HEAD}    pass\n```\nwhich becomes\n{FENCED}",
    "behind a stub not implemented": f"```python\ndef root(x):\n    raise NotImplementedError\n```\n{FENCED}",
    "behind a broken try": f"```python\ndef root(x)\n    return sqrt(x)\n```\nNo, better:\n{FENCED}",
    "behind a command": f"```bash\npip install root = 1\n```\n{FENCED}\n```text\n2.0\n```",
    "before an example": f"{FENCED}\n```python\nprint(root(4))\nassert root(9) == 4\n```",
    "behind an example": f"```python\n>>> root(4)\n2.0\n```\n{FENCED}",
    "with its helper in another block": (
        "```python\nimport math\n\ndef helper(x):\n    return math.sqrt(x)\n```\nand\n"
        "```python\ndef root(x):\n    return helper(x)\n```"
    ),
    "with its helper in a later block": (
        "```python\ndef root(x):\n    return helper(x)\n```\nwhere\n```python\ndef helper(x):\n    return sqrt(x)\n```"
    ),
    "with a fence in its docstring": (
        '```python\ndef root(x):\n    """Root.\n\n    ```\n    root(4)\n    ```\n    """\n'
        "    return sqrt(x)\n```\nDone."
    ),
    "after thought": f"<think>\nSay\n```python\ndef root(x):\n    return x / 2\n```\nno.\n</think>\n{FENCED}",
}


@pytest.mark.parametrize("wrapping", RIGHT)
def test_a_right_answer_is_found_in_its_wrapping(wrapping):
    names: dict = {"__name__": "solution"}
    exec(compile(made(HumanEval).program(TASK, RIGHT[wrapping]), "program", "exec", dont_inherit=True), names)
    assert names["root"](9) == 3


@pytest.mark.parametrize("wrapping", [key for key in RIGHT if "body" not in key and "head" not in key])
def test_a_right_answer_to_a_task_without_a_head_is_found_too(wrapping):
    text = RIGHT[wrapping].replace("root", "add").replace("sqrt(x)", "[x[0], x[0]]").replace("x < 0", "not x")
    text = text.replace("add = sqrt", "add = lambda x: [x[0], x[0]]").replace("helper(x)", "helper(x)")
    text = text.replace("math.[x[0], x[0]]", "[x[0], x[0]]").replace("x < LIMIT", "len(x) == LIMIT")
    names: dict = {"__name__": "solution"}
    exec(compile(made(Mbpp).program(SUM, text), "program", "exec", dont_inherit=True), names)
    assert names["add"]([7]) == [7, 7]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lol",
        HEAD,
        f"```python\n{HEAD}    pass\n```",
        "```python\nreturn 2\n```",
        "I cannot do that.",
        "<think>" + FENCED + "</think>I cannot.",
        "```python\ndef other(x):\n    return sqrt(x)\n```",
        "```python\nassert root(4) == 2\n```",
    ],
)
def test_what_is_no_answer_stays_none(text):
    names: dict = {}

    def value():
        try:
            exec(made(HumanEval).program(TASK, text), names)
            return names["root"](9)
        except Exception as error:
            return error

    assert value() != 3


def test_the_function_asked_for_is_one_that_the_solution_defines():
    """Not `set`, which the test calls first."""
    both = "```python\nset = frozenset\n```\n```python\ndef add(a, b):\n    return a + b\n```"
    assert "def add" in made(Mbpp).program(SUM, both)


def test_definitions_come_along_only_where_they_are_used():
    text = "```\ndef f():\n    return g()\n```\n```\ndef g():\n    return 1\n```\n```\ndef h():\n    return 2\n```"
    code = extract(text, "f")
    assert "def g" in code and "def h" not in code and code.index("def g") < code.index("def f")
    again = "```\ndef f():\n    return 1\n```\n```\ndef f():\n    return 2\n```"
    assert extract(again, "f") == "def f():\n    return 1\n"


def test_extraction_prefers_the_block_that_defines_the_name():
    assert extract("```\na = 1\n```\n```\ndef f():\n  pass\n```", "f").startswith("def f")
    assert extract("```\na = 1\n```\n```\nb = 2\n```", "f") == "a = 1\n"


def test_a_name_is_defined_at_the_top_alone():
    for code in ("async def f(x): ...", "f = 1", "f: int = 1", "a, f = 1, 2", "from m import g as f", "class f: ..."):
        assert defines(code, "f"), code
    for code in (
        "def fx(): ...",
        "  def f(): 1",
        "def g():\n  f = 1",
        "class A:\n  def f(self): ...",
        "f(1)",
        "f == 1",
    ):
        assert not defines(code, "f"), code
    assert defines("def f(:\n", "f")


def test_the_parts_of_extraction():
    assert indented("if a:\n  b\n\nc") == "    if a:\n      b\n\n    c" and indented("\n  a\nb") == "\n  a\nb"
    assert hoisted("'''doc'''\nfrom __future__ import annotations\na = 1").startswith("from __future__")
    assert hoisted("def f(:") == "def f(:"
    assert cut("a\ndef b\nclass", ("\nclass", "\ndef")) == "a"
    assert longest(["a = 1", "b = 2", "That is: all.", "c = 3"]) == "a = 1\nb = 2\n"
    assert longest(["  return 1", "", "So it is."], "def f():\n") == "  return 1\n\n"
    assert longest(["'''", "a"]) == "'''\na\n" and longest([]) == ""
