"""What Schemathesis has to know of our media types: `SCHEMATHESIS_HOOKS` names this file."""

import schemathesis


@schemathesis.serializer("message/rfc822")
def message(context, value):
    """A message, whatever the schema says: octets."""
    if isinstance(value, bytes):
        return value
    return b"From: alice@example.test\r\nSubject: Hello\r\n\r\n" + str(value).encode("utf-8", "replace")
