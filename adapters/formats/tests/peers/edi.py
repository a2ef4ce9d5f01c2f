#!/usr/bin/env python3
"""Whether other implementations cut X12 and EDIFACT files as we do, and refuse the same ones.

    python3 -m pip install --target target/peers pyx12==4.0.0 pydifact==0.2.3
    PYTHONPATH=target/peers python3 adapters/formats/tests/peers/edi.py [FILE...]

Without files, those of the corpora (DRAY_CORPORA, or ../shared/corpora) are compared. Each difference must be among the explained ones;
the exit code is 1 where another is found. A 997 is held to pyx12's map of it as well. The test `peers` installs both and runs this.
DRAY_EDI_SEGMENTS: a file with what the example `edi_segments` prints, if it is known already.
"""

import io
import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import warnings

from pydifact.segmentcollection import Interchange, RawSegmentCollection
import pyx12.params
import pyx12.x12file
import pyx12.x12n_document

# File, and words of what is said of it -> why we and the peer differ.
EXPLAINED = [
    ("EDI.Net/x12.", "First line does not begin with", "a byte order mark, as Windows writes it: we pass over it"),
    ("omniparser/", "trailing element terminators", "empty elements at a segment's end are a matter of style: we take them"),
    ("staedi/ts210_80char.edi", "Version Number is unknown", "its ISA is wrapped at column 80: pyx12 wants 106 bytes in a row"),
    ("x12-types/004010_940_3.edi", "segments differ", "a line end stands within a segment: it wraps the line, and is no part of the element"),
    ("x12-types/004010_940_", "'P']], the peer", "its ISA16 is left out: what ends segments stands there, and pyx12 takes it for ISA16"),
    ("x12-types/004010_940_", '(IEA=', "as above: with a wrong end of segments, pyx12 sees but one"),
    ("x12-types/004060_856.edi", "Version Number is unknown", "pyx12 knows no version 00400; the separators are clear"),
    ("edifact/", "we line", "pydifact checks neither counts nor references nor ends"),
    ("ORDERS_D.03B_Interchange.txt", "segments differ", "an element is repeated, as syntax version 4 allows; pydifact knows no repetitions"),
]


def root():
    return pathlib.Path(__file__).resolve().parents[4]


def corpora():
    folder = pathlib.Path(os.environ.get("DRAY_CORPORA", root().parent / "shared" / "corpora"))
    names = [path for kind in ("x12", "edifact") for path in sorted((folder / kind).rglob("*"))]
    return [str(path) for path in names if path.suffix in (".edi", ".txt")]


def ours(paths):
    known = os.environ.get("DRAY_EDI_SEGMENTS")
    if known:
        return [json.loads(line) for line in open(known, encoding="utf-8")]
    command = ["cargo", "run", "-q", "-p", "dray-formats", "--example", "edi_segments", "--", *paths]
    found = subprocess.run(command, cwd=root(), check=True, capture_output=True).stdout
    return [json.loads(line) for line in found.splitlines()]


def by_pyx12(path):
    """Segments and what is wrong with the envelope."""
    segments, wrong = [], []
    reader = pyx12.x12file.X12Reader(io.StringIO(open(path, encoding="utf-8", newline="").read()))
    for segment in reader:
        elements = [[part.get_value() for part in element.elements] for element in segment.elements]
        segments.append([[segment.get_seg_id()], *elements])
        wrong += reader.pop_errors()
    reader.cleanup()
    wrong += reader.pop_errors()
    return segments, [str(error[2]) for error in wrong]


def wrong_997(text):
    """What pyx12's map finds in a 997. It knows version 004010 alone, and the groups, sets and segments of claims: they stand for ours."""
    for ours, theirs in (
        (r"\*\^\*00501\*", "*U*00401*"),
        (r"\*005010~", "*004010~"),
        (r"AK1\*\w+", "AK1*HC"),
        (r"AK2\*\w+", "AK2*837"),
        (r"AK3\*\w+", "AK3*CLM"),
    ):
        text = re.sub(ours, theirs, text)
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.disable(logging.NOTSET)
    logging.getLogger("pyx12").addHandler(handler)
    logging.getLogger("pyx12").propagate = False
    good = pyx12.x12n_document.x12n_document(pyx12.params.params(), io.StringIO(text), None, None)
    logging.getLogger("pyx12").removeHandler(handler)
    logging.disable(logging.CRITICAL)
    return [] if good else [said.getvalue() or "pyx12 refuses it, and says no reason"]


def by_pydifact(path):
    raw = open(path, "rb").read().removeprefix(b"\xef\xbb\xbf")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    segments = []
    for segment in RawSegmentCollection.from_str(text).segments:
        elements = [element if isinstance(element, list) else [element] for element in segment.elements]
        segments.append([[segment.tag], *elements])
    wrong = []
    try:
        interchange = Interchange.from_str(text)
        interchange.validate()
    except Exception as error:
        wrong.append(f"{type(error).__name__}: {error}")
    return segments, wrong


def trimmed(segments):
    """Without what stands for nothing: empty components and elements at an end, and UNA."""
    out = []
    for segment in segments:
        elements = []
        for element in segment:
            element = [str(part) for part in element]
            while element and element[-1] == "":
                element.pop()
            elements.append(element)
        while elements and not elements[-1]:
            elements.pop()
        if elements and elements[0] != ["UNA"]:
            out.append(elements)
    return out


def differences(our):
    peer = by_pyx12 if our["kind"] == "x12" else by_pydifact
    try:
        segments, wrong = peer(our["file"])
    except Exception as error:
        if our["refused"]:
            return []
        return [f"the peer refuses it: {error}"]
    found = []
    we, they = trimmed(our["segments"]), trimmed(segments)
    for at in range(max(len(we), len(they))):
        one, other = (list_[at] if at < len(list_) else None for list_ in (we, they))
        if one != other:
            found.append(f"segments differ: {at + 1}: we {one}, the peer {other}")
            break
    if ["ST", "997"] in [[segment[0][0], segment[1][0]] for segment in we if len(segment) > 1 and segment[0] == ["ST"]]:
        if "/corpora/" not in our["file"]:
            found += wrong_997(open(our["file"], encoding="utf-8", newline="").read())
    if bool(our["refused"]) != bool(wrong):
        found.append(f"verdicts differ: we {our['refused']}, the peer {wrong}")
    return found


def main():
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    paths = sys.argv[1:] or corpora()
    if not paths:
        sys.exit("there are no files to compare: name some, or set DRAY_CORPORA")
    unexplained = same = 0
    for our in ours(paths):
        found = differences(our)
        same += not found
        for difference in found:
            known = [why for name, words, why in EXPLAINED if name in our["file"] and words in difference]
            unexplained += not known
            print(f"{'explained' if known else 'DIFFERENT'}: {our['file']}: {difference}")
            if known:
                print(f"    {known[0]}")
    print(f"{len(paths)} files, {same} the same, {unexplained} differences that nothing explains")
    sys.exit(1 if unexplained else 0)


if __name__ == "__main__":
    main()
