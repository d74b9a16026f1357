"""The way out: what asks over HTTP, with the certificates and the proxy that the environment names."""

from __future__ import annotations

import functools
import os
import ssl
from typing import Any

import httpx2

from firstlight import errors


def client(transport: httpx2.AsyncBaseTransport | None = None, **named: Any) -> httpx2.AsyncClient:
    """A client, over the network unless told otherwise. It follows nobody elsewhere: what it shows is for one alone.

    Raises:
        UsageError: the environment names certificates or a proxy that cannot be used.
    """
    if transport is not None:
        return httpx2.AsyncClient(transport=transport, **named)
    try:
        return httpx2.AsyncClient(verify=_trust(), **named)
    except (httpx2.InvalidURL, ValueError, ImportError) as error:  # in this order of what they are about: its port, its scheme, SOCKS
        raise errors.UsageError(f"cannot use the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names: {_words(error)}") from None


def _words(error: Exception) -> str:
    """Not the address: a password may stand in it."""
    if isinstance(error, ImportError):
        return "it speaks SOCKS; one that speaks HTTP is needed"
    return "it is no http:// or https:// address"


@functools.cache
def _trust() -> ssl.SSLContext:
    """Whose certificates are taken. To read them takes longer than all else that a client needs, so it is done once for all."""
    # OpenSSL takes a folder that is not there for one that holds nothing, and then trusts nobody.
    folder = os.environ.get("SSL_CERT_DIR")
    if folder and not os.environ.get("SSL_CERT_FILE") and not any(map(os.path.isdir, folder.split(os.pathsep))):
        raise errors.UsageError(f"cannot take certificates from SSL_CERT_DIR: {folder} is no folder")
    try:
        return httpx2.create_ssl_context()
    except ssl.SSLError:
        raise errors.UsageError(f"cannot take certificates from SSL_CERT_FILE: {os.environ['SSL_CERT_FILE']} holds none") from None
    except OSError as error:
        raise errors.UsageError(f"cannot take certificates from SSL_CERT_FILE: {os.environ['SSL_CERT_FILE']}: {error.strerror}") from None
