"""Finding, extending and checking profile files; every mistake gets one clear message."""

from __future__ import annotations

from pathlib import Path

import pytest

from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.hardware.files import shipped_dir
from baichuan_cli.hardware.load import ProfileEntry, ancestors, find_profile, list_profiles, load_profile
from baichuan_cli.hardware.profile import Profile
from baichuan_cli.plan.release import Release

MINIMAL = "title: Mine\nkind: cuda\nhardware:\n  dtypes: [float16]\n"


@pytest.fixture
def user_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "profiles"
    folder.mkdir()
    return folder


def write(user_dir: Path, name: str, text: str | bytes) -> Path:
    path = user_dir / f"{name}.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(name: str | Path, user_dir: Path) -> BcliError:
    with pytest.raises(BcliError) as caught:
        load_profile(str(name), user_dir=user_dir)
    return caught.value


def test_a_profile_of_ones_own_extends_a_shipped_one(user_dir: Path) -> None:
    write(
        user_dir,
        "our-box",
        """
        extends: k100-ai
        title: Our box
        settings:
          enforce_eager: {value: true, because: our driver crashes on graphs}
        environment:
          NCCL_SOCKET_IFNAME: eth1
          NCCL_MIN_NCHANNELS: 32
        """,
    )

    profile = load_profile("our-box", user_dir=user_dir)

    release = Release.parse("0.18.1")
    assert (profile.name, profile.title, profile.hardware.memory_gib) == ("our-box", "Our box", 64)
    assert profile.settings_at(release, 2)["enforce_eager"].because == "our driver crashes on graphs"
    assert {name: preference.value for name, preference in profile.environment_at(release, 2).items()} == {
        "NCCL_SOCKET_IFNAME": "eth1",
        "NCCL_MIN_NCHANNELS": 32,
        "NCCL_MAX_NCHANNELS": 16,
        "ALLREDUCE_STREAM_WITH_COMPUTE": 1,
        "VLLM_HCU_USE_CUSTOM_QUANTIZATION_GEMM": 0,
        "VLLM_HCU_USE_CUSTOM_OPS": 0,
        "VLLM_ROCM_USE_AITER": 0,
    }


def test_a_file_may_extend_its_neighbour(tmp_path: Path, user_dir: Path) -> None:
    write(tmp_path, "base", MINIMAL)
    path = write(tmp_path, "child", "extends: ./base.yaml\ntitle: Child\n")

    assert load_profile(str(path), user_dir=user_dir).title == "Child"


def test_a_profile_of_ones_own_may_hide_and_extend_the_shipped_one(user_dir: Path) -> None:
    path = write(user_dir, "cpu", "extends: cpu\ntitle: My CPU\n")

    file = find_profile("cpu", user_dir=user_dir)

    assert (file.path, file.origin, file.shadows) == (path, "yours", True)
    assert load_profile("cpu", user_dir=user_dir).title == "My CPU"
    assert [parent.path for parent in ancestors(file, user_dir=user_dir)] == [shipped_dir() / "cpu.yaml"]


def test_the_list_names_what_cannot_be_used(user_dir: Path) -> None:
    write(user_dir, "mine", MINIMAL)
    broken = write(user_dir, "broken", "title: [")

    entries = {entry.file.name: entry for entry in list_profiles(user_dir)}

    assert list(entries) == ["broken", "bw1000", "cpu", "cuda", "k100", "k100-ai", "mine", "rocm", "z100l"]
    assert entries["mine"] == ProfileEntry(find_profile("mine", user_dir=user_dir), "Mine")
    assert entries["broken"].problem.startswith(f"{broken}, line 1, column 9: this is no valid YAML")


def test_an_unknown_name_gets_the_nearest_ones(user_dir: Path) -> None:
    error = refusal("K100AI", user_dir)
    assert error.message == "There is no profile 'K100AI'."
    assert error.hint == "Did you mean k100-ai or k100? See them all: bcli profiles list"
    assert error.exit_code == ExitCode.NOT_FOUND


def test_a_missing_file(user_dir: Path) -> None:
    error = refusal("./no/such.yaml", user_dir)
    assert (error.message, error.exit_code) == ("There is no file no/such.yaml.", ExitCode.NOT_FOUND)


