#!/bin/sh
# Makes what the recordings' base images are replaced with: stand-ins.sh BUSYBOX_IMAGE FOLDER
#
# FOLDER/img gets the root file systems that the recordings import. All are busybox's: what they
# need beyond it is a program that waits under the name of python3, and an entry point.
set -eu
export LC_ALL=C
umask 022

image=$1 folder=$2
img=$folder/img
mkdir -p "$img" "$folder/work"
layer=$(tar --extract --to-stdout --file "$image" manifest.json |
    sed 's/.*"Layers":\["\([^"]*\)".*/\1/')
tar --extract --to-stdout --file "$image" "$layer" | gzip --decompress >"$img/busybox.tar"

extra=$folder/extra
mkdir -p "$extra/alpine/etc" "$extra/debian/usr/bin" "$extra/registry/etc/docker/registry" "$extra/hello"
echo 3.10 >"$extra/alpine/etc/alpine-release"
printf '#!/bin/sh\nexec sleep 100000\n' >"$extra/debian/usr/bin/python3"
cp "$extra/debian/usr/bin/python3" "$extra/registry/entrypoint.sh"
: >"$extra/registry/etc/docker/registry/config.yml"
chmod 755 "$extra/debian/usr/bin/python3" "$extra/registry/entrypoint.sh"

# add IMAGE: the busybox root with the files of that folder.
add() {
    cp "$img/busybox.tar" "$img/$1.tar"
    tar --append --file "$img/$1.tar" --directory "$extra/$1" --owner=0 --group=0 .
}
add alpine
add debian
add registry

# hello-world has nothing but its program: here a shell to print it with.
tar --extract --file "$img/busybox.tar" --directory "$extra/hello" ./bin
mkdir "$extra/hello/rootfs" "$extra/hello/rootfs/bin"
mv "$extra/hello/bin/busybox" "$extra/hello/rootfs/bin/sh"
cat >"$extra/hello/rootfs/hello" <<'HELLO'
#!/bin/sh
echo
echo 'Hello from Docker!'
echo 'This message shows that your installation appears to be working correctly.'
echo
HELLO
chmod 755 "$extra/hello/rootfs/hello"
tar --create --file "$img/hello-world.tar" --directory "$extra/hello/rootfs" \
    --owner=0 --group=0 bin hello
printf 'int main(void) { return 0; }\n' >"$img/hello.c"
