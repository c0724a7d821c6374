#!/usr/bin/env bash
# What a container starts with: the vendor's environment where there is one, then bcli.
if [ -f /opt/dtk/env.sh ]; then
  # shellcheck disable=SC1091
  source /opt/dtk/env.sh
fi
exec bcli "$@"
