#!/bin/sh
# Stands in for virsh: keeps whether the guest is frozen in ../guest/frozen, notes what it is asked in
# ../guest/asked, and does what ../guest/mode says: ok, no-agent, hang, refuse (the freeze only).
guest=$(dirname "$0")/../guest
mode=$(cat "$guest/mode")
for last; do :; done
echo "$last" >>"$guest/asked"
case $mode in
no-agent)
    echo "error: Guest agent is not responding: QEMU guest agent is not connected" >&2
    exit 1 ;;
hang) exec sleep 60 ;;
esac
case $last in
*guest-ping*) echo '{"return":{}}' ;;
*guest-fsfreeze-freeze*)
    [ "$mode" != refuse ] || { echo "error: failed to freeze /" >&2; exit 1; }
    touch "$guest/frozen"
    echo '{"return":2}' ;;
*guest-fsfreeze-thaw*)
    [ -e "$guest/frozen" ] && rm "$guest/frozen" && echo '{"return":2}' || echo '{"return":0}' ;;
*) exit 1 ;;
esac
