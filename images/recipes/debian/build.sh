#!/bin/sh
# Makes debian:bookworm (and debian:latest) with debootstrap's minbase: build.sh OUT.tar
#
# Needs root, because packages' scripts run in a chroot, and a Debian mirror: MIRROR names
# another one. What a bootstrap leaves behind that differs from run to run (logs, caches,
# machine ids, file times) is removed or fixed, so two runs against the same mirror state
# give the same bytes. SOURCE_DATE_EPOCH defaults to the date of the archive's Release file.
#
# Recipes on top of it say what else: PACKAGES (with commas), NAMES (of the image, with blanks) and
# CMD (JSON).
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
umask 022

out=${1:?usage: build.sh OUT.tar}
here=$(cd "$(dirname "$0")" && pwd)
suite=bookworm
mirror=${MIRROR:-http://deb.debian.org/debian}
packages=${PACKAGES:-}
names=${NAMES:-debian:bookworm debian:latest}
cmd=${CMD:-[\"bash\"]}
if [ "$(id -u)" != 0 ]; then
    echo "build.sh: debootstrap needs root: run this as root or in a container" >&2
    exit 1
fi
command -v debootstrap >/dev/null || {
    echo "build.sh: debootstrap is missing: apt-get install debootstrap" >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The bootstrapped tree is the image's /, and mktemp made its parent private.
root=$work/root
if ! debootstrap --variant=minbase ${packages:+--include="$packages"} "$suite" "$root" "$mirror" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    exit 1
fi

release=$(find "$root/var/lib/apt/lists" -name '*Release' | head -n 1)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date -d "$(sed -n 's/^Date: //p' "$release" | head -n 1)" +%s)}
export SOURCE_DATE_EPOCH

cat >"$root/etc/apt/sources.list" <<END
deb http://deb.debian.org/debian $suite main
deb http://deb.debian.org/debian $suite-updates main
deb http://deb.debian.org/debian-security $suite-security main
END
# A container has no init to start services with, and keeps no package files.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
printf 'APT::Install-Recommends "true";\nAcquire::Languages "none";\nAPT::Keep-Downloaded-Packages "false";\n' \
    >"$root/etc/apt/apt.conf.d/docker-image"

rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb \
    "$root"/var/cache/apt/*.bin "$root"/var/cache/ldconfig/aux-cache \
    "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old "$root"/etc/*- \
    "$root"/etc/machine-id "$root"/var/lib/dbus/machine-id "$root"/var/lib/systemd/random-seed \
    "$root"/debootstrap "$root"/tmp/* "$root"/run/*
: >"$root/etc/machine-id"
: >"$root/etc/resolv.conf"
echo localhost >"$root/etc/hostname"
find "$root/var/log" -type f -delete
# passwd's last-change column holds the day of the bootstrap.
day=$((SOURCE_DATE_EPOCH / 86400))
awk -F: -v OFS=: -v day="$day" '{ $3 = day } 1' "$root/etc/shadow" >"$work/shadow"
cat "$work/shadow" >"$root/etc/shadow"
# The guest makes its own device nodes.
rm -rf "$root/dev" "$root/proc" "$root/sys"
mkdir -m 755 "$root/dev"
mkdir -m 555 "$root/proc" "$root/sys"

# --clamp-mtime keeps the packages' own file times and lowers only what this run wrote.
tar --create --file "$work/rootfs.tar" --directory "$root" --format=posix \
    --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime --sort=name --numeric-owner \
    --xattrs --mtime="@$SOURCE_DATE_EPOCH" --clamp-mtime .

# Names have no blanks of their own.
# shellcheck disable=SC2086
"$here/../pack.sh" "$out" "$work/rootfs.tar" \
    "{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"],\"Cmd\":$cmd}" \
    "debootstrap --variant=minbase ${packages:+--include=$packages }$suite" $names
