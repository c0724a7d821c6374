"""What vLLM's log says of its start, in lines of real logs, and how a log is read while it grows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.engine.stages import LogReader, stage


@pytest.mark.parametrize(
    ("line", "doing"),
    [
        (
            "Loading safetensors checkpoint shards:  50% Completed | 1/2 [00:03<00:03]",
            "loading weights 50 %",
        ),
        ("Loading pt checkpoint shards: 100% Completed | 3/3 [00:09<00:00,  3.2s/it]", "loading weights 100 %"),
        ("(EngineCore pid=7) INFO 11-26 [cpu_model_runner.py:68] Starting to load model /m...", "loading weights"),
        (
            "INFO [llm_engine.py:161] Initializing an LLM engine (v0.5.0) with config",
            "starting the engine",
        ),
        ("INFO [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: model=", "starting the engine"),
        ("INFO [backends.py:430] Dynamo bytecode transform time: 4.60 s", "compiling"),
        ("Capturing CUDA graph shapes: 100%|##| 67/67 [00:20<00:00,  3.24it/s]", "capturing graphs"),
        ("INFO [model_runner.py:1024] Capturing the model for CUDA graphs. This may lead to", "capturing graphs"),
        ("INFO 11-26 18:32:19 cpu_executor.py:72] # CPU blocks: 8192", "making room for the KV cache"),
        ("INFO [kv_cache_utils.py:2327] CPU KV cache size: 262,144 tokens", "making room for the KV cache"),
        ("INFO:     Started server process [17559]", "starting the server"),
        ("WARNING [vllm.py:1703] Enforce eager set, disabling torch.compile, CUDAGraphs, and JIT", None),
        ("Triton is installed, but doesn't include CPU backend. Disabling Triton.", None),
    ],
)
def test_lines_of_real_logs(line: str, doing: str | None) -> None:
    assert stage(line) == doing


@given(st.lists(st.tuples(st.text("ab诗 ", min_size=1).filter(str.strip), st.sampled_from("\n\r"))), st.data())
def test_a_growing_log_is_read_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("log") / "x.log"
    path.touch()
    reader, seen = LogReader(path), []
    content = "".join(text + end for text, end in lines).encode()
    while content:
        cut = data.draw(st.integers(1, len(content)))
        with path.open("ab") as file:
            file.write(content[:cut])
        content = content[cut:]
        seen += reader.lines()
    assert seen == [text for text, _ in lines]
    assert reader.lines() == []


def test_a_log_that_was_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("a long first line\n")
    reader = LogReader(path)
    assert reader.lines() == ["a long first line"]
    path.write_text("short\n")
    assert reader.lines() == ["short"]
