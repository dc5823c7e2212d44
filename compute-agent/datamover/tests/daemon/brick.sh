#!/bin/sh
# A stand-in for backstay-brick: notes what it is asked, and does what a file beside it says.
cd "$(dirname "$0")/../brick" || exit 1
question=$(cat)
verb=$(printf %s "$question" | sed -n 's/.*"verb":"\([a-z]*\)".*/\1/p')
echo "$verb" >>asked
case $verb in
connector)
    while [ -e slow ]; do sleep 0.05; done
    echo '{"connector": {"host": "compute1", "initiator": "iqn.2026-11.test:1"}}'
    ;;
connect)
    [ -e hang ] && sleep 60
    if [ -e refuse ]; then
        echo '{"error": "VolumeDeviceNotFound: Volume device not found at ."}'
    else
        echo "{\"device_info\": {\"type\": \"block\"}, \"path\": \"$(cat path)\"}"
    fi
    ;;
disconnect)
    if [ -e busy ]; then echo '{"error": "busy"}'; else echo '{}'; fi
    ;;
esac
