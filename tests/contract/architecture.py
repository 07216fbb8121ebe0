"""The drawing of the layers in docs/architecture.md, made from the code so that it cannot rot.

`python -m tests.contract.architecture` renews it; a contract test compares.
"""

from __future__ import annotations

import ast
from collections import Counter

from tests.contract.sources import APP, ROOT, modules, tree

PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- layers: begin -->", "<!-- layers: end -->"
LAYERS = (
    "cli",
    "web",
    "engine",
    "services",
    "capacity",
    "inventory",
    "tasks",
    "access",
    "db",
    "hypervisor",
    "core",
)
"""From the top to the bottom; imports go down only (`make lint`)."""


def drawing() -> str:
    """A Mermaid flowchart of the layers, and a table of what is in each."""
    edges = _edges()
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    {layer}["{layer}"]' for layer in LAYERS]
    lines += [
        f"    {above} --> {below}"
        for above, below in sorted(edges, key=lambda edge: (LAYERS.index(edge[0]), LAYERS.index(edge[1])))
        if not _is_implied(above, below, edges)
    ]
    lines += ["```", "", "| layer | packages of nouns | modules | imports from |", "|---|---|---|---|"]
    for layer in LAYERS:
        nouns = sorted(path.name for path in (APP / layer).iterdir() if (path / "__init__.py").exists())
        count = len(list((APP / layer).rglob("*.py")))
        below = [item for item in LAYERS if (layer, item) in edges]
        lines.append(f"| `{layer}` | {', '.join(nouns) or '–'} | {count} | {', '.join(below) or '–'} |")
    return "\n".join(lines) + "\n"


def page_with(drawn: str) -> str:
    """The page with this drawing in the place of the one that it has."""
    text = PAGE.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{drawn}{END}{tail}"


def _edges() -> Counter[tuple[str, str]]:
    """How many imports there are from a layer to another."""
    found: Counter[tuple[str, str]] = Counter()
    for path in modules():
        layer = path.relative_to(APP).parts[0]
        if layer not in LAYERS:
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("app."):
                other = node.module.split(".")[1]
                if other in LAYERS and other != layer:
                    found[layer, other] += 1
    return found


def _is_implied(above: str, below: str, edges: Counter[tuple[str, str]]) -> bool:
    """Whether another way leads there: the drawing shows steps, the table shows all."""
    return any((above, between) in edges and (between, below) in edges for between in LAYERS)


if __name__ == "__main__":
    PAGE.write_text(page_with(drawing()))
