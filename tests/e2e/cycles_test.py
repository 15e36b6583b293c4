"""One sandbox goes to and fro between two daemons, twenty times; nothing grows."""
import harness

CYCLES = 20


def sizes(world):
    """What must not grow: per daemon, and on disk."""
    found = {}
    for d in world.a, world.b:
        found[d.name + " descriptors"] = d.fds()
        found[d.name + " threads"] = d.threads()
        found[d.name + " children"] = len(harness.children_of(d.process.pid))
        found[d.name + " files"] = len(harness.files_in(d.run_dir)) + len(harness.files_in(d.state_dir))
    found["memory files"] = len(harness.files_in(world.memory))
    found["processes"] = len(harness.writers_into(world.top))
    return found


def case_twenty_cycles(world):
    numbers = world.counter(world.a)
    daemons = [world.a, world.b]
    at_rest, slowest = None, 0
    for cycle in range(CYCLES):
        source, destination = daemons[cycle % 2], daemons[1 - cycle % 2]
        restored = destination.restore(source.save("s").snapshot)
        slowest = max(slowest, restored.blackout.ToNanoseconds() / 1e6)
        numbers.go_on(destination, 20)
        if cycle % 2 == 0:
            continue
        now = sizes(world)
        if cycle == 3: # by then every pool of threads is filled
            at_rest = now
        grown = {k: (at_rest[k], now[k]) for k in now if at_rest and now[k] > at_rest[k] + slack(k)}
        assert not grown, "cycle %d: these have grown: %s" % (cycle, grown)
    print("%d numbers, none lost, none repeated; longest blackout %.0f ms" % (numbers.last, slowest))


def slack(what):
    return 2 if "threads" in what or "descriptors" in what else 0 # gRPC's timers and pollers come and go


def case_memory_of_the_daemon(world):
    """Held in the daemon after many saves that are taken back; a leak would show. (ASan looks, too.)"""
    numbers = world.counter(world.a)

    def cycle():
        world.a.save("s", after="HOLD")
        world.a.ResumeSandbox(sandbox_id="s")

    for _ in range(10):
        cycle()
    before = sizes(world)
    for _ in range(20):
        cycle()
    now = sizes(world)
    grown = {k: (before[k], now[k]) for k in now if now[k] > before[k] + slack(k)}
    assert not grown, "these have grown: %s" % grown
    numbers.go_on(world.a)


if __name__ == "__main__":
    harness.main(globals())
