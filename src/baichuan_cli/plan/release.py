"""A vLLM release as it is installed, vendor builds included."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from baichuan_cli.errors import BcliError


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """A version of vLLM; `0.5.0+das.opt4.dtk24043` is a 0.5.0 with a vendor's suffix."""

    version: Version

    @classmethod
    def parse(cls, text: str) -> Release:
        """Read a PEP 440 version.

        Raises:
            BcliError: the text is no version.
        """
        try:
            return cls(Version(text))
        except InvalidVersion:
            raise BcliError(f"{text!r} is not a vLLM version.", hint="Write it like 0.5.0.") from None

    def matches(self, specifier: str) -> bool:
        """Tell whether this release lies in a range such as `>=0.5.5,<0.25`; vendor suffixes do not count."""
        return SpecifierSet(specifier).contains(self.version.public, prereleases=True)

    @property
    def vendor(self) -> str:
        """Return the vendor's suffix (`das.opt4.dtk24043`), or an empty text."""
        return self.version.local or ""

    def __str__(self) -> str:
        return str(self.version)
