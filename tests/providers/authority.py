"""A certificate authority of a test's own, made with openssl."""

import subprocess
from pathlib import Path

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "7")


class Authority:
    """`pem` is the certificate that the hub has to trust; leaf certificates are made by host name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pem = directory / "authority.pem"
        self._key = directory / "authority.key"
        self._request("Test authority", self.pem, self._key, "-addext", "keyUsage=critical,keyCertSign")

    def leaf(self, host: str) -> Path:
        """A folder with leaf.pem and leaf.key, for this host name, and authority.pem."""
        folder = self.directory / host
        folder.mkdir(exist_ok=True)
        extensions = (f"subjectAltName=DNS:{host}", "basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth")
        added = [word for extension in extensions for word in ("-addext", extension)]
        self._request(
            host, folder / "leaf.pem", folder / "leaf.key", "-CA", self.pem, "-CAkey", self._key, *added
        )  # fmt: skip
        (folder / "authority.pem").write_bytes(self.pem.read_bytes())
        return folder

    @staticmethod
    def _request(name: str, certificate: Path, key: Path, *options: str | Path) -> None:
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                *NEW_KEY,
                "-subj",
                f"/CN={name}",
                "-out",
                certificate,
                "-keyout",
                key,
                *options,
            ],
            check=True,
            capture_output=True,
        )
