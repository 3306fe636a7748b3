"""testcontainers' basic flows: start, wait for a word in the logs, exec, end.

DOCKER_HOST names the daemon, which has the busybox image. Prints "done" at the end.
"""

import os

# Its reaper would be one more container, of an image from the internet.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs

container = DockerContainer("busybox:latest", docker_client_kw={"timeout": 300})
container.with_command(["sh", "-c", "echo ready for $WHOM; exec sleep 1000"])
container.with_env("WHOM", "tests")
with container as running:
    wait_for_logs(running, "ready for tests", timeout=120)
    result = running.exec(["sh", "-c", "echo inside; exit 3"])
    assert (result.exit_code, result.output) == (3, b"inside\n"), result
    out, err = running.get_logs()
    assert (out, err) == (b"ready for tests\n", b""), (out, err)
    wrapped = running.get_wrapped_container()
    client = wrapped.client
assert client.containers.list(all=True) == []
print("done")
