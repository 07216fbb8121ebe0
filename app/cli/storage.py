"""`vigie volume` and `vigie image`: volumes of pools, files that become volumes, and the library."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from app.access.context import Ctx
from app.cli.names import image_named, pool_named, volume_named
from app.cli.runtime import AsJson, opened, operator, plain_errors, reading, show
from app.cli.sizes import bytes_of
from app.cli.tasks import NoWait, follow
from app.core.errors import InvalidInput
from app.core.library.images import ImageCopySpec, ImageImport, ImageRecord, ImageSpec
from app.core.records import Page
from app.core.specs import MAX_LIMIT, ListQuery
from app.core.storage.records import VolumeRecord
from app.core.storage.specs import VolumeQuery
from app.core.storage.uploads import MAX_PART, UploadSpec
from app.core.storage.volumes import VolumeClone, VolumeMove, VolumeResize, VolumeSpec
from app.core.tasks.records import TaskRecord
from app.services.library import image_copy, image_import, image_register, images
from app.services.storage.uploads.parts import receive
from app.services.storage.uploads.uploads import begin_upload, list_uploads
from app.services.storage.volumes import volumes
from app.services.storage.volumes.clone import clone_volume
from app.services.storage.volumes.create import create_volume
from app.services.storage.volumes.delete import delete_volume
from app.services.storage.volumes.download import open_content
from app.services.storage.volumes.move import move_volume
from app.services.storage.volumes.resize import resize_volume

volume = typer.Typer(no_args_is_help=True, help="Volumes of storage pools, called HOST/POOL/VOLUME.")
image = typer.Typer(no_args_is_help=True, help="The library of images.")
COLUMNS = ("name", "pool_name", "host_name", "format", "capacity_bytes", "allocation_bytes", "id")
IMAGES = ("name", "kind", "format", "state", "size_bytes", "os", "id")
PoolName = Annotated[str, typer.Argument(help="HOST/POOL, or the pool's id.")]
VolumeName = Annotated[str, typer.Argument(help="HOST/POOL/VOLUME, or the volume's id.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@volume.command("list")
@plain_errors
def list_volumes(
    pool: Annotated[str | None, typer.Option(help="Only those of this pool, HOST/POOL.")] = None,
    unused: Annotated[bool, typer.Option("--unused", help="Only what nothing uses; needs --pool.")] = False,
    as_json: AsJson = False,
) -> None:
    """List volumes as last seen."""
    found: list[VolumeRecord] = []
    with reading() as ctx:
        volume_query = VolumeQuery(
            limit=MAX_LIMIT, pool=pool_named(ctx, pool).id if pool else None, unused=True if unused else None
        )
        while True:
            part: Page[VolumeRecord] = volumes.list_volumes(ctx, volume_query)
            found += part.items
            if part.next is None:
                break
            volume_query = volume_query.model_copy(update={"cursor": part.next})
    show(found, COLUMNS, as_json=as_json)


@volume.command("create")
@plain_errors
def create(
    pool: PoolName,
    name: Annotated[str, typer.Argument(help="Name of the volume, with its ending.")],
    size: Annotated[str, typer.Argument(help="Size, such as 20G.")],
    format: Annotated[str | None, typer.Option(help="qcow2 or raw; unset: as suits the pool.")] = None,
    preallocate: Annotated[bool, typer.Option("--preallocate", help="Reserve all space at once.")] = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Make an empty volume."""

    def ask(ctx: Ctx) -> TaskRecord:
        given = {"pool_id": pool_named(ctx, pool).id, "name": name, "size_bytes": bytes_of("size", size)}
        spec = VolumeSpec.model_validate(given | {"format": format, "preallocate": preallocate})
        return create_volume(ctx, spec)

    _do(ask, no_wait=no_wait, as_json=as_json)


