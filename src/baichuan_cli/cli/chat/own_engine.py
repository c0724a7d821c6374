"""vLLM on this machine, started for one conversation."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from baichuan_cli.catalog.model import ASSISTANT_ID, USER_ID, USER_TOKENS, Model
from baichuan_cli.catalog.resolve import require_local
from baichuan_cli.chat.backend import NO_CHAT_SETTINGS, TokenBackend
from baichuan_cli.chat.keyboard import silent_keyboard
from baichuan_cli.cli.first_start import first_start_told
from baichuan_cli.cli.planning import Wishes, check, make_plan
from baichuan_cli.engine.client import Client, ServerError
from baichuan_cli.engine.server import Server, private_options
from baichuan_cli.errors import BcliError, ExitCode
from baichuan_cli.paths import expand_home
from baichuan_cli.tokenizer.load import Tokenizer, load_tokenizer

if TYPE_CHECKING:
    from baichuan_cli.cli.output import Output
    from baichuan_cli.plan.model import Plan

_DYING_SECONDS = 5.0  # for vLLM's server to end after its engine has


class OwnEngine:
    """An engine that is started with the first question, and again with the next one after it has died.

    Args:
        wishes: what the person asked for.
        plan: what became of it, without refusals, for the purpose `server`.
        verbose: show vLLM's log while it starts.

    Raises:
        BcliError: the model is not on this machine, is no chat model, or its tokenizer cannot be used.
    """

    url = None
    backend: TokenBackend

    def __init__(self, wishes: Wishes, plan: Plan, out: Output, *, verbose: bool) -> None:
        self._out = out
        self._verbose = verbose
        self._server: Server | None = None
        self._take(wishes, plan)

    @property
    def label(self) -> str:
        """Return the model's name."""
        return self._plan.model.name

    def ready(self) -> None:
        """Start vLLM unless it runs."""
        if self._server is not None:
            if self._server.poll() is None:
                return
            self._out.warning(self._server.failure().message, hint="It is started again.")
            self._server = None
        started = time.perf_counter()
        with first_start_told(self._plan, self._out), silent_keyboard():
            self._server = self._start()
        self.backend = replace(self.backend, model=self._server.model_name)
        self._out.note(f"engine ready in {time.perf_counter() - started:.1f} s")

    def client(self) -> Client:
        """Return a client of vLLM, which runs."""
        assert self._server is not None
        return Client(self._server.url, api_key=self._server.api_key)

    def cause_of(self, error: BcliError) -> BcliError:
        """Return what vLLM died of, if it has died."""
        assert self._server is not None
        if isinstance(error, ServerError) and error.status is not None and error.status < 500:
            return error  # it is well, and does not want this request
        return error if self._server.poll(_DYING_SECONDS) is None else self._server.failure()

    @property
    def offered(self) -> Sequence[str]:
        """Return the models on this machine, and the one that answers."""
        return self.models()

    def models(self) -> Sequence[str]:
        """Return the models on this machine, and the one that answers."""
        from baichuan_cli.demo import DEMO_NAMES
        from baichuan_cli.hub.store import default_store

        return tuple(dict.fromkeys([*DEMO_NAMES, *default_store().names(), self.model]))

    def choose(self, model: str) -> None:
        """Stop vLLM, and start it with another model, unless the plan for that is refused."""
        wishes = replace(self._wishes, model=model)
        plan, headline = make_plan(wishes, purpose="server")
        self._out.note(headline)
        check(plan, self._out)
        self._take(wishes, plan)
        self.close()
        self.ready()

    def close(self) -> None:
        """Stop vLLM."""
        if self._server is not None:
            with silent_keyboard(), self._out.status("stopping the engine …"):
                self._server.stop()
            self._server = None

    def _start(self) -> Server:
        if self._verbose:
            return Server.start(self._plan, private_options(), on_progress=lambda _: None, on_line=self._out.note)
        text = "starting the engine …"
        with self._out.status(text) as say:
            return Server.start(self._plan, private_options(), on_progress=lambda stage: say(f"{text} {stage}"))

    def _take(self, wishes: Wishes, plan: Plan) -> None:
        """Make everything that depends on the model; nothing changes where it cannot be used."""
        folder = require_local(plan.model)
        tokenizer = load_tokenizer(folder)
        model = _able_to_chat(plan.model, tokenizer, force=wishes.force)
        assert model.chat_family is not None
        backend = TokenBackend(
            model=model.name,
            tokenizer=tokenizer,
            family=model.chat_family,
            max_model_len=int(str(plan.settings["max_model_len"].value)),
        )
        self._wishes, self._plan, self.backend = wishes, replace(plan, model=model), backend
        by_path = wishes.model is not None and (expand_home(str(wishes.model)) / "config.json").exists()
        self.model = str(folder.absolute()) if by_path else model.name
        self.defaults = {name: each for name, each in plan.sampling.items() if name not in NO_CHAT_SETTINGS}
        if model is not plan.model and "stop_token_ids" in self.defaults:
            ends = self.defaults["stop_token_ids"]
            assert isinstance(ends.value, tuple)
            self.defaults["stop_token_ids"] = replace(ends, value=(*ends.value, USER_ID, ASSISTANT_ID))


def _able_to_chat(model: Model, tokenizer: Tokenizer, *, force: bool) -> Model:
    """Return the model with its chat family; a base model is given that of its tokenizer if that is forced.

    Raises:
        BcliError: it is a base model, or its tokenizer has no role tokens.
    """
    if model.chat_family is not None:
        return model
    families = {token: family for family, token in USER_TOKENS.items()}
    family = families.get(tokenizer.token(USER_ID) or "")
    if not force or family is None:
        raise BcliError(
            f"{model.name} is no chat model: it continues text, and was not trained to answer.",
            hint=f"Have it continue a text: bcli generate --model {model.name} 床前明月光\n"
            "Or take a chat model: bcli models list"
            + ("\nIf it was trained to chat all the same, add --force." if family else ""),
            exit_code=ExitCode.REFUSED,
        )
    return replace(model, chat_family=family)
