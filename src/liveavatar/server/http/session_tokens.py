"""Session tokens: who a client is, until when, and a seal that only this server can make.

Nothing is stored for them, so nothing can be filled up, and they outlive a restart. One that has expired lets nobody
in, but still says who its bearer was: signing in again with it keeps what was made before.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

SESSION_SECONDS = 2 * 3600
"""How long a token lets its bearer in. The page renews it long before."""

_OWNER_BYTES, _TIME_BYTES, _KEY_BYTES = 16, 8, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who a client is: `owner` sees only what the same owner made. `expires` is in seconds since 1970."""

    owner: str
    expires: float

    @property
    def is_valid(self) -> bool:
        """Whether it still lets its bearer in."""
        return time.time() < self.expires


class SessionTokens:
    """Makes and reads tokens, sealed with `key` (HMAC-SHA256)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @staticmethod
    def create_key() -> bytes:
        """A new random key."""
        return secrets.token_bytes(_KEY_BYTES)

    @staticmethod
    def create_owner() -> str:
        """A new random owner."""
        return secrets.token_hex(_OWNER_BYTES)

    def issue_token(self, owner: str) -> str:
        """A token for `owner`, valid for `SESSION_SECONDS`."""
        expires = int(time.time() + SESSION_SECONDS)
        content = bytes.fromhex(owner) + expires.to_bytes(_TIME_BYTES)
        return base64.urlsafe_b64encode(content + self._seal_content(content)).decode()

    def read_token(self, token: str) -> Session | None:
        """The session of a token, also if it has expired; None if this server did not make it."""
        try:
            raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            return None
        content, seal = raw[: _OWNER_BYTES + _TIME_BYTES], raw[_OWNER_BYTES + _TIME_BYTES :]
        if len(content) < _OWNER_BYTES + _TIME_BYTES or not hmac.compare_digest(
            seal, self._seal_content(content)
        ):
            return None
        return Session(owner=content[:_OWNER_BYTES].hex(), expires=int.from_bytes(content[_OWNER_BYTES:]))

    def _seal_content(self, content: bytes) -> bytes:
        return hmac.new(self._key, content, hashlib.sha256).digest()
