"""What costs as much as a table is long, and looks like one step: no queue of the package is kept that way.

A dict remembers order, but what is deleted at its front stays there as a dead entry: `next(iter(d))` walks over all of
them. A list moves all that follows what is taken out, and a search in it or in a deque looks at everything before.
An OrderedDict, a deque or `RecordTable` does the same in O(1). Searches are looked for in the core alone: elsewhere
`remove` is mostly a set's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import synfin

SOURCE = Path(synfin.__file__).parent
CORE = ("wire", "tcp", "stack")
ROOMS = (*CORE, "links", "aio", "view", "sim")

FRONT_OF_A_DICT = "the first key of a dict"
FRONT_OF_A_LIST = "a list whose front moves"
SEARCH = "a search through a sequence"


def called(node: ast.AST, name: str) -> ast.Call | None:
    """A call of the plain name `name`."""
    return node if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name else None


def zero(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == 0


def slow_steps(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and kind of what this file looks for."""
    for node in ast.walk(tree):
        call = called(node, "next")
        if call is not None and called(call.args[0], "iter"):
            yield call.lineno, FRONT_OF_A_DICT
        if isinstance(node, ast.For) and isinstance(node.body[0], (ast.Break, ast.Return)):
            yield node.lineno, FRONT_OF_A_DICT
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        name = node.func.attr
        if name in ("pop", "insert") and zero(node.args[0]) and len(node.args) == 1 + (name == "insert"):
            yield node.lineno, FRONT_OF_A_LIST
        if name in ("remove", "index") and not ast.unparse(node.func.value).endswith("time_wait"):
            yield node.lineno, SEARCH


@pytest.mark.parametrize("room", ROOMS)
def test_no_queue_is_a_dict_or_a_list_whose_front_is_deleted_or_that_is_searched(room: str) -> None:
    found = [
        f"{file.relative_to(SOURCE)}:{line}: {what}"
        for file in sorted((SOURCE / room).rglob("*.py"))
        for line, what in slow_steps(ast.parse(file.read_text(encoding="utf-8")))
        if what != SEARCH or room in CORE
    ]
    assert not found


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("del table[next(iter(table))]", FRONT_OF_A_DICT),
        ("for key in table:\n    break", FRONT_OF_A_DICT),
        ("for key in table:\n    return key", FRONT_OF_A_DICT),
        ("waiting.pop(0)", FRONT_OF_A_LIST),
        ("waiting.insert(0, one)", FRONT_OF_A_LIST),
        ("waiting.remove(one)", SEARCH),
        ("waiting.index(one)", SEARCH),
    ],
)
def test_each_such_step_is_recognised(line: str, what: str) -> None:
    assert [found for _, found in slow_steps(ast.parse(line))] == [what]
