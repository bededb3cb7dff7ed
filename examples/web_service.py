"""A web service that takes claims: any number of worker processes before one process that writes the ledger.

It needs a ledger that `finchain serve` keeps open, and starlette with uvicorn, or any other ASGI server:

    FINCHAIN_LEDGER=deal.finchain SHOP_KEY=shop.pem uvicorn --app-dir examples --workers 4 web_service:app

POST /claims with the members of a claim as JSON and an `Idempotency-Key` of the client's own. A client that hears no
answer sends the same again with the same key, to any worker, after any restart: the claim is in the ledger once. The
answers:

- 201 applied, 200 applied before, with the place of the order in the ledger;
- 409 refused by a rule, or the key was used for another claim; 422 no claim at all; 413 too large; each with what would
  be right;
- 503 come again, with the same key: the ledger is busy or cannot be written now, or nobody knows yet what became of
  the order.

The key of the service is enrolled as one of the supplier's; with duty `service` a rule can tell it from a person's.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import finchain as fc
from finchain import instructions as do

AT_ONCE = 16
"""Orders that one worker has under way: those that wait together share a block and its sync."""

BODY_BYTES_MAX = 64 << 10
"""Bytes of a request that are read: an instruction has at most 16 KiB, and JSON may be spaced."""


@asynccontextmanager
async def connected(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    """Connects after the worker was started: a connection belongs to the process that made it."""
    key = fc.Key.load(os.environ["SHOP_KEY"])
    with fc.connect(os.environ["FINCHAIN_LEDGER"]) as ledger:
        yield {"ledger": ledger, "key": key, "limit": anyio.CapacityLimiter(AT_ONCE)}


async def claim(request: Request) -> JSONResponse:
    """Takes one claim."""
    idempotency_key = request.headers.get("Idempotency-Key")
    if not idempotency_key:
        return _answer(422, error="Idempotency-Key is missing", advice="send a name of your own for this claim")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            return _answer(413, error="too large", advice=f"a claim has at most {BODY_BYTES_MAX} bytes")
    try:
        order = msgspec.json.decode(bytes(body), type=do.SubmitReceivable)
    except msgspec.MsgspecError as error:
        return _answer(422, error=str(error), advice="send the members of receivable.submit, type among them")
    submit = partial(request.state.ledger.submit, order, by=request.state.key, idempotency_key=idempotency_key)
    try:
        outcome = await anyio.to_thread.run_sync(submit, limiter=request.state.limit)
    except fc.Refused as refusal:
        return _answer(409, error=refusal.code, message=refusal.message, advice=refusal.advice)
    except fc.IdempotencyConflict as error:
        return _answer(409, error="idempotency_key", message=error.message, advice=error.advice)
    except fc.Rejected as error:
        return _answer(422, error=error.code, message=error.message, advice=error.advice)
    except fc.ConfigError as error:
        return _answer(422, error="idempotency_key", message=error.message, advice=error.advice)
    except (fc.Busy, fc.Unknown, fc.Unreachable, fc.StorageError) as error:
        return _answer(503, error=type(error).__name__, advice="send it again with the same Idempotency-Key")
    place = {"status": outcome.status, "id": outcome.id, "height": outcome.height, "entry": outcome.entry}
    return JSONResponse(place, status_code=200 if outcome.status == "already" else 201)


def _answer(status: int, **told: str) -> JSONResponse:
    return JSONResponse(told, status_code=status, headers={"Retry-After": "1"} if status == 503 else None)


app = Starlette(routes=[Route("/claims", claim, methods=["POST"])], lifespan=connected)
