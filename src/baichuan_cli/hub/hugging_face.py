"""The Hugging Face hub and its mirrors, through huggingface_hub.

Listing, tokens, endpoints and errors are huggingface_hub's, by the calls that its releases 0.23 to 2.x share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from baichuan_cli.hub.http import HttpRefusalError, open_url
from baichuan_cli.hub.network import check_proxy, check_token, server_address
from baichuan_cli.hub.patience import patiently
from baichuan_cli.hub.source import Content, Listing, RemoteFile, SourceError, TemporaryProblem

if TYPE_CHECKING:
    from huggingface_hub.utils import HfHubHTTPError

MIRROR = "https://hf-mirror.com"

_ANSWER_SECONDS = 10.0
_BUSY = (408, 429, 500, 502, 503, 504)


class HuggingFace:
    """A repository on the hub, or on a server that speaks its language.

    Args:
        repository: such as "baichuan-inc/Baichuan2-7B-Chat".
        name: what `--source` calls the server.
        endpoint: its address, where it is not `HF_ENDPOINT` or the hub itself.
        kind: what the repository holds.
    """

    def __init__(
        self,
        repository: str,
        *,
        name: str = "huggingface",
        endpoint: str | None = None,
        kind: Literal["model", "dataset"] = "model",
    ) -> None:
        self.name = name
        self.repository = repository
        self._mirror = endpoint
        self._kind = kind

    @property
    def _endpoint(self) -> str:
        hub = server_address("HF_ENDPOINT", "https://huggingface.co")  # huggingface_hub reads it for a mirror as well
        return self._mirror or hub

    def list_files(self, revision: str | None) -> Listing:
        """List the repository with the size and hash of each file, at the commit that the revision is now.

        Raises:
            SourceError: it does not answer, does not have it, or wants a token.
        """
        info = patiently(lambda: self._ask(revision))
        return Listing(self.repository, str(info.sha), tuple(_remote_file(each) for each in info.siblings or ()))

    @contextmanager
    def open(self, listing: Listing, file: RemoteFile, offset: int) -> Iterator[Content]:
        """Open a file at a byte."""
        from huggingface_hub import hf_hub_url

        url = hf_hub_url(
            self.repository, file.path, repo_type=self._kind, revision=listing.revision, endpoint=self._endpoint
        )
        try:
            with open_url(url, self._headers(), offset) as content:
                yield content
        except HttpRefusalError as error:
            raise self._refusal(error.status, error.headers) from None

    def _ask(self, revision: str | None) -> Any:
        check_proxy(self._endpoint)  # before huggingface_hub is imported, which fails where the address is none
        from huggingface_hub import HfApi
        from huggingface_hub.utils import HfHubHTTPError, OfflineModeIsEnabled

        self._headers()  # looks at the token
        api = HfApi(endpoint=self._endpoint)
        ask = api.model_info if self._kind == "model" else api.dataset_info
        broken = _transport_errors()
        try:
            return ask(self.repository, revision=revision, files_metadata=True, timeout=_ANSWER_SECONDS)
        except OfflineModeIsEnabled:
            raise SourceError("HF_HUB_OFFLINE is set", hint="Unset it: unset HF_HUB_OFFLINE") from None
        except HfHubHTTPError as error:
            raise self._http_problem(error) from None
        except broken as error:
            raise SourceError(f"it did not answer ({_cause(error)})", hint=_NETWORK_HINT) from None
        except ValueError as error:  # a login page for JSON, or a name that makes no sense
            raise SourceError(f"it cannot be asked: {error}") from None

    def _http_problem(self, error: HfHubHTTPError) -> Exception:
        status, headers = error.response.status_code, error.response.headers
        if status in _BUSY:
            wait = headers.get("Retry-After", "")
            return TemporaryProblem(f"the server answered {status}", float(wait) if wait.isdigit() else None)
        return self._refusal(status, headers)

    def _refusal(self, status: int, headers: Mapping[str, str] | Any) -> SourceError:
        page = f"{self._endpoint}/{'datasets/' if self._kind == 'dataset' else ''}{self.repository}"
        code = headers.get("X-Error-Code")
        if code == "GatedRepo":
            return SourceError(
                f"the repository {self.repository} is gated and asks who you are",
                hint=f"Accept its terms at {page}, then log in with `hf auth login` or set HF_TOKEN.",
            )
        if code == "RevisionNotFound":
            return SourceError(
                f"the repository {self.repository} has no such revision", hint=f"See its branches and tags: {page}"
            )
        if status in (401, 403, 404):
            return SourceError(
                f"it has no {self.repository}, or shows it only with a token",
                hint=f"Look at {page}. A private repository needs `hf auth login` or HF_TOKEN.",
            )
        return SourceError(f"it answered {status} for {self.repository}")

    def _headers(self) -> Mapping[str, str]:
        from huggingface_hub import get_token
        from huggingface_hub.utils import build_hf_headers

        if token := get_token():
            check_token(token, hint="Check HF_TOKEN, or log in again: hf auth login")
        headers: Mapping[str, str] = build_hf_headers(library_name="bcli")
        return headers


_NETWORK_HINT = (
    "Check the network and the proxy variables, or take another --source: hf-mirror, modelscope, or a folder."
)


def _remote_file(sibling: Any) -> RemoteFile:
    lfs = sibling.lfs
    if lfs is None:
        return RemoteFile(sibling.rfilename, sibling.size, git_sha1=sibling.blob_id)
    return RemoteFile(sibling.rfilename, lfs["size"], sha256=lfs["sha256"])


def _transport_errors() -> tuple[type[Exception], ...]:
    """Return what a broken connection raises: huggingface_hub has another HTTP library in every major release.

    Raises:
        SourceError: that library cannot start with these proxy variables.
    """
    from huggingface_hub import utils

    try:
        session = type(utils.get_session())
    except (ValueError, ImportError) as error:
        raise SourceError(f"it cannot be asked ({error})", hint="Check the proxy variables.") from None
    library = __import__(session.__module__.partition(".")[0])
    return (OSError, getattr(library, "TransportError", OSError))


def _cause(error: BaseException) -> str:
    """Return what lies at the bottom of it, without what the HTTP libraries wrap around."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
