"""The pages under `docs/profiles/`: what bcli plans for each card, for every model and release."""
