"""@grpc/grpc-js: a gRPC client in JavaScript, through reflection alone. What it does is in client.js."""
import json
import os
import subprocess

import common
from common import harness

NODE_PATH = common.node_folder() + "/node_modules"
INVALID_ARGUMENT, DATA_LOSS = 3, 15


def case_create_save_restore_and_details(world):
    done = subprocess.run(["node", os.path.join(common.HERE, "client.js"),
                           "unix:" + world.a.socket, "unix:" + world.b.socket],
                          env={**os.environ, "NODE_PATH": NODE_PATH}, capture_output=True, text=True,
                          timeout=2 * harness.BOOT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["health"]["status"] == "SERVING", seen["health"]
    for service in "sandferry.v1.SandboxService", "sandferry.v1.ProcessService", "grpc.health.v1.Health":
        assert service in seen["services"], seen["services"]
    assert seen["created"]["sandbox"]["state"] == "SANDBOX_STATE_RUNNING"
    assert seen["restored"]["sandbox"]["state"] == "SANDBOX_STATE_RUNNING"
    assert seen["altered"]["code"] == DATA_LOSS, seen["altered"]
    assert "google.rpc.ErrorInfo" in seen["altered"]["types"], seen["altered"]
    assert seen["wrong"]["code"] == INVALID_ARGUMENT, seen["wrong"]
    assert "google.rpc.BadRequest" in seen["wrong"]["types"], seen["wrong"]
    assert len(seen["events"]) == 1, seen["events"]
    assert world.b.state("s") == "RUNNING"


if __name__ == "__main__":
    harness.main(globals())
