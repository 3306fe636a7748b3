#!/bin/sh
# Makes registry:2 (and registry:latest) from Debian's docker-registry: build.sh OUT.tar
#
# Laid out as the image of that name on Docker Hub: /entrypoint.sh, which takes a configuration
# file or a command, port 5000, and the volume /var/lib/registry. /bin has busybox, so that
# there is a shell. No root, no chroot, no network: programs and the libraries that they are linked
# with are this machine's. REGISTRY and BUSYBOX name other binaries; SOURCE_DATE_EPOCH defaults to
# the registry's date, which is its Debian package's.
set -eu
export LC_ALL=C
umask 022

out=${1:?usage: build.sh OUT.tar}
here=$(cd "$(dirname "$0")" && pwd)
registry=${REGISTRY:-/usr/bin/docker-registry}
busybox=${BUSYBOX:-/bin/busybox}
if [ ! -x "$registry" ]; then
    echo "build.sh: $registry is missing: apt-get install docker-registry" >&2
    exit 1
fi
if [ ! -x "$busybox" ]; then
    echo "build.sh: $busybox is missing: apt-get install busybox-static" >&2
    exit 1
fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(stat -L -c %Y "$registry")}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/bin" "$root/dev" "$root/etc/docker/registry" "$root/proc" "$root/root" \
    "$root/sys" "$root/tmp" "$root/var/lib/registry"

install -m 755 "$registry" "$root/bin/registry"
# A static program has no libraries; of a dynamic one each is where its loader looks for it.
{ ldd "$registry" 2>/dev/null || true; } | grep -o '/[^ ]*' | while IFS= read -r library; do
    install -D -m 755 "$library" "$root$library"
done
install -m 755 "$busybox" "$root/bin/busybox"
"$busybox" --list | while IFS= read -r applet; do
    [ "$applet" = busybox ] || ln "$root/bin/busybox" "$root/bin/$applet"
done

cat >"$root/entrypoint.sh" <<'END'
#!/bin/sh
# A configuration file is served; a word that the registry knows is its command; anything else
# is run as it is.
set -e
case "$1" in
*.yaml | *.yml) set -- registry serve "$@" ;;
serve | garbage-collect | help | -*) set -- registry "$@" ;;
esac
exec "$@"
END
chmod 755 "$root/entrypoint.sh"

cat >"$root/etc/docker/registry/config.yml" <<'END'
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
END
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
chmod 700 "$root/root"
chmod 1777 "$root/tmp"

tar --create --file "$work/rootfs.tar" --directory "$root" --format=ustar --sort=name \
    --owner=root:0 --group=root:0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" .

"$here/../pack.sh" "$out" "$work/rootfs.tar" \
    '{"ExposedPorts":{"5000/tcp":{}},"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Entrypoint":["/entrypoint.sh"],"Cmd":["/etc/docker/registry/config.yml"],"Volumes":{"/var/lib/registry":{}}}' \
    "docker-registry from Debian" registry:2 registry:latest
