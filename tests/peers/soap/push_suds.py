#!/usr/bin/env python3
"""Pushes messages with suds, which speaks SOAP 1.1 only and opens a connection for each (see messages.py for what and when)."""

import base64
import datetime
import hashlib
import http.client
import logging
import os
import warnings
import xml.sax

import suds
import suds.cache
import suds.client
import suds.sax.date
import suds.transport
import suds.wsse

import messages


def token(user, password, kind):
    """A new one for each message: suds would send the same nonce for ever."""
    made = suds.wsse.UsernameToken(user, password)
    nonce = os.urandom(16)
    made.setnonce(base64.b64encode(nonce).decode())
    made.setnonceencoding(True)
    made.setcreated(datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0))
    if kind == "digest":
        # suds writes a digest, but does not make it. It covers the time just as it is written.
        created = str(suds.sax.date.DateTime(made.created))
        digest = hashlib.sha1(nonce + created.encode() + password.encode()).digest()
        made.setpassworddigest(base64.b64encode(digest).decode())
    security = suds.wsse.Security()
    security.tokens.append(made)
    return security


def ask(call, **arguments):
    try:
        return call(**arguments)
    except suds.WebFault as error:
        code = getattr(error.fault, "faultcode", None)
        messages.judge_fault(code, getattr(error.fault, "faultstring", None))
    except suds.transport.TransportError as error:
        messages.judge_status(error.httpcode, str(error))
    except (OSError, http.client.HTTPException, xml.sax.SAXException, AttributeError) as error:
        # An AttributeError is what suds makes of an empty Body.
        raise messages.Unanswered(repr(error)) from error
    except Exception as error:
        # A status other than 200 and 500 comes as a bare Exception((status, text)), and a fault beneath it is lost.
        if type(error) is Exception and error.args and isinstance(error.args[0], tuple):
            messages.judge_status(*error.args[0])
        raise


def connect(url):
    if messages.soap_version() != "1.1":
        raise messages.Refused("suds speaks SOAP 1.1 only")
    # suds keeps WSDLs on disk for a day, by their URL: the next test on this port would get the last one's.
    client = ask(
        lambda: suds.client.Client(url, cache=suds.cache.NoCache(), timeout=messages.ANSWER_S_MAX, port="WmsEvents11")
    )
    service = client.service
    rpc = "MovementList" in str(client)

    def typed(name, fields):
        made = client.factory.create(f"{{urn:example:wms}}{name}")
        for field, value in fields.items():
            setattr(made, field, value)
        return made

    def send(batch_no, n, count):
        if messages.credentials():
            client.set_options(wsse=token(*messages.credentials()))
        if messages.one_way():
            sent = [typed("ShipmentLine", line) for line in messages.lines(n, count)]
            ask(service.ReportShipment, ShipNo=batch_no, Line=sent)
            return
        moved = [typed("Movement", movement) for movement in messages.movements(batch_no, n, count)]
        body = {"Movements": typed("MovementList", {"Movement": moved})} if rpc else {"Movement": moved}
        if not ask(service.PutMovements, BatchNo=batch_no, **body):
            raise messages.Unanswered("the answer accepts nothing")

    return send


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    # suds logs each failed request with its whole text; what counts is on this program's last line.
    logging.getLogger("suds").setLevel(logging.CRITICAL)
    messages.push("suds", connect)
