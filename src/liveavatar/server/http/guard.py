"""Refuses requests that another web site makes through a visitor's browser, and adds the headers that confine pages.

A page of another site may send requests to this machine (cross-site request forgery), and may give its own name this
machine's address (DNS rebinding). Browsers tell both: by `Origin` and `Sec-Fetch-Site`, and by `Host`.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from liveavatar.server.http.errors import describe_error

CONTENT_POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "connect-src 'self'",
    "worker-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
"""What a page may load: nothing from anywhere else."""

SECURITY_HEADERS: Mapping[str, str] = MappingProxyType({
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
})  # fmt: skip


class RequestGuard:
    """Wraps an application. `host_names` are those besides IP addresses and "localhost"."""

    def __init__(self, app: ASGIApp, host_names: Iterable[str] = ()) -> None:
        self._app = app
        self._host_names = {"localhost", *(name.lower() for name in host_names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or let the application answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_confined(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._find_refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_confined)
        elif scope["type"] == "websocket":
            await receive()  # the handshake; closing it is answered with 403
            await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        else:
            await JSONResponse(describe_error("foreign", refusal), 403)(scope, receive, send_confined)

    def _find_refusal(self, scope: Scope) -> str | None:
        """Why a request is refused, None if it is not."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_own_host(host):
            return "this server does not go by that name; its operator can allow it with --allow-host"
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return "the request comes from another site"
        is_visit = (
            scope["type"] == "http"
            and headers.get("sec-fetch-mode") == "navigate"
            and scope["method"] == "GET"
        )
        if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"} and not is_visit:
            return "the request comes from another site"
        return None

    def _is_own_host(self, host: str) -> bool:
        """Whether a `Host` is an address, which no other site can have, or one of our names."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._host_names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
