"""Options that several commands share, declared once. Their names are vLLM's own, so that what people know works."""

from __future__ import annotations

from typing import Annotated

import typer

from baichuan_cli.cli.completion import complete_model, complete_profile

_ENGINE = "Engine settings (the profile decides what is not given)"
_SAMPLING = "Sampling (the model's own generation config decides what is not given)"
_PLAN = "Plan"
_RUNNING_SERVER = "A server that runs already"

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="Show vLLM's own log as it comes.")]

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Name of the catalogue, or a folder. Default: the bundled demo.",
        autocompletion=complete_model,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="Hardware profile: a name, or a YAML file. Default: what is detected.",
        autocompletion=complete_profile,
    ),
]
ExplainOption = Annotated[
    bool,
    typer.Option(
        "--explain", help="Show every setting with its source and reason; load nothing.", rich_help_panel=_PLAN
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Show the exact vLLM arguments and environment; load nothing.", rich_help_panel=_PLAN
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Go on where the hardware may not do it. Never where answers may be wrong.",
        rich_help_panel=_PLAN,
    ),
]
VllmVersionOption = Annotated[
    str | None,
    typer.Option(
        "--vllm-version",
        metavar="VERSION",
        help="Plan for this vLLM instead of the installed one; only with --explain or --dry-run.",
        rich_help_panel=_PLAN,
    ),
]

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help="Its address, such as http://host:8000/v1.", rich_help_panel=_RUNNING_SERVER
    ),
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        envvar="VLLM_API_KEY",
        show_envvar=False,
        help="Its key; better given as VLLM_API_KEY, which no list of processes shows.",
        rich_help_panel=_RUNNING_SERVER,
    ),
]

DtypeOption = Annotated[
    str | None,
    typer.Option("--dtype", metavar="DTYPE", help="float16, bfloat16, float32 or auto.", rich_help_panel=_ENGINE),
]
TensorParallelOption = Annotated[
    int | None,
    typer.Option(
        "--tensor-parallel-size", "-tp", min=1, help="Cards to split every layer over.", rich_help_panel=_ENGINE
    ),
]
PipelineParallelOption = Annotated[
    int | None,
    typer.Option(
        "--pipeline-parallel-size", "-pp", min=1, help="Cards to share the layers out to.", rich_help_panel=_ENGINE
    ),
]
QuantizationOption = Annotated[
    str | None,
    typer.Option("--quantization", "-q", metavar="METHOD", help="gptq, awq, … or none.", rich_help_panel=_ENGINE),
]
MaxModelLenOption = Annotated[
    int | None,
    typer.Option("--max-model-len", min=1, help="Longest prompt plus answer, in tokens.", rich_help_panel=_ENGINE),
]
GpuMemoryOption = Annotated[
    float | None,
    typer.Option(
        "--gpu-memory-utilization", min=0.05, max=1.0, help="Share of each card to take.", rich_help_panel=_ENGINE
    ),
]
MaxNumSeqsOption = Annotated[
    int | None,
    typer.Option("--max-num-seqs", min=1, help="Prompts answered at the same time.", rich_help_panel=_ENGINE),
]
EagerOption = Annotated[
    bool | None,
    typer.Option(
        "--enforce-eager/--no-enforce-eager",
        help="Run without compiled graphs.",
        rich_help_panel=_ENGINE,
        show_default=False,
    ),
]
FastStartOption = Annotated[
    bool,
    typer.Option(
        "--fast-start",
        help="Start sooner: compile nothing. Costs a little speed on NVIDIA cards.",
        rich_help_panel=_ENGINE,
    ),
]
TrustRemoteCodeOption = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Let vLLM run the checkpoint's own Python code.", rich_help_panel=_ENGINE
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Another engine setting; repeatable.", rich_help_panel=_ENGINE),
]

MaxTokensOption = Annotated[
    int | None, typer.Option("--max-tokens", min=1, help="Longest answer, in tokens.", rich_help_panel=_SAMPLING)
]
TemperatureOption = Annotated[
    float | None, typer.Option("--temperature", min=0.0, help="0 is greedy.", rich_help_panel=_SAMPLING)
]
TopPOption = Annotated[
    float | None,
    typer.Option(
        "--top-p", min=0.0, max=1.0, help="Choose among the likeliest tokens of this share.", rich_help_panel=_SAMPLING
    ),
]
TopKOption = Annotated[
    int | None,
    typer.Option(
        "--top-k", min=-1, help="Choose among this many likeliest tokens; -1 is off.", rich_help_panel=_SAMPLING
    ),
]
RepetitionPenaltyOption = Annotated[
    float | None,
    typer.Option("--repetition-penalty", min=0.01, help="Above 1 avoids repetition.", rich_help_panel=_SAMPLING),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, help="Makes sampling repeatable.", rich_help_panel=_SAMPLING)
]
StopOption = Annotated[
    list[str] | None, typer.Option("--stop", help="Stop at this text; repeatable.", rich_help_panel=_SAMPLING)
]
ChoicesOption = Annotated[
    int | None, typer.Option("--n", min=1, help="Answers to each prompt.", rich_help_panel=_SAMPLING)
]
LogprobsOption = Annotated[
    int | None,
    typer.Option(
        "--logprobs", min=0, max=20, help="Log-probabilities of this many tokens a step.", rich_help_panel=_SAMPLING
    ),
]
