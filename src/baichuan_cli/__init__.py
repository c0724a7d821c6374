"""Run the Baichuan language models on vLLM with the hardware you have."""

__version__ = "0.1.0"
