"""The one sink: data goes to stdout, talk goes to stderr, and nothing else in bcli prints.

With `--json` the data is one JSON object; on a terminal both streams are coloured by rich.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from getpass import getpass
from typing import TYPE_CHECKING, BinaryIO, TextIO

from baichuan_cli.errors import BcliError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.progress import Progress, ProgressColumn
    from rich.table import Table
    from rich.text import Text

#: A pipe has no width; tables sent there must not be folded.
_UNFOLDED = 10_000


class Output:
    """Where a command's results and remarks go.

    Args:
        json_mode: print data as JSON.
        stdout: the stream for data; the process's own when absent.
        stderr: the stream for talk; the process's own when absent.
    """

    def __init__(self, *, json_mode: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.json_mode = json_mode
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr

    def rerouted(self, stdout: TextIO, stderr: TextIO) -> Output:
        """Return the same output with other streams in place of the process's own; others are kept as they are."""
        return Output(
            json_mode=self.json_mode,
            stdout=stdout if self._stdout is sys.stdout else self._stdout,
            stderr=stderr if self._stderr is sys.stderr else self._stderr,
        )

    @property
    def interactive(self) -> bool:
        """Tell whether a person looks at the data on a terminal."""
        return self._stdout.isatty() and not self.json_mode

    @property
    def watched(self) -> bool:
        """Tell whether a person looks at the talk on a terminal."""
        return self._stderr.isatty()

    @property
    def width(self) -> int:
        """Return the columns of the terminal that the data goes to."""
        return self._console(self._stdout).width

    def has_signs(self, signs: str) -> bool:
        """Tell whether the encoding of the data stream has these characters; GBK, for one, has no check mark."""
        try:
            signs.encode(self._stdout.encoding or "utf-8")
        except UnicodeEncodeError:
            return False
        return True

    @property
    def binary(self) -> BinaryIO:
        """Return stdout for records that come as bytes."""
        return self._stdout.buffer

    def text(self, text: str, *, end: str = "\n") -> None:
        """Write data as it is, at once."""
        self._stdout.write(text + end)
        self._stdout.flush()

    def json(self, data: Mapping[str, object]) -> None:
        """Write one JSON object, its Chinese readable where the stream has it."""
        readable = json.dumps(data, ensure_ascii=False, indent=2)
        self.text(readable if self.has_signs(readable) else json.dumps(data, indent=2))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write rows under a header, aligned by display width so that Chinese lines up."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for number, column in enumerate(columns):
            table.add_column(column, overflow="fold", no_wrap=number == 0)  # a name stays in one piece
        for row in rows:
            table.add_row(*row)
        self._print(self._console(self._stdout), table)

    def facts(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Write names and values in two columns."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in pairs:
            table.add_row(name, value)
        self._print(self._console(self._stdout), table)

    def laid_out(self, content: Text | Table) -> None:
        """Write data with its styles; text as it is, with no line break of its own."""
        from rich.text import Text

        if isinstance(content, Text):
            self._console(self._stdout).print(content, end="", soft_wrap=True)
        else:
            self._print(self._console(self._stdout), content)
        self._stdout.flush()

    def live(self) -> Live:
        """Return a place below the data so far for what is drawn again and again, until it is stopped."""
        from rich.live import Live

        return Live(
            console=self._console(self._stdout),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def note(self, text: str) -> None:
        """Say something on stderr that is no data."""
        self._say(text, style="dim")

    def warning(self, text: str, *, hint: str = "") -> None:
        """Say what may go wrong, and what to do about it."""
        self._say(f"warning: {text}", style="yellow")
        if hint:
            self._say(_indent(hint))

    def error(self, error: BcliError) -> None:
        """Say what went wrong, and what to do next."""
        self._say(f"error: {error.message}", style="bold red")
        if error.hint:
            self._say(_indent(error.hint))

    def echo(self, text: str) -> None:
        """Repeat what the person gave, so that an answer reads on from it; only where a person sees both."""
        if self.interactive and self._stderr.isatty():
            self._console(self._stderr).print(text, style="dim", end="", markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def status(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show on a terminal that something goes on.

        Yields:
            Shows another text instead.
        """
        if not self._stderr.isatty():
            yield lambda _: None
            return
        from rich.live import Live
        from rich.spinner import Spinner

        # By default rich puts proxies in the place of sys.stdout and sys.stderr, and vLLM's loggers would keep them.
        console = self._console(self._stderr)
        spinner = Spinner("dots", text)
        with Live(spinner, console=console, transient=True, redirect_stdout=False, redirect_stderr=False):
            yield lambda text: spinner.update(text=text)

    def confirm(self, question: str, *, flag: str) -> bool:
        """Ask on the terminal; anything but yes is no.

        Raises:
            BcliError: there is nobody to ask; the message names the flag that answers beforehand.
        """
        if not (sys.stdin.isatty() and self._stderr.isatty()):
            raise BcliError(f"{question} There is no terminal to ask on.", hint=f"Say yes beforehand: {flag}")
        self._stderr.write(f"{question} [y/N] ")
        self._stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def secret(self, question: str, *, hint: str) -> str:
        """Ask for something on the terminal that is not shown while it is typed.

        Raises:
            BcliError: there is nobody to ask; the hint says how to give it beforehand.
        """
        if not (sys.stdin.isatty() and self._stderr.isatty()):
            raise BcliError(f"{question}? There is no terminal to ask on.", hint=hint)
        return getpass(f"{question}: ", stream=self._stderr)

    def progress(self) -> Progress:
        """Return a display of things done, on stderr; it stays silent unless stderr is a terminal."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        return self._progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )

    def byte_progress(self) -> Progress:
        """Return a display of bytes done and bytes a second, on stderr; silent unless stderr is a terminal."""
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        return self._progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )

    def _progress(self, *columns: ProgressColumn) -> Progress:
        from rich.progress import Progress

        console = self._console(self._stderr)
        console.quiet = not self._stderr.isatty()  # even a disabled display ends with an empty line on a pipe
        return Progress(
            *columns,
            console=console,
            disable=console.quiet,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _say(self, text: str, style: str = "") -> None:
        if self._stderr.isatty():
            self._console(self._stderr).print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)
        else:
            self._stderr.write(text + "\n")
            self._stderr.flush()

    @staticmethod
    def _console(stream: TextIO) -> Console:
        from rich.console import Console

        return Console(file=stream, highlight=False, markup=False, width=None if stream.isatty() else _UNFOLDED)

    @staticmethod
    def _print(console: Console, renderable: object) -> None:
        # rich pads every cell to its column; on a pipe those spaces would be data.
        with console.capture() as capture:
            console.print(renderable)
        console.file.write("".join(line.rstrip() + "\n" for line in capture.get().splitlines()))
        console.file.flush()


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
