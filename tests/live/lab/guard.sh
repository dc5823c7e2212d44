# The lab rewrites this machine's OpenStack, Ceph and libvirt configuration. Here it makes sure
# that none of that is somebody's. Reads only; needs nothing but bash and coreutils, so that it can
# run before anything is installed. The lab knows its own by its test passwords and its folder.

# guard: fails, and says every reason, where something is found that the lab did not make.
guard() {
    local found
    found=$(foreign_configuration; foreign_guests; foreign_daemons; foreign_ports)
    [ -z "$found" ] && return 0
    say "this machine has OpenStack, Ceph or virtual machines that the lab did not make:"
    sed 's/^/    /' <<<"$found" >&2
    say "The lab would rewrite their configuration, so it stops here; nothing was changed.
    Use a machine of its own, or name an OpenStack to use instead (OS_CLOUD or OS_AUTH_URL, of an admin)."
    return 1
}

# A configuration is in use when it names a message bus or a database server; the packages' own do not.
foreign_configuration() {
    local f
    for f in "${GUARD_ROOT:-}"/etc/{nova,cinder,neutron}/{nova,cinder,neutron}{.conf,.conf.d/*.conf} \
             "${GUARD_ROOT:-}"/etc/{keystone/keystone,glance/glance-api,placement/placement}.conf; do
        [ -r "$f" ] || continue
        grep -E '^[[:space:]]*(transport_url|connection)[[:space:]]*=.*@' "$f" | grep -qvE ":($MQ_PASS|$DB_PASS)@" &&
            echo "$f is the configuration of a cloud"
    done
    f=${GUARD_ROOT:-}/etc/ceph/ceph.conf
    if [ -r "$f" ] && grep -qE '^[[:space:]]*fsid' "$f" && ! grep -q "$CEPH_FSID" "$f"; then echo "$f belongs to another Ceph cluster"; fi
    for f in "${GUARD_ROOT:-}"/etc/libvirt/qemu/*.xml; do
        if [ -r "$f" ] && ! grep -q "$STATE/" "$f"; then echo "$f is a virtual machine of this host's libvirt"; fi
    done
}

# Guests that libvirt runs. Ours are known by their definition, where the console's log is in the
# lab's folder; their command line need not show it.
foreign_guests() {
    local p line name
    for p in /proc/[0-9]*; do
        line=$({ tr '\0' ' ' <"$p/cmdline"; } 2>/dev/null) || continue
        [[ ${line%% *} == *qemu* && $line =~ ' guest='([^, ]+) ]] || continue
        name=${BASH_REMATCH[1]}
        grep -qs "$STATE/" "/etc/libvirt/qemu/$name.xml" "/run/libvirt/qemu/$name.xml" ||
            echo "the guest $name is running (process ${p#/proc/})"
    done
}

# Daemons of a cloud or of Ceph, in a container or not, whose session is not one of the lab's.
foreign_daemons() {
    local p name session ours=" $(cat "$RUN"/*.pid 2>/dev/null | tr '\n' ' ') "
    for p in /proc/[0-9]*; do
        read -r name <"$p/comm" || continue
        case $name in
        nova-api|nova-compute|nova-conductor|nova-scheduler|cinder-volume|cinder-api|ceph-osd|ceph-mon|neutron-server) ;;
        *) continue ;;
        esac
        session=$(sed 's/.*) //' "$p/stat" 2>/dev/null | cut -d' ' -f4)
        [[ -z "$session" || $ours == *" $session "* ]] || echo "$name is running: process ${p#/proc/}"
    done 2>/dev/null
}

# The lab's ports, when no daemon of the lab is up that could hold them.
foreign_ports() {
    local port d
    for d in $(daemons_running); do alive "$d" && return; done
    for port in 3306 5672 11211 3300 6789 8775 $PORT_keystone $PORT_glance $PORT_placement $PORT_nova $PORT_neutron $PORT_cinder; do
        tcp "$port" && echo "port $port of $IP is taken by another program"
    done
}
