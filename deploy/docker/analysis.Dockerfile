ARG PYTHON=3.11.15-slim-bookworm

# The same words in every Dockerfile here, so that one cached wheel serves all images.
FROM python:${PYTHON} AS wheel
WORKDIR /source
COPY pyproject.toml README.md ./
COPY shared shared
COPY services services
COPY api api
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON} AS install
# An index of CPU-only torch wheels, when there is no GPU: saves gigabytes.
ARG PIP_EXTRA_INDEX_URL=
COPY --from=wheel /wheels /wheels
RUN python -m venv /opt/forgetscope \
    && /opt/forgetscope/bin/pip install --no-cache-dir "$(echo /wheels/*.whl)[analysis]"

FROM python:${PYTHON}
# The home first: a volume mounted over it takes its owner from here.
RUN useradd --uid 10001 --create-home --home-dir /var/lib/forgetscope forgetscope
COPY --from=install /opt/forgetscope /opt/forgetscope
ENV PATH=/opt/forgetscope/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FORGETSCOPE_HOME_DIR=/var/lib/forgetscope
WORKDIR /var/lib/forgetscope
USER 10001
# The worker touches a file at every turn of its loop; the check looks at its age.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s \
    CMD ["forgetscope", "worker-health", "analyse"]
CMD ["forgetscope", "worker", "analyse"]
