"""Answer a file of prompts so that nothing is lost and nothing is answered twice.

`prompts` reads the input, `answers` keeps the output, `run` drives the engine between them.
"""
