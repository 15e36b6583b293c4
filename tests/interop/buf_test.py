"""buf curl: a gRPC client in Go, through reflection alone."""
import base64
import json
import subprocess

import common
from common import harness

BUF = common.node_folder() + "/node_modules/.bin/buf"
SERVICE = "sandferry.v1.SandboxService/"


def buf(daemon, words, data=None):
    """Gives (exit code, its output)."""
    done = subprocess.run([BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge",
                           "--unix-socket", daemon.socket, *words],
                          input=data, capture_output=True, text=True, timeout=harness.BOOT_S)
    return done.returncode, done.stdout + done.stderr


def call(daemon, method, request, reflection="grpc-v1"):
    code, output = buf(daemon, ["--reflect-protocol", reflection, "-d", "@-",
                                "http://localhost/" + method], json.dumps(request))
    assert code == 0, output
    return json.loads(output)


def case_lists_everything(world):
    code, output = buf(world.a, ["--list-methods", "http://localhost"])
    assert code == 0, output
    for method in (SERVICE + "SaveSandbox", SERVICE + "WatchEvents", "sandferry.v1.DiskService/AddDisk",
                   "sandferry.v1.ContainerService/CreateContainer",
                   "sandferry.v1.ProcessService/ReadOutput", "grpc.health.v1.Health/Check"):
        assert method in output, "'%s' is not in\n%s" % (method, output)


def case_health(world):
    for version in "grpc-v1", "grpc-v1alpha":
        assert call(world.a, "grpc.health.v1.Health/Check", {}, version)["status"] == "SERVING"


def case_create_save_restore(world):
    """The snapshot goes through JSON and back, and its digest still fits."""
    created = call(world.a, SERVICE + "CreateSandbox",
                   {"sandboxId": "s", "vm": {"memoryBytes": str(256 << 20), "processors": 1}})
    assert created["sandbox"]["state"] == "SANDBOX_STATE_RUNNING", created
    world.a.add_container("s", "c", world.layer, ["/bin/counter"])
    numbers = harness.Numbers("s")
    numbers.go_on(world.a)
    saved = call(world.a, SERVICE + "SaveSandbox", {"sandboxId": "s"})
    restored = call(world.b, SERVICE + "RestoreSandbox", {"snapshot": saved["snapshot"]})
    assert restored["sandbox"]["state"] == "SANDBOX_STATE_RUNNING", restored
    numbers.go_on(world.b)


def case_details_of_a_refused_restore(world):
    call(world.a, SERVICE + "CreateSandbox", {"sandboxId": "s"})
    saved = call(world.a, SERVICE + "SaveSandbox", {"sandboxId": "s", "after": "AFTER_SAVE_HOLD"})
    saved["snapshot"]["vm"]["memory"]["memoryId"] = "not a GUID"
    code, output = buf(world.b, ["-d", "@-", "http://localhost/" + SERVICE + "RestoreSandbox"],
                       json.dumps({"snapshot": saved["snapshot"]}))
    error = json.loads(output)
    assert code != 0 and error["code"] == "invalid_argument", output
    details = {d["type"]: base64.b64decode(d["value"] + "==") for d in error["details"]}
    assert b"sandferry" in details["google.rpc.ErrorInfo"], output
    assert b"vm.memory.memory_id" in details["google.rpc.BadRequest"], output
    call(world.a, SERVICE + "ResumeSandbox", {"sandboxId": "s"})


if __name__ == "__main__":
    harness.main(globals())
