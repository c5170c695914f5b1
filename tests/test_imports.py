"""What may import what: folders stand on floors, and import from lower floors alone."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "narrows"

FLOORS = [
    {"errors"},
    {"parts"},
    {"records", "io", "numerics"},
    {"data", "codec"},
    {"preprocessing", "corruptions", "bottlenecks", "penalties", "networks", "likelihoods"},
    {"adversaries"},
    {"chain"},
    {"training"},
    {"lossless", "codec.freezing"},
    {"model"},
    {"estimators"},
    {"pictures", "archive"},
    {"uses"},
    {"evaluation"},
    {"cli"},
]
"""From the ground up. ``narrows/__init__.py`` and ``__main__.py`` stand above all others."""

LEVEL = {folder: level for level, folders in enumerate(FLOORS) for folder in folders}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").removesuffix("."): path
    for path in sorted(ROOT.rglob("*.py"))
}


def level_of(module):
    """Return the floor of a module by the longest name that has one."""
    names = module.split(".")
    known = (".".join(names[:n]) for n in range(len(names), 0, -1))
    return next((LEVEL[name] for name in known if name in LEVEL), len(FLOORS))


@cache
def tree_of(module):
    return ast.parse(MODULES[module].read_text())


@cache
def imports(module):
    """Return the modules that a module imports, wherever in its file, but for annotations."""
    found = set()

    def visit(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.ImportFrom) and (child.module or "").startswith("narrows."):
                module = child.module.removeprefix("narrows.")
                inner = {f"{module}.{name.name}" for name in child.names} & MODULES.keys()
                found.update(inner or {module})
            visit(child)

    visit(tree_of(module))
    return found


def test_every_folder_has_a_floor():
    folders = {module.split(".")[0] for module in MODULES} - {"", "__main__"}
    assert folders == {folder.split(".")[0] for folder in LEVEL}


def test_a_module_imports_from_its_folder_and_lower_floors():
    def folder(name):
        return "codec.freezing" if name.startswith("codec.freezing") else name.split(".")[0]

    wrong = [
        f"{module} imports {other}"
        for module in filter(None, MODULES)
        for other in imports(module)
        if folder(other) != folder(module) and len(FLOORS) > level_of(other) >= level_of(module)
    ]
    assert wrong == []


def test_modules_do_not_import_each_other_in_circles():
    graph = {module: imports(module) & MODULES.keys() for module in MODULES}
    done, under_way = set(), []

    def visit(module):
        if module in under_way:
            raise AssertionError(" -> ".join([*under_way[under_way.index(module) :], module]))
        if module not in done:
            under_way.append(module)
            for other in graph[module]:
                visit(other)
            done.add(under_way.pop())

    for module in graph:
        visit(module)


def test_what_restores_and_plans_archives_needs_numpy_and_zstandard_alone():
    modules = [f"narrows.{name}" for name in MODULES if name.startswith("codec") and "freezing" not in name]
    modules += [f"narrows.archive.{name}" for name in ("reader", "restore", "recovery", "description", "plan")]
    script = f"""
import sys, importlib
blocked = ("torch", "sklearn", "matplotlib", "scipy", "pandas", "PIL", "click", "rich")
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
for name in {modules!r}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_few_modules_are_at_the_root():
    assert {module for module in MODULES if module and "." not in module and MODULES[module].name != "__init__.py"} == {
        "__main__",
        "chain",
        "errors",
    }


def test_files_and_functions_are_short():
    def starts(function):
        return function.body[1].lineno if ast.get_docstring(function) and len(function.body) > 1 else function.lineno

    long = [module for module, path in MODULES.items() if len(path.read_text().splitlines()) > 400]
    long += [
        f"{module}.{node.name}"
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - starts(node) >= 60
    ]
    assert long == []


def test_the_design_shows_the_folders_there_are():
    design = (ROOT.parent / "docs" / "design.md").read_text()
    tree = design[design.index("    narrows/\n") :].split("\n\n")[0]
    shown = {name for line in tree.splitlines()[1:] for name in re.findall(r"(?:^| )([a-z_]+)/", line)}
    there = {folder.parent.name for folder in ROOT.rglob("__init__.py")} - {"narrows"}
    assert shown == there
