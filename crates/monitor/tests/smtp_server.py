"""A real SMTP server for the tests (aiosmtpd). It prints its port, and then each mail as a line of JSON.

Recipients say what goes wrong: later@... is answered 451, first-later@... the first time only, refused@... 550, full@... is taken
and its data refused with 552.
"""

import email
import email.policy
import json
import sys

from aiosmtpd.controller import Controller


class Printing:
    seen = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "later":
            return "451 4.3.0 try again later"
        if name == "first-later" and name not in self.seen:
            self.seen.add(name)
            return "451 4.3.0 try again later"
        if name == "refused":
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if any(address.startswith("full@") for address in envelope.rcpt_tos):
            return "552 5.2.2 mailbox full"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        mail = {
            "to": envelope.rcpt_tos,
            "data": envelope.content.decode("ascii", "replace"),
            "headers": {name: str(value) for name, value in message.items()},
            "parts": [part.get_content_type() for part in message.walk()],
            "text": message.get_body(("plain",)).get_content(),
            "html": message.get_body(("html",)).get_content(),
        }
        print(json.dumps(mail), flush=True)
        return "250 OK"


controller = Controller(Printing(), hostname="127.0.0.1", port=int(sys.argv[1]))
controller.start()
print(controller.port, flush=True)
# Until the test that started it is gone.
sys.stdin.read()
controller.stop()
