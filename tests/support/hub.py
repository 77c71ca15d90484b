"""A hub of data sets on this machine: as much of its protocol as reading one data set of files
takes.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(name: str, files: Mapping[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serve the files of a data set; gives the address, and the paths asked for so far."""
    asked: list[str] = []
    known = [
        {
            "type": "file",
            "path": path,
            "size": len(content),
            "oid": hashlib.sha1(content).hexdigest(),
        }
        for path, content in files.items()
    ]
    folders = [
        {"type": "directory", "path": path, "oid": "0" * 40}
        for path in {p.split("/")[0] for p in files if "/" in p}
    ]
    about = {
        "id": name,
        "sha": COMMIT,
        "private": False,
        "tags": [],
        "siblings": [{"rfilename": path} for path in files],
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def reply(self, code: int, content: bytes = b"", **headers: str) -> None:
            self.send_response(code)
            for key, value in headers.items():
                self.send_header(key.replace("_", "-"), value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = unquote(urlsplit(self.path).path)
            asked.append(path)
            found: object = None
            if path.startswith(f"/datasets/{name}/resolve/"):
                wanted = path.removeprefix(f"/datasets/{name}/resolve/").partition("/")[2]
                content = files.get(wanted)
                if content is None:
                    return self.reply(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
                return self.reply(
                    200,
                    content,
                    ETag=f'"{hashlib.sha1(content).hexdigest()}"',
                    X_Repo_Commit=COMMIT,
                )
            if path.startswith(f"/api/datasets/{name}/tree/"):
                inside = path.removeprefix(f"/api/datasets/{name}/tree/").partition("/")[2]
                of_top = folders + [entry for entry in known if "/" not in str(entry["path"])]
                found = (
                    [entry for entry in known if str(entry["path"]).startswith(f"{inside}/")]
                    if inside
                    else of_top
                )
            elif path.startswith(f"/api/datasets/{name}/paths-info/"):
                text = sent.decode()
                wanted_paths = (
                    json.loads(text)["paths"] if text.startswith("{") else parse_qs(text)["paths"]
                )
                found = [entry for entry in known if entry["path"] in wanted_paths]
            elif path in (f"/api/datasets/{name}", f"/api/datasets/{name}/revision/{COMMIT}"):
                found = about
            if found is None:
                return self.reply(404, X_Error_Code="RepoNotFound")
            return self.reply(200, json.dumps(found).encode(), Content_Type="application/json")

        do_GET = do_HEAD = do_POST = answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
