# Two stages on one base: the first has pip and the sources, the second only the installed exporter.
# Only instructions that every builder supports, also the classic one.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
# To build without a network: a directory `wheels` in the context, PIP_NO_INDEX=1 and
# PIP_FIND_LINKS=/src/wheels. pip reads both from the environment.
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
WORKDIR /src
COPY pyproject.toml README.md ./
COPY requirements ./requirements
# A pattern, because COPY fails on a missing directory, but not on a pattern without a match
# beside a file that exists.
COPY LICENSE wheel[s] ./wheels/
COPY LICENSE ./
COPY exporter ./exporter
# pip refuses what has another hash than requirements/ has. It stays in /opt/build: the exporter does not need it.
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement requirements/build.txt \
 && /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /opt/build/dist . \
 && python -m venv --without-pip /opt/exit-exporter \
 && /opt/build/bin/pip --python /opt/exit-exporter install --no-cache-dir --require-hashes --requirement requirements/image.txt \
 && /opt/build/bin/pip --python /opt/exit-exporter install --no-cache-dir --no-deps --no-index /opt/build/dist/*.whl

FROM ${BASE}
# Where the image comes from; a release sets them (docs/releasing.md).
ARG SOURCE=""
ARG REVISION=""
ARG VERSION=""
ARG CREATED=""
LABEL org.opencontainers.image.title="exit-exporter" \
      org.opencontainers.image.description="Why did my container exit? Exit codes and reasons of container jobs." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /opt/exit-exporter /opt/exit-exporter
# A number, so that the base image needs no useradd, and Kubernetes can see that it is not root.
RUN mkdir -p /var/lib/exit-exporter && chown 10137:10137 /var/lib/exit-exporter
ENV PATH=/opt/exit-exporter/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    EXIT_EXPORTER_WEB_LISTEN_ADDRESS=0.0.0.0:10137 \
    EXIT_EXPORTER_STORAGE_URL=sqlite:////var/lib/exit-exporter/exit-exporter.db
USER 10137:10137
VOLUME /var/lib/exit-exporter
EXPOSE 10137
# The port comes from the setting. A proxy in the environment must not be used for 127.0.0.1.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["python", "-c", "import os, urllib.request as r; port = os.environ['EXIT_EXPORTER_WEB_LISTEN_ADDRESS'].rpartition(':')[2]; r.build_opener(r.ProxyHandler({})).open(f'http://127.0.0.1:{port}/-/healthy', timeout=4)"]
ENTRYPOINT ["exit-exporter"]
CMD ["serve"]
