"""What people deploy with names only settings that exist, runs as nobody special and holds no secret."""

import configparser
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.config import OTHER_VARIABLES, Settings
from tests.contract.settings_page import page

ROOT = Path(__file__).parents[2]
KNOWN = {f"VIGIE_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
DEPLOYED = ["Dockerfile", "docker-compose.yml", "docs/vigie.service"]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """docker-compose.yml as Compose reads it."""
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return read


def documents() -> list[Path]:
    """Everything that tells people which settings to write."""
    return [*(ROOT / name for name in DEPLOYED), ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_every_setting_named_exists(path: Path) -> None:
    named = set(re.findall(r"\bVIGIE_[A-Z_]*[A-Z]\b", path.read_text()))
    assert named - KNOWN == set()


def test_compose_settings_are_valid_values(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    environment = dict(compose["services"]["vigie"]["environment"])
    del environment["VIGIE_CONFIG"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert str(settings.data_dir) == "/var/lib/vigie"
    assert (settings.host, settings.port) == ("0.0.0.0", 8600)


def test_compose_services_are_healthy_and_unprivileged(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"vigie", "database"}
    for service in compose["services"].values():
        assert service["healthcheck"]["test"][0] == "CMD"
        assert int(service["user"].split(":")[0]) > 0
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "network_mode", "pid", "devices", "cap_add"} & set(service)
    assert compose["services"]["vigie"]["depends_on"]["database"]["condition"] == "service_healthy"


def test_compose_volumes_and_secrets_are_named_and_used(compose: dict[str, Any]) -> None:
    mounted = {volume.split(":")[0] for item in compose["services"].values() for volume in item["volumes"]}
    assert mounted == set(compose["volumes"])
    used = {name for item in compose["services"].values() for name in item["secrets"]}
    assert used == set(compose["secrets"])
    for secret in compose["secrets"].values():
        tracked = subprocess.run(
            ["git", "check-ignore", "-q", secret["file"]], cwd=ROOT, timeout=10, check=False
        )
        assert tracked.returncode == 0, f"{secret['file']} could be committed"


def test_compose_holds_no_secret(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD|SECRET|TOKEN|DATABASE_URL", name):
                assert name.endswith("_FILE"), name
            assert "://" not in str(value), name


def test_dockerfile_runs_as_the_same_user_and_copies_what_exists(compose: dict[str, Any]) -> None:
    text = (ROOT / "Dockerfile").read_text()
    last_stage = text[text.rindex("FROM ") :]
    user = re.search(r"--uid (\d+)", last_stage)
    assert user
    assert compose["services"]["vigie"]["user"] == f"{user[1]}:{user[1]}"
    assert re.search(r"^USER vigie$", last_stage, re.MULTILINE)
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    assert "/opt/vigie/bin" in text
    assert "--require-hashes" in text


def test_unit_is_hardened_and_serves() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(ROOT / "docs/vigie.service")
    service = unit["Service"]
    assert service["ExecStart"].endswith("/vigie serve")
    assert service["User"] not in ("", "root")
    assert service["CapabilityBoundingSet"] == ""
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictNamespaces"):
        assert service[name] == "yes", name


def test_a_clone_has_every_folder_that_the_package_is_built_from() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    for folder in [*wheel["packages"], *wheel["force-include"]]:
        listed = subprocess.run(
            ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, timeout=10, check=True
        )
        assert listed.stdout.strip(), f"git keeps no file of {folder}/, so a clone lacks the folder"


def test_settings_page_is_made_from_the_settings() -> None:
    assert (ROOT / "docs/settings.md").read_text() == page(), "make docs writes it anew"