def test_a_circle(user_dir: Path) -> None:
    write(user_dir, "a", "extends: b\n")
    write(user_dir, "b", "extends: c\n")
    path = write(user_dir, "c", "extends: a\n")

    error = refusal("a", user_dir)

    assert error.message == "The profiles extend each other in a circle: a → b → c → a."
    assert error.exit_code == ExitCode.INVALID
    assert str(path.parent / "a.yaml") in error.hint


def test_a_profile_that_extends_itself_and_is_not_shipped(user_dir: Path) -> None:
    path = write(user_dir, "mine", "extends: mine\n")
    assert refusal("mine", user_dir).message == f"{path}: extends: there is no profile 'mine'."


def test_a_file_that_extends_itself_by_path(user_dir: Path) -> None:
    write(user_dir, "mine", "extends: ./mine.yaml\n")
    assert refusal("mine", user_dir).message == "The profiles extend each other in a circle: mine → mine."


def test_an_unknown_parent(user_dir: Path) -> None:
    path = write(user_dir, "mine", "extends: k1000\n")
    error = refusal("mine", user_dir)
    assert error.message == f"{path}: extends: there is no profile 'k1000'."
    assert error.hint.startswith("Did you mean k100,")


@pytest.mark.parametrize("value", ["[k100, cuda]", "3", "{}"])
def test_a_parent_that_is_no_name(user_dir: Path, value: str) -> None:
    path = write(user_dir, "mine", f"extends: {value}\n")
    assert refusal("mine", user_dir).message.startswith(f"{path}: extends: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the file is empty."),
        ("# only a comment\n", ": the file is empty."),
        ("just words", ": the file holds no settings: write lines like 'name: value'."),
        ("- a\n- b\n", ": the file holds no settings: write lines like 'name: value'."),
        ("1: 2\n", ": the file holds no settings: write lines like 'name: value'."),
        (b"title: \xb0\xd9\xb4\xa8\n", ": the file is no UTF-8 text: byte 0xb0 at position 7."),
        ("title: a\ntitle: b\n", ", line 2, column 1: 'title' stands here a second time."),
        ("settings:\n  dtype: float16\n  dtype: float32\n", ", line 3, column 3: 'dtype' stands here a second time."),
        ("title: a\n\tkind: cpu\n", ", line 2, column 1: this is no valid YAML:"),
        ("title: !!python/object:os.system x\n", ", line 1, column 8: this is no valid YAML:"),
        ("title: 'a\n", ", line 2, column 1: this is no valid YAML:"),
        ("title: \x07\n", ": this is no valid YAML:"),
        ("title: 2024-13-45\n", ": this cannot be read: month must be in 1..12."),
        ("a: " + "[" * 5000, ": this cannot be read:"),
        ("a: *b\n", ", line 1, column 4: this is no valid YAML: found undefined alias 'b'."),
        ("name: mine\n" + MINIMAL, ": name: a profile's name is the file's name, here 'mine'."),
    ],
)
def test_a_damaged_file_is_named_with_the_place(user_dir: Path, text: str | bytes, message: str) -> None:
    path = write(user_dir, "mine", text)

    error = refusal("mine", user_dir)

    assert error.message.startswith(f"{path}{message}")
    assert error.exit_code == ExitCode.INVALID


def test_a_folder_is_no_profile(user_dir: Path) -> None:
    (user_dir / "mine.yaml").mkdir()
    error = refusal("mine", user_dir)
    assert (error.message, error.exit_code) == (
        f"{user_dir}/mine.yaml: this is a folder, not a file.",
        ExitCode.INVALID,
    )


