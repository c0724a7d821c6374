"""The commands and the Compose file for every profile: whole outputs, and that both say the same."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from baichuan_cli.container.compose import compose_file
from baichuan_cli.container.recipe import Recipe
from baichuan_cli.container.shell import build_command, mounted, run_command, script
from baichuan_cli.hardware.load import load_profile

PROFILES = ["bw1000", "cpu", "cuda", "k100", "k100-ai", "rocm", "z100l"]
SERVE = ("serve", "demo")

#: What the reference README gives every container on a DCU.
REFERENCE_README = (
    "--privileged --shm-size=128G --device=/dev/kfd --device=/dev/dri --cap-add=SYS_PTRACE"
    " --security-opt=seccomp=unconfined --ulimit=memlock=-1:-1 --ipc=host --network=host --group-add=video"
    " --volume=/opt/hyhal:/opt/hyhal:ro"
)


def recipe(profile: str) -> Recipe:
    found = load_profile(profile, user_dir=Path("/nowhere")).container
    assert found is not None
    return found


def service(profile: str) -> dict[str, Any]:
    content = yaml.safe_load(compose_file(profile, profile, recipe(profile), SERVE))
    assert content.keys() == {"services", "volumes"}
    found: dict[str, Any] = content["services"]["baichuan"]
    return found


def test_the_script_for_rocm() -> None:
    assert (
        script("rocm", "bcli on AMD GPU with ROCm", recipe("rocm"), SERVE)
        == """\
# bcli on AMD GPU with ROCm. In the folder of bcli's source; build once, run as often as you like.

# BASE: vLLM's own image for ROCm; choose the tag that your driver runs
# RUN_AS: the groups below open the devices, so root is not needed
docker build --tag bcli:rocm \\
    --build-arg BASE=vllm/vllm-openai-rocm:v0.26.0 \\
    --build-arg RUN_AS=bcli \\
    .

# --init: process 1 of a container must pass signals on, so that vLLM ends with it
# --volume=bcli:/var/lib/bcli: models, conversations and logs outlive the container
# --device=/dev/kfd: the driver's door for computing
# --device=/dev/dri: the cards
# --group-add=video: the group that owns the device files, on some systems
# --group-add="$(stat -c %g /dev/kfd)": the same on others, where it is render: by number, which differs
# --cap-add=SYS_PTRACE: processes of one engine read each other's memory; profilers too
# --security-opt=seccomp=unconfined: Docker's filter keeps NUMA calls from the driver
# --ipc=host: several processes of one engine share memory
# --network=host: the server stays on the host's 127.0.0.1, and needs no key there
# --env=HIP_VISIBLE_DEVICES: your choice of cards, if you have exported one
docker run --rm --interactive --tty --name bcli \\
    --init \\
    --volume=bcli:/var/lib/bcli \\
    --device=/dev/kfd \\
    --device=/dev/dri \\
    --group-add=video \\
    --group-add="$(stat -c %g /dev/kfd)" \\
    --cap-add=SYS_PTRACE \\
    --security-opt=seccomp=unconfined \\
    --ipc=host \\
    --network=host \\
    --env=HIP_VISIBLE_DEVICES \\
    bcli:rocm serve demo"""
    )


def test_the_compose_file_for_cuda() -> None:
    assert (
        compose_file("cuda", "bcli on NVIDIA GPU with CUDA", recipe("cuda"), ("serve", "baichuan2-7b-chat"))
        == """\
# bcli on NVIDIA GPU with CUDA. In the folder of bcli's source: docker compose up --build
services:
  baichuan:
    build:
      context: .
      args:
        BASE: "vllm/vllm-openai:v0.26.0"  # vLLM's own image, in the release that was run on an H100
        RUN_AS: "bcli"  # the devices do not need root
    image: "bcli:cuda"
    command: ["serve", "baichuan2-7b-chat"]
    restart: unless-stopped
    stop_grace_period: 20s  # bcli stops vLLM within 9 s, by force if need be
    init: true  # process 1 of a container must pass signals on, so that vLLM ends with it
    deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}\
  # the cards, by the NVIDIA Container Toolkit on the host
    ipc: "host"  # several processes of one engine share memory
    network_mode: "host"  # the server stays on the host's 127.0.0.1, and needs no key there
    volumes:
      - "bcli:/var/lib/bcli"  # models, conversations and logs outlive the container
    environment:
      - "CUDA_VISIBLE_DEVICES"  # your choice of cards, if you have exported one
