"""Errors of the SDK and the layers below it, explained to users."""

from __future__ import annotations

import ssl
import sys
from http.client import RemoteDisconnected

import requests
from docker.errors import APIError, DockerException
from httptools import HttpParserError, HttpParserUpgrade
from urllib3.exceptions import HTTPError

from exporter.errors import message_of, root_cause
from exporter.sources.docker.api.address import EngineAddress
from exporter.text import sanitize_error

_NO_HTTP = (HttpParserError, HttpParserUpgrade)
_FAILURES = (DockerException, requests.RequestException, HTTPError, EOFError, OSError, *_NO_HTTP)
# An engine that rejects a client's certificate closes the connection at once: its alert may be lost.
_TLS_FAILURES = (ssl.SSLError, ConnectionResetError, BrokenPipeError)


def failures() -> tuple[type[Exception], ...]:
    """Return all exceptions that a request to an engine can raise."""
    # It is imported with the first engine that is reached over ssh.
    paramiko = sys.modules.get("paramiko")
    return _FAILURES if paramiko is None else (*_FAILURES, paramiko.SSHException)


def explain_request(error: BaseException, address: EngineAddress) -> str:
    """Return why a request to the engine at ``address`` failed."""
    cause = _root_cause(error)
    if address.is_ssh and isinstance(cause, RemoteDisconnected):
        return "no engine answered over ssh; does 'docker version' work over it?"
    if address.tls and isinstance(cause, _TLS_FAILURES):
        return f"TLS failed: {_describe(cause)}; does this engine accept these ca.pem, cert.pem and key.pem?"
    return _describe(cause)


def explain(error: BaseException) -> str:
    """Return the root cause of an error."""
    return _describe(_root_cause(error))


def _root_cause(error: BaseException) -> BaseException:
    # The errors below an engine's own explanation have only the HTTP status.
    return root_cause(error, lambda error: isinstance(error, APIError) and bool(error.explanation))


def _describe(cause: BaseException) -> str:
    match cause:
        case PermissionError():
            return "permission denied; is this user allowed to use the engine (group docker)?"
        case FileNotFoundError():
            return "no such socket; is the engine running?"
        case ssl.SSLCertVerificationError():
            return f"the engine's certificate is not trusted: {cause.verify_message}"
        case HttpParserError() | HttpParserUpgrade():
            return f"no answer in HTTP ({message_of(cause)}); is this a Docker Engine?"
        case APIError():
            return sanitize_error(str(cause.explanation))
        case _:
            return sanitize_error(message_of(cause))
