#!/usr/bin/env python3
"""A warehouse system made with spyne, to be polled for movements.

    serve_spyne.py PORT      (0 for any; prints "listening PORT")

ListMovements(Since, Page, PageSize) gives the movements at or after Since, in the order of MovedAt: three share each second, so that a
watermark never falls between strangers, and the second that it names comes again. Watermark is MovedAt of the page's last movement, or Since
where the page is empty; NextPage is empty on the last page.

Environment: TOTAL movements (1000), SOAP_VERSION (1.1 or 1.2), FAULTS="3:Server,5:Client,7:empty,9:html": what happens to the 3rd request and
so on, each once. After each answer there is a line on standard error.
"""

import datetime
import decimal
import itertools
import logging
import os
import socketserver
import sys
import wsgiref.simple_server

from spyne import Application, Array, ComplexModel, DateTime, Decimal, Fault, Integer32, ServiceBase, Unicode, rpc
from spyne.protocol.soap import Soap11, Soap12
from spyne.server.wsgi import WsgiApplication

NAMESPACE = "urn:example:wms"
FIRST_MOVE = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
SAME_SECOND = 3
PAGE_SIZE = 100
PAGE_SIZE_MAX = 1000

TOTAL = int(os.environ.get("TOTAL", "1000"))
SOAP12 = os.environ.get("SOAP_VERSION") == "1.2"
FAULTS = dict(fault.split(":") for fault in os.environ.get("FAULTS", "").split(",") if fault)

ENVELOPE = "http://www.w3.org/2003/05/soap-envelope" if SOAP12 else "http://schemas.xmlsoap.org/soap/envelope/"
CONTENT_TYPE = "application/soap+xml; charset=utf-8" if SOAP12 else "text/xml; charset=utf-8"
EMPTY = f'<?xml version="1.0"?><e:Envelope xmlns:e="{ENVELOPE}"><e:Body/></e:Envelope>'
PAGE_OF_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1><hr></body></html>"


class Movement(ComplexModel):
    __namespace__ = NAMESPACE
    _type_info = [
        ("Id", Unicode(min_occurs=1)),
        ("Sku", Unicode(min_occurs=1)),
        ("Quantity", Decimal(min_occurs=1)),
        ("MovedAt", DateTime(min_occurs=1)),
    ]


def moved_at(index):
    return FIRST_MOVE + datetime.timedelta(seconds=index // SAME_SECOND)


def movement(index):
    return Movement(
        Id=f"mv-{index + 1:06}",
        Sku=f"SKU-{index % 100}",
        Quantity=index % 1000 + decimal.Decimal(index % 7 + 1) / 8,
        MovedAt=moved_at(index),
    )


def first_since(since):
    """The index of the first movement at or after a time, or a Client fault."""
    if not since:
        return 0
    try:
        # Python before 3.11 knows no Z.
        time = datetime.datetime.fromisoformat(since.replace("Z", "+00:00"))
    except ValueError:
        raise Fault("Client.BadSince", f"{since!r} is no time") from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.timezone.utc)
    seconds = (time - FIRST_MOVE) / datetime.timedelta(seconds=1)
    return max(0, -int(-seconds // 1)) * SAME_SECOND


class MovementService(ServiceBase):
    @rpc(
        Unicode,
        Integer32,
        Integer32,
        _returns=[Array(Movement), Unicode(min_occurs=1), Unicode(min_occurs=1)],
        _out_variable_names=["Movements", "NextPage", "Watermark"],
    )
    def ListMovements(ctx, Since, Page, PageSize):
        request = ctx.transport.req_env
        request["wms.asked"] = f"Since={Since or ''} Page={Page or ''} PageSize={PageSize or ''}"
        if request["wms.fault"]:
            raise Fault(request["wms.fault"], "as the test wants it")
        page, size = Page or 1, PageSize or PAGE_SIZE
        if page < 1 or not 1 <= size <= PAGE_SIZE_MAX:
            raise Fault("Client.BadLimit", f"PageSize is 1 to {PAGE_SIZE_MAX}")
        start = first_since(Since) + (page - 1) * size
        end = min(start + size, TOTAL)
        found = [movement(index) for index in range(start, end)]
        watermark = moved_at(end - 1).strftime("%Y-%m-%dT%H:%M:%SZ") if found else Since or ""
        return found, str(page + 1) if end < TOTAL and found else "", watermark


class Faults:
    """Counts the requests, puts the wanted faults in, and tells of each answer."""

    def __init__(self, service):
        self.service = service
        self.numbers = itertools.count(1)

    def __call__(self, environ, start_response):
        if environ["REQUEST_METHOD"] != "POST":
            return self.service(environ, start_response)
        number = next(self.numbers)
        fault = FAULTS.get(str(number))
        environ["wms.fault"] = fault if fault in ("Server", "Client") else None
        answered = []

        def start(status, headers, exc_info=None):
            answered.append(status)
            return start_response(status, headers, exc_info)

        return self.tell(number, environ, answered, fault, self.answer(fault, environ, start))

    def answer(self, fault, environ, start):
        if fault not in ("empty", "html"):
            return self.service(environ, start)
        # Unread, it would make the closing of the connection a reset, and cost the client this answer.
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, kind, text = (
            ("200 OK", CONTENT_TYPE, EMPTY) if fault == "empty" else ("502 Bad Gateway", "text/html", PAGE_OF_HTML)
        )
        start(status, [("Content-Type", kind), ("Content-Length", str(len(text)))])
        return [text.encode()]

    @staticmethod
    def tell(number, environ, answered, fault, parts):
        yield from parts
        asked = environ.get("wms.asked", "-")
        print(f"request {number} {asked} answered {answered[0]} {fault or ''}".rstrip(), file=sys.stderr, flush=True)


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def main():
    # spyne tells of each fault with a stack.
    logging.disable(logging.CRITICAL)
    soap = Soap12 if SOAP12 else Soap11
    application = Application([MovementService], NAMESPACE, in_protocol=soap(validator="lxml"), out_protocol=soap())
    service = Faults(WsgiApplication(application))
    with wsgiref.simple_server.make_server("127.0.0.1", int(sys.argv[1]), service, Server, Handler) as server:
        print(f"listening {server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
