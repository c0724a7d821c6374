"""All facts together, gathered at the same time where that takes long."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from baichuan_cli.doctor.facts.access import Access, look_at_access
from baichuan_cli.doctor.facts.choice import Choice
from baichuan_cli.doctor.facts.host import Host, look_at_host
from baichuan_cli.doctor.facts.hub import Hub, look_at_hub
from baichuan_cli.doctor.facts.imports import Imports, try_imports
from baichuan_cli.doctor.facts.packages import Packages, look_at_packages
from baichuan_cli.doctor.facts.store import StoreFacts, look_at_store
from baichuan_cli.doctor.surroundings import Surroundings
from baichuan_cli.hardware.detect import Detection, detect
from baichuan_cli.hub.store import Store
from baichuan_cli.plan.release import Release


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the checks judge."""

    host: Host
    detection: Detection
    access: Access
    packages: Packages
    release: Release | None  # the installed vLLM
    imports: Imports
    hub: Hub
    store: StoreFacts
    choice: Choice


def gather(
    surroundings: Surroundings,
    store: Store,
    release: Release | None,
    choose: Callable[[Detection, Release | None], Choice],
    *,
    offline: bool,
) -> Facts:
    """Look at everything.

    Args:
        surroundings: how to ask this machine.
        store: the person's store of models.
        release: the installed vLLM.
        choose: makes the plan that a command would use with what was detected.
        offline: ask no server.
    """
    with ThreadPoolExecutor(max_workers=2) as threads:
        imports = threads.submit(try_imports, surroundings)
        hub = threads.submit(look_at_hub, offline=offline)
        detection = detect(surroundings.system)
        return Facts(
            host=look_at_host(surroundings),
            detection=detection,
            access=look_at_access(surroundings, detection),
            packages=look_at_packages(surroundings),
            release=release,
            choice=choose(detection, release),
            store=look_at_store(surroundings, store),
            imports=imports.result(),
            hub=hub.result(),
        )
