"""The web application: doors, layers around them, files. Made once by `app.main`, which owns the lifespan."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry, Histogram
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles

from app.access.context import Services
from app.resources import resource
from app.services.inventory.readiness import Health, Readiness
from app.web import consoles, live, pages
from app.web.api import PREFIX, install_api
from app.web.api.openapi import install_openapi
from app.web.error_pages import error_page
from app.web.errors import install_errors
from app.web.middleware import install_middleware


def create_web(services: Services, health: Health) -> FastAPI:
    """Pages, REST API, live stream and files over the services. `health` tells how the engine is."""
    app = FastAPI(
        title="Vigie",
        redirect_slashes=False,  # such a redirect repeats whatever host the request names
        version=_version(),
        openapi_url=None,  # install_openapi serves it
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    registry = CollectorRegistry()
    durations = Histogram(
        "vigie_request_seconds",
        "Time to answer a request.",
        ("method", "handler", "status"),
        registry=registry,
        buckets=(0.005, 0.01, 0.02, 0.04, 0.1, 0.25, 1, 5, 30),
    )
    app.state.services = services
    app.state.health = health
    app.state.readiness = Readiness(services, health)
    app.state.registry = registry
    install_middleware(app, services.settings, durations)
    install_errors(app, error_page)
    app.router.routes.extend(all_routes())
    install_openapi(app, f"{PREFIX}/openapi.json")
    app.mount("/static", StaticFiles(directory=resource("static")), name="static")
    return app


@cache
def all_routes() -> list[BaseRoute]:
    """All routes, resolved once for all applications of a process: tests make many.

    They are shared, so `dependency_overrides` of an application has no effect.
    """
    resolved = FastAPI(openapi_url=None, generate_unique_id_function=_operation_id)
    install_api(resolved)
    for part in (consoles, live, pages):
        resolved.include_router(part.router)
    return resolved.routes


def _operation_id(route: APIRoute) -> str:
    return route.name.replace(".", "_")


def _version() -> str:
    try:
        return version("vigie")
    except PackageNotFoundError:  # a checkout that was not installed
        return "0"
