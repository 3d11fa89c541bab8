"""The three files of a Dask cluster's TLS, as the commands that use one take them."""

from __future__ import annotations

from pathlib import Path

import typer


def together(authority: Path | None, certificate: Path | None, key: Path | None) -> tuple[str, str, str] | None:
    """All three, or none. Raises BadParameter."""
    if authority is not None and certificate is not None and key is not None:
        return str(authority), str(certificate), str(key)
    if authority is not None or certificate is not None or key is not None:
        raise typer.BadParameter("--tls-ca-file, --tls-cert and --tls-key belong together")
    return None
