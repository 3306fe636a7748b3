#!/bin/sh
# Makes busybox:latest from Debian's busybox-static: build.sh OUT.tar
#
# Every applet is a hard link in /bin, as in the image of that name on Docker Hub. No root, no
# chroot: owners and times are written by tar. BUSYBOX names another static binary;
# SOURCE_DATE_EPOCH defaults to that binary's date, which is its Debian package's.
set -eu
export LC_ALL=C
umask 022

out=${1:?usage: build.sh OUT.tar}
here=$(cd "$(dirname "$0")" && pwd)
busybox=${BUSYBOX:-/bin/busybox}
if [ ! -x "$busybox" ]; then
    echo "build.sh: $busybox is missing: apt-get install busybox-static" >&2
    exit 1
fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(stat -L -c %Y "$busybox")}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/bin" "$root/dev" "$root/etc" "$root/home" "$root/proc" "$root/root" "$root/sys" \
    "$root/tmp" "$root/usr/bin" "$root/usr/sbin" "$root/var/log" "$root/var/run" \
    "$root/var/spool/mail" "$root/var/tmp" "$root/var/www"

install -m 755 "$busybox" "$root/bin/busybox"
"$busybox" --list | while IFS= read -r applet; do
    [ "$applet" = busybox ] || ln "$root/bin/busybox" "$root/bin/$applet"
done
# The path that `#!/usr/bin/env` scripts name.
ln -s ../../bin/env "$root/usr/bin/env"

cat >"$root/etc/passwd" <<'END'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
END
cat >"$root/etc/group" <<'END'
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
lp:x:7:
mail:x:8:
kmem:x:9:
wheel:x:10:root
dialout:x:18:
floppy:x:19:
video:x:28:
audio:x:29:
www-data:x:33:
operator:x:37:
users:x:100:
nogroup:x:65534:
END
sed 's/:.*/:*:::::::/' "$root/etc/passwd" >"$root/etc/shadow"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
chmod 600 "$root/etc/shadow"
chmod 700 "$root/root"
chmod 1777 "$root/tmp" "$root/var/tmp"

tar --create --file "$work/rootfs.tar" --directory "$root" --format=ustar --sort=name \
    --owner=root:0 --group=root:0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" .

"$here/../pack.sh" "$out" "$work/rootfs.tar" \
    '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["sh"]}' \
    "busybox-static from Debian" busybox:latest
