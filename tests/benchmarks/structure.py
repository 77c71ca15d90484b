"""How the code is laid out, in figures: this tree, beside other checkouts if given. Standard
library only.

python tests/benchmarks/structure.py [OTHER_CHECKOUT ...]
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

PACKAGES = ("cache", "probing", "analysis")
LONG, MANY, SHOWN = 50, 8, 5
FLAG = re.compile(r"--[a-z]")
BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.Assert,
    ast.match_case,
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module:
    """One file: its path parts without suffix (`__init__` left out), text and tree."""

    def __init__(self, root: Path, path: Path) -> None:
        parts = path.relative_to(root).with_suffix("").parts
        self.is_package = parts[-1] == "__init__"
        self.parts = parts[:-1] if self.is_package else parts
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)

    @property
    def folder(self) -> tuple[str, ...]:
        """The package it is in."""
        return self.parts if self.is_package else self.parts[:-1]

    @cached_property
    def functions(self) -> list[Function]:
        """Every function and method, nested ones as well."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    def name_of(self, function: Function) -> str:
        """Where a function is, as module:name."""
        return f"{'.'.join(self.parts)}:{function.name}"

    def imports(self) -> Iterator[tuple[str, ...]]:
        """What it imports when it is run: parts of the names of modules, or of names in them."""
        for node in _at_import(self.tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    yield tuple(name.name.split("."))
            elif isinstance(node, ast.ImportFrom):
                start = self.folder[: len(self.folder) - node.level + 1] if node.level else ()
                base = (*start, *(node.module.split(".") if node.module else ()))
                for name in node.names:
                    yield (*base, name.name)


class Tree:
    """The modules of a checkout, and what can be counted of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        paths = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
        self.modules = [Module(root, path) for path in paths]
        # `python -m PACKAGE` is a program, which may use what its package may not
        self.programs = {module.parts for module in self.modules if module.parts[-1] == "__main__"}
        self.known = {module.parts for module in self.modules}

    def arrows(self) -> set[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Module -> module, by run-time imports of this project; those of programs left out."""
        found = set()
        for module in self.modules:
            if module.parts in self.programs:
                continue
            for name in module.imports():
                target = name if name in self.known else name[:-1]
                if target in self.known and target != module.parts:
                    found.add((module.parts, target))
        return found

    def rooms(self, folder: tuple[str, ...]) -> tuple[int, int]:
        """Files and folders in a folder, and import arrows between them."""
        depth = len(folder)
        inside = {
            parts[depth] for parts in self.known if len(parts) > depth and parts[:depth] == folder
        }
        arrows = {
            (one[depth], two[depth])
            for one, two in self.arrows()
            if one[:depth] == two[:depth] == folder
            and len(one) > depth < len(two)
            and one[depth] != two[depth]
        }
        return len(inside), len(arrows)

    def folders(self) -> list[tuple[str, ...]]:
        """Folders of `analysis` and `probing`, the outer ones first."""
        found = {module.folder for module in self.modules if module.parts[0] != "cache"}
        return sorted(found, key=lambda parts: (parts[0], len(parts), parts))

    def cycles(self) -> list[list[str]]:
        """Packages that import each other at run time, directly or by way of others."""
        of_module = {module.parts: module.folder for module in self.modules}
        after: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for one, two in self.arrows():
            if of_module[one] != of_module[two]:
                after.setdefault(of_module[one], set()).add(of_module[two])
        reach = {folder: _reachable(folder, after) for folder in after}
        groups = {
            frozenset(two for two in reach[one] if one in reach.get(two, ())) for one in reach
        }
        return sorted(
            sorted(".".join(folder) for folder in group) for group in groups if len(group) > 1
        )


def _at_import(tree: ast.AST) -> Iterator[ast.stmt]:
    """Statements that run when a module is imported: not those of functions, nor those for type
    checkers.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        ):
            continue
        if isinstance(node, ast.stmt):
            yield node
        yield from _at_import(node)


def _reachable(
    start: tuple[str, ...], after: dict[tuple[str, ...], set[tuple[str, ...]]]
) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    waiting = [start]
    while waiting:
        new = after.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def complexity(function: Function) -> int:
    """McCabe's number: 1, and one more for each branch and each further part of a condition."""
    total = 1
    for node in ast.walk(function):
        total += isinstance(node, BRANCHES)
        total += len(node.values) - 1 if isinstance(node, ast.BoolOp) else 0
        total += 1 + len(node.ifs) if isinstance(node, ast.comprehension) else 0
    return total


def n_parameters(function: Function) -> int:
    """Parameters, but self and cls."""
    arguments = function.args
    names = [
        argument.arg
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    ]
    return len([name for name in names if name not in ("self", "cls")])


def parallel_share(tree: Tree) -> float:
    """Share of assignments that assign several values to several names, in per cent."""
    nodes = (node for module in tree.modules for node in ast.walk(module.tree))
    assignments = [node for node in nodes if isinstance(node, ast.Assign | ast.AnnAssign)]
    parallel = [
        node
        for node in assignments
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Tuple)
        and isinstance(node.value, ast.Tuple)
    ]
    return 100 * len(parallel) / max(1, len(assignments))


