"""docs/settings.md, made from the settings themselves: python -m tests.contract.settings_page > docs/settings.md"""

import sys

from app.config import Settings

HEAD = """\
# Settings

From the environment (`VIGIE_…`), or a TOML file with the names in lower case and without `VIGIE_`: the file that `VIGIE_CONFIG` names, else `/etc/vigie/vigie.toml`. The environment wins. An unknown or wrong setting stops the start with its name.

| setting | default | |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    lines = []
    for name, field in Settings.model_fields.items():
        default = (
            ""
            if field.default is None
            else f"`{str(field.default).lower() if field.annotation is bool else field.default}`"
        )
        lines.append(f"| `VIGIE_{name.upper()}` | {default} | {field.description} |\n")
    return HEAD + "".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
