#!/usr/bin/env python3
"""Pushes messages with zeep, which keeps its connection (see messages.py for what and when)."""

import os
import warnings

import requests
import zeep
import zeep.exceptions
import zeep.transports
import zeep.wsdl.bindings.soap as bindings
from zeep.wsse.username import UsernameToken

import messages


def transport():
    session = requests.Session()
    # A proxy or a CA of this machine's environment has no say in a test.
    session.trust_env = False
    session.verify = os.environ.get("SOAP_CA") or True
    if "SOAP_CERTIFICATE" in os.environ:
        session.cert = os.environ["SOAP_CERTIFICATE"], os.environ["SOAP_KEY"]
    user, password, kind = messages.credentials() or (None, None, None)
    if kind == "basic":
        session.auth = user, password
    return zeep.transports.Transport(
        session=session, timeout=messages.ANSWER_S_MAX, operation_timeout=messages.ANSWER_S_MAX
    )


def token():
    user, password, kind = messages.credentials() or (None, None, None)
    if kind not in ("text", "digest"):
        return None
    # With a text password zeep sends neither nonce nor time of creation.
    return UsernameToken(user, password, use_digest=kind == "digest")


def port_name(client):
    wanted = bindings.Soap12Binding if messages.soap_version() == "1.2" else bindings.Soap11Binding
    for service in client.wsdl.services.values():
        for port in service.ports.values():
            if isinstance(port.binding, wanted):
                return service.name, port.name
    raise messages.Refused(f"the WSDL has no port of SOAP {messages.soap_version()}")


def ask(call, **arguments):
    try:
        return call(**arguments)
    except zeep.exceptions.Fault as fault:
        # zeep calls any well-formed answer with a bad status a fault, even a page of HTML: then there is no code.
        if fault.code is None:
            raise messages.Unanswered(fault.message) from fault
        messages.judge_fault(fault.code, fault.message)
    except zeep.exceptions.TransportError as error:
        messages.judge_status(error.status_code or 0, error.message)
    except (zeep.exceptions.Error, requests.RequestException, IndexError) as error:
        # An IndexError is what zeep makes of an empty Body.
        raise messages.Unanswered(str(error)) from error


def connect(url):
    client = ask(lambda: zeep.Client(url, transport=transport(), wsse=token()))
    port = client.bind(*port_name(client))
    rpc = port._binding.get("PutMovements").style == "rpc"

    def send(batch_no, n, count):
        if messages.one_way():
            ask(port.ReportShipment, ShipNo=batch_no, Line=messages.lines(n, count))
            return
        movements = messages.movements(batch_no, n, count)
        body = {"Movements": {"Movement": movements}} if rpc else {"Movement": movements}
        # zeep takes a 202 without a word, which is no receipt where the WSDL promises one.
        if not ask(port.PutMovements, BatchNo=batch_no, **body):
            raise messages.Unanswered("the answer accepts nothing")

    return send


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    messages.push("zeep", connect)
