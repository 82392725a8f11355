"""Checks payloads against the committed schemas, with Python's jsonschema: a second validator that we did not write.

Reads JSON lines from the standard input, one per payload:

    {"message": "AuthorizeRequest", "file": "v201/AuthorizeRequest.json", "class": "full", "payload": {...},
     "accepted": true, "encoded": {...}}

`accepted` is the result of ocpp-types. If it is true, `encoded` contains the payload that was decoded and encoded again. Prints
the counts of every class, and the disagreements. Ends with 1 if there is any.

    python second_judge.py SCHEMAS < LINES
"""

import datetime
import json
import re
import sys
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import jsonschema
from rfc3986_validator import validate_rfc3986

# The maximum number of disagreements that are printed.
SHOWN = 20

DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


def instant(text):
    """The exact seconds since the year 1 of a date-time of RFC 3339; None if the text is not a date-time."""
    found = DATE_TIME.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second = (int(found[index]) for index in range(1, 7))
    offset_hours, offset_minutes = int(found[9] or 0), int(found[10] or 0)
    if hour > 23 or minute > 59 or second > 60 or offset_hours > 23 or offset_minutes > 59:
        return None
    try:
        # Python's first year is 1; the year 400 has the same days as the year 0.
        days = datetime.date(year or 400, month, day).toordinal() - (0 if year else 146097)
    except ValueError:
        return None
    offset = (offset_hours * 60 + offset_minutes) * (-1 if found[8] == "-" else 1)
    seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second
    return Fraction(seconds) + Fraction(found[7] or 0)


FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time")
def is_date_time(value):
    return not isinstance(value, str) or instant(value) is not None


@FORMATS.checks("uri")
def is_uri(value):
    # The package's expression ends with `$`, which matches before a line feed too.
    return not isinstance(value, str) or (not value.endswith("\n") and bool(validate_rfc3986(value, rule="URI")))


def is_integer(in_digits):
    """Checks numbers that were read as Decimal, so that 0.1 is exact; the validator's own check supports float only."""

    def check(_, value):
        if isinstance(value, bool):
            return False
        if isinstance(value, Decimal):
            return not in_digits and value == value.to_integral_value()
        return isinstance(value, int)

    return check


def validator(path):
    with path.open(encoding="utf-8") as file:
        schema = json.load(file, parse_float=Decimal)
    base = jsonschema.validators.validator_for(schema)
    base.check_schema(schema)
    # Only in draft 4, 17.0 is not an integer.
    in_digits = base is jsonschema.Draft4Validator
    types = base.TYPE_CHECKER.redefine("integer", is_integer(in_digits))
    kind = jsonschema.validators.extend(base, type_checker=types)
    return kind(schema, format_checker=FORMATS)


def equal(one, other):
    """Equal as JSON: numbers by value, date-times by instant."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, str) and isinstance(other, str) and one != other:
        return instant(one) is not None and instant(one) == instant(other)
    return one == other


def problem(judge, line):
    """The fault of our result, or None."""
    valid = judge.is_valid(line["payload"])
    if valid != line["accepted"]:
        return f"the judge says {'valid' if valid else 'invalid'}, ocpp-types the opposite"
    if valid and not equal(line["payload"], line["encoded"]):
        return "the payload that ocpp-types encodes is not equal"
    # An identical payload needs no second check.
    if valid and line["payload"] != line["encoded"] and not judge.is_valid(line["encoded"]):
        return "the payload that ocpp-types encodes is not valid"
    return None


def main():
    schemas = Path(sys.argv[1])
    judges = {}
    cases, wrong = Counter(), Counter()
    problems = []
    for text in sys.stdin.buffer:
        line = json.loads(text, parse_float=Decimal)
        file = line["file"]
        if file not in judges:
            judges[file] = validator(schemas / file)
        verdict = "valid" if line["accepted"] else "invalid"
        key = (verdict, line["class"])
        cases[key] += 1
        found = problem(judges[file], line)
        if found:
            wrong[key] += 1
            problems.append(f"{line['message']}, {line['class']}: {found}\n  {json.dumps(line['payload'], default=str)[:400]}")
    for verdict, name in sorted(cases):
        print(f"{verdict:8} {name:32} {cases[verdict, name]:6} cases, {wrong[verdict, name]} wrong")
    print(f"all      {'':32} {sum(cases.values()):6} cases, {sum(wrong.values())} wrong, {len(judges)} schemas")
    if problems:
        print("\n".join(problems[:SHOWN]), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
