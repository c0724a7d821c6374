"""What is blacked out is gone, whatever stands around it, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from baichuan_cli.doctor.black_out import HOST, SECRET, USER, Private, black_out, is_secret, private_of
from baichuan_cli.doctor.checks import examine
from baichuan_cli.doctor.report import write_report
from doctor import patients

#: What reports are made of, with what may stand around a name or a token.
NOISE = st.text(st.sampled_from("abz05 \n/_-.:=@\"'(),;~百川token"), max_size=30)
NAMES = st.from_regex(r"[a-z百川][a-z0-9_百川-]{0,11}", fullmatch=True)
SECRETS = st.from_regex(r"[A-Za-z0-9+/=_.-]{6,40}", fullmatch=True)


@given(NOISE, SECRETS, NOISE)
def test_a_secret_of_the_environment_is_gone(before: str, secret: str, after: str) -> None:
    assume(secret not in SECRET + USER)
    private = private_of({"HF_TOKEN": secret}, user="", home="", host="")

    assert secret not in black_out(f"{before}{secret}{after}", private)


@given(NOISE, NAMES, NOISE)
def test_a_users_name_is_gone_from_every_word(before: str, name: str, after: str) -> None:
    private = private_of({}, user=name, home="", host="")
    assume(private.users and name.lower() not in ("secret", "user", "host"))

    blacked = black_out(f"{before} {name} {after} x_{name}.y /data/{name}/models", private)

    standing_alone = rf"(?<![^\W_]){re.escape(name)}(?![^\W_])"
    assert not re.search(standing_alone, blacked, re.IGNORECASE)


@given(st.sampled_from(["/home/", "/root/", "/data/people/", "/Users/", "/"]), NAMES, NOISE)
def test_a_home_folder_is_gone(parent: str, name: str, after: str) -> None:
    assume(name not in ("in", "and"))  # words of the text below
    home = f"{parent}{name}"
    private = private_of({}, user="root", home=home, host="")

    blacked = black_out(f"in {home} and {home}/models {after}", private)

    assert not re.search(rf"{re.escape(home)}(?![\w.-])", blacked)
    assert blacked.startswith("in ~ and ~/models ")


@given(NAMES, NOISE)
def test_other_peoples_home_folders_are_gone(name: str, after: str) -> None:
    blacked = black_out(f"/home/{name}/venv /mnt/c/Users/{name}/venv {after}", Private())

    assert blacked.startswith(f"/home/{USER}/venv /mnt/c/Users/{USER}/venv ")


@given(
    st.lists(
        st.one_of(NOISE, SECRETS, NAMES, st.sampled_from([" --api-key ", " bearer ", "/home/", "token: ", "://"]))
    )
)
def test_blacking_out_twice_changes_nothing_more(pieces: list[str]) -> None:
    private = private_of({"MY_KEY": "Zq9Zq9Zq9"}, user="zhang", home="/home/zhang", host="node7")
    once = black_out("".join([*pieces, "zhang", "node7"]), private)

    assert black_out(once, private) == once


@pytest.mark.parametrize(
    ("text", "blacked"),
    [
        ("https://zhang:pa55@hub.local/x", f"https://{SECRET}@hub.local/x"),
        ("http://zhang@hub.local/x", f"http://{SECRET}@hub.local/x"),
        ("token hf_AbCdEfGhIjKl was refused", f"token {SECRET} was refused"),
        ("Authorization: Bearer abc.def-ghi", f"Authorization: Bearer {SECRET}"),
        ("--api-key letters --port 8000", f"--api-key {SECRET} --port 8000"),
        ('{"api_key": "two words", "x": 1}', f'{{"api_key": {SECRET}, "x": 1}}'),
        ("https://hub/x?token=abc&revision=main", f"https://hub/x?token={SECRET}&revision=main"),
        ("ms-01234567-89ab-cdef-0123-456789abcdef", SECRET),
        ("sk-proj-0123456789", SECRET),
        ("ghp_0123456789abcdef", SECRET),
        ("AKIAABCDEFGHIJKLMNOP", SECRET),
        ("eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl", SECRET),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nafter", f"{SECRET}\nafter"),
    ],
)
def test_shapes_of_secrets(text: str, blacked: str) -> None:
    assert black_out(text, Private()) == blacked


def test_a_person_and_a_machine() -> None:
    environment = {"HOME": "/public/home/zhangsan", "SUDO_USER": "lisi", "VLLM_API_KEY": "k", "X_TOKEN": "0123456789"}
    private = private_of(environment, user="zhangsan", home="/home/zhangsan", host="node-17")

    assert private == Private(
        secrets=("0123456789",),  # a key of one letter would take that letter out of every word
        homes=("/public/home/zhangsan", "/home/zhangsan"),
        users=("zhangsan", "lisi"),
        hosts=("node-17",),
    )
    text = "lisi on node-17: /home/zhangsan/x, /public/home/zhangsan/y, zhangsan_models, zhangsanfeng, node-171"
    assert black_out(text, private) == f"{USER} on {HOST}: ~/x, ~/y, {USER}_models, zhangsanfeng, node-171"


def test_accounts_that_every_machine_has_stay() -> None:
    private = private_of({}, user="root", home="/root", host="localhost")

    assert black_out("root:render /root/x on localhost", private) == "root:render ~/x on localhost"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *(("HF_TOKEN", True), ("VLLM_API_KEY", True), ("AWS_SECRET_ACCESS_KEY", True), ("PGPASSWORD", True)),
        *(("BASIC_AUTH", True), ("DB_PWD_MAIN", True), ("PWD", False), ("OLDPWD", False), ("AUTHOR", False)),
        *(("VLLM_PLUGINS", False), ("HF_HOME", False), ("CUDA_VISIBLE_DEVICES", False)),
    ],
)
def test_secrets_are_known_by_their_variables(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


def test_a_report_without_secrets_stays_as_it_is(tmp_path: Path) -> None:
    facts = patients.k100_ai(tmp_path).facts()
    report = write_report(facts, examine(facts), {"HIP_VISIBLE_DEVICES": "0,1", "VLLM_PLUGINS": "hcu,baichuan"})

    assert black_out(report, Private()) == report