@volume.command("resize")
@plain_errors
def resize(
    name: VolumeName,
    size: Annotated[str, typer.Argument(help="New size, such as 40G.")],
    shrink: Annotated[bool, typer.Option("--shrink", help="Allow shrinking; what lies beyond the new size is lost.")] = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Change the size; a running VM sees a larger disk at once."""

    def ask(ctx: Ctx) -> TaskRecord:
        spec = VolumeResize(size_bytes=bytes_of("size", size), shrink=shrink)
        return resize_volume(ctx, volume_named(ctx, name).id, spec)

    _do(ask, no_wait=no_wait, as_json=as_json)


@volume.command("clone")
@plain_errors
def clone(
    name: VolumeName,
    copy: Annotated[str, typer.Argument(help="Name of the copy.")],
    pool: Annotated[str | None, typer.Option(help="Another pool of the host, HOST/POOL.")] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Copy a volume."""

    def ask(ctx: Ctx) -> TaskRecord:
        spec = VolumeClone(name=copy, pool_id=pool_named(ctx, pool).id if pool else None)
        return clone_volume(ctx, volume_named(ctx, name).id, spec)

    _do(ask, no_wait=no_wait, as_json=as_json)


@volume.command("move")
@plain_errors
def move(name: VolumeName, pool: PoolName, no_wait: NoWait = False, as_json: AsJson = False) -> None:
    """Move a volume to another pool of its host; the VM that has it follows, also while it runs."""

    def ask(ctx: Ctx) -> TaskRecord:
        return move_volume(ctx, volume_named(ctx, name).id, VolumeMove(pool_id=pool_named(ctx, pool).id))

    _do(ask, no_wait=no_wait, as_json=as_json)


@volume.command("delete")
@plain_errors
def delete(name: VolumeName, yes: Yes = False, no_wait: NoWait = False, as_json: AsJson = False) -> None:
    """Delete a volume for good."""
    if not yes:
        typer.confirm(f"Delete {name} for good?", abort=True, err=True)
    _do(lambda ctx: delete_volume(ctx, volume_named(ctx, name).id), no_wait=no_wait, as_json=as_json)


@volume.command("upload")
@plain_errors
def upload(
    pool: PoolName,
    file: Annotated[Path, typer.Argument(help="File on this machine.")],
    name: Annotated[str | None, typer.Option(help="Name of the volume; unset: the file's.")] = None,
) -> None:
    """Send a file into a pool; one that stopped on its way goes on where it was."""
    if not file.is_file():
        raise InvalidInput("file", "is no file")
    size, called = file.stat().st_size, name or file.name
    with opened() as services, file.open("rb") as source:
        with services.database.begin() as session:
            ctx = Ctx(services, session, operator())
            pool_id = pool_named(ctx, pool).id
            waiting = [item for item in list_uploads(ctx, pool_id).items if item.name == called]
            if waiting and waiting[0].size_bytes != size:
                raise InvalidInput("file", "has another size than the one of this name that is on its way")
            upload_spec = UploadSpec(name=called, size_bytes=size)
            record = waiting[0] if waiting else begin_upload(ctx, pool_id, upload_spec)
        try:
            while record.offset_bytes < size:
                source.seek(record.offset_bytes)
                part = source.read(MAX_PART)
                record = receive(services, operator(), str, record.id, record.offset_bytes, part)
                if sys.stderr.isatty():
                    typer.echo(f"\r{100 * record.offset_bytes // size} %\033[K", nl=False, err=True)
        finally:
            services.host_connections.close()
    typer.echo(f"{called}: the file is in the pool.")


@volume.command("download")
@plain_errors
def download(
    name: VolumeName, file: Annotated[Path, typer.Argument(help="Where to write it; must not exist.")]
) -> None:
    """Write a volume, as it is stored, to a file on this machine."""
    with opened() as services:
        with services.database.read() as session:
            volume_id = volume_named(Ctx(services, session, operator()), name).id
        try:
            content = open_content(services, operator(), str, volume_id)
            with file.open("xb") as into:
                for chunk in content.chunks:
                    into.write(chunk)
        finally:
            services.host_connections.close()
    typer.echo(f"{file}: {content.size_bytes} bytes.")


@image.command("list")
@plain_errors
def list_images(as_json: AsJson = False) -> None:
    """List the images of the library."""
    found: list[ImageRecord] = []
    with reading() as ctx:
        list_query = ListQuery(limit=MAX_LIMIT)
        while True:
            part: Page[ImageRecord] = images.list_images(ctx, list_query)
            found += part.items
            if part.next is None:
                break
            list_query = list_query.model_copy(update={"cursor": part.next})
    show(found, IMAGES, as_json=as_json)


@image.command("add")
@plain_errors
def add_image(
    name: Annotated[str, typer.Argument(help="Its name in the library.")],
    volume: VolumeName,
    os: Annotated[str | None, typer.Option(help="System in it, such as debian11.")] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Make a volume an image."""

    def ask(ctx: Ctx) -> TaskRecord:
        return image_register.register_image(
            ctx, ImageSpec(name=name, volume_id=volume_named(ctx, volume).id, os=os)
        )

    _do(ask, no_wait=no_wait, as_json=as_json)


@image.command("import")
@plain_errors
def import_image(
    name: Annotated[str, typer.Argument(help="Its name in the library.")],
    url: Annotated[str, typer.Argument(help="https://…, of a server that VIGIE_IMPORT_FROM names.")],
    pool: PoolName,
    sha256: Annotated[str | None, typer.Option(help="What the file's SHA-256 must be.")] = None,
    volume: Annotated[str | None, typer.Option(help="Name of the volume; unset: the file's.")] = None,
    os: Annotated[str | None, typer.Option(help="System in it; unset: guessed.")] = None,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a file from another server into a pool and make it an image."""

    def ask(ctx: Ctx) -> TaskRecord:
        given = {"name": name, "url": url, "pool_id": pool_named(ctx, pool).id}
        spec = ImageImport.model_validate(given | {"sha256": sha256, "volume_name": volume, "os": os})
        return image_import.import_image(ctx, spec)

    _do(ask, no_wait=no_wait, as_json=as_json)


@image.command("copy")
@plain_errors
def copy_image(
    name: Annotated[str, typer.Argument(help="Name or id of the image.")],
    pool: PoolName,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Copy an image to another host."""

    def ask(ctx: Ctx) -> TaskRecord:
        return image_copy.copy_image(
            ctx, image_named(ctx, name).id, ImageCopySpec(pool_id=pool_named(ctx, pool).id)
        )

    _do(ask, no_wait=no_wait, as_json=as_json)


@image.command("remove")
@plain_errors
def remove_image(name: Annotated[str, typer.Argument(help="Name or id of the image.")]) -> None:
    """Remove an image from the library; its files stay as volumes."""
    with opened() as services, services.database.begin() as session:
        ctx = Ctx(services, session, operator())
        images.remove_image(ctx, image_named(ctx, name).id)


def _do(ask: Callable[[Ctx], TaskRecord], *, no_wait: bool, as_json: bool) -> None:
    with opened() as services:
        with services.database.begin() as session:
            task = ask(Ctx(services, session, operator()))
        follow(services, [task], no_wait=no_wait, as_json=as_json)
