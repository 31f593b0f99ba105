# The `aws` plugin: asks the provider host of the running embedded cloud for a server, and prints its port for the engine.
# It uses the standard library alone, so that it starts at once; without a host it becomes a provider server itself.
import os
import signal
import socket
import sys

PYTHON = "@PYTHON@"
ROOT = "@ROOT@"
STATE = "@STATE@"


def alone():
    """Becomes a provider server: slower to start, and needs no embedded cloud."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
    os.execv(PYTHON, [PYTHON, "-m", "local.provider.host", "--serve"])


def main():
    import json

    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    home = os.environ.get("LOCKSTEP_HOME")
    state = os.path.join(home, "cloud", "state.json") if home else STATE
    try:
        with open(state) as file:
            path = json.load(file)["provider_socket"]
        host = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        host.connect(path)
        environment = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
        host.sendall(json.dumps({"environment": environment, "folder": os.getcwd()}).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = host.recv(256)
            if not part:
                raise OSError("the provider host ended")
            answer += part
    except (OSError, ValueError, KeyError, TypeError):
        alone()
        return
    print(json.loads(answer)["port"], flush=True)
    while host.recv(256):
        pass


if __name__ == "__main__":
    main()
    sys.exit(0)
