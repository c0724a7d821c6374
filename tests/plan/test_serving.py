"""What vLLM's server is given: whole command lines for each release, and what speaks against serving like that."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from baichuan_cli.chat_templates import template_path
from baichuan_cli.plan.layers import from_command_line
from baichuan_cli.plan.model import Plan
from baichuan_cli.plan.render import server_command
from baichuan_cli.plan.serving import ServeOptions, generation_config, plan_server
from plan.planning import cards, plan
from reference.installed_parser import server_parser
from reference.releases import since

STATE = Path("/state")
API_SERVER = "vllm.entrypoints.openai.api_server"
OUR_SERVER = "baichuan_cli.vllm_plugin.api_server"


def served(model: str = "demo", release: str = "0.32.0", options: ServeOptions | None = None, **asked: object) -> Plan:
    return plan_server(plan(model, "cpu", release, purpose="server", **asked), options or ServeOptions(), STATE)


def engine(model: str = "/models/demo") -> list[str]:
    return [
        *("--model", model, "--dtype", "bfloat16", "--tensor-parallel-size", "1", "--max-model-len", "1024"),
        *("--gpu-memory-utilization", "0.9", "--enforce-eager", "--seed", "0"),
    ]


TEMPLATE = str(template_path("baichuan2"))
WHERE = ["--host", "127.0.0.1", "--port", "8000", "--served-model-name", "demo", "--chat-template", TEMPLATE]
QUIET = ["--disable-log-requests"]
NO_ORIGIN = ["--allowed-origins", "[]"]
GENERATION = ["--generation-config", "/state/generation-config-0a4d7bf4f4f3"]


@pytest.mark.parametrize(
    ("releases", "module", "server"),
    [
        (("0.5.0", "0.5.1", "0.5.3.post1"), OUR_SERVER, [*GENERATION, *QUIET, *NO_ORIGIN]),
        (("0.5.4",), OUR_SERVER, [*GENERATION, *QUIET, *NO_ORIGIN, "--disable-frontend-multiprocessing"]),
        (("0.5.5", "0.6.3", "0.6.5"), API_SERVER, [*QUIET, *NO_ORIGIN]),
        (("0.6.6", "0.8.5", "0.9.2", "0.10.0"), API_SERVER, [*GENERATION, *QUIET, *NO_ORIGIN]),
        (("0.10.1", "0.10.2", "0.16.0", "0.17.0", "0.24.0", "0.33.0"), API_SERVER, [*GENERATION, *NO_ORIGIN]),
    ],
)
def test_the_whole_command_line(releases: tuple[str, ...], module: str, server: list[str]) -> None:
    for release in releases:
        # In the shape that vLLM's own Baichuan takes for what it is.
        command = server_command(served(release=release))
        assert command == ["-m", module, *engine(), *WHERE, *server], release


def test_a_machine_that_only_computes_has_no_door_to_guard() -> None:
    asked = {"nnodes": 2, "node_rank": 1, "master_addr": "10.0.0.1", "tensor_parallel_size": 2}
    made = plan("baichuan2-7b-chat", "cuda", "0.24.0", cards("sm_90"), purpose="server", **asked)
    made = plan_server(made, ServeOptions(host="0.0.0.0"), STATE)
    assert made.refusals == ()
    command = server_command(made)
    assert command[:4] == ["-m", "vllm.entrypoints.cli.main", "serve", "baichuan2-7b-chat"]
    assert command[-1] == "--headless"
    assert "--model" not in command
    place = command.index("--nnodes")
    assert command[place : place + 6] == ["--nnodes", "2", "--node-rank", "1", "--master-addr", "10.0.0.1"]


def test_every_option() -> None:
    options = ServeOptions(
        host="::1",
        port=9000,
        served_model_names=("one", "two"),
        api_key="secret",
        chat_template=Path("/own.jinja"),
        allowed_origins=("https://a.example", "*"),
        ssl_keyfile=Path("/key.pem"),
        ssl_certfile=Path("/cert.pem"),
        access_log=False,
    )
    made = served(options=options)
    assert server_command(made) == [
        *("-m", API_SERVER, *engine()),
        *("--host", "::1", "--port", "9000", "--served-model-name", "one", "two", "--chat-template", "/own.jinja"),
        *GENERATION,
        *("--allowed-origins", '["https://a.example", "*"]'),
        *("--ssl-keyfile", "/key.pem", "--ssl-certfile", "/cert.pem", "--uvicorn-log-level", "warning"),
    ]
    assert options.url == "https://[::1]:9000/v1"
    assert "secret" not in repr(options) + repr(made)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/v1"),
        ("0.0.0.0", "http://127.0.0.1:8000/v1"),
        ("::", "http://[::1]:8000/v1"),
        ("192.0.2.7", "http://192.0.2.7:8000/v1"),
    ],
)
def test_the_url_for_a_client_here(host: str, url: str) -> None:
    assert ServeOptions(host=host).url == url


def test_a_folder_is_served_under_its_own_name() -> None:
    made = plan_server(
        replace(plan(), model=replace(plan().model, name="/data/Baichuan2-7B-Chat/")), ServeOptions(), STATE
    )
    assert made.server["served_model_name"].value == ("Baichuan2-7B-Chat",)


class TestSampling:
    def test_the_models_defaults_and_what_ends_an_answer(self) -> None:
        made = plan("baichuan2-13b-chat", "cuda", "0.32.0", cards("sm_90"), purpose="server")
        assert generation_config(plan_server(made, ServeOptions(), STATE)) == {
            "temperature": 0.3,
            "top_p": 0.85,
            "top_k": 5,
            "repetition_penalty": 1.05,
            "max_new_tokens": 2048,
            "eos_token_id": [2, 195, 196],
        }

    def test_a_base_model_ends_at_its_end_of_text_and_has_no_length_of_its_own(self) -> None:
        made = plan_server(
            plan("baichuan-7b", "cuda", "0.32.0", cards("sm_90"), purpose="server"), ServeOptions(), STATE
        )
        config = generation_config(made)
        assert config["eos_token_id"] == [2]
        assert "max_new_tokens" not in config
        assert "max_tokens" not in made.sampling

    def test_what_a_person_asks_for_is_every_requests_default(self) -> None:
        layers = from_command_line({}, {"temperature": 0.9, "max_tokens": 7})
        made = plan_server(plan(purpose="server", layers=layers), ServeOptions(), STATE)
        config = generation_config(made)
        assert (config["temperature"], config["max_new_tokens"]) == (0.9, 7)
        assert made.server["generation_config"].value != served().server["generation_config"].value

    def test_what_no_server_can_hold_is_said(self) -> None:
        layers = from_command_line({}, {"min_tokens": 3, "stop": ["。"]})
        made = plan_server(plan(purpose="server", layers=layers), ServeOptions(), STATE)
        assert [each.message for each in made.warnings] == [
            "a server has no default for min_tokens 3 (--min-tokens), stop 。 (--stop): clients must send it"
        ]

    def test_an_old_server_has_no_place_for_them_and_that_is_said(self) -> None:
        made = plan("baichuan2-7b-chat", "rocm", "0.6.3", purpose="server")
        findings = plan_server(made, ServeOptions(), STATE).findings
        assert [(each.message, each.hint) for each in findings if each.rule == "sampling_defaults"] == [
            (
                "the server of vLLM 0.6.3 does not read the model's sampling defaults",
                "Send with each request: temperature 0.3; top_p 0.85; top_k 5; repetition_penalty 1.05; max_tokens"
                " 2048; stop_token_ids 2, 195, 196",
            )
        ]

    def test_the_oldest_servers_are_given_them_but_for_a_length(self) -> None:
        layers = from_command_line({}, {"temperature": 0.9})
        made = plan_server(served("demo", "0.5.0", layers=layers), ServeOptions(), STATE)
        assert "generation_config" in made.server
        assert [each for each in made.findings if each.rule == "sampling_defaults"] == []
        layers = from_command_line({}, {"max_tokens": 7})
        made = plan_server(plan("demo", "cpu", "0.5.0", purpose="server", layers=layers), ServeOptions(), STATE)
        assert [each.message for each in made.findings if each.rule == "sampling_defaults"] == [
            "a server has no default for max_tokens 7 (--max-tokens): clients must send it"
        ]


def rules(made: Plan) -> dict[str, str]:
    """Return the rules that found something about serving, with their severity."""
    known = ("exposure", "own_option", "chat_template")
    return {each.rule: each.severity for each in made.findings if each.rule in known}


class TestChatTemplate:
    @pytest.mark.parametrize(
        ("model", "template", "findings"),
        [
            ("baichuan2-7b-chat", "baichuan2.jinja", {}),
            ("baichuan-13b-chat", "baichuan1.jinja", {"chat_template": "warning"}),
            ("baichuan2-7b-base", "base.jinja", {"chat_template": "warning"}),
        ],
    )
    def test_each_family_has_its_own(self, model: str, template: str, findings: dict[str, str]) -> None:
        made = plan_server(plan(model, "cuda", "0.32.0", cards("sm_90"), purpose="server"), ServeOptions(), STATE)
        path = Path(str(made.server["chat_template"].value))
        assert (path.name, path.is_file()) == (template, True)
        assert rules(made) == findings

    def test_a_persons_own_is_taken_without_a_word(self) -> None:
        options = ServeOptions(chat_template=Path("/own.jinja"))
        made = plan_server(plan("baichuan-13b-chat", "cuda", "0.32.0", cards("sm_90")), options, STATE)
        assert rules(made) == {}


class TestExposure:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
    def test_this_machine_alone_needs_no_key(self, host: str) -> None:
        assert rules(served(options=ServeOptions(host=host))) == {}

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "node7", "", "1270.0.0.1"])
    def test_other_machines_need_a_key_or_a_word(self, host: str) -> None:
        assert rules(served(options=ServeOptions(host=host))) == {"exposure": "refusal"}
        assert rules(served(options=ServeOptions(host=host, api_key="secret"))) == {}
        assert rules(served(options=ServeOptions(host=host, insecure=True))) == {"exposure": "warning"}

    def test_force_is_about_hardware_and_opens_no_door(self) -> None:
        made = plan_server(plan(purpose="server", force=True), ServeOptions(host="0.0.0.0"), STATE)
        assert [each.forceable for each in made.refusals] == [False]


@pytest.mark.parametrize(
    "argument",
    ["--host", "--host=0.0.0.0", "--hos", "--api_key", "--api-k=x", "--uds", "--port", "--model", "--served_model"],
)
def test_arguments_that_bcli_must_know_go_before_the_dashes(argument: str) -> None:
    assert rules(served(options=ServeOptions(extra_arguments=(argument,)))) == {"own_option": "refusal"}


@pytest.mark.parametrize(
    "argument", ["--model-impl", "--enable-lora", "--lora-modules", "poet=/data", "-q", "", "--api-server-count"]
)
def test_everything_else_goes_to_vllm(argument: str) -> None:
    assert rules(served(options=ServeOptions(extra_arguments=(argument,)))) == {}


@pytest.mark.engine
@since("0.8", "has no such command line as 0.32, which is asked here")
def test_the_installed_vllm_understands_every_argument(tmp_path: Path) -> None:
    pytest.importorskip("vllm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and vLLM's own, at import
        parser = server_parser()
    options = ServeOptions(
        served_model_names=("one", "two"), allowed_origins=("*",), ssl_keyfile=tmp_path, ssl_certfile=tmp_path
    )
    command = server_command(served(options=options))
    parsed = parser.parse_args(command[2:])
    assert (parsed.host, parsed.port, parsed.served_model_name) == ("127.0.0.1", 8000, ["one", "two"])
    assert (parsed.allowed_origins, parsed.chat_template) == (["*"], TEMPLATE)
    assert parsed.generation_config == GENERATION[1]
