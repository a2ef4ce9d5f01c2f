#!/usr/bin/env python3
"""An ERP made with spyne, to which items are put.

    take_spyne.py PORT FILE      (0 for any; prints "listening PORT")

PutItem(Code, Name) adds a line "CODE NAME" to FILE, also where the code is there already; FindItem(Code) says how many lines of this code
there are. A code that begins with BAD is a Client fault.

Environment: SOAP_VERSION (1.1 or 1.2); SOAP_USER and SOAP_PASSWORD: callers must say them by a UsernameToken, text or digest, whose nonce was
not seen before; FAULTS="3:Server,5:lost,7:reset": what happens to the 3rd PutItem and so on, each once: a Server fault before the item is
written, no answer after it is written, no answer before.
"""

import base64
import hashlib
import itertools
import logging
import os
import socketserver
import sys
import threading
import wsgiref.simple_server

from lxml import etree
from spyne import Application, Fault, Integer32, ServiceBase, Unicode, rpc
from spyne.protocol.soap import Soap11, Soap12
from spyne.server.wsgi import WsgiApplication

NAMESPACE = "urn:example:erp"
WSSE = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
WSU = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}"

SOAP12 = os.environ.get("SOAP_VERSION") == "1.2"
USER, PASSWORD = os.environ.get("SOAP_USER"), os.environ.get("SOAP_PASSWORD")
FAULTS = dict(fault.split(":") for fault in os.environ.get("FAULTS", "").split(",") if fault)
FILE = sys.argv[2]
LOCK = threading.Lock()
PUTS = itertools.count(1)
NONCES = set()


class Items(ServiceBase):
    @rpc(Unicode(min_occurs=1), Unicode(min_occurs=1), _returns=Unicode)
    def PutItem(ctx, Code, Name):
        known(ctx)
        fault = FAULTS.get(str(next(PUTS)))
        if Code.startswith("BAD"):
            raise Fault("Client.Refused", f"{Code} is no code")
        if fault == "Server":
            raise Fault("Server", "as the test wants it")
        if fault != "reset":
            with LOCK, open(FILE, "a", encoding="utf-8") as file:
                file.write(f"{Code} {Name}\n")
        if fault in ("lost", "reset"):
            ctx.transport.req_env["erp.lost"] = True
        return Code

    @rpc(Unicode(min_occurs=1), _returns=Integer32)
    def FindItem(ctx, Code):
        known(ctx)
        with LOCK, open(FILE, encoding="utf-8") as file:
            return sum(line.split(" ")[0] == Code for line in file)


def known(ctx):
    """Whether the caller is who it says, by hand: spyne leaves that to its user."""
    if USER is None:
        return
    refused = Fault("Client.FailedAuthentication", "the caller is not known")
    header = ctx.in_document.find("{*}Header")
    token = header.find(f"{WSSE}Security/{WSSE}UsernameToken") if header is not None else None
    if token is None or token.findtext(f"{WSSE}Username") != USER:
        raise refused
    said = token.find(f"{WSSE}Password")
    nonce, created = token.findtext(f"{WSSE}Nonce"), token.findtext(f"{WSU}Created")
    with LOCK:
        if nonce in NONCES:
            raise refused
        NONCES.add(nonce)
    if said.get("Type").endswith("#PasswordDigest"):
        digest = hashlib.sha1(base64.b64decode(nonce) + created.encode() + PASSWORD.encode()).digest()
        good = base64.b64decode(said.text) == digest
    else:
        good = said.text == PASSWORD
    if not good:
        raise refused


class Losing:
    """Says nothing where the test wants an answer lost."""

    def __init__(self, service):
        self.service = service

    def __call__(self, environ, start_response):
        parts = list(self.service(environ, start_response))
        if environ.get("erp.lost"):
            raise ConnectionResetError
        return parts


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def main():
    logging.disable(logging.CRITICAL)
    open(FILE, "a").close()
    soap = Soap12 if SOAP12 else Soap11
    application = Application([Items], NAMESPACE, in_protocol=soap(validator="lxml"), out_protocol=soap())
    service = Losing(WsgiApplication(application))
    with wsgiref.simple_server.make_server("127.0.0.1", int(sys.argv[1]), service, Server, Handler) as server:
        print(f"listening {server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