def n_comments(tree: Tree) -> int:
    """Comments that have a line of their own."""
    found = 0
    for module in tree.modules:
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
            found += token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
    return found


def n_flags(tree: Tree, package: str) -> int:
    """Strings with a flag of the command line in them; docstrings and programs left out."""
    found = 0
    for module in tree.modules:
        if module.parts[0] != package or module.parts in tree.programs:
            continue
        docstrings = {
            id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Expr)
        }
        for node in ast.walk(module.tree):
            is_text = (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in docstrings
            )
            found += is_text and FLAG.search(node.value) is not None
    return found


def pages(root: Path) -> dict[str, int]:
    """Files that each "Add a ..." page of CONTRIBUTING.md says to touch, tests left out."""
    path = root / "CONTRIBUTING.md"
    if not path.is_file():
        return {}
    sections = re.split(r"^#+ ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {}
    for section in sections:
        title, _, body = section.partition("\n")
        if title.startswith("Add a"):
            named = re.findall(r"`((?:cache|probing|analysis)/[\w/]+\.py)`", body)
            found[title.strip()] = len(set(named))
    return found


def figures(tree: Tree) -> dict[str, str]:
    """Every row of the table by its name."""
    functions = [(module, function) for module in tree.modules for function in module.functions]
    lines = sum(module.text.count("\n") for module in tree.modules)
    lengths = [(function.end_lineno or 0) - function.lineno + 1 for _, function in functions]
    parameters = [n_parameters(function) for _, function in functions]
    found = {"files": f"{len(tree.modules)}", "lines": f"{lines:,}"}
    for folder in tree.folders():
        rooms, arrows = tree.rooms(folder)
        if rooms:
            found[f"{'/'.join(folder)}: rooms, arrows"] = f"{rooms}, {arrows}"
    found["package cycles"] = "; ".join(" <> ".join(group) for group in tree.cycles()) or "none"
    found[f"functions over {LONG} lines"] = (
        f"{sum(n > LONG for n in lengths)}, longest {max(lengths)}"
    )
    found[f"functions over {MANY} parameters"] = (
        f"{sum(n > MANY for n in parameters)}, most {max(parameters)}"
    )
    ranked = sorted(
        ((complexity(function), module.name_of(function)) for module, function in functions),
        reverse=True,
    )
    for place, (number, name) in enumerate(ranked[:SHOWN], 1):
        found[f"complexity, number {place}"] = f"{number} {name}"
    found["parallel assignments"] = f"{parallel_share(tree):.1f} %"
    found["own-line comments"] = f"{n_comments(tree)}"
    for package in PACKAGES[:2]:
        found[f"strings with flags in {package}"] = f"{n_flags(tree, package)}"
    readme = (tree.root / "README.md").read_text(encoding="utf-8")
    found["README.md: words, longest line"] = (
        f"{len(readme.split()):,}, {max(map(len, readme.splitlines()))}"
    )
    for title, n in pages(tree.root).items():
        found[f"{title}: files"] = f"{n} and a test"
    return found


def main() -> None:
    """Print one column for each checkout."""
    roots = [*map(Path, sys.argv[1:]), Path(__file__).resolve().parents[2]]
    columns = [figures(Tree(root)) for root in roots]
    names = list(dict.fromkeys(name for column in columns for name in column))
    names.sort(
        key=lambda name: (
            name not in ("files", "lines"),
            "rooms" not in name,
            name if "rooms" in name else "",
        )
    )
    rows = [["", *(root.resolve().name for root in roots)]]
    rows += [[name, *(column.get(name, "-") for column in columns)] for name in names]
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows[1:]:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