def test_every_mistake_is_listed_at_once(user_dir: Path) -> None:
    path = write(
        user_dir,
        "mine",
        """
title: Mine
knd: cuda
hardware:
  memory_gib: -4
  dtypes: [float8]
  vllm: "0.5 or so"
  colour: red
settings:
  enforce_egger: true
environment:
  NCCL_DEBUG: on
  "BAD NAME": 1
conditions:
- vllm: ">=0.9"
  min_tensor_parallel_size: 0
  settings:
    tensor_parallel_size: many
""",
    )

    error = refusal("mine", user_dir)

    assert error.exit_code == ExitCode.INVALID
    assert error.message.splitlines() == [
        f"{path}: the profile makes no sense.",
        "  • kind: is missing",
        "  • hardware.memory_gib: input should be greater than 0 (it is -4)",
        "  • hardware.dtypes.0: input should be 'float16', 'bfloat16' or 'float32' (it is 'float8')",
        "  • hardware.vllm: '0.5 or so' is no version range; write it like '>=0.5.0,<0.6'",
        "  • hardware.colour: there is no such key",
        "  • settings: enforce_egger: there is no setting 'enforce_egger'. Did you mean enforce_eager?",
        "  • environment.NCCL_DEBUG: is true or false; write 1 or 0, or put it in quotes",
        "  • environment.BAD NAME: 'BAD NAME' is no name of a variable",
        "  • conditions.0.min_tensor_parallel_size: input should be greater than or equal to 1 (it is 0)",
        "  • conditions.0.settings: tensor_parallel_size: 'many' is not a whole number, 1 or more.",
        "  • knd: there is no such key",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("  memory_gib: 1e308", "hardware.memory_gib: input should be"),
        ("settings: {gpu_memory_utilization: .nan}", "settings.gpu_memory_utilization"),
        ("settings: {dtype: null}", "settings.dtype.value: must be a text, a number, true or false, not None"),
        ("settings: {dtype: [a]}", "settings.dtype.value: must be a text, a number, true or false, not ['a']"),
        ("settings: {dtype: {because: I like it}}", "settings.dtype.value: is missing"),
        (
            "settings: {quantization: gpqt}",
            "settings: quantization: 'gpqt' is no quantization method. Did you mean gptq?",
        ),
        (
            "settings: {attention_backend: FLASHH}",
            "settings: attention_backend: 'FLASHH' is no attention backend for Baichuan. Did you mean FLASH_ATTN",
        ),
        ("settings: [dtype]", "settings: must hold lines like 'name: value', not ['dtype']"),
        ("conditions: {vllm: '>=0.9'}", "conditions: must be a list, [a, b], not {'vllm': '>=0.9'}"),
        ("conditions: [vllm]", "conditions.0: must hold lines like 'name: value', not 'vllm'"),
        ("notes: text", "notes: must be a list, [a, b], not 'text'"),
    ],
)
def test_wrong_types_are_named(user_dir: Path, text: str, complaint: str) -> None:
    write(user_dir, "mine", MINIMAL + text + "\n")
    _, *complaints = refusal("mine", user_dir).message.splitlines()
    assert [line.startswith(f"  • {complaint}") for line in complaints] == [True]


def test_a_variable_that_the_parent_forbids_cannot_be_set(user_dir: Path) -> None:
    write(user_dir, "mine", "extends: k100-ai\nenvironment: {HSA_OVERRIDE_GFX_VERSION: 9.0.6}\n")
    assert refusal("mine", user_dir).message.endswith(
        "  • profile: environment HSA_OVERRIDE_GFX_VERSION must not be set: it hides the card's real architecture"
    )


def test_a_bare_value_needs_no_reason(user_dir: Path) -> None:
    write(user_dir, "mine", MINIMAL + "settings: {max_model_len: 2048}\n")
    profile = load_profile("mine", user_dir=user_dir)
    assert profile.settings["max_model_len"].value == 2048


def test_a_profile_cannot_be_changed_by_accident(user_dir: Path) -> None:
    profile: Profile = load_profile("cpu", user_dir=user_dir)
    with pytest.raises(ValueError, match="frozen"):
        profile.title = "other"  # type: ignore[misc]


def test_the_example_in_the_documentation_is_valid(user_dir: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/profiles.md").read_text(encoding="utf-8")
    write(user_dir, "room-3", text.split("```yaml\n")[1].split("```")[0])

    profile = load_profile("room-3", user_dir=user_dir)

    assert {name: each.value for name, each in profile.environment_at(Release.parse("0.18.1+das"), 2).items()} == {
        "NCCL_SOCKET_IFNAME": "eth1",
        "ALLREDUCE_STREAM_WITH_COMPUTE": 1,
        "NCCL_MAX_NCHANNELS": 16,
        "VLLM_HCU_USE_CUSTOM_QUANTIZATION_GEMM": 0,
        "VLLM_HCU_USE_CUSTOM_OPS": 0,
        "VLLM_ROCM_USE_AITER": 0,
        "NCCL_DEBUG": "WARN",
    }
