"""What a model is asked with."""

from __future__ import annotations

from baichuan_cli.engine.stream import ServedModel
from baichuan_cli.web.known import own_sampling
from baichuan_cli.web.sampling import Knobs, offer

#: Baichuan2-13B-Chat's generation_config.json, as the catalogue has it, and what ends an answer.
BAICHUAN2 = {
    "temperature": 0.3,
    "top_p": 0.85,
    "top_k": 5,
    "repetition_penalty": 1.05,
    "max_tokens": 2048,
    "stop_token_ids": (2, 195, 196),
}


def test_a_model_of_the_catalogue_is_asked_with_its_own_settings() -> None:
    served = ServedModel("baichuan2-13b-chat", 4096, "/on/another/machine")
    assert own_sampling(served) == BAICHUAN2
    offered = offer(served, BAICHUAN2)
    assert offered.knobs == Knobs(False, 0.3, 0.85, 5, 1.05, 2048)
    assert offered.sampling(offered.knobs) == BAICHUAN2
    turned = offered.knobs._replace(temperature=0.0, top_k=0)
    assert offered.sampling(turned) == {**BAICHUAN2, "temperature": 0.0, "top_k": -1}


def test_a_model_is_also_known_by_what_vllm_serves() -> None:
    assert own_sampling(ServedModel("any name", None, "baichuan-inc/Baichuan2-13B-Chat")) == BAICHUAN2


def test_of_an_unknown_model_the_server_decides_until_the_person_does() -> None:
    served = ServedModel("gpt-x", None, None)
    assert own_sampling(served) is None
    offered = offer(served, None)
    assert offered.knobs == Knobs(True, 1.0, 1.0, 0, 1.0, 512)
    assert offered.sampling(offered.knobs) == {}
    turned = offered.knobs._replace(server_decides=False, temperature=0.5, top_k=7)
    assert offered.sampling(turned) == {"temperature": 0.5, "top_p": 1.0, "max_tokens": 512}  # OpenAI's alone
    vllm = offer(ServedModel("qwen", 8192, "Qwen/Qwen3-8B"), None)
    assert vllm.sampling(turned) == {
        "temperature": 0.5,
        "top_p": 1.0,
        "max_tokens": 512,
        "top_k": 7,
        "repetition_penalty": 1.0,
    }


def test_half_of_a_short_context_is_left_for_the_prompt() -> None:
    offered = offer(ServedModel("demo", 256, None), BAICHUAN2)
    assert (offered.knobs.max_tokens, offered.longest) == (128, 256)
