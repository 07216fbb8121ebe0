"""How long a password must and may be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

MIN_PASSWORD, MAX_PASSWORD = 10, 200
Password = Annotated[SecretStr, Field(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]
