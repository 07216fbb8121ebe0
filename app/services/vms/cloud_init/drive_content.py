"""cloud-init drives: the texts of a NoCloud seed, and the ISO image that carries them to a guest.

https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html
"""

from __future__ import annotations

import io
import ipaddress
import re

import pycdlib
import yaml
from passlib.hash import sha512_crypt

from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.vms.create.spec import CloudInit

LABEL = "cidata"  # by which cloud-init finds the medium
# As genisoimage pads: programs that look for a label read further than a small image goes.
PADDING = bytes(150 * 2048)
_HEADER = "#cloud-config\n"


def cloud_init_texts(spec: CloudInit, vm_name: str, instance: str, macs: list[str]) -> dict[str, str]:
    """The files of a NoCloud seed. Raises InvalidInput (cloud_init.…) for YAML or addresses that cannot be used."""
    hostname = spec.hostname or plain_name(vm_name)
    meta = {"instance-id": instance, "local-hostname": hostname.split(".")[0]}
    texts = {
        "meta-data": yaml.safe_dump(meta, sort_keys=True),
        "user-data": _HEADER
        + yaml.safe_dump(_user_data(spec, hostname, instance), sort_keys=False, allow_unicode=True),
    }
    if spec.network == "static":
        texts["network-config"] = yaml.safe_dump(_network(spec, macs), sort_keys=False)
    return texts


def plain_name(name: str) -> str:
    """A host name made from a VM's name, which may hold anything."""
    plain = re.sub(r"[^A-Za-z0-9-]+", "-", name).strip("-")[:63].strip("-")
    return plain or "vm"


def cloud_init_image(texts: dict[str, str]) -> bytes:
    """The ISO 9660 image with these files, with Rock Ridge and Joliet names."""
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for name, text in texts.items():
        data = text.encode()
        iso_name = name.replace("-", "_").upper()
        image.add_fp(io.BytesIO(data), len(data), f"/{iso_name}.;1", rr_name=name, joliet_path=f"/{name}")
    out = io.BytesIO()
    image.write_fp(out)
    image.close()
    return out.getvalue() + PADDING


def _user_data(spec: CloudInit, hostname: str, instance: str) -> dict[str, object]:
    """What was asked for by fields, under what was written as YAML, which wins."""
    data: dict[str, object] = {"hostname": hostname, "preserve_hostname": False}
    if "." in hostname:
        data["fqdn"] = hostname
    keys = [key.strip() for key in spec.ssh_keys]
    hashed = sha512_crypt.hash(spec.password.get_secret_value()) if spec.password else None
    if spec.user:
        user: dict[str, object] = {
            "name": spec.user,
            "shell": "/bin/bash",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "lock_passwd": hashed is None,
        }
        if hashed:
            user["passwd"] = hashed
        if keys:
            user["ssh_authorized_keys"] = keys
        data["users"] = [user]
    else:
        if hashed:
            data["password"] = hashed
            data["chpasswd"] = {"expire": False}
        if keys:
            data["ssh_authorized_keys"] = keys
    if hashed:
        data["ssh_pwauth"] = True
    data |= _parse_user_data(spec.user_data)
    files = data.get("write_files", [])
    if not spec.keep_drive and isinstance(files, list):
        data["write_files"] = [*files, *_lasting_drive(instance)]
    return data


def _lasting_drive(instance: str) -> list[dict[str, str]]:
    """Files in the guest that tell cloud-init at later boots, without the medium, that this is the same machine.

    Else it would find no datasource, and either do nothing more or set the guest up anew.
    """
    texts = {"meta-data": yaml.safe_dump({"instance-id": instance}), "user-data": _HEADER}
    folder = "/var/lib/cloud/seed/nocloud"
    return [
        {"path": f"{folder}/{name}", "permissions": "0600", "content": text} for name, text in texts.items()
    ]


def _parse_user_data(text: str | None) -> dict[str, object]:
    """The YAML that a person wrote. Raises InvalidInput that says what is wrong, and where."""
    if not text or not text.strip():
        return {}
    field = "cloud_init.user_data"
    first = text.lstrip().splitlines()[0]
    if first.startswith(("#!", "Content-Type:", "#include", "#cloud-boothook", "## template")):
        raise InvalidInput(field, N_("must be cloud-config YAML; scripts go under runcmd or write_files"))
    try:
        loaded = yaml.load(text, _Loader)  # noqa: S506  a safe loader, made stricter
    except _Alias:
        raise InvalidInput(field, N_("must not use YAML aliases (*name)")) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidInput(
            field,
            N_("is not valid YAML: line %(line)d: %(problem)s"),
            params={"line": line, "problem": str(error.problem or error.context or "")[:200]},
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InvalidInput(field, N_("is not valid YAML")) from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise InvalidInput(field, N_("must be a mapping of settings, such as packages: [nginx]"))
    return loaded


class _Alias(Exception):
    """The text refers to another part of itself, by which a few lines can become gigabytes."""


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise _Alias
        return super().compose_node(parent, index)


def _network(spec: CloudInit, macs: list[str]) -> dict[str, object]:
    """Version 2 of cloud-init's network configuration, for the first interface."""
    address = _interface(spec.address or "")
    card: dict[str, object] = {"addresses": [str(address)], "dhcp4": False}
    if macs:
        card = {"match": {"macaddress": macs[0]}, **card}
    if spec.gateway:
        gateway = _address("cloud_init.gateway", spec.gateway)
        if gateway.version != address.version:
            raise InvalidInput(
                "cloud_init.gateway", N_("must be of the same kind as the address (IPv4 or IPv6)")
            )
        anywhere = "0.0.0.0/0" if address.version == 4 else "::/0"
        card["routes"] = [{"to": anywhere, "via": str(gateway)}]
    if spec.nameservers:
        servers = [
            str(_address(f"cloud_init.nameservers.{number}", item))
            for number, item in enumerate(spec.nameservers)
        ]
        card["nameservers"] = {"addresses": servers}
    return {"version": 2, "ethernets": {"eth0": card}}


def _interface(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    try:
        if "/" not in text:
            raise ValueError(text)
        return ipaddress.ip_interface(text)
    except ValueError:
        raise InvalidInput(
            "cloud_init.address", N_("must be an address with its prefix, such as 192.0.2.10/24")
        ) from None


def _address(field: str, text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise InvalidInput(field, N_("must be an IP address")) from None
