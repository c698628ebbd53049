"""The program in a chat answer: found among prose, fences, lists and quotes, and freed from them.

A right answer must not be lost by its wrapping. Fences are CommonMark's (``` and ~~~, closed by the same sign, at least
as long), but a block that is no Python before its first closing fence may reach to a later one.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

OPENING = re.compile(
    r"(?P<lead>[ \t>]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?)(?P<fence>`{3,}|~{3,})[ \t]*\{?\.?(?P<language>[^`\s}]*)[^`]*"
)
PYTHON = ("", "python", "python3", "py", "py3")
START = re.compile(r"(?:from |import |def |class |async def |@|\w+(?:\s*:[^=]+)?\s*=[^=])")
INLINE = re.compile(r"(`{1,3})(?:python3? +)?((?:def|return|from|import|class|lambda)\b[^`]*)\1")
NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
DEFINITION = (*NAMED, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
TAB = 4


def extract(completion: str, name: str) -> str:
    """Return the code in a chat answer.

    Of several blocks, the first that defines `name` and is neither broken nor a mere stub, together with definitions
    from other blocks that it uses; where none defines it, the first block. Without any block, the longest stretch of
    Python that defines it; else the text from the first line that looks like a statement.

    Parameters
    ----------
    completion
        The answer; what a reasoning model thinks aloud before it (</think>) does not count.
    name
        Of the function that is asked for.
    """
    text = _cleaned(completion)
    fenced = list(_blocks(text))
    blocks = [block.code for block in fenced if block.language in PYTHON] or [block.code for block in fenced]
    if not blocks:
        return _bare(text, name)
    defining = [block for block in blocks if defines(block, name)]
    chosen = min(defining, key=lambda block: _defect(block, name)) if defining else blocks[0]
    return _completed(chosen, blocks)


def _cleaned(text: str) -> str:
    text = text.rpartition("</think>")[2].replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")
    return re.sub(r"^[ \t\u00a0]+", lambda blanks: blanks[0].replace("\u00a0", " "), text, flags=re.MULTILINE)


@dataclass(frozen=True)
class _Block:
    language: str
    code: str


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the fenced blocks; one that was never closed goes to the end."""
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        opening = OPENING.fullmatch(lines[number])
        number += 1
        if opening:
            bodies = {end: _body(lines[number:end], opening["lead"]) for end in _ends(lines, number, opening["fence"])}
            end = next((end for end, code in bodies.items() if _parsed(code)), min(bodies))
            yield _Block(opening["language"].lower(), bodies[end])
            number = end + 1


def _ends(lines: Sequence[str], start: int, fence: str) -> list[int]:
    """Return the lines that can close a block: closing fences before the next opening one that names a language."""
    ends: list[int] = []
    for number in range(start, len(lines)):
        other = OPENING.fullmatch(lines[number])
        if other and other["language"] and ends:
            break
        if re.fullmatch(rf"[ \t>]*{fence[0]}{{{len(fence)},}}[ \t]*", lines[number]):
            ends.append(number)
    return ends or [len(lines)]


def _body(lines: Sequence[str], lead: str) -> str:
    """Return the lines of a block without what stands before its fence: quote signs, and as many blanks."""
    quotes, sign, blanks = lead.rpartition(">")
    width = len(blanks.removeprefix(" ") if sign else blanks.expandtabs(TAB))
    for _ in range((quotes + sign).count(">")):
        lines = [re.sub(r"^[ \t]*> ?", "", line) for line in lines]
    return "".join(f"{_outdented(line, width)}\n" for line in lines)


def _outdented(line: str, width: int) -> str:
    """Return a line without its first blanks, `width` columns of them at most."""
    while width > 0 and line[:1] in (" ", "\t") and line:
        width -= 1 if line[0] == " " else TAB
        line = line[1:]
    return line


def _parsed(code: str) -> ast.Module | None:
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def defines(code: str, name: str) -> bool:
    """Return whether the code has a top-level function (or class, or value) of that name."""
    tree = _parsed(code)
    if tree:
        return name in _top_names(tree.body)
    return re.search(rf"^(?:(?:async )?def {name}\b|class {name}\b|{name} *=)", code, re.MULTILINE) is not None


def _top_names(body: Sequence[ast.stmt]) -> set[str]:
    """Return the names that statements bind at their own level, those under if, try and with included."""
    names: set[str] = set()
    for statement in body:
        if isinstance(statement, NAMED):
            names.add(statement.name)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            names |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and _stored(node)}
        for part in ("body", "orelse", "handlers", "finalbody"):
            if not isinstance(statement, NAMED):
                names |= _top_names(getattr(statement, part, []))
    return names


