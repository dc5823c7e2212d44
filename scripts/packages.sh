# Every Debian package that this project and its lab need, by group, and how to install them
# quickly. The only such list: scripts/install-packages and tests/live/lab/lab read it from here.

# Building the workspace (Rust itself comes from rustup, see scripts/need-rust).
PKG_build="gcc libc6-dev make pkg-config libmariadb-dev git ca-certificates"
# Tests beside the code: lint of the stories, judges of the QCOW2 format, private database and message servers.
PKG_test="flake8 qemu-utils qemu-block-extra ceph-common mariadb-server rabbitmq-server"
# Speaking to a cloud that somebody else runs.
PKG_client="python3-openstackclient libvirt-clients ceph-common qemu-utils qemu-block-extra jq"
# The lab, part by part (tests/live/lab/README.md).
PKG_core="mariadb-server rabbitmq-server memcached uwsgi-core uwsgi-plugin-python3
  keystone placement-api glance-api
  nova-api nova-conductor nova-scheduler nova-compute nova-compute-kvm libvirt-clients python3-os-brick
  neutron-server neutron-linuxbridge-agent
  cinder-api cinder-scheduler cinder-volume
  python3-openstackclient python3-pymysql python3-memcache
  busybox-static extlinux syslinux-common cpio kmod fdisk curl jq iputils-ping iproute2 openssl procps"
PKG_neutron_agents="neutron-dhcp-agent neutron-l3-agent neutron-metadata-agent"
PKG_ceph="ceph-mon ceph-mgr ceph-osd ceph-common radosgw python3-rbd python3-rados qemu-block-extra"
PKG_horizon="openstack-dashboard"
PKG_barbican="barbican-api python3-barbicanclient"
PKG_cinder_backup="cinder-backup"
# Peers of `make bench`, and what makes its disks.
PKG_bench="qemu-utils mmdebstrap e2fsprogs fdisk openssl python3-libnbd libnbd-bin borgbackup restic s3fs python3-venv"
PKG_swift="swift-proxy swift-account swift-container swift-object python3-swiftclient"

PACKAGE_GROUPS="build test client bench core ceph neutron-agents horizon barbican cinder-backup swift"

# Packages whose maintainer scripts would otherwise make SQLite databases and
# run their schema migrations during the installation.
DEBCONF_NO_DB="keystone glance placement nova nova-api neutron cinder barbican"

# packages_of GROUP...: their packages, one a line, each once; fails on an unknown group.
packages_of() {
    local group var
    for group in "$@"; do
        [[ " $PACKAGE_GROUPS " == *" $group "* ]] || { echo "unknown package group: $group" >&2; return 1; }
        var=PKG_${group//-/_}
        printf '%s\n' ${!var}
    done | sort -u
}

# packages_missing PACKAGE...: those of them that are not installed.
packages_missing() {
    local p
    for p in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
    done
}

# install_packages LOGFILE PACKAGE...: installs what is missing, in one apt run. The caller has say().
install_packages() {
    local log=$1 rc=0 d missing; shift
    mapfile -t missing < <(packages_missing "$@")
    [ ${#missing[@]} -eq 0 ] && return 0
    [ "$(id -u)" = 0 ] || { say "missing Debian packages: ${missing[*]}; install them as root"; return 1; }
    say "installing ${#missing[@]} Debian packages and what they depend on: ${missing[*]}"
    mkdir -p "$(dirname "$log")"
    [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -mmin -1440 2>/dev/null | head -1)" ] ||
        apt-get update -qq >"$log" 2>&1 || { tail -20 "$log" >&2; say "apt-get update failed"; return 1; }

    # A machine may ship a qemu-utils newer than Debian 12's; all of qemu must be
    # of one version, so take that one back to the version apt offers.
    local want have pin=()
    want=$(apt-cache policy qemu-system-x86 | awk '/Candidate:/ {print $2}')
    have=$(dpkg-query -W -f '${Version}' qemu-utils 2>/dev/null || true)
    if [ -n "$have" ] && [ "$have" != "$want" ]; then pin=("qemu-utils=$want"); fi

    command -v debconf-set-selections >/dev/null && for d in $DEBCONF_NO_DB; do
        echo "$d $d/configure_db boolean false"
        echo "$d-common $d/configure_db boolean false"
    done | debconf-set-selections

    trap 'no_daemon_starts off; quick_python_compile off' EXIT
    quick_python_compile on; no_daemon_starts on
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --allow-downgrades \
        -o DPkg::Lock::Timeout=600 \
        -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold \
        -o Dpkg::Options::=--path-exclude=/usr/share/man/* \
        -o Dpkg::Options::=--path-exclude=/usr/share/locale/* \
        "${missing[@]}" "${pin[@]}" </dev/null >"$log" 2>&1 || rc=$?
    no_daemon_starts off; quick_python_compile off
    trap - EXIT
    [ $rc -eq 0 ] || { tail -20 "$log" >&2; say "apt-get failed (see $log)"; }
    return $rc
}

# Debian starts a service as it is installed. Ours are started by the lab and by the tests,
# with configurations of their own, so apt is told not to.
no_daemon_starts() {
    local policy=/usr/sbin/policy-rc.d
    case $1 in
    on) [ -e $policy ] || printf '#!/bin/sh\n# of scripts/packages.sh, while it installs\nexit 101\n' | install -m 755 /dev/stdin $policy ;;
    off) if grep -qs 'scripts/packages.sh' $policy; then rm -f $policy; fi ;;
    esac
}

# Some 350 Python packages each start py3compile from their postinst, which takes longer
# than all else in the installation. While apt runs, a no-op stands in for it, also where
# python3 itself is yet to come; afterwards everything is compiled at once, on all cores.
quick_python_compile() {
    local real=/usr/bin/py3compile diverted folders
    diverted=$(dpkg-divert --list $real)
    case $1 in
    on)
        [ -z "$diverted" ] || return 0
        dpkg-divert --quiet --local --rename --divert $real.lab-real --add $real
        printf '#!/bin/sh\nexit 0\n' >$real; chmod 755 $real
        ;;
    off)
        [ -n "$diverted" ] || return 0
        rm -f $real
        dpkg-divert --quiet --local --rename --remove $real
        [ -x /usr/bin/python3 ] || return 0
        folders=(/usr/lib/python3/dist-packages)
        [ -d /usr/share/openstack-dashboard ] && folders+=(/usr/share/openstack-dashboard)
        env -u PYTHONDONTWRITEBYTECODE /usr/bin/python3 -m compileall -q -j "$(nproc)" "${folders[@]}" >/dev/null 2>&1 || true
        ;;
    esac
}
