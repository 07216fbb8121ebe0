# Vigie's server. The lab and the demo are not meant to run in a container.
FROM python:3.11-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc pkg-config libvirt-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/vigie \
    && /opt/vigie/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml hatch_build.py package.json package-lock.json README.md LICENSE ./
COPY app app
COPY templates templates
COPY static static
COPY migrations migrations
RUN /opt/vigie/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends libvirt0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10600 --home-dir /var/lib/vigie --create-home vigie
COPY --from=build /opt/vigie /opt/vigie
ENV PATH=/opt/vigie/bin:$PATH PYTHONUNBUFFERED=1 \
    VIGIE_DATA_DIR=/var/lib/vigie VIGIE_HOST=0.0.0.0 VIGIE_PORT=8600
USER vigie
VOLUME /var/lib/vigie
EXPOSE 8600
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8600/readyz', timeout=2)"]
CMD ["vigie", "serve"]
