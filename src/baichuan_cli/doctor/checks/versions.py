"""What the packages ask of each other, and packages that are there twice."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from baichuan_cli.doctor.facts.everything import Facts
from baichuan_cli.doctor.facts.packages import Package, Packages, normalized
from baichuan_cli.doctor.verdict import Verdict, ok, warn
from baichuan_cli.engine.installed import DISTRIBUTIONS

#: The packages whose versions decide whether vLLM and bcli work; what others ask for is not bcli's business.
CORE = (
    *DISTRIBUTIONS,
    *("torch", "transformers", "tokenizers", "huggingface-hub", "numpy", "pydantic", "triton", "baichuan-cli"),
)

_LOCAL = re.compile(r"\+[A-Za-z0-9.]+")


def ranges(facts: Facts) -> Iterator[Verdict]:
    """Judge what the packages that matter ask of each other."""
    installed = [package for name in CORE if (package := facts.packages.found.get(name))]
    problems = [problem for package in installed for problem in _unmet(package, facts.packages)]
    if problems:
        yield warn(
            "versions",
            "\n".join(problems),
            "Put back the versions that came with vLLM. In a vendor's image: start again from the image.",
        )
    elif facts.release is not None:
        yield ok("versions", "torch, transformers, vLLM and their like fit each other")


def copies(facts: Facts) -> Iterator[Verdict]:
    """Warn of packages that are there twice: Python takes the first, pip may show the other."""
    for package in facts.packages.hidden:
        taken = facts.packages.found[package.name]
        if package.name in CORE and package.version != taken.version:
            yield warn(
                "copies",
                f"{package.name} is here twice: {taken.version} in {taken.folder} hides {package.version} in"
                f" {package.folder}",
                f"Remove the one that is not wanted: pip uninstall {package.name}",
            )


def _unmet(package: Package, packages: Packages) -> Iterator[str]:
    for text in package.requires:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue  # old packages have lines that no tool reads any more
        name = normalized(wanted.name)
        if name not in CORE or (wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})):
            continue
        has = packages.version(name)
        if not has:
            yield f"{package.name} {package.version} wants {wanted.name}{wanted.specifier}, which is not installed"
        elif not _meets(wanted, has):
            yield f"{package.name} {package.version} wants {wanted.name}{wanted.specifier}; here is {has}"


def _meets(wanted: Requirement, version: str) -> bool:
    """Tell whether a version is in range. What it was built for (`+cpu`, `+das`) is for the checks of builds."""
    public = SpecifierSet(_LOCAL.sub("", str(wanted.specifier)))
    try:
        return public.contains(Version(version).public, prereleases=True)
    except InvalidVersion:
        return True  # a vendor's own way of counting, which nothing can be compared with