def _stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _defect(code: str, name: str) -> int:
    """Return 0 for code that is whole, 1 when it is no Python, 2 when it leaves the function to be written."""
    tree = _parsed(code)
    if tree is None:
        return 1
    functions = [node for node in tree.body if isinstance(node, NAMED) and node.name == name]
    return 2 if functions and all(map(_says_nothing, functions[-1].body)) else 0


def _says_nothing(statement: ast.stmt) -> bool:
    """Whether a statement is `pass`, a docstring, `...` or `raise NotImplementedError`."""
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    unwritten = isinstance(statement, ast.Raise) and "NotImplementedError" in ast.dump(statement)
    return constant or unwritten or isinstance(statement, ast.Pass)


def _completed(chosen: str, blocks: Sequence[str]) -> str:
    """Return a block behind those that only define things, some of which it uses and does not define."""
    tree = _parsed(chosen)
    if tree is None:
        return chosen
    missing = _missing(tree)
    before: list[str] = []
    for block in blocks:
        other = _parsed(block)
        if other is None or block == chosen or not all(map(_only_defines, other.body)):
            continue
        if _top_names(other.body) & missing:
            before.append(block)
            missing = (missing | _missing(other)) - _top_names(other.body)
    return "".join(f"{block}\n" for block in before) + chosen


def _only_defines(statement: ast.stmt) -> bool:
    return isinstance(statement, DEFINITION) or _says_nothing(statement)


def _missing(tree: ast.Module) -> set[str]:
    """Return the names that code uses and nowhere binds."""
    nodes = list(ast.walk(tree))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    bound = {node.id for node in names if _stored(node)} | {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {node.name for node in nodes if isinstance(node, NAMED)} | set(dir(builtins))
    bound |= _top_names([node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)])
    return {node.id for node in names} - bound


def _bare(text: str, name: str) -> str:
    """Return the code in an answer without blocks."""
    inline = INLINE.search(text)
    if inline:
        return inline[2]
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if START.match(line.lstrip(" \t"))]
    for start in starts:
        width = len(lines[start].expandtabs(TAB)) - len(lines[start].expandtabs(TAB).lstrip())
        code = longest([_outdented(line, width) for line in lines[start:]])
        if defines(code, name):
            return code
    return "\n".join(lines[starts[0] :]) if starts and lines[starts[0]][:1].strip() else text


def longest(lines: Sequence[str], head: str = "") -> str:
    """Return as many lines from the first on as are Python behind `head`, without prose that happens to be; else all.

    Such is a line like `Done` or `Complexity: O(n)`: an expression that calls nothing, a name with a type alone.
    """
    end = len(lines)
    first = head.count("\n")
    while end > 0:
        code = head + "".join(f"{line}\n" for line in lines[:end])
        try:
            body = ast.parse(code).body
        except SyntaxError as error:
            end = min(end - 1, max((error.lineno or 1) - first - 1, 0))
            continue
        except (ValueError, RecursionError, MemoryError):
            break
        kept = [statement for statement in body if not _is_prose(statement)]
        end = max((kept[-1].end_lineno or 0) - first, 0) if kept and kept[-1] is not body[-1] else end
        return "".join(f"{line}\n" for line in lines[:end])
    return "".join(f"{line}\n" for line in lines)


def _is_prose(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.AnnAssign):
        return statement.value is None
    return isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Call | ast.Constant | ast.Await)


def indented(code: str) -> str:
    """Return the body of a function, indented by four where its first line is not indented at all."""
    first = next((line for line in code.split("\n") if line.strip()), "")
    if first[:1] in (" ", "\t"):
        return code
    return "\n".join(f"    {line}" if line.strip() else line for line in code.split("\n"))


def hoisted(code: str) -> str:
    """Return code with its imports from __future__ at the top, where alone they may stand."""
    tree = _parsed(code)
    if tree is None:
        return code
    lines = code.split("\n")
    first: list[str] = []
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__" and statement.end_lineno:
            span = slice(statement.lineno - 1, statement.end_lineno)
            first += lines[span]
            lines[span] = [""] * (statement.end_lineno - statement.lineno + 1)
    return "\n".join([*first, *lines])


def cut(text: str, stops: Sequence[str]) -> str:
    """Return the text up to the first of the stop strings."""
    ends = [text.find(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text
