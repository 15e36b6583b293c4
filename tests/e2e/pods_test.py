"""Pods: made, listed, removed, and under other ids after a restore."""
import harness
from harness import refused

LOOP = ["/bin/sh", "-c", "n=0; while n=$((n+1)); do echo $n; sleep 0.01; done"]


def container(world, pod, name):
    world.a.CreateContainer(sandbox_id="s", container_id=name, pod_id=pod, args=LOOP,
                            layers=[{"host_path": world.layer, "read_only": True}])
    world.a.StartContainer(sandbox_id="s", container_id=name)


def pods(client):
    return {d.pod.pod_id: list(d.container_ids) for d in client.ListPods(sandbox_id="s").pods}


def case_pods_come_and_go(world):
    world.a.create("s")
    pod = world.a.CreatePod(sandbox_id="s", pod_id="web",
                            labels=[{"key": "z", "value": "1"}, {"key": "a", "value": "2"}]).pod
    assert pod.declared and [l.key for l in pod.labels] == ["a", "z"], pod
    refused("ALREADY_EXISTS", world.a.CreatePod, sandbox_id="s", pod_id="web", names=["'web'"])
    container(world, "web", "web")
    container(world, "web", "app")
    container(world, "", "alone")
    assert pods(world.a) == {"web": ["app", "web"], "alone": ["alone"]}, pods(world.a)
    refused("FAILED_PRECONDITION", world.a.DeletePod, sandbox_id="s", pod_id="web", names=["'web'"])
    refused("FAILED_PRECONDITION", world.a.DeleteContainer, sandbox_id="s", container_id="web",
            force=True, names=["sandbox container"])
    world.a.DeleteContainer(sandbox_id="s", container_id="alone", force=True)
    world.a.DeletePod(sandbox_id="s", pod_id="web", force=True)
    assert pods(world.a) == {}, pods(world.a)
    assert not world.a.ListContainers(sandbox_id="s").containers
    refused("NOT_FOUND", world.a.DeletePod, sandbox_id="s", pod_id="web", names=["'web'"])


def case_other_ids_after_a_restore(world):
    """The guest keeps its own; what is made under a freed id does not meet them."""
    world.a.create("s")
    world.a.CreatePod(sandbox_id="s", pod_id="empty", labels=[{"key": "k", "value": "v"}])
    container(world, "web", "web")
    container(world, "web", "app")
    numbers = harness.Numbers("s", "app")
    numbers.go_on(world.a)
    snapshot = world.a.save("s").snapshot
    patches = [{"controller": "container", "object": object_, "value": value} for object_, value in
               (("pod/web", "shop"), ("container/web", "shop"), ("container/app", "cart"))]
    world.b.restore(snapshot, patches=patches)
    assert pods(world.b) == {"empty": [], "shop": ["cart", "shop"]}, pods(world.b)
    numbers.container = "cart"
    numbers.go_on(world.b)
    refused("NOT_FOUND", world.b.DeleteContainer, sandbox_id="s", container_id="app")
    world.a, world.b = world.b, world.a
    container(world, "web", "app")
    world.a, world.b = world.b, world.a
    fresh = harness.Numbers("s", "app")
    fresh.go_on(world.b)
    numbers.go_on(world.b)
    world.b.DeletePod(sandbox_id="s", pod_id="shop", force=True)
    fresh.go_on(world.b)


def case_a_rename_onto_another_is_refused(world):
    world.a.create("s")
    container(world, "web", "web")
    container(world, "web", "app")
    snapshot = world.a.save("s").snapshot
    patch = {"controller": "container", "object": "container/app", "value": "web"}
    refused("ALREADY_EXISTS", world.b.restore, snapshot, patches=[patch], names=["'web'"])
    world.b.restore(snapshot)


if __name__ == "__main__":
    harness.main(globals())
