#!/bin/sh
set -e
if [ "$1" = remove ]; then
    if [ -d /run/systemd/system ]; then
        systemctl stop sdtrtd.service sdtrtd.socket || true
    fi
    systemctl disable --quiet sdtrtd.service sdtrtd.socket || true
fi
