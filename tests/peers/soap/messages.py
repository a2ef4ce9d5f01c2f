"""What the Python clients send, and when they send it again.

    PROGRAM WSDL_URL FIRST COUNT MOVEMENTS

The clients in other languages keep to the same; README.md has the table. A message goes again, under the same number, after a Server or
Receiver fault and wherever no answer tells its fate: that is how a warehouse system works off its outbox.
"""

import datetime
import decimal
import os
import sys
import time

PAUSE_S = 0.2
GIVE_UP_S = float(os.environ.get("SOAP_GIVE_UP_S", "60"))
ANSWER_S_MAX = 30

FIRST_MOVE = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)


class Refused(Exception):
    """The receiver will never take this message: sending it again is no use."""


class Unanswered(Exception):
    """Nobody can say whether the receiver has the message: it goes again."""


def quantity(n, i):
    # Eighths are exact in binary too, so no client's floats can blur a sum.
    return decimal.Decimal(n % 1000) + decimal.Decimal((i - 1) % 7 + 1) / 8


def movements(batch_no, n, count):
    return [
        {
            "Id": f"{batch_no}-{i}",
            "Sku": f"SKU-{i % 100}",
            # An ampersand and a letter outside ASCII, because escaping and encoding are what clients differ in.
            "Location": f"Süd & {n % 20}",
            "Quantity": quantity(n, i),
            "MovedAt": FIRST_MOVE + datetime.timedelta(seconds=n),
        }
        for i in range(1, count + 1)
    ]


def lines(n, count):
    return [{"LineNo": i, "Sku": f"SKU-{i % 100}", "Quantity": quantity(n, i)} for i in range(1, count + 1)]


def one_way():
    return os.environ.get("ONE_WAY") == "1"


def soap_version():
    return os.environ.get("SOAP_VERSION", "1.1")


def credentials():
    """(user, password, "text", "digest" or "basic"), or None where nobody says who calls."""
    user = os.environ.get("SOAP_USER")
    if user is None:
        return None
    return user, os.environ.get("SOAP_PASSWORD", ""), os.environ.get("SOAP_TOKEN", "text")


def judge_fault(code, text):
    """Raises for a fault. 1.1 refines codes behind a dot (Client.BadLimit), so the first part decides."""
    first = (code or "").split(":")[-1].split(".")[0]
    if first in ("Server", "Receiver"):
        raise Unanswered(f"{code}: {text}")
    raise Refused(f"{code}: {text}")


def judge_status(status, text):
    """Raises for an answer that is not SOAP. A 4xx stays one, but for a time-out and a throttle."""
    if 400 <= status < 500 and status not in (408, 429):
        raise Refused(f"HTTP {status}: {text}")
    raise Unanswered(f"HTTP {status}: {text}")


def keep_trying(attempt):
    """How often `attempt` had to be repeated. Its last failure, where it still fails after GIVE_UP_S."""
    started, retried = time.monotonic(), 0
    while True:
        try:
            attempt()
            return retried
        except Unanswered as error:
            if time.monotonic() - started > GIVE_UP_S:
                sys.exit(f"gave up after {GIVE_UP_S:g} s: {error}")
            print(f"again: {error}", file=sys.stderr)
        retried += 1
        time.sleep(PAUSE_S)


def push(client, connect):
    """Runs the whole client. `connect(url)` reads the WSDL and returns send(batch_no, n, count); both may raise Unanswered."""
    url, first, count, per_message = sys.argv[1], *map(int, sys.argv[2:5])
    sends = []
    try:
        keep_trying(lambda: sends.append(connect(url)))
        retried = sum(
            keep_trying(lambda: sends[-1](f"{client}-{n}", n, per_message)) for n in range(first, first + count)
        )
    except Refused as error:
        sys.exit(str(error))
    print(f"sent {count} retried {retried}")
