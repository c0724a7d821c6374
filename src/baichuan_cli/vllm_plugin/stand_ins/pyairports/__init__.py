"""Stands in for a package that PyPI has lost, where none is installed; see `vllm_plugin.api_server`."""
