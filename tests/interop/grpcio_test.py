"""Debian's python3-grpcio, with code that protoc makes of our .proto files."""
from common import harness
from harness import refused

import grpc
from grpc.health.v1 import health_pb2 as health


def check(client, service=""):
    rpc = client.channel.unary_unary("/grpc.health.v1.Health/Check",
                                     request_serializer=health.HealthCheckRequest.SerializeToString,
                                     response_deserializer=health.HealthCheckResponse.FromString)
    return rpc(health.HealthCheckRequest(service=service), timeout=10).status


def case_health(world):
    for service in "", "sandferry.v1.SandboxService", "sandferry.v1.DiskService":
        assert check(world.a, service) == health.HealthCheckResponse.SERVING, service
    try:
        check(world.a, "no.such.Service")
        raise AssertionError("a service that is not there is healthy")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND, error


def case_create_save_restore(world):
    numbers = world.counter(world.a)
    snapshot = world.a.save("s").snapshot
    world.b.restore(snapshot)
    numbers.go_on(world.b)


def case_details_of_a_refused_restore(world):
    world.counter(world.a)
    snapshot = world.a.save("s", after="HOLD").snapshot
    bad = type(snapshot).FromString(snapshot.SerializeToString())
    bad.container.containers[0].pod_id = "nowhere"
    bad.scsi.reservations[0].slot = 200
    why = refused("INVALID_ARGUMENT", world.b.restore, bad)
    fields = {v.field: v.description for v in why.detail("BadRequest").field_violations}
    assert len(fields) >= 2, fields
    assert any("container.containers[0].pod_id" in f for f in fields), fields
    assert all(fields.values()), fields
    world.a.ResumeSandbox(sandbox_id="s")
    why = refused("FAILED_PRECONDITION", world.b.restore, snapshot)
    assert why.detail("PreconditionFailure").violations, why.details


def case_events_are_a_stream(world):
    world.a.create("s")
    world.a.DeleteSandbox(sandbox_id="s", force=True)
    seen = []
    for answer in world.a.WatchEvents(sandbox_id="s", from_start=True, timeout=20):
        seen.append(answer.event)
        if answer.event.type == "sandbox.deleted":
            break
    assert "sandbox.created" in [e.type for e in seen], [e.type for e in seen]
    numbers = [e.number for e in seen]
    assert numbers == sorted(set(numbers))


def case_unknown_methods(world):
    for path in "/sandferry.v1.SandboxService/Teleport", "/no.such.Service/Call":
        try:
            world.a.channel.unary_unary(path)(b"", timeout=10)
            raise AssertionError("%s was answered" % path)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error


if __name__ == "__main__":
    harness.main(globals())