volumes:
  bcli:"""
    )


def test_the_compose_file_for_k100() -> None:
    base = "image.sourcefind.cn:5000/dcu/admin/base/custom:vllm0.5.0-dtk24.04.1-ubuntu20.04-py310-zk-v1"
    assert service("k100") == {
        "build": {"context": ".", "args": {"BASE": base, "RUN_AS": "root"}},
        "image": "bcli:k100",
        "command": ["serve", "demo"],
        "restart": "unless-stopped",
        "stop_grace_period": "20s",
        "init": True,
        "privileged": True,
        "ulimits": {"memlock": {"soft": -1, "hard": -1}},
        "ipc": "host",
        "shm_size": "128G",
        "network_mode": "host",
        "volumes": ["bcli:/var/lib/bcli", "/opt/hyhal:/opt/hyhal:ro"],
        "devices": ["/dev/kfd:/dev/kfd", "/dev/dri:/dev/dri"],
        "group_add": ["video"],
        "cap_add": ["SYS_PTRACE"],
        "security_opt": ["seccomp=unconfined"],
        "environment": ["HIP_VISIBLE_DEVICES"],
    }


@pytest.mark.parametrize("profile", ["k100", "z100l", "k100-ai", "bw1000"])
def test_a_dcu_gets_every_flag_of_the_reference_readme(profile: str) -> None:
    flags = shlex.split(" ".join(run_command(profile, recipe(profile), SERVE)))
    assert set(shlex.split(REFERENCE_README)) <= set(flags)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_part_has_its_reason(profile: str) -> None:
    made = recipe(profile)
    text = script(profile, profile, made, SERVE)
    arguments = [part for part in build_command(profile, made) if part.startswith("--build-arg")]
    for argument in arguments:
        name = argument.split()[1].partition("=")[0]
        assert re.search(rf"^# {name}: \w", text, re.MULTILINE)
    for flag in run_command(profile, made, SERVE)[1:-1]:
        assert re.search(rf"^# {re.escape(flag)}: \w", text, re.MULTILINE)


@pytest.mark.parametrize("profile", PROFILES)
def test_compose_and_the_commands_say_the_same(profile: str) -> None:
    made, composed = recipe(profile), service(profile)
    assert composed["build"]["args"]["BASE"] == made.base.value
    flags = [flag.partition("=") for flag in run_command(profile, made, SERVE)[1:-1]]

    def given(name: str) -> list[str]:
        return [value for flag, _, value in flags if flag == f"--{name}"]

    for name, key in (("ipc", "ipc"), ("network", "network_mode"), ("shm-size", "shm_size")):
        assert given(name) == ([composed[key]] if key in composed else [])
    for name, key in (
        ("volume", "volumes"),
        ("cap-add", "cap_add"),
        ("security-opt", "security_opt"),
        ("env", "environment"),
    ):
        assert given(name) == composed.get(key, [])
    assert [f"{device}:{device}" for device in given("device")] == composed.get("devices", [])
    assert len(given("group-add")) == len(composed.get("group_add", []))
    assert bool(given("privileged")) == composed.get("privileged", False)
    assert bool(given("gpus")) == ("deploy" in composed)


@pytest.mark.parametrize(("profile", "user"), [("cpu", "bcli"), ("cuda", "bcli"), ("rocm", "bcli"), ("k100", "root")])
def test_root_only_where_the_devices_want_it(profile: str, user: str) -> None:
    assert recipe(profile).user.value == user


def test_a_folder_of_your_own_is_mounted(tmp_path: Path) -> None:
    folder = tmp_path / "Baichuan2 7B"
    folder.mkdir()
    (folder / "config.json").touch()
    inside, [option] = mounted(str(folder))
    assert inside == "/models/Baichuan2 7B"
    assert option.value == f"{folder}:/models/Baichuan2 7B:ro"
    with_folder = recipe("cpu").model_copy(update={"options": (option,)})
    assert run_command("cpu", with_folder, ("serve", inside))[-2:] == [
        f"--volume='{folder}:/models/Baichuan2 7B:ro'",
        "bcli:cpu serve '/models/Baichuan2 7B'",
    ]
    assert mounted("baichuan2-7b-chat") == ("baichuan2-7b-chat", ())
