# bcli in a container. The base has the card's libraries, torch and vLLM; bcli is installed beside them and moves none.
# `bcli docker --profile NAME` prints how this is built and run on each kind of hardware, with the reasons.
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE}

# EXTRA=cpu brings vLLM for the CPU; leave it empty where the base has vLLM.
ARG EXTRA=""
# RUN_AS=root where the devices want it.
ARG RUN_AS=bcli

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# vLLM for the CPU needs libnuma, which slim images lack. Any version of it does.
# hadolint ignore=DL3008
RUN if [ "${EXTRA}" = cpu ]; then \
      apt-get update && apt-get install --yes --no-install-recommends libnuma1 && rm -rf /var/lib/apt/lists/*; \
    fi

COPY pyproject.toml README.md LICENSE /opt/bcli/
COPY src /opt/bcli/src
COPY profiles /opt/bcli/profiles
COPY tools/install_beside.py tools/set_up.py tools/container_entrypoint.sh /opt/bcli/tools/
# Some distributions guard their Python against pip; a container has no other use for it.
RUN PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1 python3 /opt/bcli/tools/install_beside.py ${EXTRA:+--extra "${EXTRA}"}

RUN useradd --create-home bcli && mkdir -p /var/lib/bcli && chown bcli /var/lib/bcli
USER ${RUN_AS}
ENV BCLI_HOME=/var/lib/bcli
WORKDIR /var/lib/bcli

# Loading takes minutes. A container that serves nothing, or another port, is run with --no-healthcheck or HEALTH_URL.
ENV HEALTH_URL=http://127.0.0.1:8000/health
HEALTHCHECK --start-period=10m --interval=15s --timeout=5s --retries=4 \
  CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen(os.environ['HEALTH_URL'], timeout=4)"]

ENTRYPOINT ["/bin/bash", "/opt/bcli/tools/container_entrypoint.sh"]
CMD ["--help"]
