"""`serve`: gunicorn with one process and a few threads, on SAGEMAKER_BIND_TO_PORT or 8080."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

THREADS = 4


def main() -> None:
    """Serve the model in ${SAGEMAKER_BASE_DIR:-/opt/ml}/model until told to stop."""
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

    class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
        def load_config(self) -> None:
            port = os.environ.get("SAGEMAKER_BIND_TO_PORT") or "8080"
            # In a container of its own, /opt/ml is ours and callers come from outside; elsewhere only this machine may call.
            host = "127.0.0.1" if os.environ.get("SAGEMAKER_BASE_DIR") else "0.0.0.0"
            self.cfg.set("bind", f"{host}:{port}")
            self.cfg.set("workers", 1)
            self.cfg.set("worker_class", "gthread")
            self.cfg.set("threads", THREADS)
            self.cfg.set("backlog", 512)
            self.cfg.set("keepalive", 75)
            self.cfg.set("timeout", 60)  # SageMaker gives an invocation 60 s
            self.cfg.set("graceful_timeout", 25)  # and 30 s between SIGTERM and SIGKILL
            self.cfg.set("worker_tmp_dir", "/dev/shm" if os.path.isdir("/dev/shm") else None)
            self.cfg.set("loglevel", "warning")

        def load(self) -> Any:
            from pipelines.serving.app import App
            from pipelines.serving.handler import load_handler

            return App(load_handler(Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml") / "model"))

    Server().run()


if __name__ == "__main__":
    main()
