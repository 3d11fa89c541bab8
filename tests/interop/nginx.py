"""nginx in the private network of a test, on the kernel's TCP: it serves one folder, and takes PUT."""

from __future__ import annotations

from pathlib import Path
from subprocess import DEVNULL
from typing import Final

from tests.interop.harness import KERNEL, PORT, SynfinSide, wait_until

_CONFIGURATION: Final = """
user root root;
daemon off;
master_process off;
pid {work}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    server {{
        {listen}
        root {root};
        dav_methods PUT;
    }}
}}
"""


def start_nginx(nginx: str, side: SynfinSide, folder: Path) -> Path:
    """Run nginx until the side is left; the folder that it serves. Returns once it listens."""
    root, work = folder / "root", folder / "nginx"
    root.mkdir()
    work.mkdir()
    names = [KERNEL[4], *([f"[{KERNEL[6]}]"] if 6 in side.settings.versions else [])]
    listen = " ".join(f"listen {name}:{PORT} backlog=1024;" for name in names)
    configuration = work / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(work=work, root=root, listen=listen))
    command = [nginx, "-e", str(work / "error.log"), "-p", str(work), "-c", str(configuration)]
    running = side.network.popen(command, stdin=DEVNULL, stdout=DEVNULL)

    def listens() -> bool:
        assert running.poll() is None, (work / "error.log").read_text()
        return side.kernel_states().count("LISTEN") == len(names)

    wait_until(listens, lambda: "nginx does not listen")
    return root
