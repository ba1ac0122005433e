"""A mail server for tests: STARTTLS with its own certificate, AUTH PLAIN and LOGIN, mails as JSON lines.

usage: smtp_sink.py DIRECTORY PORT USER PASSWORD

Writes DIRECTORY/ca.pem (the certificate to trust), then prints `ready` once it listens on
127.0.0.1:PORT. Each mail
that comes over TLS and with the right password becomes one line of DIRECTORY/mails.jsonl:
{"from", "to", "tls", "mechanism", "headers": {...}, "parts": {content type: text}}.
"""

import datetime
import email
import email.policy
import ipaddress
import json
import pathlib
import signal
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make_certificate(directory: pathlib.Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (directory / "ca.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "key.pem").write_bytes(private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "ca.pem", directory / "key.pem")
    return context


class Handler:
    def __init__(self, path: pathlib.Path):
        self.path = path

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = {
            part.get_content_type(): part.get_content()
            for part in message.walk()
            if part.get_content_maintype() == "text"
        }
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "mechanism": (session.auth_data or {}).get("mechanism"),
            "headers": {name: str(value) for name, value in message.items()},
            "parts": parts,
        }
        with self.path.open("a") as file:
            file.write(json.dumps(mail) + "\n")
        return "250 taken"


def main() -> None:
    directory, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    user, password = sys.argv[3].encode(), sys.argv[4].encode()

    def authenticate(server, session, envelope, mechanism, data):
        if not isinstance(data, LoginPassword) or (data.login, data.password) != (user, password):
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data={"mechanism": mechanism})

    # What most servers ask, and what clients of AUTH LOGIN look for.
    SMTP.AuthLoginUsernameChallenge = "Username:"
    SMTP.AuthLoginPasswordChallenge = "Password:"
    controller = Controller(
        Handler(directory / "mails.jsonl"),
        hostname="127.0.0.1",
        port=port,
        tls_context=make_certificate(directory),
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
        auth_require_tls=True,
    )
    controller.start()
    print("ready", flush=True)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    stopped.wait()
    controller.stop()


if __name__ == "__main__":
    main()
