"""The app in a pod: ComfyUI's port and its answer to /system_stats, once CUDA has come up in it.

With no GPU it ends, as the real one does.
"""

import ctypes
import http.server
import json
import os
import sys


class Answer(http.server.BaseHTTPRequestHandler):
    """Tells the environment that the app has, too."""

    def do_GET(self):
        told = {"/system_stats": {"system": {"os": "posix"}, "devices": [{"name": "cuda:0"}]}, "/environment": dict(os.environ)}.get(
            self.path
        )
        body = json.dumps(told).encode()
        self.send_response(404 if told is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


code = ctypes.CDLL("libcuda.so.1").cuInit(0)
if code:
    sys.exit(f"RuntimeError: Unexpected error from cudaGetDeviceCount(). Error {code}")
print("To see the GUI go to: http://0.0.0.0:8188", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", 8188), Answer).serve_forever()
