"""A conversation at the terminal: one line after the other is read, and answered or obeyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baichuan_cli.chat.commands import Command, parse
from baichuan_cli.chat.events import Answered, Asked, Event, Finish, ModelChosen
from baichuan_cli.cli.chat.answer import Outcome, show_answer
from baichuan_cli.cli.chat.view import view
from baichuan_cli.errors import BcliError

if TYPE_CHECKING:
    from pathlib import Path

    from baichuan_cli.chat.backend import Trimmed
    from baichuan_cli.chat.conversation import Conversation, Round
    from baichuan_cli.chat.line import Line
    from baichuan_cli.chat.transcript import Transcript
    from baichuan_cli.cli.chat.engine import Engine
    from baichuan_cli.cli.output import Output
    from baichuan_cli.plan.model import Setting


class Session:
    """A conversation with whoever answers.

    Attributes:
        engine: who answers.
        transcript: what was said, and its file.
        out: where answers and remarks go.
        show_figures: tell the figures after every answer.
        last: how the last answer ended.
        saved_to: files that /save has written, and may write again.
    """

    def __init__(
        self, engine: Engine, transcript: Transcript, out: Output, *, show_figures: bool, interactive: bool
    ) -> None:
        self.engine = engine
        self.transcript = transcript
        self.out = out
        self.show_figures = show_figures
        self.last: Outcome | None = None
        self.saved_to: set[Path] = set()
        self._interactive = interactive
        self._trimmed: Trimmed | None = None
        self._unkept: BcliError | None = None

    @property
    def conversation(self) -> Conversation:
        """Return the conversation as it stands."""
        return self.transcript.conversation

    def talk(self, line: Line) -> None:
        """Read, answer and obey until the person leaves."""
        from baichuan_cli.chat.line import Leave
        from baichuan_cli.cli.chat.commands import obey
        from baichuan_cli.cli.errors import EXPECTED, to_bcli_error

        while True:
            try:
                typed = parse(line.read())
                if not isinstance(typed, Command):
                    self.ask(typed)
                elif typed.name == "exit":
                    return
                else:
                    obey(typed, self, line)
            except Leave:
                return
            except KeyboardInterrupt:
                self.out.note("stopped")
            except EXPECTED as error:
                self.out.error(to_bcli_error(error))

    def ask(self, question: str) -> Outcome:
        """Put a question and answer it.

        Raises:
            BcliError: the engine cannot be started; the question was not put.
        """
        self.engine.ready()
        self.record(Asked(content=question))
        return self.answer()

    def answer(self) -> Outcome:
        """Answer the last question, and say what a person should know about the answer.

        Raises:
            BcliError: the engine cannot be started.
        """
        self.engine.ready()
        if (self.engine.model, self.engine.url) != (self.conversation.model, self.conversation.url):
            self.record(ModelChosen(model=self.engine.model, url=self.engine.url))
        outcome = show_answer(
            self.engine,
            self.conversation,
            self.sampling(),
            self.out,
            keep=self._keep,
            on_trimmed=self._tell_trimmed,
        )
        self._tell(outcome)
        self.last = outcome
        return outcome

    def close(self) -> None:
        """Stop what was started for the conversation, and close its file."""
        self.transcript.close()
        self.engine.close()

    def record(self, event: Event) -> None:
        """Let something happen. A disk that does not take it is told once, and the conversation goes on."""
        try:
            self.transcript.record(event)
            self._unkept = None
        except BcliError as error:
            if self._unkept is None:
                self.out.error(error)
            self._unkept = error

    def go_on_with(self, transcript: Transcript) -> None:
        """Leave this conversation, which stays kept, for another one."""
        self.transcript.close()
        self.transcript = transcript
        self._trimmed = None

    def settings(self) -> dict[str, Setting]:
        """Return how answers are sampled, by the names of vLLM's SamplingParams, and who says so."""
        from baichuan_cli.plan.model import Setting

        chosen = {name: Setting(value, "/set", "") for name, value in self.conversation.sampling.items()}
        if chosen.get("ignore_eos") and chosen["ignore_eos"].value:
            chosen.setdefault("stop_token_ids", Setting((), "/set", ""))  # nothing ends an answer early
        return {**self.engine.defaults, **chosen}

    def sampling(self) -> dict[str, object]:
        """Return what a request says about sampling."""
        values = {name: setting.value for name, setting in self.settings().items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def show_where_it_stands(self) -> None:
        """Show the last round of a conversation that is gone on with."""
        rounds = self.conversation.rounds
        name = f"{self.transcript.name} · " if self.transcript.name else ""
        self.out.note(f"{name}{self.conversation.size}" + (", the last of them:" if rounds else ""))
        for each in rounds[-1:]:
            self.show(each)
            if each.finish is None:
                self.out.note("that answer is not whole: /retry asks again")

    def show(self, each: Round) -> None:
        """Show a round of the past."""
        self.out.note("> " + each.question.replace("\n", "\n  "))
        shown = view(self.out)
        shown.feed(each.answer)
        shown.finish()

    def _keep(self, text: str, finish: Finish | None) -> None:
        self.record(Answered(content=text, finish=finish))

    def _tell(self, outcome: Outcome) -> None:
        usage = outcome.figures.usage
        match outcome.finish:
            case "failed":
                assert outcome.error is not None
                self.out.error(outcome.error)
                if self._interactive:
                    self.out.note("The conversation is kept. /retry asks again.")
            case "stopped":
                self.out.note("stopped")
            case "length" if usage is not None:
                more = "/set max_tokens" if self._interactive else "--max-tokens"
                self.out.note(f"cut off after {usage.completion_tokens} tokens: {more} allows more")
            case _ if not self.conversation.rounds[-1].answer:
                self.out.note("the answer is empty")
        if self.show_figures and outcome.finish in ("stop", "length"):
            self.out.note(outcome.figures.line())
        if self._interactive and self.out.interactive:
            self.out.text("")  # between an answer and the next question

    def _tell_trimmed(self, trimmed: Trimmed) -> None:
        if trimmed == self._trimmed:
            return
        self._trimmed = trimmed
        if trimmed.rounds:
            oldest = "oldest round is" if trimmed.rounds == 1 else f"oldest {trimmed.rounds} rounds are"
            self.out.note(f"the context is full: the {oldest} left out of what the model is given")
        if trimmed.cut_tokens:
            self.out.warning(f"too long for the context: the first {trimmed.cut_tokens} tokens are cut off")
