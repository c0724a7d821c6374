"""Runs as files for people: one HTML page, Markdown, CSV, a picture."""
