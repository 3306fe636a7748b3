"""docker-py's basic flows: containers, exec, logs, archives, events, wait.

DOCKER_HOST names the daemon, which has the busybox image. Prints "done" at the end.
"""

import io
import tarfile
import time

import docker
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound


def same(found, wanted):
    assert found == wanted, f"{found!r} is not {wanted!r}"


def archive(name, content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


client = docker.from_env(timeout=300)
assert client.ping()
same(client.version()["Os"], "linux")
same([tag for image in client.images.list() for tag in image.tags], ["busybox:latest"])
since = int(time.time()) - 1

# run: output, exit codes, a missing image
same(client.containers.run("busybox", ["echo", "hello world"], remove=True), b"hello world\n")
try:
    client.containers.run("busybox", ["sh", "-c", "echo no >&2; exit 7"], remove=True)
    raise AssertionError("an exit code of 7 is an error")
except ContainerError as error:
    same((error.exit_status, error.stderr), (7, b"no\n"))
try:
    client.containers.create("localhost:1/nosuch:1")
    raise AssertionError("there is no such image")
except ImageNotFound as error:
    assert "No such image: localhost:1/nosuch:1" in str(error), error

# a container: life, environment, labels, logs
script = "echo out $WORD; echo err >&2; exec sleep 1000"
tug = client.containers.run(
    "busybox",
    ["sh", "-c", script],
    name="tug",
    detach=True,
    environment={"WORD": "one"},
    labels={"kind": "boat"},
)
same([c.name for c in client.containers.list(filters={"label": "kind=boat"})], ["tug"])
for line in tug.logs(stream=True, follow=True, stdout=True, stderr=False):
    same(line, b"out one\n")
    break
tug.reload()
same((tug.status, tug.attrs["Config"]["Labels"]["kind"]), ("running", "boat"))

# exec: code, both streams, as they come, environment
result = tug.exec_run(["sh", "-c", "echo $A; echo b >&2; exit 5"], demux=True, environment={"A": "a"})
same((result.exit_code, result.output), (5, (b"a\n", b"b\n")))
streamed = tug.exec_run(["sh", "-c", "echo 1; echo 2"], stream=True).output
same(b"".join(streamed), b"1\n2\n")

# archives
assert tug.put_archive("/tmp", archive("note", b"by tar"))
pieces, status = tug.get_archive("/tmp/note")
with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
    same(tar.extractfile("note").read(), b"by tar")
same((status["name"], status["size"]), ("note", 6))
try:
    tug.get_archive("/nosuch")
    raise AssertionError("there is no such file")
except NotFound:
    pass

# top, stats, pause, rename, update
assert any("sleep 1000" in row[-1] for row in tug.top()["Processes"])
assert tug.stats(stream=False)["memory_stats"]["usage"] > 0
tug.pause()
tug.reload()
same(tug.status, "paused")
tug.unpause()
tug.rename("ship")
tug.update(restart_policy={"Name": "no"})

# conflicts
try:
    client.containers.create("busybox", name="ship")
    raise AssertionError("the name is taken")
except APIError as error:
    same(error.status_code, 409)
try:
    tug.remove()
    raise AssertionError("it runs")
except APIError as error:
    same(error.status_code, 409)

# kill, wait, the end in the logs
tug.kill()
same(tug.wait()["StatusCode"], 137)
same(tug.logs(stderr=True, stdout=False), b"err\n")

# stdin over an attached socket
cat = client.containers.create("busybox", ["cat"], stdin_open=True)
socket = cat.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
cat.start()
socket._sock.sendall(b"to and fro\n")
header = socket.read(8)
same(socket.read(int.from_bytes(header[4:], "big")), b"to and fro\n")
socket.close()
cat.kill()
cat.remove()

# commit, and what happened
image = tug.commit(repository="fleet", tag="1", message="a note is in it")
same(image.tags, ["fleet:1"])
tug.remove()
same(client.containers.run("fleet:1", ["cat", "/tmp/note"], remove=True), b"by tar")
events = client.events(since=since, until=int(time.time()) + 1, decode=True, filters={"container": tug.id})
actions = [event["Action"].split(":")[0] for event in events]
for action in ["create", "start", "exec_create", "pause", "unpause", "rename", "kill", "die", "commit", "destroy"]:
    assert action in actions, f"{action} is not in {actions}"

# prune
client.containers.create("busybox")
assert len(client.containers.prune()["ContainersDeleted"]) == 1
same(client.containers.list(all=True), [])
client.images.remove("fleet:1")
print("done")
