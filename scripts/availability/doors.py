"""How clients come to a group: in the clear without passwords, or over TLS with a token, as users do
in production."""

import http.client
import os
import ssl
import subprocess


class Open:
    """Without authentication, on addresses that count as loopback."""

    scheme, network, authority, token = "http", "127.99", None, None
    headers = {}

    def connect(self, address, timeout):
        host, port = address.split(":")
        return http.client.HTTPConnection(host, int(port), timeout=timeout)

    def words(self):
        """What the commands take to come in."""
        return []


class Locked(Open):
    """With an authority of its own, a certificate for every place, and a token for clients."""

    scheme, network = "https", "10.99"

    def __init__(self, folder, places):
        self.folder, self.token = folder, None
        self.authority = os.path.join(folder, "ca.pem")
        key = os.path.join(folder, "ca-key.pem")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        _openssl("req", "-x509", *curve, "-days", "30", "-subj", "/CN=regions-ca",
                 "-keyout", key, "-out", self.authority)
        for place in range(places):
            certificate, own = self.certificate(place)
            asked, more = certificate + ".csr", certificate + ".ext"
            _openssl("req", *curve, "-subj", f"/CN=place-{place}", "-keyout", own, "-out", asked)
            with open(more, "w") as file:
                file.write(f"subjectAltName=IP:{self.network}.{place}.1\nbasicConstraints=CA:FALSE\n")
            _openssl("x509", "-req", "-in", asked, "-CA", self.authority, "-CAkey", key,
                     "-CAcreateserial", "-days", "30", "-extfile", more, "-out", certificate)
        self.trust = ssl.create_default_context(cafile=self.authority)

    def certificate(self, place):
        """The files with a place's certificate and its key."""
        return tuple(os.path.join(self.folder, f"place-{place}{end}") for end in (".pem", "-key.pem"))

    def connect(self, address, timeout):
        host, port = address.split(":")
        return http.client.HTTPSConnection(host, int(port), timeout=timeout, context=self.trust)

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def token_file(self):
        return os.path.join(self.folder, "token")

    def words(self):
        return ["--ca", self.authority, *(["--token-file", self.token_file] if self.token else [])]

    def take_token(self, token):
        with open(self.token_file, "w") as file:
            file.write(token + "\n")
        self.token = token


def _openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)
