"""Names that a search finds: functions say what they do to what, and a public name stands in one module only."""

import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "liveavatar"
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}

MAX_ONE_WORD_SHARE = 0.45
"""Of function names, methods and private ones included, that may be a single word."""

MAX_SHARED_SHARE = 0.03
"""Of public functions and classes at top level whose name may stand in several modules."""


def is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def test_most_function_names_say_what_is_done_to_what() -> None:
    functions = [
        node.name
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_dunder(node.name)
    ]
    one_word = [name for name in functions if "_" not in name.strip("_")]
    assert len(one_word) < MAX_ONE_WORD_SHARE * len(functions)


def test_a_public_name_stands_in_one_module() -> None:
    homes = defaultdict(list)
    for path, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(path.relative_to(SOURCE))
    shared = {name: places for name, places in homes.items() if len(places) > 1}
    total = sum(map(len, homes.values()))
    assert sum(map(len, shared.values())) < MAX_SHARED_SHARE * total, shared
