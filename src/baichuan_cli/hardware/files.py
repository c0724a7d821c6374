"""Where profile files lie. No YAML and no pydantic here: shell completion asks on every Tab."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from baichuan_cli.paths import config_dir

Origin = Literal["shipped", "yours", "file"]


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """One profile as a file; its name is the file's name without `.yaml`."""

    name: str
    path: Path
    origin: Origin
    shadows: bool = False  # a person's own file that hides a shipped one of the same name


def shipped_dir() -> Path:
    """Return the folder of the profiles that come with bcli: inside the wheel, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    in_wheel = package / "profiles"
    return in_wheel if in_wheel.is_dir() else package.parents[1] / "profiles"


def user_profiles_dir() -> Path:
    """Return the folder of a person's own profile files."""
    return config_dir() / "profiles"


def shipped_files() -> dict[str, ProfileFile]:
    """Return the profiles that come with bcli, by name."""
    return {path.stem: ProfileFile(path.stem, path, "shipped") for path in shipped_dir().glob("*.yaml")}


def profile_files(user_dir: Path) -> dict[str, ProfileFile]:
    """Return all profiles that have a name, in order of name; a person's own hide the shipped ones.

    Args:
        user_dir: the folder of the person's own profile files; it need not exist.
    """
    shipped = shipped_files()
    yours = {
        path.stem: ProfileFile(path.stem, path, "yours", shadows=path.stem in shipped)
        for path in user_dir.glob("*.yaml")
    }
    return dict(sorted({**shipped, **yours}.items()))


def looks_like_path(text: str) -> bool:
    """Tell whether a person means a file rather than a profile's name."""
    return "/" in text or text.endswith((".yaml", ".yml"))
